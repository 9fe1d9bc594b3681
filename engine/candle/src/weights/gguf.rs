//! Headers of GGUF files, versions 2 and 3, read with distrust.
//!
//! Layout (all little-endian): magic `GGUF`, version U32, tensor count U64, metadata count U64, the metadata
//! (`key: string, type: U32, value`), the tensor list (`name: string, dims: U32, dim: U64.., type: U32, offset: U64`),
//! padding up to a multiple of `general.alignment` (32 by default), the tensors' data. A string is a U64 length and
//! that many bytes; an array is the U32 type of its items, their U64 count, and the items.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use candle_core::quantized::{GgmlDType, gguf_file::Value};
use hearth_engine_api::LoadError;

use self::cursor::Cursor;
use crate::{models::malformed, weights::io_error};

mod config;
mod cursor;
mod source;
mod types;

pub(crate) use config::gguf_config;
pub(crate) use source::{GgufSource, Names};
pub use types::TensorType;

const MAGIC: [u8; 4] = *b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 16;
const MAX_DIMS: u32 = 4;
/// Least bytes of a metadata entry and of a tensor entry.
const MIN_ENTRY_BYTES: u64 = 8 + 4 + 1;
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 8 + 4 + 8;
/// Bounds no real file comes near, whatever its size.
const MAX_ENTRIES: u64 = 1 << 16;
const MAX_TENSORS: u64 = 1 << 17;

/// What a GGUF file says about itself. Holds no tensor data.
#[derive(Debug)]
pub struct GgufHeader {
    /// The metadata by key.
    pub metadata: HashMap<String, Value>,
    tensors: BTreeMap<String, TensorEntry>,
    /// Where in the file each tensor's entry in the list ends: with its type and its offset.
    entry_ends: BTreeMap<String, u64>,
    data_start: u64,
    alignment: u64,
}

/// Where a tensor lies and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// Rows first, as candle has it (a GGUF names the row length first).
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub kind: TensorType,
    /// Bytes from the start of the data.
    pub offset: u64,
    /// Bytes taken; 0 where the type is not one we know the size of.
    pub bytes: u64,
}

impl TensorEntry {
    /// Number of weights.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|&dim| dim as u64).product()
    }
}

impl GgufHeader {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// [`LoadError::Io`] where it cannot be read, [`LoadError::Malformed`] where it contradicts itself or its size,
    /// [`LoadError::Unsupported`] for other versions.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        let file_bytes = file.metadata().map_err(|source| io_error(path, source))?.len();
        Self::read(BufReader::new(file), file_bytes, path)
    }

    /// Reads a header from the start of something `file_bytes` long; `path` is for errors.
    ///
    /// # Errors
    /// As [`GgufHeader::open`].
    pub fn read(reader: impl Read, file_bytes: u64, path: &Path) -> Result<Self, LoadError> {
        let mut cursor = Cursor::new(reader, file_bytes, path);
        let (tensor_count, entry_count) = read_preamble(&mut cursor)?;
        let mut metadata = HashMap::new();
        for _ in 0..entry_count {
            let key = cursor.string("a metadata key")?;
            let value = cursor.tagged_value()?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(malformed(format!("metadata key {key:?} appears twice")));
            }
        }
        let alignment = alignment(&metadata)?;
        let (mut tensors, mut entry_ends) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..tensor_count {
            let (name, entry) = read_tensor(&mut cursor)?;
            entry_ends.insert(name.clone(), cursor.position());
            if tensors.insert(name.clone(), entry).is_some() {
                return Err(malformed(format!("tensor {name:?} appears twice")));
            }
        }
        let data_start = cursor.position().next_multiple_of(alignment);
        check_placement(&tensors, alignment, file_bytes.saturating_sub(data_start))?;
        Ok(Self { metadata, tensors, entry_ends, data_start, alignment })
    }

    /// The tensors by name.
    pub const fn tensors(&self) -> &BTreeMap<String, TensorEntry> {
        &self.tensors
    }

    /// Where in the file the data starts, in bytes.
    pub const fn data_start(&self) -> u64 {
        self.data_start
    }

    /// What offsets are multiples of.
    pub(crate) const fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Where in the file the type of a tensor stands, with its offset right behind.
    pub(crate) fn place_of_type(&self, name: &str) -> Option<usize> {
        let end = self.entry_ends.get(name)?;
        usize::try_from(end - size_of::<(u32, [u32; 2])>() as u64).ok()
    }

    /// Text under `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number, not negative, of any width under `key`.
    pub fn integer(&self, key: &str) -> Option<u64> {
        match *self.metadata.get(key)? {
            Value::U8(n) => Some(n.into()),
            Value::U16(n) => Some(n.into()),
            Value::U32(n) => Some(n.into()),
            Value::U64(n) => Some(n),
            Value::I8(n) => n.try_into().ok(),
            Value::I16(n) => n.try_into().ok(),
            Value::I32(n) => n.try_into().ok(),
            Value::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// A floating-point number of either width under `key`.
    pub fn float(&self, key: &str) -> Option<f64> {
        match *self.metadata.get(key)? {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => None,
        }
    }
}

fn read_preamble(cursor: &mut Cursor<'_, impl Read>) -> Result<(u64, u64), LoadError> {
    if cursor.bytes::<4>("the magic")? != MAGIC {
        return Err(malformed("it does not start with GGUF"));
    }
    match cursor.u32("the version")? {
        2 | 3 => {}
        1 => return Err(unsupported("GGUF version 1; convert the model again")),
        version if version.swap_bytes() <= 3 => return Err(unsupported("big-endian GGUF")),
        version => return Err(unsupported(format!("GGUF version {version}"))),
    }
    let tensors = cursor.u64("the tensor count")?;
    let entries = cursor.u64("the metadata count")?;
    cursor.check_count("metadata entries", entries, MIN_ENTRY_BYTES, MAX_ENTRIES)?;
    cursor.check_count("tensors", tensors, MIN_TENSOR_BYTES, MAX_TENSORS)?;
    Ok((tensors, entries))
}

fn alignment(metadata: &HashMap<String, Value>) -> Result<u64, LoadError> {
    match metadata.get("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(&Value::U32(n)) if n.is_power_of_two() && u64::from(n) <= MAX_ALIGNMENT => {
            Ok(n.into())
        }
        Some(other) => Err(malformed(format!(
            "general.alignment is {}, expected a power of two up to {MAX_ALIGNMENT}",
            cursor::brief(other)
        ))),
    }
}

