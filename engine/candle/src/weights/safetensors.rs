//! Safetensors files: alone with a `config.json` beside them, or a folder of them.
//!
//! Layout: U64 header length (little-endian), a JSON header that gives each tensor's dtype, shape and place,
//! then the data without holes. The `safetensors` crate checks the header against itself; what it says is checked
//! against the file's size here, before anything is read.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use candle_core::Tensor;
use hearth_engine_api::LoadError;
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::Deserialize;

use super::{
    Matrix, Progress, WeightSource, io_error, read_small_file,
    reading::{Place, Plain},
    unsupported, wrong_shape,
};
use crate::models::malformed;

mod config;

pub(crate) use config::json_config;

const LENGTH_BYTES: u64 = 8;
const MAX_HEADER_BYTES: u64 = 32 << 20;
const MAX_INDEX_BYTES: u64 = 32 << 20;
const MAX_SHARDS: usize = 1 << 10;
const INDEX: &str = "model.safetensors.index.json";
const WHOLE: &str = "model.safetensors";

/// What a safetensors file says about itself. Holds no tensor data.
#[derive(Debug)]
pub struct SafetensorsHeader {
    metadata: Metadata,
    data_start: u64,
}

impl SafetensorsHeader {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// [`LoadError::Io`] where it cannot be read, [`LoadError::Malformed`] where it contradicts itself or its size.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        let file_bytes = file.metadata().map_err(|source| io_error(path, source))?.len();
        Self::read(file, file_bytes, path)
    }

    /// Reads a header from the start of something `file_bytes` long; `path` is for errors.
    ///
    /// # Errors
    /// As [`SafetensorsHeader::open`].
    pub fn read(mut reader: impl Read, file_bytes: u64, path: &Path) -> Result<Self, LoadError> {
        let mut length = [0; LENGTH_BYTES as usize];
        read_exact(&mut reader, &mut length, path)?;
        let header_bytes = u64::from_le_bytes(length);
        let left = file_bytes.saturating_sub(LENGTH_BYTES);
        if header_bytes > left || header_bytes > MAX_HEADER_BYTES {
            return Err(malformed(format!(
                "a header of {header_bytes} bytes with {left} bytes left; at most {MAX_HEADER_BYTES} are read"
            )));
        }
        let mut header = vec![0; header_bytes as usize];
        read_exact(&mut reader, &mut header, path)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| malformed(format!("its header: {error}")))?;
        let (expected, got) = (metadata.data_len() as u64, left - header_bytes);
        if expected != got {
            return Err(malformed(format!(
                "{got} bytes of data where the header tells of {expected}; the file may be cut short"
            )));
        }
        Ok(Self { metadata, data_start: LENGTH_BYTES + header_bytes })
    }

    /// The tensors by name.
    pub fn tensors(&self) -> HashMap<String, &TensorInfo> {
        self.metadata.tensors()
    }
}

fn read_exact(reader: &mut impl Read, buffer: &mut [u8], path: &Path) -> Result<(), LoadError> {
    reader.read_exact(buffer).map_err(|source| match source.kind() {
        ErrorKind::UnexpectedEof => malformed("the file ends in its header"),
        _ => io_error(path, source),
    })
}

/// One tensor among the files.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(super) shard: usize,
    pub(super) start: u64,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: Dtype,
}

impl Located {
    pub(crate) fn elements(&self) -> u64 {
        self.shape.iter().map(|&dim| dim as u64).product()
    }

    /// Bytes it takes in the file; 0 where the type is not one we know the size of.
    pub(crate) fn bytes(&self) -> u64 {
        let number_bytes = self.plain().map_or(0, Plain::size_bytes);
        self.elements().saturating_mul(number_bytes as u64)
    }

    /// Which of the files it lies in.
    pub(crate) const fn shard(&self) -> usize {
        self.shard
    }

    /// Where in that file it starts, in bytes.
    pub(crate) const fn start(&self) -> u64 {
        self.start
    }

    fn plain(&self) -> Option<Plain> {
        match self.dtype {
            Dtype::F32 => Some(Plain::F32),
            Dtype::F16 => Some(Plain::F16),
            Dtype::BF16 => Some(Plain::Bf16),
            _ => None,
        }
    }
}

/// The files of one model and the tensors in them.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Where `config.json` and the tokenizer lie.
    pub(crate) directory: PathBuf,
    pub(crate) tensors: BTreeMap<String, Located>,
    pub(crate) file_bytes: u64,
    pub(super) shards: Vec<PathBuf>,
}

