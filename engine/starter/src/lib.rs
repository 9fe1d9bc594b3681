//! The starter model: how its text is made, how it is trained, and how it becomes one GGUF file.
//!
//! The model is a demonstration that fits into the repository. Everything about it follows from a
//! [`Recipe`]: the examples are a function of its seed ([`data`]), the decoder is the one the engine serves
//! with, and training resumes from its last checkpoint to the same weights.
//!
//! This crate never runs as part of the program and reads no user's data.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod data;
mod error;
mod export;
mod loss;
mod measure;
mod plot;
mod recipe;
mod speaker;
mod train;
mod vocabulary;

pub use error::StarterError;
pub use export::{Format, export};
pub use measure::{Score, lead, measure};
pub use plot::plot;
pub use recipe::{Recipe, Schedule, Shape};
pub use speaker::Speaker;
pub use train::{Checkpoint, Entry, StepReport, Trainer, checkpoint_path, read_journal};
pub use vocabulary::{
    CHAT_TEMPLATE, END_OF_TEXT, SPECIAL, SPLITTER, TURN_END, TURN_START, Tokens, Vocabulary,
};
