//! A base and an adapter as one model: `W + strength * scale * B A` in place of `W`, all else byte for byte as it was but
//! for the places of tensors, where those before them have become longer.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{BufWriter, ErrorKind, Read, Seek, SeekFrom, Write},
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
};

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QStorage, QTensor},
};
use hearth_engine_api::{AdapterError, MergeFormat, Merged};
use rayon::prelude::*;
use safetensors::Dtype;

use super::{Adapter, Pair, parts::Module, peft::io_error};
use crate::{
    Checkpoint,
    checkpoint::Files,
    weights::{Folder, GgufHeader, TensorType},
};

/// Rows are worked on in pieces of about this many numbers, one on each thread.
const PIECE_NUMBERS: usize = 1 << 20;
const COPY_BYTES: usize = 4 << 20;
/// What a model's folder has beside its weights.
const SIDE_FILES: [&str; 10] = [
    "added_tokens.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
];
const INDEX: &str = "model.safetensors.index.json";

/// Writes `base` with the adapter in it to `out`: a GGUF to a GGUF file, in which matrices that nothing stands beside have
/// the format they had; a safetensors model to a folder like its own, in its formats. It takes little memory, appears under its name only when it is whole,
/// and on Unix is its owner's alone to read. `on_progress` gets the share done and may break off.
///
/// # Errors
/// [`AdapterError::Io`], `Cancelled`, `Unsupported` where a matrix's format cannot be written or the new numbers are beyond
/// it, `OtherModel` where the adapter is not for `base`.
pub fn merge(
    base: &Checkpoint,
    adapter: &Adapter,
    (strength, format): (f32, MergeFormat),
    out: &Path,
    on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Merged, AdapterError> {
    let factor = strength * adapter.scale();
    if !factor.is_finite() {
        return Err(AdapterError::Unsupported { what: format!("a strength of {strength}") });
    }
    check_is_elsewhere(base.path(), out)?;
    let mut merger = Merger {
        adapter,
        factor,
        format,
        done_bytes: 0,
        total_bytes: 0,
        written_bytes: 0,
        sums: Sums::default(),
        on_progress,
    };
    match base.files() {
        Files::Gguf(header) => merger.gguf(header, base.path(), out)?,
        Files::Safetensors(folder) => merger.folder(folder, out)?,
    }
    Ok(Merged { lost: merger.sums.lost(), bytes: merger.written_bytes })
}

/// Squares of what was given to the changed numbers, and of what rounding took.
#[derive(Clone, Copy, Default)]
struct Sums {
    given: f64,
    taken: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.given += other.given;
        self.taken += other.taken;
    }

    fn lost(self) -> f32 {
        if self.given > 0.0 { (self.taken / self.given).sqrt() as f32 } else { 0.0 }
    }
}

/// The format that a matrix gets.
fn format_for(own: GgmlDType, wish: MergeFormat) -> GgmlDType {
    let few_bits = own.type_size() < own.block_size();
    match wish {
        MergeFormat::Fine if few_bits => GgmlDType::Q8_0,
        MergeFormat::Fine | MergeFormat::Same => own,
        MergeFormat::Q8 => GgmlDType::Q8_0,
        MergeFormat::F16 => GgmlDType::F16,
    }
}

/// Replacing the base would take it from under those who have it mapped.
fn check_is_elsewhere(base: &Path, out: &Path) -> Result<(), AdapterError> {
    let same = base.canonicalize().ok().zip(out.canonicalize().ok());
    if same.is_some_and(|(base, out)| base == out) {
        let what = "the place of the base model itself; give the merged model another name".into();
        return Err(AdapterError::Unsupported { what });
    }
    Ok(())
}

/// Rows of a matrix, and what stands beside them.
type Part<'a> = (Range<usize>, &'a Pair);

/// A matrix in a file that is to be replaced by another.
struct Changed<'a> {
    name: String,
    start: u64,
    bytes: u64,
    format: GgmlDType,
    /// The format it gets.
    becomes: GgmlDType,
    /// Bytes from its start to the start of what comes behind it, before and then.
    room: (u64, u64),
    columns: usize,
    parts: Vec<Part<'a>>,
}

