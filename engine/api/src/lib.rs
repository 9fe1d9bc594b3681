//! The engine's vocabulary: what a language model can be asked, what it answers, and how it fails.
//!
//! This crate holds no tensors and reads no files. [`Backend`] loads models, [`LanguageModel`] runs one,
//! [`Engine`] owns a backend on a thread of its own and is what the rest of the program talks to; [`Tuner`] trains adapters.
//! [`FakeBackend`] and [`FakeTuner`] are deterministic stand-ins for tests above this floor.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod adapter;
mod embed;
mod engine;
mod error;
mod fake;
mod model;
mod request;
mod tune;

pub use adapter::{AdapterError, AdapterFile, AdapterSlot, AdapterUse};
pub use embed::{Embedder, EmbedderInfo, Embedding, Pooling, TextRole};
pub use engine::{Engine, Generation};
pub use error::{EngineError, LoadError};
pub use fake::{FakeBackend, FakeTuner};
pub use model::{
    Backend, KvFormat, LanguageModel, LoadOptions, MemoryEstimate, ModelInfo, Report, RequestId,
};
pub use request::{
    CacheScope, ChatMessage, Constraint, GenerateEvent, GenerateRequest, Generated, Logprob,
    MAX_LOGPROBS, Priority, Prompt, Role, Sampling, StopReason, TokenLogprobs, Usage,
};
pub use tune::{
    AdapterFormat, Budget, Checkpoint, Directive, Example, ExampleLoss, ExampleTokens, Fingerprint,
    LoraSettings, LossOn, MergeFormat, Merged, Precision, StepReport, Target, TuneError,
    TuneEstimate, TuneJob, TuneObserver, TuneOutcome, TuneSettings, Tuned, Tuner,
};
