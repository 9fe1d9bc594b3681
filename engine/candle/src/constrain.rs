//! Answers that keep to a JSON Schema or a regular expression.
//!
//! A grammar tells before every token which ones can still lead to an answer that keeps to it; no others can be
//! drawn. It fails closed: a schema that cannot be held to exactly is refused by the keyword's name
//! ([`GrammarError`]), and an answer that is cut off by its token limit is an error, never half an answer.
//!
//! JSON is written compactly, without blanks between its parts; properties come in the schema's order; strings are
//! spelled in one way only, so that no name hides behind an escape; numbers have no exponents and are short, so that
//! every reader can read them. Two properties that the schema does not name may have one name.
//!
//! What a grammar leaves no choice about is forced, several tokens at once, spelled as the tokenizer would spell
//! them together with the token before. The last of them are left open where the text that follows could make
//! longer tokens of them. At the very start of an answer SentencePiece would put a blank that is no part of the
//! answer; there the forced token is the one without it.

mod error;
mod grammar;
mod numbers;
mod pattern;
mod schema;
mod tools;
mod vocabulary;

pub use error::GrammarError;
pub use grammar::{Grammar, Grammars, Next};
pub use tools::{Tool, ToolPrompt, tool_prompt};
