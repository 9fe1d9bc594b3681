//! Other engines' programs.

pub(crate) mod llama_bench;
