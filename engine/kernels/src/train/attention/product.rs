//! Products of register tiles: [`Simd::TILE_ROWS`] rows at a time.
use super::BLOCK;
use super::head::COLUMNS;
use crate::attention::product::{Operands, multiply};
use crate::simd::{Kernel, LANES, Simd};
use std::ops::Range;

/// `c = a . b` for some columns of a block: `c` has rows of [`BLOCK`].
pub(super) struct Scores<'a> {
    /// Term after term, of each the rows.
    pub(super) a: &'a [f32],
    /// Sixteen columns after sixteen, in each term after term.
    pub(super) b: &'a [f32],
    pub(super) terms: usize,
    pub(super) columns: Range<usize>,
    pub(super) c: &'a mut [f32],
}

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match S::TILE_ROWS {
            12 => self.tiles::<S, 12, 2>(s),
            6 => self.tiles::<S, 6, 1>(s),
            2 => self.tiles::<S, 2, 1>(s),
            rows => unreachable!("no code for {rows} rows"),
        }
    }
}

impl Scores<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const M: usize>(self, s: S) {
        let Self { a, b, terms, columns, c } = self;
        let b_block = LANES * terms;
        for column in columns.step_by(M * LANES) {
            let b = &b[column / LANES * b_block..];
            let operands = Operands { a, b, b_block, b_term: LANES, terms, next: &[] };
            multiply::<S, f32, R, M, 1, R, false>(s, operands, &mut c[column..], BLOCK);
        }
    }
}

/// `c += a . b`: `b` and `c` have rows of `width`. Row `r`, term `t` of `a` is at `r * ROW + t * TERM`.
pub(super) struct Add<'a, const ROW: usize, const TERM: usize> {
    pub(super) a: &'a [f32],
    pub(super) b: &'a [f32],
    pub(super) terms: usize,
    pub(super) width: usize,
    pub(super) c: &'a mut [f32],
}

/// The rows of `a` are rows of a block.
pub(super) type AddByRows<'a> = Add<'a, BLOCK, 1>;
/// The rows of `a` are columns of a block.
pub(super) type AddByColumns<'a> = Add<'a, 1, BLOCK>;

impl<const ROW: usize, const TERM: usize> Kernel for Add<'_, ROW, TERM> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let mut column = 0;
        while column < self.width {
            let wide = column + COLUMNS <= self.width;
            match S::TILE_ROWS {
                12 if wide => self.tile::<S, 12, 2>(s, column),
                12 => self.tile::<S, 12, 1>(s, column),
                6 => self.tile::<S, 6, 1>(s, column),
                2 => self.tile::<S, 2, 1>(s, column),
                rows => unreachable!("no code for {rows} rows"),
            }
            column += if S::TILE_ROWS == 12 && wide { COLUMNS } else { LANES };
        }
    }
}

impl<const ROW: usize, const TERM: usize> Add<'_, ROW, TERM> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const M: usize>(&mut self, s: S, column: usize) {
        let Self { a, b, terms, width, .. } = *self;
        let b = &b[column..];
        let operands = Operands { a, b, b_block: LANES, b_term: width, terms, next: &[] };
        let c = &mut self.c[column..];
        multiply::<S, f32, R, M, ROW, TERM, true>(s, operands, c, width);
    }
}