struct Merger<'a, 'p> {
    adapter: &'a Adapter,
    factor: f32,
    format: MergeFormat,
    done_bytes: u64,
    total_bytes: u64,
    written_bytes: u64,
    sums: Sums,
    on_progress: &'p mut dyn FnMut(f32) -> ControlFlow<()>,
}

impl<'a> Merger<'a, '_> {
    fn gguf(&mut self, header: &GgufHeader, base: &Path, out: &Path) -> Result<(), AdapterError> {
        let mut changed = Vec::new();
        for (layer, module, parts) in self.matrices() {
            let name = format!("blk.{layer}.{}.weight", module.gguf_name());
            let entry = header.tensors().get(&name).ok_or_else(|| absent(&name))?;
            let format = entry.kind.supported().ok_or_else(|| AdapterError::Unsupported {
                what: format!("a matrix in the format {} ({name})", entry.kind),
            })?;
            let start = header.data_start() + entry.offset;
            let mut matrix = change(name, &entry.shape, (start, entry.bytes, format), parts)?;
            matrix.becomes = format_for(format, self.format);
            matrix.make_room(header.alignment())?;
            changed.push(matrix);
        }
        self.total_bytes = base.metadata().map_err(|source| io_error(base, source))?.len();
        let header = moved(header, base, &mut changed)?;
        let mut temporary = Temporary::beside(out);
        self.rewrite(base, &temporary.path, header, changed)?;
        temporary.put(out)
    }

    fn folder(&mut self, base: &Folder, out: &Path) -> Result<(), AdapterError> {
        if out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
            let what = "a GGUF out of a safetensors model; give a folder's name, it becomes a \
                        safetensors model too"
                .into();
            return Err(AdapterError::Unsupported { what });
        }
        if matches!(self.format, MergeFormat::Q8 | MergeFormat::F16) {
            let what = "another format for a safetensors model; it keeps its own".into();
            return Err(AdapterError::Unsupported { what });
        }
        self.total_bytes = base.file_bytes;
        let mut temporary = Temporary::beside(out);
        fs::create_dir(&temporary.path).map_err(|source| io_error(&temporary.path, source))?;
        for (number, shard) in base.shards().iter().enumerate() {
            let mut changed = Vec::new();
            for (layer, module, parts) in self.matrices() {
                let name = format!("model.layers.{layer}.{}.weight", module.path());
                let tensor = base.tensors.get(&name).ok_or_else(|| absent(&name))?;
                let format = match tensor.dtype {
                    Dtype::F32 => GgmlDType::F32,
                    Dtype::F16 => GgmlDType::F16,
                    Dtype::BF16 => GgmlDType::BF16,
                    other => {
                        let what = format!("a matrix in the format {other:?} ({name})");
                        return Err(AdapterError::Unsupported { what });
                    }
                };
                if tensor.shard() == number {
                    let place = (tensor.start(), tensor.bytes(), format);
                    changed.push(change(name, &tensor.shape, place, parts)?);
                }
            }
            let name = match base.shards().len() {
                1 => OsStr::new("model.safetensors"),
                _ => shard.file_name().unwrap_or_default(),
            };
            self.rewrite(shard, &temporary.path.join(name), Vec::new(), changed)?;
        }
        let index = (base.shards().len() > 1).then_some(INDEX);
        for name in SIDE_FILES.into_iter().chain(index) {
            let (from, to) = (base.directory.join(name), temporary.path.join(name));
            match fs::copy(&from, to) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(io_error(&from, source));
                }
                _ => {}
            }
        }
        temporary.put(out)
    }

    /// The base's matrices that something stands beside, each with its parts by their rows.
    fn matrices(&self) -> Vec<(usize, Module, Vec<Part<'a>>)> {
        let adapter = self.adapter;
        let mut matrices = Vec::new();
        for layer in 0..adapter.layers.len() {
            for &module in Module::of(&adapter.layout) {
                let mut start = 0;
                let mut parts = Vec::new();
                for target in module.targets() {
                    let end = start + adapter.layout.outputs(target);
                    parts.extend(adapter.pair(layer, target).map(|pair| (start..end, pair)));
                    start = end;
                }
                if !parts.is_empty() {
                    matrices.push((layer, module, parts));
                }
            }
        }
        matrices
    }

    /// Copies a file with some of its matrices changed, and its first bytes replaced by `first`.
    fn rewrite(
        &mut self,
        from: &Path,
        to: &Path,
        first: Vec<u8>,
        mut changed: Vec<Changed<'a>>,
    ) -> Result<(), AdapterError> {
        changed.sort_by_key(|matrix| matrix.start);
        let mut source = File::open(from).map_err(|source| io_error(from, source))?;
        let whole = source.metadata().map_err(|source| io_error(from, source))?.len();
        let mut sink = BufWriter::with_capacity(COPY_BYTES, create_private(to)?);
        let mut at = first.len() as u64;
        sink.write_all(&first).map_err(|source| io_error(to, source))?;
        source.seek(SeekFrom::Start(at)).map_err(|source| io_error(from, source))?;
        self.written_bytes += at;
        self.done_bytes += at;
        for matrix in &changed {
            self.copy(&mut source, &mut sink, matrix.start.saturating_sub(at), (from, to))?;
            self.change(&mut source, &mut sink, matrix, (from, to))?;
            at = (matrix.start + matrix.room.0).min(whole);
            source.seek(SeekFrom::Start(at)).map_err(|source| io_error(from, source))?;
        }
        self.copy(&mut source, &mut sink, whole.saturating_sub(at), (from, to))?;
        let file = sink.into_inner().map_err(|error| io_error(to, error.into_error()))?;
        file.sync_all().map_err(|source| io_error(to, source))
    }

    fn copy(
        &mut self,
        source: &mut File,
        sink: &mut impl Write,
        mut bytes: u64,
        (from, to): (&Path, &Path),
    ) -> Result<(), AdapterError> {
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(bytes).unwrap_or(COPY_BYTES))];
        while bytes > 0 {
            let size = usize::try_from(bytes).unwrap_or(COPY_BYTES).min(buffer.len());
            source.read_exact(&mut buffer[..size]).map_err(|source| io_error(from, source))?;
            sink.write_all(&buffer[..size]).map_err(|source| io_error(to, source))?;
            bytes -= size as u64;
            self.written_bytes += size as u64;
            self.advance(size as u64)?;
        }
        Ok(())
    }

    fn change(
        &mut self,
        source: &mut File,
        sink: &mut impl Write,
        matrix: &Changed<'_>,
        (from, to): (&Path, &Path),
    ) -> Result<(), AdapterError> {
        let row_bytes = matrix.columns / matrix.format.block_size() * matrix.format.type_size();
        let rows = (matrix.bytes / row_bytes.max(1) as u64) as usize;
        let piece_rows = (PIECE_NUMBERS / matrix.columns.max(1)).max(1);
        source.seek(SeekFrom::Start(matrix.start)).map_err(|source| io_error(from, source))?;
        let starts: Vec<usize> = (0..rows).step_by(piece_rows).collect();
        let mut written = 0;
        for starts in starts.chunks(rayon::current_num_threads().max(1)) {
            let mut pieces = Vec::with_capacity(starts.len());
            for &start in starts {
                let end = (start + piece_rows).min(rows);
                let mut bytes = vec![0; (end - start) * row_bytes];
                source.read_exact(&mut bytes).map_err(|source| io_error(from, source))?;
                pieces.push((start..end, bytes));
            }
            let factor = self.factor;
            let merge = |(rows, bytes): (Range<usize>, Vec<u8>)| {
                let read = bytes.len();
                matrix.merged(rows, bytes, factor).map(|merged| (read, merged))
            };
            let merged: Vec<(usize, (Vec<u8>, Sums))> =
                pieces.into_par_iter().map(merge).collect::<Result<_, AdapterError>>()?;
            for (read, (piece, sums)) in merged {
                sink.write_all(&piece).map_err(|source| io_error(to, source))?;
                self.sums.add(sums);
                written += piece.len() as u64;
                self.advance(read as u64)?;
            }
        }
        let padding = matrix.room.1.saturating_sub(written) as usize;
        sink.write_all(&vec![0; padding]).map_err(|source| io_error(to, source))?;
        self.written_bytes += matrix.room.1;
        Ok(())
    }

    fn advance(&mut self, bytes: u64) -> Result<(), AdapterError> {
        self.done_bytes += bytes;
        let share = self.done_bytes as f64 / self.total_bytes.max(1) as f64;
        match (self.on_progress)(share.min(1.0) as f32) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(AdapterError::Cancelled),
        }
    }
}

