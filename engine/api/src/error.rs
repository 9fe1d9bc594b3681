//! How loading and generating fail.

use std::path::PathBuf;

use crate::AdapterSlot;

/// Why a model could not be loaded or inspected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file system said no.
    #[error("cannot read the model file ({source}): {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a model, or a broken one.
    #[error("the model file is damaged or not a model: {reason}")]
    Malformed {
        /// What is wrong, with the offending figure.
        reason: String,
    },
    /// A sound file of a kind this engine does not run.
    #[error("this kind of model is not supported: {what}")]
    Unsupported {
        /// Architecture, tensor type or tokenizer that is not supported.
        what: String,
    },
    /// A tensor the architecture needs is absent or has another shape.
    #[error("tensor {name}: expected shape {expected:?}, got {got:?}")]
    Shape {
        /// The tensor's name in the file.
        name: String,
        /// The shape the architecture needs.
        expected: Vec<usize>,
        /// The shape found; empty where the tensor is absent.
        got: Vec<usize>,
    },
    /// The model would not fit.
    #[error(
        "the model needs about {needed_bytes} bytes of memory; {available_bytes} are available"
    )]
    OutOfMemory {
        /// Estimate for weights, cache and work space.
        needed_bytes: u64,
        /// What the machine has left.
        available_bytes: u64,
    },
    /// Somebody asked for it to stop.
    #[error("loading was cancelled")]
    Cancelled,
    /// The work was lost: the model crashed and was unloaded, or the engine has shut down.
    #[error("the model crashed, or the engine has shut down")]
    EngineGone,
}

/// Why a request could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// The prompt alone does not fit. Nothing was cut; the caller decides what to leave out.
    #[error("the prompt is {prompt_tokens} tokens, the model's context holds {context_tokens}")]
    ContextOverflow {
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// Tokens the context holds.
        context_tokens: u32,
    },
    /// The chat template refused the messages (`raise_exception`) or failed.
    #[error("the model's chat template refused the conversation: {reason}")]
    Template {
        /// The template's words.
        reason: String,
    },
    /// A setting or constraint that cannot be met.
    #[error("invalid request: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The numerics failed.
    #[error("the model failed in {op}: {reason}")]
    Compute {
        /// Operation.
        op: &'static str,
        /// The library's words.
        reason: String,
    },
    /// Too many requests wait.
    #[error("the engine is busy: {waiting} requests wait")]
    Overloaded {
        /// Length of the queue.
        waiting: usize,
    },
    /// The work was lost: the model crashed and was unloaded, or the engine has shut down.
    #[error("the model crashed, or the engine has shut down")]
    EngineGone,
}

impl EngineError {
    /// The refusal of a request that names an adapter which is not there.
    pub fn unknown_adapter(slot: AdapterSlot) -> Self {
        let reason = format!("no adapter {} is at hand; add it to the loaded model first", slot.0);
        Self::Invalid { reason }
    }
}