impl Folder {
    /// The files with the weights.
    pub(crate) fn shards(&self) -> &[PathBuf] {
        &self.shards
    }

    /// Reads the headers of the model at `path`: a folder, or one of its `.safetensors` files.
    /// A file that an index beside it lists as a part stands for the whole.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let (directory, shards) = find_shards(path)?;
        let mut tensors = BTreeMap::new();
        let mut file_bytes = 0;
        for (shard, path) in shards.iter().enumerate() {
            let header = SafetensorsHeader::open(path)?;
            file_bytes += header.data_start + header.metadata.data_len() as u64;
            for (name, info) in sorted(header.tensors()) {
                let start = header.data_start + info.data_offsets.0 as u64;
                let located =
                    Located { shard, start, shape: info.shape.clone(), dtype: info.dtype };
                if located.plain().is_none() && name.ends_with(".weight") {
                    return Err(unsupported_type(&name, located.dtype));
                }
                if tensors.insert(name.clone(), located).is_some() {
                    return Err(malformed(format!("tensor {name:?} is in two of the files")));
                }
            }
        }
        Ok(Self { directory, tensors, file_bytes, shards })
    }
}

pub(super) fn unsupported_type(name: &str, dtype: Dtype) -> LoadError {
    unsupported(format!("tensor type {dtype:?} ({name})"))
}

fn sorted(tensors: HashMap<String, &TensorInfo>) -> BTreeMap<String, &TensorInfo> {
    tensors.into_iter().collect()
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn find_shards(path: &Path) -> Result<(PathBuf, Vec<PathBuf>), LoadError> {
    let is_folder = path.metadata().map_err(|source| io_error(path, source))?.is_dir();
    let directory = if is_folder { path } else { path.parent().unwrap_or(Path::new("")) };
    let directory = directory.to_path_buf();
    let index = directory.join(INDEX);
    if index.is_file() {
        let names = shard_names(&index)?;
        let listed = path.file_name().is_some_and(|name| names.iter().any(|n| name == n.as_str()));
        if is_folder || listed {
            let shards = names.iter().map(|name| directory.join(name)).collect();
            return Ok((directory, shards));
        }
    }
    let file = if is_folder { directory.join(WHOLE) } else { path.to_path_buf() };
    Ok((directory, vec![file]))
}

fn shard_names(index: &Path) -> Result<BTreeSet<String>, LoadError> {
    let text = read_small_file(index, MAX_INDEX_BYTES)?;
    let index: Index =
        serde_json::from_str(&text).map_err(|error| malformed(format!("{INDEX}: {error}")))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if names.is_empty() || names.len() > MAX_SHARDS {
        return Err(malformed(format!("{INDEX} lists {} files", names.len())));
    }
    // An index must not lead out of its folder.
    match names.iter().find(|name| Path::new(name).file_name().is_none_or(|n| n != name.as_str())) {
        Some(name) => {
            Err(malformed(format!("{INDEX} lists {name:?}, which is no plain file name")))
        }
        None => Ok(names),
    }
}

/// The files of a [`Folder`], opened one by one as tensors are asked for.
pub(crate) struct SafetensorsSource<'a> {
    folder: &'a Folder,
    open: Option<(usize, File)>,
    progress: Progress<'a>,
}

impl<'a> SafetensorsSource<'a> {
    pub(crate) fn new(folder: &'a Folder, progress: Progress<'a>) -> Self {
        Self { folder, open: None, progress }
    }

    fn read(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let folder = self.folder;
        let located = folder.tensors.get(name).ok_or_else(|| wrong_shape(name, shape, &[]))?;
        if located.shape != shape {
            return Err(wrong_shape(name, shape, &located.shape));
        }
        let plain = located.plain().ok_or_else(|| unsupported_type(name, located.dtype))?;
        let path = folder
            .shards
            .get(located.shard)
            .ok_or_else(|| malformed(format!("tensor {name:?} is in no file")))?;
        let mut file = match self.open.take() {
            Some((shard, file)) if shard == located.shard => file,
            _ => File::open(path).map_err(|source| io_error(path, source))?,
        };
        let place = Place { name, path, start: located.start, shape };
        let tensor = place.read_plain(&mut file, plain, &mut self.progress)?;
        self.open = Some((located.shard, file));
        Ok(tensor)
    }
}

impl WeightSource for SafetensorsSource<'_> {
    fn contains(&self, name: &str) -> bool {
        self.folder.tensors.contains_key(name)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Tensor, LoadError> {
        self.read(name, &[len])
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError> {
        self.read(name, &[outputs, inputs]).map(Matrix::Dense)
    }
}
