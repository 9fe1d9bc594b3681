//! Products row by row, in plain Rust but for the sums of products in the middle, which [`Dots`] does.
use super::scratch::Scratch;
use super::{Kind, LANES, Rows, Weights, add_lanes};
use crate::activations::{Activations, GROUP, LongActivation, ShortActivation};
use crate::format::{Format, LongBlock, SHORT, ShortBlock, floats};

/// Rows that go together, so that activations are read once for all.
pub(super) const ROWS: usize = 4;

/// Sums of products. Methods are `#[inline(always)]`, so that a caller compiled for an instruction set may use it.
pub(super) trait Dots: Copy {
    /// A long block, made ready for many tokens.
    type Long;
    const ZERO: Self::Long;

    fn long(self, format: Format, bytes: &[u8]) -> Self::Long;

    /// Adds the product with a long block to a sum; the mins only if the format has some.
    fn add_long(self, block: &Self::Long, mins: bool, x: &LongActivation, sum: &mut f32);

    /// The sum of products of 32 integers.
    fn short(self, q: &[i8; SHORT], x: &[i8; SHORT]) -> i32;

    /// A row of floats of any width as 32-bit ones.
    #[inline(always)]
    fn widen(self, format: Format, bytes: &[u8], row: &mut [f32]) {
        floats(format, bytes, row);
    }

    /// Products of rows of floats with a token.
    fn floats(self, rows: &[Vec<f32>; ROWS], x: &[f32]) -> [f32; ROWS];
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Dots for Plain {
    type Long = LongBlock;
    const ZERO: LongBlock = LongBlock::ZERO;

    #[inline(always)]
    fn long(self, format: Format, bytes: &[u8]) -> LongBlock {
        LongBlock::decode(format, bytes)
    }

    #[inline(always)]
    fn add_long(self, block: &LongBlock, mins: bool, x: &LongActivation, sum: &mut f32) {
        let mut product = 0;
        let parts = block.q.as_chunks::<16>().0.iter().zip(x.q.as_chunks::<16>().0);
        for ((q, x), scale) in parts.zip(&block.scales) {
            product += scale * dot(q, x);
        }
        *sum = (block.d * x.scale).mul_add(product as f32, *sum);
        if mins {
            let offset: i32 = block.mins.iter().zip(&x.sums).map(|(min, sum)| min * sum).sum();
            *sum = (-(block.dmin * x.scale)).mul_add(offset as f32, *sum);
        }
    }

    #[inline(always)]
    fn short(self, q: &[i8; SHORT], x: &[i8; SHORT]) -> i32 {
        dot(q, x)
    }

    #[inline(always)]
    fn floats(self, rows: &[Vec<f32>; ROWS], x: &[f32]) -> [f32; ROWS] {
        let mut results = [0.0; ROWS];
        for (result, row) in results.iter_mut().zip(rows) {
            let mut lanes = [0.0; LANES];
            for (w, x) in row.chunks(LANES).zip(x.chunks(LANES)) {
                for ((lane, w), x) in lanes.iter_mut().zip(w).zip(x) {
                    *lane += w * x;
                }
            }
            *result = add_lanes(lanes);
        }
        results
    }
}

#[inline(always)]
fn dot<const N: usize>(q: &[i8; N], x: &[i8; N]) -> i32 {
    let mut sum = 0;
    for i in 0..N {
        sum += i32::from(q[i]) * i32::from(x[i]);
    }
    sum
}

/// Products of the rows of a chunk.
#[inline(always)]
pub(super) fn rows<D: Dots>(
    dots: D,
    weights: &Weights<'_>,
    x: &Activations,
    out: &mut Rows<'_>,
    scratch: &mut Scratch,
) {
    let format = weights.matrix.format();
    let row_bytes = weights.matrix.row_bytes();
    for (group, bytes) in weights.bytes.chunks(ROWS * row_bytes).enumerate() {
        let rows = bytes.chunks_exact(row_bytes);
        scratch.sums.clear();
        scratch.sums.resize(x.tokens() * ROWS, 0.0);
        match weights.kind() {
            Kind::Float => {
                scratch.rows.iter_mut().for_each(|row| row.resize(x.columns(), 0.0));
                for (row, bytes) in scratch.rows.iter_mut().zip(rows.clone()) {
                    dots.widen(format, bytes, row);
                }
                let tokens = x.float().chunks_exact(x.columns());
                for (sums, x) in scratch.sums.as_chunks_mut().0.iter_mut().zip(tokens) {
                    *sums = dots.floats(&scratch.rows, x);
                }
            }
            Kind::Short => {
                for (row, bytes) in rows.clone().enumerate() {
                    add_short(dots, format, bytes, x, row, &mut scratch.sums);
                }
            }
            Kind::Long => add_long(dots, format, bytes, x, &mut scratch.sums),
        }
        for (token, sums) in scratch.sums.as_chunks::<ROWS>().0.iter().enumerate() {
            out.put(token, group * ROWS, &sums[..rows.len()]);
        }
    }
}

/// `bytes` are up to [`ROWS`] rows, `sums` `(tokens, ROWS)`.
#[inline(always)]
fn add_long<D: Dots>(dots: D, format: Format, bytes: &[u8], x: &Activations, sums: &mut [f32]) {
    let blocks = x.long().chunks_exact(x.tokens());
    let row_bytes = blocks.len() * format.block_bytes();
    for (i, tokens) in blocks.enumerate() {
        let mut blocks = [D::ZERO; ROWS];
        let mut rows = 0;
        for bytes in bytes.chunks_exact(row_bytes) {
            let bytes = &bytes[i * format.block_bytes()..][..format.block_bytes()];
            blocks[rows] = dots.long(format, bytes);
            rows += 1;
        }
        for (sums, x) in sums.as_chunks_mut::<ROWS>().0.iter_mut().zip(tokens) {
            for row in 0..rows {
                dots.add_long(&blocks[row], has_mins(format), x, &mut sums[row]);
            }
        }
    }
}

/// `bytes` are row number `row` of [`ROWS`], `sums` `(tokens, ROWS)`.
#[inline(always)]
fn add_short<D: Dots>(
    dots: D,
    format: Format,
    bytes: &[u8],
    x: &Activations,
    row: usize,
    sums: &mut [f32],
) {
    for (i, bytes) in bytes.chunks_exact(format.block_bytes()).enumerate() {
        let (group, at) = (i / GROUP, i % GROUP);
        let block = ShortBlock::decode(format, bytes);
        let tokens: &[ShortActivation] = &x.short()[group * x.tokens()..];
        for (sums, x) in sums.as_chunks_mut::<ROWS>().0.iter_mut().zip(tokens) {
            let product = dots.short(&block.q, &x.q.as_chunks().0[at]);
            let scale = x.scales[at];
            sums[row] = (block.d * scale).mul_add(product as f32, sums[row]);
            if has_mins(format) {
                sums[row] = (block.m * scale).mul_add(x.sums[at] as f32, sums[row]);
            }
        }
    }
}

fn has_mins(format: Format) -> bool {
    matches!(format, Format::Q2K | Format::Q4K | Format::Q5K | Format::Q4_1 | Format::Q5_1)
}
