//! The engines that take turns.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{BenchError, model::ModelFile, peer::llama_bench, subject};

/// How ik_llama.cpp holds its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IkMode {
    /// As they lie in the file.
    Mapped,
    /// Rearranged when the model is loaded (`-rtr 1`).
    Repacked,
}

/// An engine under measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Hearth,
    /// The same with so many adapters, as [`subject::adapter`] makes them.
    Adapted(usize),
    LlamaCpp(PathBuf),
    IkLlama(PathBuf, IkMode),
}

/// One model, one process: `depth` tokens first, off the clock; then a prompt; then, from `depth` again, single tokens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Pass {
    pub(crate) depth: usize,
    pub(crate) prompt: usize,
    pub(crate) generate: usize,
    /// Within the process. The first is the process's first pass: no side warms up.
    pub(crate) repeat: usize,
}

/// What a process took for a [`Pass`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timed {
    /// For the prompt, by repeat.
    pub(crate) prompt_secs: Vec<f64>,
    /// For all single tokens, by repeat.
    pub(crate) generate_secs: Vec<f64>,
    /// From before the process's start to its end.
    pub(crate) wall_secs: f64,
    /// To make each adapter ready from its file.
    pub(crate) ready_secs: Vec<f64>,
    pub(crate) peak_bytes: Option<u64>,
    /// What the program says it is.
    pub(crate) version: Option<String>,
}

impl Side {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hearth => "Hearth",
            Self::Adapted(1) => "with an adapter",
            Self::Adapted(_) => "with several adapters",
            Self::LlamaCpp(_) => "llama.cpp",
            Self::IkLlama(_, IkMode::Mapped) => "ik_llama.cpp",
            Self::IkLlama(_, IkMode::Repacked) => "ik_llama.cpp -rtr 1",
        }
    }

    /// Whether it can compute a prompt after others off the clock. ik_llama.cpp's program times single tokens there, no more.
    pub(crate) const fn can(&self, pass: Pass) -> bool {
        !matches!(self, Self::IkLlama(..)) || pass.depth == 0 || pass.prompt == 0
    }

    pub(crate) fn measure(
        &self,
        model: &ModelFile,
        pass: Pass,
        threads: usize,
    ) -> Result<Timed, BenchError> {
        match self {
            Self::Hearth => subject::measure(model, pass, 0, threads),
            Self::Adapted(adapters) => subject::measure(model, pass, *adapters, threads),
            Self::LlamaCpp(program) => llama_bench::llama_cpp(program, model, pass, threads),
            Self::IkLlama(program, mode) => {
                llama_bench::ik_llama(program, *mode, model, pass, threads)
            }
        }
    }
}
