//! Products of register tiles: [`Simd::TILE_ROWS`] rows at a time.
use super::BLOCK;
use super::head::CHUNK;
use crate::attention::product::{Operands, multiply};
use crate::simd::{Kernel, LANES, Simd};
use std::ops::Range;

/// Rows in scratch memory, [`CHUNK`] numbers of every row before the next.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// From the first row that is meant on.
    pub(super) data: &'a [f32],
    /// Rows in the whole.
    pub(super) room: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(data: &'a [f32], room: usize, first: usize) -> Self {
        Self { data: &data[first * CHUNK..], room }
    }
}

/// `c = a . b` for some columns of a block: `c` has rows of [`BLOCK`].
pub(super) struct Scores<'a> {
    pub(super) a: Rows<'a>,
    /// Sixteen columns after sixteen, in each term after term.
    pub(super) b: &'a [f32],
    pub(super) terms: usize,
    /// From a multiple of [`LANES`] on.
    pub(super) columns: Range<usize>,
    pub(super) c: &'a mut [f32],
}

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let columns = self.columns.start..self.columns.end.next_multiple_of(LANES);
        let mut column = columns.start;
        while column < columns.end {
            let wide = column + 2 * LANES <= columns.end;
            match S::TILE_ROWS {
                12 if wide => self.tile::<S, 12, 2>(s, column),
                12 => self.tile::<S, 12, 1>(s, column),
                6 => self.tile::<S, 6, 1>(s, column),
                2 => self.tile::<S, 2, 1>(s, column),
                rows => unreachable!("no code for {rows} rows"),
            }
            column += if S::TILE_ROWS == 12 && wide { 2 * LANES } else { LANES };
        }
    }
}

impl Scores<'_> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const M: usize>(&mut self, s: S, column: usize) {
        let (b_block, c) = (LANES * self.terms, &mut self.c[column..]);
        for first in (0..self.terms).step_by(CHUNK) {
            let a = &self.a.data[first * self.a.room..];
            let b = &self.b[column * self.terms + first * LANES..];
            let terms = CHUNK.min(self.terms - first);
            let operands = Operands { a, b, b_block, b_term: LANES, terms, next: &[] };
            if first == 0 {
                multiply::<S, f32, R, M, CHUNK, 1, false>(s, operands, c, BLOCK);
            } else {
                multiply::<S, f32, R, M, CHUNK, 1, true>(s, operands, c, BLOCK);
            }
        }
    }
}

/// `c += a . b`, where `b` and `c` have rows of `width`. Row `r`, term `t` of `a` is at `r * ROW + t * TERM`.
pub(super) struct Add<'a, const ROW: usize, const TERM: usize> {
    pub(super) a: &'a [f32],
    pub(super) b: Rows<'a>,
    pub(super) terms: usize,
    pub(super) width: usize,
    /// As [`Rows`].
    pub(super) c: &'a mut [f32],
    pub(super) c_room: usize,
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
            let wide = column + 2 * LANES <= self.width;
            match S::TILE_ROWS {
                12 if wide => self.tile::<S, 12, 2>(s, column),
                12 => self.tile::<S, 12, 1>(s, column),
                6 => self.tile::<S, 6, 1>(s, column),
                2 => self.tile::<S, 2, 1>(s, column),
                rows => unreachable!("no code for {rows} rows"),
            }
            column += if S::TILE_ROWS == 12 && wide { 2 * LANES } else { LANES };
        }
    }
}

impl<const ROW: usize, const TERM: usize> Add<'_, ROW, TERM> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const M: usize>(&mut self, s: S, column: usize) {
        let (chunk, column) = (column / CHUNK * CHUNK, column % CHUNK);
        let b = &self.b.data[chunk * self.b.room + column..];
        let c = &mut self.c[chunk * self.c_room + column..];
        let terms = self.terms;
        let operands = Operands { a: self.a, b, b_block: LANES, b_term: CHUNK, terms, next: &[] };
        multiply::<S, f32, R, M, ROW, TERM, true>(s, operands, c, CHUNK);
    }
}
