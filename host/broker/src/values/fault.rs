//! Why a value could not be made. Shown to the user where the value would stand; no plugin ever hears of it.

use hearth_engine_api::EngineError;
use hearth_vault::StoreError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("no model is loaded")]
    NoModel,
    #[error("the model was exchanged meanwhile")]
    Exchanged,
    #[error("this is too long for the model, even in pieces")]
    TooLong,
    #[error("a text of more than {limit_bytes} bytes is too long to be cut into pieces")]
    TooLongToCut { limit_bytes: usize },
    #[error("this would be a text of more than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    #[error("the plugin's values are more than {limit_bytes} bytes together")]
    TooMuch { limit_bytes: usize },
    #[error("this would be more than {limit} parts")]
    TooMany { limit: u16 },
    #[error("the document is no longer there")]
    Missing,
    #[error("an earlier run did not get to finish this")]
    Unfinished,
    #[error("there is nothing to work on")]
    Nothing,
    #[error("there was nobody to ask for documents")]
    NobodyToAsk,
    #[error("the permission was changed meanwhile")]
    Revoked,
    #[error("stopped")]
    Stopped,
    #[error("the vault is locked")]
    Locked,
    #[error("the model did not answer with one of the outcomes")]
    NoOutcome,
    #[error("the model failed: {0}")]
    Engine(String),
    #[error("{0}")]
    Search(String),
    #[error("the vault failed: {0}")]
    Store(String),
    /// A value of one kind where the graph promises another.
    #[error("an internal error")]
    Mismatch,
}

impl Fault {
    /// Whether no part with this fault may be passed over: it ends all of a plugin's work, or nobody keeps what it
    /// depends on.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Revoked | Self::Stopped | Self::Locked | Self::TooMuch { .. })
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NoModel => Self::NoModel,
            EngineError::ContextOverflow { .. } => Self::TooLong,
            other => Self::Engine(other.to_string()),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::SearchTooLong { .. } => Self::Search(error.to_string()),
            _ => Self::Store(error.to_string()),
        }
    }
}
