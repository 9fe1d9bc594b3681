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
        match format {
            Format::F16 => halves(s, bytes, out),
            Format::F32 | Format::Bf16 => floats(format, bytes, out),
            Format::Q4_0 | Format::Q4_1 | Format::Q5_0 | Format::Q5_1 | Format::Q8_0 => {
                let blocks = bytes.chunks_exact(format.block_bytes());
                for (bytes, out) in blocks.zip(out.as_chunks_mut::<SHORT>().0) {
                    ShortBlock::decode(format, bytes).dequantize(out);
                }
            }
            _ => {
                let blocks = bytes.chunks_exact(format.block_bytes());
                for (bytes, out) in blocks.zip(out.as_chunks_mut::<LONG>().0) {
                    LongBlock::decode(format, bytes).dequantize(out);
                }
            }
        }
    }
}

#[inline(always)]
fn halves<S: Simd>(s: S, bytes: &[u8], out: &mut [f32]) {
    let (bytes, rest_bytes) = bytes.as_chunks::<{ 2 * LANES }>();
    let (out, rest_out) = out.as_chunks_mut::<LANES>();
    for (bytes, out) in bytes.iter().zip(out) {
        let values = bytes.as_chunks::<2>().0;
        s.store(s.load_f16(&std::array::from_fn(|i| f16::from_le_bytes(values[i]))), out);
    }
    floats(Format::F16, rest_bytes, rest_out);
}
