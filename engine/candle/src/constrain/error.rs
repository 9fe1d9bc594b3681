//! Why there is no grammar for a constraint.

use hearth_engine_api::EngineError;

/// Why a schema or pattern cannot be held to.
///
/// A schema is never loosened to make it fit: what cannot be held to exactly is refused here, by name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// The schema is not JSON.
    #[error("the schema is not JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the first fault.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// Something is larger than any sensible schema has it.
    #[error("the constraint has too much of one thing: {what} (the limit is {limit})")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// What is allowed.
        limit: usize,
    },
    /// A keyword that is not supported, or not with this value.
    #[error("the schema's keyword \"{keyword}\" cannot be held to: {why}")]
    Keyword {
        /// The keyword.
        keyword: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A regular expression that is not supported.
    #[error("the pattern cannot be held to: {why}")]
    Pattern {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nothing can satisfy the constraint.
    #[error("no answer can satisfy the constraint")]
    Unsatisfiable,
    /// The grammar library refuses. Its words are left out, since they quote the schema.
    #[error("the constraint is too complex to be held to exactly")]
    TooComplex,
    /// The vocabulary cannot be used with grammars.
    #[error("the model's vocabulary cannot be used with constraints: {why}")]
    Vocabulary {
        /// What is wrong with it.
        why: &'static str,
    },
}

impl GrammarError {
    /// A refused keyword. Keywords are named only where they look like one: what else stands in their place may
    /// be anything.
    pub(super) fn keyword(keyword: &str, why: &'static str) -> Self {
        const LONGEST: usize = 40;
        let plain = |c: char| c.is_ascii_alphanumeric() || "$_-:. ".contains(c);
        let keyword = if keyword.len() <= LONGEST && keyword.chars().all(plain) {
            keyword.to_owned()
        } else {
            "(not a keyword)".to_owned()
        };
        Self::Keyword { keyword, why }
    }
}

impl From<GrammarError> for EngineError {
    fn from(error: GrammarError) -> Self {
        Self::Invalid { reason: error.to_string() }
    }
}
