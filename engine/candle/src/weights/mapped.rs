//! Weights as they lie in their files, mapped into memory and never copied.

use std::{fs::File, path::Path};

use candle_core::quantized::GgmlDType;
use hearth_engine_api::LoadError;
use hearth_engine_kernels::{Bytes, Format, Matrix};
use safetensors::Dtype;

use super::{
    Folder, GgufHeader, gguf::Names, io_error, safetensors::unsupported_type, unsupported,
    wrong_shape,
};
use crate::models::malformed;

/// Where weights can be taken from by Hugging Face's names, to be used in place.
pub(crate) trait MappedSource {
    /// Whether there is a tensor of this name.
    fn contains(&self, name: &str) -> bool;

    /// A matrix of exactly `(outputs, inputs)`.
    fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError>;

    /// A vector of exactly `len` numbers, copied.
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError>;
}

/// A tensor's bytes and how they are to be read.
struct Found {
    bytes: Bytes,
    format: Format,
}

impl Found {
    fn matrix(self, name: &str, rows: usize, columns: usize) -> Result<Matrix, LoadError> {
        Matrix::new(self.bytes, self.format, rows, columns)
            .map_err(|error| malformed(format!("tensor {name}: {error}")))
    }

    fn vector(self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        if !matches!(self.format, Format::F32 | Format::F16 | Format::Bf16) {
            return Err(unsupported(format!("a quantised vector ({name})")));
        }
        let mut numbers = vec![0.0; len];
        self.matrix(name, 1, len)?
            .dequantize_row(0, &mut numbers)
            .map_err(|error| malformed(format!("tensor {name}: {error}")))?;
        Ok(numbers)
    }
}

/// A mapped GGUF file.
pub(crate) struct MappedGguf<'a> {
    header: &'a GgufHeader,
    names: Names,
    bytes: Bytes,
}

impl<'a> MappedGguf<'a> {
    pub(crate) fn open(header: &'a GgufHeader, path: &Path) -> Result<Self, LoadError> {
        Ok(Self { header, names: Names::of(header), bytes: map(path)? })
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<Found, LoadError> {
        let own_name = self.names.gguf(name).ok_or_else(|| wrong_shape(name, shape, &[]))?;
        let entry = self.header.tensors().get(&own_name);
        let entry = entry.ok_or_else(|| wrong_shape(&own_name, shape, &[]))?;
        if entry.shape != shape {
            return Err(wrong_shape(&own_name, shape, &entry.shape));
        }
        let format = entry.kind.supported().and_then(format_of);
        let format = format
            .ok_or_else(|| unsupported(format!("tensor type {} ({own_name})", entry.kind)))?;
        let start = self.header.data_start() + entry.offset;
        Ok(Found { bytes: part(&self.bytes, &own_name, start, entry.bytes)?, format })
    }
}

impl MappedSource for MappedGguf<'_> {
    fn contains(&self, name: &str) -> bool {
        self.names.gguf(name).is_some_and(|name| self.header.tensors().contains_key(&name))
    }

    fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError> {
        self.find(name, &[outputs, inputs])?.matrix(name, outputs, inputs)
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        self.find(name, &[len])?.vector(name, len)
    }
}

/// The mapped files of a safetensors model.
pub(crate) struct MappedFolder<'a> {
    folder: &'a Folder,
    shards: Vec<Bytes>,
}

impl<'a> MappedFolder<'a> {
    pub(crate) fn open(folder: &'a Folder) -> Result<Self, LoadError> {
        let shards = folder.shards.iter().map(|path| map(path)).collect::<Result<_, _>>()?;
        Ok(Self { folder, shards })
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<Found, LoadError> {
        let located = self.folder.tensors.get(name).ok_or_else(|| wrong_shape(name, shape, &[]))?;
        if located.shape != shape {
            return Err(wrong_shape(name, shape, &located.shape));
        }
        let format = match located.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::Bf16,
            other => return Err(unsupported_type(name, other)),
        };
        let shard = self.shards.get(located.shard);
        let shard = shard.ok_or_else(|| malformed(format!("tensor {name:?} is in no file")))?;
        Ok(Found { bytes: part(shard, name, located.start, located.bytes())?, format })
    }
}

impl MappedSource for MappedFolder<'_> {
    fn contains(&self, name: &str) -> bool {
        self.folder.tensors.contains_key(name)
    }

    fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError> {
        self.find(name, &[outputs, inputs])?.matrix(name, outputs, inputs)
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        self.find(name, &[len])?.vector(name, len)
    }
}

fn map(path: &Path) -> Result<Bytes, LoadError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    Bytes::map(&file).map_err(|source| io_error(path, source))
}

/// The header was checked against the file's length when it was read; the file may have been cut since.
fn part(file: &Bytes, name: &str, start: u64, bytes: u64) -> Result<Bytes, LoadError> {
    let range = usize::try_from(start).ok().zip(usize::try_from(start.saturating_add(bytes)).ok());
    range
        .and_then(|(start, end)| file.slice(start..end))
        .ok_or_else(|| malformed(format!("the file ends in tensor {name:?}")))
}

const fn format_of(dtype: GgmlDType) -> Option<Format> {
    Some(match dtype {
        GgmlDType::F32 => Format::F32,
        GgmlDType::F16 => Format::F16,
        GgmlDType::BF16 => Format::Bf16,
        GgmlDType::Q4_0 => Format::Q4_0,
        GgmlDType::Q4_1 => Format::Q4_1,
        GgmlDType::Q5_0 => Format::Q5_0,
        GgmlDType::Q5_1 => Format::Q5_1,
        GgmlDType::Q8_0 => Format::Q8_0,
        GgmlDType::Q2K => Format::Q2K,
        GgmlDType::Q3K => Format::Q3K,
        GgmlDType::Q4K => Format::Q4K,
        GgmlDType::Q5K => Format::Q5K,
        GgmlDType::Q6K => Format::Q6K,
        GgmlDType::Q8_1 | GgmlDType::Q8K => return None,
    })
}
