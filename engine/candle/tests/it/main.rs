//! What the engine does with whole files: real vocabularies, templates and weights.

mod data;
mod golden;
mod template;
mod tokenizer;
