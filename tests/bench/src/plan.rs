//! What to measure, and beside what.

use std::path::PathBuf;

use crate::{
    BenchError,
    model::ModelFile,
    side::{IkMode, Side},
};

/// Programs of other engines. One that is not given is left out.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// `llama-bench` of llama.cpp.
    pub llama_bench: Option<PathBuf>,
    /// `llama-bench` of ik_llama.cpp.
    pub ik_bench: Option<PathBuf>,
    /// `llama-server` of llama.cpp.
    pub llama_server: Option<PathBuf>,
}

/// A run of the bench.
#[derive(Clone, Debug)]
pub struct Plan {
    /// GGUF files, each measured by itself.
    pub models: Vec<PathBuf>,
    /// What to measure beside.
    pub peers: Peers,
    /// Threads every side computes with.
    pub threads: usize,
    /// How often each side gets its turn.
    pub rounds: usize,
    /// Jobs in the table of jobs.
    pub jobs: usize,
}

impl Plan {
    pub(crate) fn open_models(&self) -> Result<Vec<ModelFile>, BenchError> {
        if self.models.is_empty() {
            return Err(BenchError::NoModel);
        }
        self.models.iter().map(|path| ModelFile::open(path)).collect()
    }

    /// Ours and those given, in the order of their turns.
    pub(crate) fn sides(&self, ik_modes: &[IkMode]) -> Vec<Side> {
        let mut sides = vec![Side::Hearth];
        sides.extend(self.peers.llama_bench.clone().map(Side::LlamaCpp));
        for &mode in ik_modes {
            sides.extend(self.peers.ik_bench.clone().map(|program| Side::IkLlama(program, mode)));
        }
        sides
    }

    /// One line for each program that is not there to be measured beside.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let peers = [
            (&self.peers.llama_bench, "llama.cpp", "--llama-bench"),
            (&self.peers.ik_bench, "ik_llama.cpp", "--ik-bench"),
            (&self.peers.llama_server, "llama-server", "--llama-server"),
        ];
        let missing = peers.into_iter().filter(|(program, ..)| program.is_none());
        missing.map(|(_, name, flag)| format!("left out: {name} (give {flag} PATH)")).collect()
    }
}
