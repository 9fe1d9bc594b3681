//! Reading tensor data from files.

use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    ops::ControlFlow,
    path::Path,
};

use candle_core::{Device, Tensor};
use half::{bf16, f16};
use hearth_engine_api::LoadError;

use super::{io_error, tensor_error};
use crate::models::malformed;

/// Data is read in pieces of this size, between which loading can be broken off.
const CHUNK_BYTES: usize = 4 << 20;

/// Tells how far loading has come.
pub(crate) struct Progress<'a> {
    done_bytes: u64,
    total_bytes: u64,
    report: &'a mut dyn FnMut(f32) -> ControlFlow<()>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(total_bytes: u64, report: &'a mut dyn FnMut(f32) -> ControlFlow<()>) -> Self {
        Self { done_bytes: 0, total_bytes, report }
    }

    fn add(&mut self, bytes: usize) -> Result<(), LoadError> {
        self.done_bytes += bytes as u64;
        let share = self.done_bytes as f64 / self.total_bytes.max(1) as f64;
        match (self.report)(share.min(1.0) as f32) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(LoadError::Cancelled),
        }
    }
}

/// Plain number formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    F32,
    F16,
    Bf16,
}

impl Plain {
    pub(super) const fn size_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn widen_into(self, bytes: &[u8], out: &mut Vec<f32>) {
        // The chunk is a multiple of the number's size, so nothing remains.
        match self {
            Self::F32 => {
                out.extend(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)));
            }
            Self::F16 => {
                out.extend(bytes.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32()));
            }
            Self::Bf16 => {
                out.extend(
                    bytes.as_chunks().0.iter().map(|&two| bf16::from_le_bytes(two).to_f32()),
                );
            }
        }
    }
}

/// One tensor's place in a file. The header's reader has checked that it lies within.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a Path,
    pub(super) start: u64,
    pub(super) shape: &'a [usize],
}

impl Place<'_> {
    /// The numbers as an F32 tensor.
    pub(super) fn read_plain(
        &self,
        file: &mut File,
        plain: Plain,
        progress: &mut Progress<'_>,
    ) -> Result<Tensor, LoadError> {
        let elements: usize = self.shape.iter().product();
        let mut numbers = Vec::with_capacity(elements);
        let mut buffer = vec![0; CHUNK_BYTES.min(elements * plain.size_bytes())];
        self.read_chunks(file, elements * plain.size_bytes(), &mut buffer, |chunk| {
            plain.widen_into(chunk, &mut numbers);
            progress.add(chunk.len())
        })?;
        Tensor::from_vec(numbers, self.shape, &Device::Cpu)
            .map_err(|error| tensor_error(self.name, &error))
    }

    /// The bytes as they are.
    pub(super) fn read_bytes(
        &self,
        file: &mut File,
        bytes: usize,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<u8>, LoadError> {
        let mut data = Vec::with_capacity(bytes);
        let mut buffer = vec![0; CHUNK_BYTES.min(bytes)];
        self.read_chunks(file, bytes, &mut buffer, |chunk| {
            data.extend_from_slice(chunk);
            progress.add(chunk.len())
        })?;
        Ok(data)
    }

    fn read_chunks(
        &self,
        file: &mut File,
        bytes: usize,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        file.seek(SeekFrom::Start(self.start)).map_err(|source| io_error(self.path, source))?;
        let mut left = bytes;
        while left > 0 {
            let size = left.min(buffer.len());
            let (chunk, _rest) = buffer.split_at_mut(size);
            file.read_exact(chunk).map_err(|source| match source.kind() {
                ErrorKind::UnexpectedEof => {
                    malformed(format!("the file ends in tensor {:?}", self.name))
                }
                _ => io_error(self.path, source),
            })?;
            take(chunk)?;
            left -= size;
        }
        Ok(())
    }
}

/// A small text file beside the weights, of at most `limit_bytes`.
pub(crate) fn read_small_file(path: &Path, limit_bytes: u64) -> Result<String, LoadError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let mut text = String::new();
    // One byte more than allowed tells a file at the limit from one beyond it.
    file.take(limit_bytes + 1)
        .read_to_string(&mut text)
        .map_err(|source| io_error(path, source))?;
    if text.len() as u64 > limit_bytes {
        return Err(malformed(format!(
            "{} is larger than {limit_bytes} bytes",
            path.file_name().unwrap_or_default().display()
        )));
    }
    Ok(text)
}
