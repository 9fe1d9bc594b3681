//! A model's file, and what its shape says of the work per token.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use hearth_engine_candle::{
    Checkpoint,
    weights::{GgufHeader, TensorEntry},
};

use crate::BenchError;

/// A GGUF file to measure on.
#[derive(Clone, Debug)]
pub(crate) struct ModelFile {
    pub(crate) path: PathBuf,
    /// The file's name without its ending.
    pub(crate) name: String,
    pub(crate) file_bytes: u64,
    /// Weights read for one generated token: all but the table of embeddings, of which one row is read.
    pub(crate) read_bytes: u64,
    /// Multiplications with weights for one token of a prompt; the output head is needed for the last one alone.
    pub(crate) prompt_products: u64,
    /// Keys and values of one token as 16-bit floats.
    pub(crate) kv_bytes: u64,
    pub(crate) vocabulary: usize,
}

impl ModelFile {
    pub(crate) fn open(path: &Path) -> Result<Self, BenchError> {
        let fault = |source| BenchError::Model { path: path.into(), source };
        let checkpoint = Checkpoint::open(path).map_err(fault)?;
        let header = GgufHeader::open(path).map_err(fault)?;
        let file_bytes =
            read_afresh(path).map_err(|source| BenchError::File { path: path.into(), source })?;
        let has_head = header.tensors().contains_key("output.weight");
        let read = |name: &str| name != "token_embd.weight" || !has_head;
        let multiplied = |name: &str, entry: &TensorEntry| {
            entry.shape.len() > 1 && name != "token_embd.weight" && name != "output.weight"
        };
        let tensors = header.tensors();
        let config = checkpoint.config();
        Ok(Self {
            path: path.into(),
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            file_bytes,
            read_bytes: tensors.iter().filter(|(n, _)| read(n)).map(|(_, entry)| entry.bytes).sum(),
            prompt_products: tensors
                .iter()
                .filter(|(name, entry)| multiplied(name, entry))
                .map(|(_, entry)| entry.elements())
                .sum(),
            kv_bytes: 4 * (config.layers * config.kv_heads * config.head_dim) as u64,
            vocabulary: config.vocab,
        })
    }
}

/// Has the system read the whole file into its cache as it does for a program that reads it in order, and returns its length.
///
/// A file that was written in small steps lies there in small pieces all over the memory, and it is read more
/// slowly than after a start of the machine.
fn read_afresh(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    io::copy(&mut file, &mut io::sink())
}