fn read_tensor(cursor: &mut Cursor<'_, impl Read>) -> Result<(String, TensorEntry), LoadError> {
    let name = cursor.string("a tensor's name")?;
    let dims = cursor.u32("a tensor's dimensions")?;
    if dims == 0 || dims > MAX_DIMS {
        return Err(malformed(format!("tensor {name:?} has {dims} dimensions")));
    }
    let mut shape = Vec::with_capacity(dims as usize);
    let mut elements = 1u64;
    for _ in 0..dims {
        let dim = cursor.u64("a tensor's dimension")?;
        elements = elements
            .checked_mul(dim)
            .filter(|&n| n > 0 && n <= isize::MAX as u64)
            .ok_or_else(|| malformed(format!("tensor {name:?} has a dimension of {dim}")))?;
        let dim = usize::try_from(dim)
            .map_err(|_too_large| malformed(format!("tensor {name:?} has a dimension of {dim}")))?;
        shape.insert(0, dim);
    }
    let kind = TensorType::from_id(cursor.u32("a tensor's type")?);
    let offset = cursor.u64("a tensor's offset")?;
    let bytes = match kind.supported() {
        None => 0,
        Some(dtype) => data_bytes(dtype, &shape, elements)
            .ok_or_else(|| malformed(format!("tensor {name:?} as {kind} has shape {shape:?}")))?,
    };
    Ok((name, TensorEntry { shape, kind, offset, bytes }))
}

/// Bytes of `elements` numbers in rows as `shape` has them; nothing where rows are not whole blocks.
fn data_bytes(dtype: GgmlDType, shape: &[usize], elements: u64) -> Option<u64> {
    let row = shape.last()?;
    if !row.is_multiple_of(dtype.block_size()) {
        return None;
    }
    (elements / dtype.block_size() as u64).checked_mul(dtype.type_size() as u64)
}

/// Every tensor aligned, within the data and clear of the others.
fn check_placement(
    tensors: &BTreeMap<String, TensorEntry>,
    alignment: u64,
    data_bytes: u64,
) -> Result<(), LoadError> {
    let mut placed: Vec<(&str, u64, u64)> = Vec::with_capacity(tensors.len());
    for (name, entry) in tensors {
        let end = entry.offset.checked_add(entry.bytes).filter(|&end| end <= data_bytes);
        let Some(end) = end else {
            return Err(malformed(format!(
                "tensor {name:?} of {} bytes at {} lies outside the {data_bytes} bytes of data; \
                 the file may be cut short",
                entry.bytes, entry.offset
            )));
        };
        if !entry.offset.is_multiple_of(alignment) {
            return Err(malformed(format!(
                "tensor {name:?} at {} is not aligned to {alignment}",
                entry.offset
            )));
        }
        placed.push((name, entry.offset, end));
    }
    placed.sort_unstable_by_key(|&(_, start, end)| (start, end));
    for pair in placed.windows(2) {
        if let [(first, _, end), (second, start, _)] = pair
            && start < end
        {
            return Err(malformed(format!("tensors {first:?} and {second:?} overlap")));
        }
    }
    Ok(())
}

pub(crate) fn unsupported(what: impl Into<String>) -> LoadError {
    LoadError::Unsupported { what: what.into() }
}

#[cfg(test)]
mod tests;
