//! What the engine does with whole files: real vocabularies, templates and weights.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say what they skip"
)]

mod adapters;
mod backend;
mod constrained;
mod constraints;
mod corrupt;
mod coverage;
mod cpu;
mod data;
mod embedding;
mod families;
mod formats;
mod golden;
mod hostile;
mod inspection;
mod lessons;
mod lora;
mod template;
mod tokenizer;
mod toy;
