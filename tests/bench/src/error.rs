//! What can go wrong.

use std::{io, path::PathBuf};

use hearth_engine_api::{AdapterError, EngineError, LoadError, TuneError};
use hearth_engine_candle::inspect::InspectError;

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// No model to measure on.
    #[error("give at least one model file: --model FILE.gguf")]
    NoModel,
    /// A model that cannot be read.
    #[error("{}: {source}", path.display())]
    Model {
        /// Which.
        path: PathBuf,
        /// Why.
        source: LoadError,
    },
    /// Our engine failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Our engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An adapter could not be made or used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// Our training failed.
    #[error(transparent)]
    Tune(#[from] TuneError),
    /// Our engine failed.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// A program that does not start.
    #[error("`{program}` does not start: {source}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program that failed.
    #[error("`{program}` failed: {reason}")]
    Failed {
        /// Which.
        program: String,
        /// Its last words.
        reason: String,
    },
    /// A program whose answer is not what this expects.
    #[error("`{program}` answered something unknown: {reason}")]
    Answer {
        /// Which.
        program: String,
        /// What is missing.
        reason: String,
    },
    /// A file or a socket.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something asked for that cannot be done.
    #[error("{0}")]
    Refused(String),
}
