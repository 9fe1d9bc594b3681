//! Language models: Llama, Mistral, Qwen2, Qwen3, Phi-3, Gemma 2 and Gemma 3, from GGUF and safetensors files.
//!
//! Files are read with distrust: every count and length is checked against the size of the file before memory
//! is set aside for it, and a file that lies is a typed error. The crate opens the files it is given, those
//! that belong to them, and on Linux the system's word on how much memory is free; it never touches the network or
//! the vault, and writes no prompt and no answer anywhere.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use hearth_engine_api::{Backend, GenerateRequest, LoadOptions, Prompt};
//! use hearth_engine_candle::CandleBackend;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = LoadOptions::default();
//! let mut go_on = |_share: f32| ControlFlow::Continue(());
//! let mut model = CandleBackend.load("model.gguf".as_ref(), &options, &mut go_on)?;
//! let request = GenerateRequest::new(Prompt::Text("Once upon a time".into()));
//! let story = model.generate(&request, &mut |_event| ControlFlow::Continue(()))?;
//! println!("{}", story.text);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod backend;
mod checkpoint;
pub mod constrain;
pub mod cpu;
mod embedding;
pub mod inspect;
pub mod lora;
pub mod measure;
pub mod models;
pub mod prompt;
mod sample;
pub mod template;
pub mod tokenizer;
pub mod weights;
mod workers;

pub use backend::CandleBackend;
pub use checkpoint::{Checkpoint, free_memory_bytes};
pub use cpu::{Applied, CpuAdapter, CpuDecoder, Step, Wanted};
pub use embedding::CandleEmbedder;
pub use sample::{Candidate, Sampler, candidates, largest};

use hearth_engine_api::EngineError;

/// The tensor library's refusal while computing. Its words name shapes and dtypes, never text.
fn compute_error(op: &'static str, error: &candle_core::Error) -> EngineError {
    EngineError::Compute { op, reason: error.to_string() }
}
