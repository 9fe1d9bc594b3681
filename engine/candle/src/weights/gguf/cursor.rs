//! Reading values with every length checked against what is left of the file.

use std::{
    io::{ErrorKind, Read},
    path::Path,
};

use candle_core::quantized::gguf_file::Value;
use hearth_engine_api::LoadError;

use crate::{models::malformed, weights::io_error};

const MAX_STRING_BYTES: u64 = 1 << 24;
const MAX_ITEMS: u64 = 1 << 24;
const MAX_DEPTH: usize = 4;
/// Memory the values may take together: this many times the file, and a little, up to a limit.
const EXPANSION: u64 = 8;
const EXPANSION_FLOOR_BYTES: u64 = 1 << 20;
const EXPANSION_LIMIT_BYTES: u64 = 1 << 30;

/// Position in a file of known length.
pub(super) struct Cursor<'a, R> {
    reader: R,
    position: u64,
    file_bytes: u64,
    /// Memory the values still to come may take.
    budget_bytes: u64,
    path: &'a Path,
}

impl<'a, R: Read> Cursor<'a, R> {
    pub(super) fn new(reader: R, file_bytes: u64, path: &'a Path) -> Self {
        let budget_bytes = file_bytes
            .saturating_mul(EXPANSION)
            .saturating_add(EXPANSION_FLOOR_BYTES)
            .min(EXPANSION_LIMIT_BYTES);
        Self { reader, position: 0, file_bytes, budget_bytes, path }
    }

    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], LoadError> {
        let mut buffer = [0; N];
        self.check_left(what, N as u64)?;
        self.fill(&mut buffer, what)?;
        Ok(buffer)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, LoadError> {
        self.bytes(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, LoadError> {
        self.bytes(what).map(u64::from_le_bytes)
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, LoadError> {
        let len = self.u64(what)?;
        self.check_count(what, len, 1, MAX_STRING_BYTES)?;
        self.spend(len)?;
        let mut buffer = vec![0; len as usize];
        self.fill(&mut buffer, what)?;
        // Some vocabularies hold pieces that are no UTF-8; their text is of no use, but their place counts.
        Ok(String::from_utf8(buffer)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// A type and a value of it.
    pub(super) fn tagged_value(&mut self) -> Result<Value, LoadError> {
        let tag = self.u32("a metadata type")?;
        self.value(tag, 0)
    }

    /// Fails where `count` things of at least `each_bytes` cannot be in the rest of the file, or exceed `limit`.
    pub(super) fn check_count(
        &self,
        what: &str,
        count: u64,
        each_bytes: u64,
        limit: u64,
    ) -> Result<(), LoadError> {
        let left = self.file_bytes.saturating_sub(self.position);
        if count > limit || count.saturating_mul(each_bytes) > left {
            return Err(malformed(format!("{what}: a count of {count} with {left} bytes left")));
        }
        Ok(())
    }

    fn value(&mut self, tag: u32, depth: usize) -> Result<Value, LoadError> {
        const WHAT: &str = "a metadata value";
        self.spend(size_of::<Value>() as u64)?;
        Ok(match tag {
            0 => Value::U8(u8::from_le_bytes(self.bytes(WHAT)?)),
            1 => Value::I8(i8::from_le_bytes(self.bytes(WHAT)?)),
            2 => Value::U16(u16::from_le_bytes(self.bytes(WHAT)?)),
            3 => Value::I16(i16::from_le_bytes(self.bytes(WHAT)?)),
            4 => Value::U32(self.u32(WHAT)?),
            5 => Value::I32(i32::from_le_bytes(self.bytes(WHAT)?)),
            6 => Value::F32(f32::from_le_bytes(self.bytes(WHAT)?)),
            7 => match self.bytes::<1>(WHAT)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(malformed(format!("a truth value of {other}"))),
            },
            8 => Value::String(self.string(WHAT)?),
            9 => Value::Array(self.array(depth)?),
            10 => Value::U64(self.u64(WHAT)?),
            11 => Value::I64(i64::from_le_bytes(self.bytes(WHAT)?)),
            12 => Value::F64(f64::from_le_bytes(self.bytes(WHAT)?)),
            other => return Err(malformed(format!("metadata type {other}"))),
        })
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, LoadError> {
        if depth >= MAX_DEPTH {
            return Err(malformed("arrays within arrays, too deep"));
        }
        let tag = self.u32("an array's type")?;
        let count = self.u64("an array's length")?;
        let each_bytes = match tag {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            9 => 12,
            _ => 8,
        };
        self.check_count("an array", count, each_bytes, MAX_ITEMS)?;
        if count.saturating_mul(size_of::<Value>() as u64) > self.budget_bytes {
            return Err(unfolds_too_far());
        }
        let mut items = Vec::with_capacity(count as usize);
        for _ in 0..count {
            items.push(self.value(tag, depth + 1)?);
        }
        Ok(items)
    }

    fn spend(&mut self, bytes: u64) -> Result<(), LoadError> {
        self.budget_bytes = self.budget_bytes.checked_sub(bytes).ok_or_else(unfolds_too_far)?;
        Ok(())
    }

    fn check_left(&self, what: &str, bytes: u64) -> Result<(), LoadError> {
        if self.position.checked_add(bytes).is_none_or(|end| end > self.file_bytes) {
            return Err(self.cut_short(what));
        }
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<(), LoadError> {
        self.reader.read_exact(buffer).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => self.cut_short(what),
            _ => io_error(self.path, source),
        })?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    fn cut_short(&self, what: &str) -> LoadError {
        malformed(format!("the file ends in {what}, {} bytes in", self.position))
    }
}

fn unfolds_too_far() -> LoadError {
    malformed("the metadata would unfold to many times the file's size")
}

/// A value for an error message: never a long text.
pub(super) fn brief(value: &Value) -> String {
    match value {
        Value::String(_) => "a text".into(),
        Value::Array(_) => "an array".into(),
        other => format!("{other:?}"),
    }
}
