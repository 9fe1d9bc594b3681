//! Grammars of one model, and one answer's way through a grammar.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    thread,
};

use hearth_engine_api::{Constraint, EngineError};
use llguidance::{
    Matcher, ParserFactory,
    api::{StopReason, TopLevelGrammar},
    toktrie::{SimpleVob, TokEnv},
};
use serde_json::{Value, json};

use super::{
    GrammarError,
    numbers::{Numbers, Reading},
    pattern, schema, vocabulary,
};
use crate::tokenizer::Tokenizer;

/// Stack for taking a schema apart: what nests deepest within the limits takes a tenth of this.
const STACK_BYTES: usize = 64 << 20;

/// More tokens are never forced at once.
const MAX_FORCED: usize = 16_384;

/// Makes grammars for one vocabulary. What they have in common is made when the first of them is.
pub struct Grammars {
    tokenizer: Arc<Tokenizer>,
    made: OnceLock<Result<Made, GrammarError>>,
}

/// What the grammars of a vocabulary have in common.
struct Made {
    factory: ParserFactory,
    numbers: Arc<Numbers>,
}

impl fmt::Debug for Grammars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammars").finish_non_exhaustive()
    }
}

impl Grammars {
    /// Grammars of texts in `tokenizer`'s tokens.
    pub const fn new(tokenizer: Arc<Tokenizer>) -> Self {
        Self { tokenizer, made: OnceLock::new() }
    }

    /// The vocabulary.
    pub const fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// A grammar of JSON values that `schema`, given as JSON, accepts.
    ///
    /// # Errors
    /// [`GrammarError`] with the keyword that cannot be held to.
    pub fn json_schema(&self, schema: &str) -> Result<Grammar, GrammarError> {
        let made = self.made()?;
        let mut grammar = apart(|| {
            let mut schema = schema::normalise(schema)?;
            if let Value::Object(map) = &mut schema {
                map.insert("x-guidance".into(), json_options());
            }
            compile(&made.factory, TopLevelGrammar::from_json_schema(schema))
        })?;
        grammar.json = Some((Reading::default(), Arc::clone(&made.numbers)));
        Ok(grammar)
    }

    /// A grammar of texts that `pattern` matches as a whole. It is written as in JSON Schemas (ECMA 262), without
    /// look-around, back references and word boundaries.
    ///
    /// # Errors
    /// [`GrammarError::Pattern`] for what is not supported.
    pub fn regex(&self, pattern: &str) -> Result<Grammar, GrammarError> {
        let made = self.made()?;
        let pattern = pattern::translate(pattern)?;
        if pattern.is_empty() {
            return Err(GrammarError::Pattern { why: "it is empty" });
        }
        apart(|| compile(&made.factory, TopLevelGrammar::from_regex(&pattern)))
    }

    /// The grammar of `constraint`; nothing for those that are not held to by a grammar.
    ///
    /// # Errors
    /// [`GrammarError`] for what cannot be held to.
    pub fn grammar(&self, constraint: &Constraint) -> Result<Option<Grammar>, GrammarError> {
        match constraint {
            Constraint::JsonSchema(schema) => self.json_schema(schema).map(Some),
            Constraint::Regex(pattern) => self.regex(pattern).map(Some),
            Constraint::OneOf(_) => Ok(None),
        }
    }

    fn made(&self) -> Result<&Made, GrammarError> {
        let make = || {
            let factory = vocabulary::factory(&self.tokenizer)?;
            let numbers = Arc::new(Numbers::new(factory.tok_env().tok_trie()));
            Ok(Made { factory, numbers })
        };
        self.made.get_or_init(|| apart(make)).as_ref().map_err(Clone::clone)
    }
}

