//! How making the model fails.

use std::path::{Path, PathBuf};

use hearth_engine_api::{EngineError, LoadError};

/// Why a step of the recipe failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StarterError {
    /// The file system said no.
    #[error("cannot use a file ({source}): {path}")]
    Io {
        /// What the file system said.
        #[source]
        source: std::io::Error,
        /// Which file.
        path: PathBuf,
    },
    /// The recipe cannot be read.
    #[error("the recipe is not valid: {0}")]
    Recipe(#[from] toml::de::Error),
    /// A file of this program's own making cannot be read back.
    #[error("{what} is not valid: {reason}")]
    Malformed {
        /// Which kind of file.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint belongs to another recipe.
    #[error(
        "the checkpoint was made by another recipe ({field} differs); train in an empty folder"
    )]
    OtherRecipe {
        /// The part that differs.
        field: &'static str,
    },
    /// The backward pass dropped a weight, which would stay as it was born.
    #[error("no gradient reached {name}")]
    NoGradient {
        /// The weight.
        name: String,
    },
    /// The loss is no number any more.
    #[error("the loss is {loss} at step {step}; lower the learning rate")]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// The tokenizer library failed.
    #[error("tokenizer: {reason}")]
    Tokenizer {
        /// What it said.
        reason: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The engine refused the model.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The engine could not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A worker thread died.
    #[error("a worker thread panicked")]
    Worker,
}

/// Puts the path to an error of the file system.
pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StarterError + '_ {
    move |source| StarterError::Io { source, path: path.to_owned() }
}

/// The tokenizer library's errors carry no type of their own.
pub(crate) fn tokenizer(error: impl std::fmt::Display) -> StarterError {
    StarterError::Tokenizer { reason: error.to_string() }
}