fn change<'a>(
    name: String,
    shape: &[usize],
    (start, bytes, format): (u64, u64, GgmlDType),
    parts: Vec<Part<'a>>,
) -> Result<Changed<'a>, AdapterError> {
    let end = parts.last().map_or(0, |(rows, _)| rows.end);
    match shape {
        &[rows, columns] if end <= rows && parts.iter().all(|(_, pair)| pair.inputs == columns) => {
            let room = (bytes, bytes);
            Ok(Changed { name, start, bytes, format, becomes: format, room, columns, parts })
        }
        _ => Err(AdapterError::OtherModel { reason: format!("{name} has the shape {shape:?}") }),
    }
}

/// A GGUF's header for a file in which some matrices are others, with the places of those behind them; nothing where all
/// is as it was.
fn moved(
    header: &GgufHeader,
    base: &Path,
    changed: &mut [Changed<'_>],
) -> Result<Vec<u8>, AdapterError> {
    if changed.iter().all(|matrix| matrix.becomes == matrix.format) {
        return Ok(Vec::new());
    }
    changed.sort_by_key(|matrix| matrix.start);
    let length = usize::try_from(header.data_start()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    File::open(base)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|source| io_error(base, source))?;
    for (name, entry) in header.tensors() {
        let start = header.data_start() + entry.offset;
        let before = changed.iter().take_while(|matrix| matrix.start < start);
        let offset = before.fold(entry.offset, |offset, matrix| {
            (offset + matrix.room.1).saturating_sub(matrix.room.0)
        });
        let own = changed.iter().find(|matrix| matrix.name == *name);
        let kind = own.and_then(|matrix| TensorType::of(matrix.becomes)).unwrap_or(entry.kind);
        let place = header.place_of_type(name).ok_or_else(|| absent(name))?;
        let mut write = |at: usize, number: &[u8]| match bytes.get_mut(at..at + number.len()) {
            Some(there) => {
                there.copy_from_slice(number);
                Ok(())
            }
            None => Err(absent(name)),
        };
        write(place, &kind.id().to_le_bytes())?;
        write(place + size_of::<u32>(), &offset.to_le_bytes())?;
    }
    Ok(bytes)
}

impl Changed<'_> {
    /// Reckons how much further apart its neighbours are in its new format.
    fn make_room(&mut self, alignment: u64) -> Result<(), AdapterError> {
        if self.becomes == self.format {
            return Ok(());
        }
        let (block, size) = (self.becomes.block_size(), self.becomes.type_size());
        if !self.columns.is_multiple_of(block) {
            let what =
                format!("{:?} for rows of {} numbers ({})", self.becomes, self.columns, self.name);
            return Err(AdapterError::Unsupported { what });
        }
        let own = (self.format.block_size(), self.format.type_size());
        let bytes = self.bytes / own.1 as u64 * own.0 as u64 / block as u64 * size as u64;
        self.room = (self.bytes.next_multiple_of(alignment), bytes.next_multiple_of(alignment));
        Ok(())
    }

    /// Some of the matrix's rows with what stands beside them added. In the format that they have, rows that nothing is
    /// added to stay as they are, which quantising anew would not promise.
    fn merged(
        &self,
        rows: Range<usize>,
        bytes: Vec<u8>,
        factor: f32,
    ) -> Result<(Vec<u8>, Sums), AdapterError> {
        let beside: Vec<Overlap<'_>> =
            self.parts.iter().filter_map(|part| overlap(part, &rows)).collect();
        if self.becomes == self.format && (factor == 0.0 || beside.is_empty()) {
            return Ok((bytes, Sums::default()));
        }
        let shape = (rows.len(), self.columns);
        let failed = |error: candle_core::Error| AdapterError::Malformed {
            reason: format!("{}: {error}", self.name),
        };
        let mut numbers = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, self.format)
            .and_then(|storage| QTensor::new(storage, shape)?.dequantize(&Device::Cpu))
            .and_then(|tensor| tensor.flatten_all()?.to_vec1::<f32>())
            .map_err(failed)?;
        let mut sums = Sums::default();
        for Overlap { first, b, pair } in beside {
            let added = product(b, pair).map_err(failed)?;
            for (number, added) in numbers[first * self.columns..].iter_mut().zip(added) {
                *number += factor * added;
                sums.given += f64::from(factor * added).powi(2);
            }
        }
        let most = if self.becomes == GgmlDType::F16 { 65_504.0 } else { f32::MAX };
        if numbers.iter().any(|number| number.is_nan() || number.abs() > most) {
            let what = format!("numbers beyond {:?} in {}", self.becomes, self.name);
            return Err(AdapterError::Unsupported { what });
        }
        let exact = Tensor::from_vec(numbers, shape, &Device::Cpu).map_err(failed)?;
        let rounded = QTensor::quantize(&exact, self.becomes).map_err(failed)?;
        sums.taken = rounded
            .dequantize(&Device::Cpu)
            .and_then(|rounded| (rounded - exact)?.sqr()?.sum_all()?.to_scalar::<f32>())
            .map_err(failed)?
            .into();
        Ok((rounded.data().map_err(failed)?.into_owned(), sums))
    }
}

