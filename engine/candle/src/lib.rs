//! Language models on candle: Llama, Qwen2 and Qwen3, from GGUF and safetensors files.
//!
//! Files are read with distrust: every count and length is checked against the size of the file before memory
//! is set aside for it, and a file that lies is a typed error. The crate opens the files it is given and nothing
//! else; it never touches the network or the vault, and writes no prompt and no answer anywhere.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod backend;
mod checkpoint;
pub mod inspect;
pub mod models;
mod sample;
pub mod template;
pub mod tokenizer;
pub mod weights;
mod workers;

pub use backend::CandleBackend;
pub use checkpoint::Checkpoint;
pub use sample::{Candidate, Sampler, candidates, largest};

use hearth_engine_api::EngineError;

/// The tensor library's refusal while computing. Its words name shapes and dtypes, never text.
fn compute_error(op: &'static str, error: &candle_core::Error) -> EngineError {
    EngineError::Compute { op, reason: error.to_string() }
}
