//! Adapters: what fine-tuning makes, and what a request may run with.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A low-rank adapter (Hu et al. 2021) in the form Hugging Face's `peft` writes: both files, as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct AdapterFile {
    /// `adapter_config.json`. Beside peft's own keys it may hold `hearth`, an object that peft passes over.
    pub config: String,
    /// `adapter_model.safetensors`.
    pub weights: Arc<[u8]>,
}

/// An adapter remembers what it was trained on, so nothing of it is told.
impl fmt::Debug for AdapterFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterFile").field("bytes", &self.weights.len()).finish_non_exhaustive()
    }
}

/// Names an adapter among those that a loaded model has at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AdapterSlot(pub u64);

/// An adapter that a request runs with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterUse {
    /// Which.
    pub slot: AdapterSlot,
    /// What its part is multiplied by: 1 as it was trained, 0 as if it were not there.
    pub strength: f32,
}

/// Why an adapter cannot be used with a model, or read, or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// The base model cannot be read.
    #[error(transparent)]
    Base(#[from] crate::LoadError),
    /// The files are not an adapter, or a broken one.
    #[error("the adapter is damaged or not an adapter: {reason}")]
    Malformed {
        /// What is wrong, with the offending name or figure.
        reason: String,
    },
    /// A sound adapter with a part that could not be applied; none of it is.
    #[error("this adapter cannot be applied whole: {what}")]
    Unsupported {
        /// The part: a kind of adapter, a module, a setting.
        what: String,
    },
    /// It was made for a model of another shape.
    #[error("the adapter is for another model: {reason}")]
    OtherModel {
        /// The figure that differs.
        reason: String,
    },
    /// The file system said no.
    #[error("cannot read or write {path}: {source}")]
    Io {
        /// Which file.
        path: std::path::PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// Somebody asked for it to stop.
    #[error("the work was cancelled")]
    Cancelled,
    /// The work was lost: the model crashed and was unloaded, or the engine has shut down.
    #[error("the model crashed, or the engine has shut down")]
    EngineGone,
}