/// What a part adds to a piece.
struct Overlap<'a> {
    /// The first row of the piece that it adds to.
    first: usize,
    /// B's rows for those from there on.
    b: &'a [f32],
    pair: &'a Pair,
}

/// What a part adds to the rows of a piece; nothing where B is zero in all of them.
fn overlap<'a>((part, pair): &Part<'a>, piece: &Range<usize>) -> Option<Overlap<'a>> {
    let rows = part.start.max(piece.start)..part.end.min(piece.end);
    if rows.is_empty() {
        return None;
    }
    let b = &pair.b[(rows.start - part.start) * pair.rank..(rows.end - part.start) * pair.rank];
    let first = rows.start - piece.start;
    b.iter().any(|b| *b != 0.0).then_some(Overlap { first, b, pair })
}

/// `B A` for some rows of B.
fn product(b: &[f32], pair: &Pair) -> candle_core::Result<Vec<f32>> {
    let b = Tensor::from_slice(b, (b.len() / pair.rank, pair.rank), &Device::Cpu)?;
    let a = Tensor::from_slice(&pair.a, (pair.rank, pair.inputs), &Device::Cpu)?;
    b.matmul(&a)?.flatten_all()?.to_vec1()
}

fn absent(name: &str) -> AdapterError {
    AdapterError::OtherModel { reason: format!("the model has no {name}") }
}

/// A file or folder under a name of its own until it is whole; it goes where it is left so.
struct Temporary {
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    fn beside(out: &Path) -> Self {
        let mut name = OsString::from(".");
        name.push(out.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        Self { path: out.with_file_name(name), kept: false }
    }

    fn put(&mut self, out: &Path) -> Result<(), AdapterError> {
        fs::rename(&self.path, out).map_err(|source| io_error(out, source))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let gone = match self.path.is_dir() {
                true => fs::remove_dir_all(&self.path),
                false => fs::remove_file(&self.path),
            };
            // Where there is nothing, nothing is left behind.
            gone.ok();
        }
    }
}

/// A new file that only its owner may read: adapters, and models with one in them, remember what they were trained on.
fn create_private(path: &Path) -> Result<File, AdapterError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| io_error(path, source))
}

/// Writes a file that is there whole or not at all, and its owner's alone to read.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), AdapterError> {
    let mut temporary = Temporary::beside(path);
    let mut file = create_private(&temporary.path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|source| io_error(&temporary.path, source))?;
    temporary.put(path)
}