fn compile(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<Grammar, GrammarError> {
    let parser = factory.create_parser(grammar).map_err(|error| refusal(&format!("{error:#}")))?;
    let mut matcher = Matcher::new(Ok(parser));
    if !matcher.grammar_warnings().is_empty() {
        // The library would rather loosen the grammar than refuse it.
        return Err(GrammarError::TooComplex);
    }
    // An answer that cannot even begin is better refused now.
    if !matcher.is_accepting().map_err(|_quoting| GrammarError::TooComplex)? {
        matcher.compute_mask().map_err(|_quoting| GrammarError::Unsatisfiable)?;
    }
    let tokens = Arc::clone(factory.tok_env());
    let mask = tokens.tok_trie().alloc_token_set();
    Ok(Grammar { matcher, tokens, mask, json: None })
}

/// Compact JSON. `\u` is left out of the escapes: with it a name could be spelled in two ways, and pass for one
/// that the schema does not know.
fn json_options() -> Value {
    json!({
        "item_separator": ",",
        "key_separator": ":",
        "whitespace_flexible": false,
        "lenient": false,
        "coerce_one_of": false,
        "json_allowed_escapes": "nrbtf\"\\",
    })
}

/// Words of the library for what has a name of its own here.
fn refusal(text: &str) -> GrammarError {
    if text.contains("Unsatisfiable") {
        GrammarError::Unsatisfiable
    } else if text.contains("oneOf constraints") {
        GrammarError::keyword("oneOf", "its schemas do not obviously exclude each other")
    } else if text.contains("min/maxProperties") {
        GrammarError::keyword("maxProperties", "some of the properties are optional")
    } else if text.contains("patternProperty") {
        GrammarError::keyword("patternProperties", "two patterns may match one name")
    } else if text.contains("circular references") {
        GrammarError::keyword("$ref", "it leads back to itself beside other keywords")
    } else {
        GrammarError::TooComplex
    }
}

/// Runs `work` with a stack of its own: schemas come from strangers, and nest.
fn apart<T: Send>(
    work: impl FnOnce() -> Result<T, GrammarError> + Send,
) -> Result<T, GrammarError> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("grammar".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|_no_thread| GrammarError::TooComplex)?
            .join()
            // The library gave up by a panic.
            .unwrap_or(Err(GrammarError::TooComplex))
    })
}

/// What may come next in an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'g> {
    /// Nothing: the answer is complete.
    Done,
    /// These tokens: at least one.
    Forced(Vec<u32>),
    /// One of a set of tokens.
    OneOf {
        /// A bit a token, lowest first; tokens past the end are not in it.
        words: &'g [u32],
        /// Whether the answer may as well be over.
        may_end: bool,
    },
}

/// One answer's way through a grammar.
#[derive(Clone)]
pub struct Grammar {
    matcher: Matcher,
    tokens: TokEnv,
    mask: SimpleVob,
    /// Where a JSON answer is.
    json: Option<(Reading, Arc<Numbers>)>,
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammar").finish_non_exhaustive()
    }
}

impl Grammar {
    /// What may come after the tokens accepted so far.
    ///
    /// # Errors
    /// [`EngineError::Compute`] where the grammar is too complex to go on in, or leads nowhere in this vocabulary.
    pub fn allowed(&mut self) -> Result<Next<'_>, EngineError> {
        if self.matcher.is_stopped() {
            return if self.matcher.stop_reason().is_ok() {
                Ok(Next::Done)
            } else {
                Err(self.lost())
            };
        }
        let forced = self.matcher.compute_ff_tokens();
        if forced.len() > MAX_FORCED {
            // A schema that only an answer without end could satisfy.
            return Err(self.lost());
        }
        if !forced.is_empty() {
            return Ok(Next::Forced(forced));
        }
        let may_end = self.matcher.is_accepting().map_err(|_quoting| self.lost())?;
        match self.matcher.compute_mask() {
            Ok(mask) => {
                self.mask = mask;
                if let Some((place, numbers)) = &self.json {
                    numbers.forbid(*place, &mut self.mask, may_end);
                }
                // No token of this vocabulary leads on.
                if !may_end && self.mask.is_zero() {
                    return Err(self.lost());
                }
                Ok(Next::OneOf { words: self.mask.as_slice(), may_end })
            }
            Err(_) if may_end => Ok(Next::Done),
            Err(_) => Err(self.lost()),
        }
    }

    /// The next token is `id`.
    ///
    /// # Errors
    /// [`EngineError::Compute`] where the grammar does not allow it.
    pub fn accept(&mut self, id: u32) -> Result<(), EngineError> {
        match self.matcher.try_consume_tokens(&[id]) {
            Ok(1) => {
                if let Some((place, _)) = &mut self.json {
                    place.read(self.tokens.tok_trie().token(id));
                }
                Ok(())
            }
            _ => Err(self.lost()),
        }
    }

    /// The library's words are left out: they may quote the answer.
    fn lost(&self) -> EngineError {
        let reason = match self.matcher.stop_reason() {
            StopReason::LexerTooComplex | StopReason::ParserTooComplex => {
                "the constraint is too complex to be held to any further"
            }
            _ => "the constraint and the answer have come apart",
        };
        EngineError::Compute { op: "keeping to the constraint", reason: reason.into() }
    }
}
