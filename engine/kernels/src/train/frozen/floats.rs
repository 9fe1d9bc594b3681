//! One 32-bit float in a lane, rounded to bfloat16 or not.
use super::engine::{Block, Engine};
use super::multiply::{Multiplication, Multiply, PANEL, multiply};
use super::weights::{self, COLUMNS};
use super::{GROUP, Precision, blocks};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Isa, Matrix};
use std::ops::Range;

/// Products of 32-bit floats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floats {
    isa: Isa,
    precision: Precision,
}

impl Floats {
    pub(super) fn new(isa: Isa, precision: Precision) -> Self {
        Self { isa, precision }
    }

    /// Some columns of a row, rounded as asked for.
    fn read(self, matrix: &Matrix, row: usize, columns: &Range<usize>, out: &mut [f32; COLUMNS]) {
        weights::read(self.isa, matrix, row, columns, out);
        if self.precision == Precision::Bf16 {
            out.iter_mut().for_each(|x| *x = round(*x));
        }
    }
}

impl Engine for Floats {
    const TERMS: usize = 1;

    fn height(self) -> usize {
        dispatch(self.isa, Height)
    }

    fn pack_left(self, block: &Block<'_>, first: usize, out: &mut [f32]) {
        let height = out.len() / block.terms.len();
        for token in 0..height {
            let places = out[token..].iter_mut().step_by(height);
            for (place, &x) in places.zip(block.token(first + token)) {
                *place = if self.precision == Precision::Bf16 { round(x) } else { x };
            }
        }
    }

    fn pack_rows(self, matrix: &Matrix, rows: Range<usize>, terms: Range<usize>, out: &mut [f32]) {
        let mut values = [[0.0; COLUMNS]; PANEL];
        for columns in blocks(terms.clone(), COLUMNS) {
            for (row, values) in rows.clone().zip(&mut values) {
                self.read(matrix, row, &columns, values);
            }
            let out = &mut out[(columns.start - terms.start) * PANEL..];
            for (column, lanes) in
                out.as_chunks_mut::<PANEL>().0.iter_mut().take(columns.len()).enumerate()
            {
                for (lane, values) in lanes.iter_mut().zip(&values) {
                    *lane = values[column];
                }
            }
        }
    }

    fn pack_columns(
        self,
        matrix: &Matrix,
        rows: Range<usize>,
        columns: Range<usize>,
        mut out: [&mut [f32]; GROUP],
    ) {
        let mut values = [0.0; COLUMNS];
        for (step, row) in rows.enumerate() {
            self.read(matrix, row, &columns, &mut values);
            for (panel, values) in out.iter_mut().zip(values.as_chunks::<PANEL>().0) {
                if let Some(lanes) = panel.as_chunks_mut().0.get_mut(step) {
                    *lanes = *values;
                }
            }
        }
    }

    fn multiply(self, work: &Multiplication<'_>, tokens: Range<usize>, panels: Range<usize>) {
        dispatch(self.isa, Product { work, tokens, panels });
    }
}

/// To bfloat16 and back.
#[inline(always)]
fn round(x: f32) -> f32 {
    let bits = x.to_bits();
    if x.is_nan() {
        return f32::from_bits((bits | 0x0040_0000) & 0xffff_0000);
    }
    let to_even = 0x7fff + ((bits >> 16) & 1);
    f32::from_bits(bits.wrapping_add(to_even) & 0xffff_0000)
}

/// Tokens in a panel.
struct Height;

impl Kernel for Height {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::TILE_ROWS
    }
}

struct Product<'a, 'b> {
    work: &'a Multiplication<'b>,
    tokens: Range<usize>,
    panels: Range<usize>,
}

impl Kernel for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        multiply(Single(s), self.work, self.tokens, self.panels);
    }
}

/// Sixteen floats.
#[derive(Clone, Copy)]
struct Single<S>(S);

impl<S: Simd> Multiply for Single<S> {
    type F = S::F;
    const HEIGHT: usize = S::TILE_ROWS;
    const WIDTH: usize = S::TILE_COLUMNS;

    #[inline(always)]
    fn zero(self) -> S::F {
        self.0.zero()
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> S::F {
        self.0.load(from)
    }
    #[inline(always)]
    fn splat(self, lane: f32) -> S::F {
        self.0.splat(lane)
    }
    #[inline(always)]
    fn add_product(self, a: S::F, b: S::F, sum: S::F) -> S::F {
        self.0.fma(a, b, sum)
    }
    #[inline(always)]
    fn add(self, a: S::F, b: S::F) -> S::F {
        self.0.add(a, b)
    }
    #[inline(always)]
    fn store(self, x: S::F, to: &mut [f32; LANES]) {
        self.0.store(x, to);
    }
    #[inline(always)]
    fn prefetch(self, at: *const f32) {
        self.0.prefetch(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    #[test]
    fn rounding_is_to_the_nearest_and_to_even() {
        let bits = (0..=u32::MAX).step_by(40_961).chain([0x3f80_8000, 0x3f81_8000, 0x7f7f_ffff]);
        for x in bits.map(f32::from_bits) {
            let (got, expected) = (round(x), bf16::from_f32(x).to_f32());
            assert!(got.to_bits() == expected.to_bits() || got.is_nan() && x.is_nan(), "{x}");
        }
    }
}
