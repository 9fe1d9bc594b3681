//! Weights as floats, part of a row at a time.
use crate::format::{Format, LONG, LongBlock, SHORT, ShortBlock, floats};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Isa, Matrix};
use half::f16;
use std::ops::Range;

/// Columns that are read at a time: whole blocks of any format.
pub(super) const COLUMNS: usize = LONG;

/// Some columns of a row as floats, from a multiple of [`COLUMNS`] on; zeros beyond the last.
pub(super) fn read(
    isa: Isa,
    matrix: &Matrix,
    row: usize,
    columns: &Range<usize>,
    out: &mut [f32; COLUMNS],
) {
    let format = matrix.format();
    let bytes = |columns: usize| columns / format.block_len() * format.block_bytes();
    let start = row * matrix.row_bytes();
    let bytes = &matrix.bytes()[start + bytes(columns.start)..start + bytes(columns.end)];
    let (values, beyond) = out.split_at_mut(columns.len());
    dispatch(isa, Read { format, bytes, out: values });
    beyond.fill(0.0);
}

struct Read<'a> {
    format: Format,
    bytes: &'a [u8],
    out: &'a mut [f32],
}

impl Kernel for Read<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { format, bytes, out } = self;
        // Rows are read a part at a time: the next part is asked for.
        for line in (0..bytes.len()).step_by(LINE_BYTES) {
            s.prefetch(bytes.as_ptr().wrapping_add(bytes.len() + line));
        }
        match format {
            Format::F16 => halves(s, bytes, out),
            Format::F32 | Format::Bf16 => floats(format, bytes, out),
            Format::Q4_0 => short(s, Format::Q4_0, bytes, out),
            Format::Q4_1 => short(s, Format::Q4_1, bytes, out),
            Format::Q5_0 => short(s, Format::Q5_0, bytes, out),
            Format::Q5_1 => short(s, Format::Q5_1, bytes, out),
            Format::Q8_0 => short(s, Format::Q8_0, bytes, out),
            Format::Q2K => long(s, Format::Q2K, bytes, out),
            Format::Q3K => long(s, Format::Q3K, bytes, out),
            Format::Q4K => long(s, Format::Q4K, bytes, out),
            Format::Q5K => long(s, Format::Q5K, bytes, out),
            Format::Q6K => long(s, Format::Q6K, bytes, out),
        }
    }
}

const LINE_BYTES: usize = 64;

#[inline(always)]
fn halves<S: Simd>(s: S, bytes: &[u8], out: &mut [f32]) {
    let (bytes, rest_bytes) = bytes.as_chunks::<{ 2 * LANES }>();
    let (out, rest_out) = out.as_chunks_mut::<LANES>();
    for (bytes, out) in bytes.iter().zip(out) {
        let values = bytes.as_chunks::<2>().0;
        let halves: [f16; LANES] = std::array::from_fn(|i| f16::from_le_bytes(values[i]));
        s.store(s.load_f16(&halves), out);
    }
    floats(Format::F16, rest_bytes, rest_out);
}

/// `format` is a constant wherever this is called, so that each has code of its own.
#[inline(always)]
fn short<S: Simd>(s: S, format: Format, bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes.chunks_exact(format.block_bytes());
    for (bytes, out) in blocks.zip(out.as_chunks_mut::<SHORT>().0) {
        let block = ShortBlock::decode(format, bytes);
        let (scale, least) = (s.splat(block.d), s.splat(block.m));
        let parts = block.q.as_chunks::<LANES>().0.iter();
        for (q, out) in parts.zip(out.as_chunks_mut::<LANES>().0) {
            s.store(s.add(s.mul(scale, s.load_i8(q)), least), out);
        }
    }
}

/// As [`short`].
#[inline(always)]
fn long<S: Simd>(s: S, format: Format, bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes.chunks_exact(format.block_bytes());
    for (bytes, out) in blocks.zip(out.as_chunks_mut::<LONG>().0) {
        let block = LongBlock::decode(format, bytes);
        let parts = block.q.as_chunks::<LANES>().0.iter().zip(out.as_chunks_mut::<LANES>().0);
        for (((q, out), scale), min) in parts.zip(block.scales).zip(block.mins) {
            let scale = s.splat(block.d * scale as f32);
            let min = s.splat(block.dmin * min as f32);
            s.store(s.sub(s.mul(scale, s.load_i8(q)), min), out);
        }
    }
}
