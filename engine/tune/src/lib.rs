//! Fine-tuning: low-rank adapters (Hu et al. 2021) beside frozen weights, trained on the user's machine.
//!
//! Examples become packed batches of tokens; a forward and a backward pass give the gradients of the adapter
//! alone; an optimiser takes the step. Weights are read as they lie in the model's file and never written.
//!
//! The crate opens the model's files and no others but those it is told to write; checkpoints and adapters leave it as
//! bytes, for its caller to encrypt. It prints and logs no word of an example.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod candle;
mod cpu;
mod data;
mod estimate;
mod export;
mod fingerprint;
mod learner;
mod optimizer;
mod run;
mod schedule;
mod settings;
mod tuner;

pub use candle::CandleLearner;
pub use cpu::CpuLearner;
pub use learner::{Batch, Breathe, Dropout, Learner};
pub use tuner::AdapterTuner;
