//! Products in which columns of the second factor lie side by side, one in each lane, and numbers of the first are broadcast.
use super::Scale;
use super::dots::load_part;
use crate::scatter::Scatter;
use crate::simd::{Kernel, LANES, Simd};
use std::ops::Range;

/// Columns that go together at the most: three vectors.
pub(super) const STRIP: usize = 3 * LANES;

/// Terms that what lies far apart is asked for ahead.
const AHEAD: usize = 6;

/// Rows in panels, `(terms, height)` each.
pub(super) struct Panels {
    pub(super) data: Vec<f32>,
    pub(super) height: usize,
}

/// The factors; the second is `(terms, columns)`.
pub(super) struct Outer<'a> {
    pub(super) panels: &'a Panels,
    pub(super) b: &'a [f32],
    pub(super) terms: usize,
    pub(super) columns: usize,
    pub(super) scale: Scale,
}

/// Rows in a panel.
pub(super) struct Height;

impl Kernel for Height {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::TILE_ROWS.min(8)
    }
}

/// Some rows, from the start of a panel on, and columns of the product.
pub(super) struct Part<'a> {
    pub(super) work: &'a Outer<'a>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    pub(super) out: &'a Scatter<'a, f32>,
}

impl Kernel for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let height = self.work.panels.height;
        for row in self.rows.clone().step_by(height) {
            match height.min(self.rows.end - row) {
                1 => self.columns::<S, 1>(s, row),
                2 => self.columns::<S, 2>(s, row),
                3 if S::TILE_ROWS >= 3 => self.columns::<S, 3>(s, row),
                4 if S::TILE_ROWS >= 4 => self.columns::<S, 4>(s, row),
                5 if S::TILE_ROWS >= 5 => self.columns::<S, 5>(s, row),
                6 if S::TILE_ROWS >= 6 => self.columns::<S, 6>(s, row),
                7 if S::TILE_ROWS >= 7 => self.columns::<S, 7>(s, row),
                8 if S::TILE_ROWS >= 8 => self.columns::<S, 8>(s, row),
                height => unreachable!("no code for {height} rows"),
            }
        }
    }
}

impl Part<'_> {
    /// `R` rows with all columns of the part.
    #[inline(always)]
    fn columns<S: Simd, const R: usize>(&self, s: S, row: usize) {
        let mut column = self.columns.start;
        while column < self.columns.end {
            match self.columns.end - column {
                STRIP.. if S::TILE_ROWS >= 8 => {
                    self.tile::<S, R, 3>(s, row, column);
                    column += STRIP;
                }
                LANES.. => {
                    self.tile::<S, R, 1>(s, row, column);
                    column += LANES;
                }
                few => {
                    self.narrow_tile::<S, R>(s, row, column, few);
                    column += few;
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(&self, s: S, row: usize, column: usize) {
        let mut sums = [[s.zero(); V]; R];
        let stride = self.work.columns;
        for (term, a) in self.terms(row).enumerate() {
            let b = &self.work.b[term * stride + column..];
            let lanes = b.as_chunks::<LANES>().0.first_chunk::<V>();
            let (Some(b), Some(a)) = (lanes, a.first_chunk::<R>()) else { return };
            let ahead = b.as_ptr().cast::<f32>().wrapping_add(AHEAD * stride);
            for v in 0..V {
                s.prefetch(ahead.wrapping_add(v * LANES));
            }
            let mut columns = [s.zero(); V];
            for (column, b) in columns.iter_mut().zip(b) {
                *column = s.load(b);
            }
            for (sums, a) in sums.iter_mut().zip(a) {
                let a = s.splat(*a);
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = s.fma(a, column, *sum);
                }
            }
        }
        let Scale { alpha, beta } = self.work.scale;
        for (i, sums) in sums.into_iter().enumerate() {
            let out = self.row(row + i, column..column + V * LANES).as_chunks_mut().0;
            for (place, sum) in out.iter_mut().zip(sums) {
                let mut new = s.mul(s.splat(alpha), sum);
                if beta != 0.0 {
                    new = s.add(s.mul(s.splat(beta), s.load(place)), new);
                }
                s.store(new, place);
            }
        }
    }

    /// The last columns, fewer than sixteen.
    #[inline(always)]
    fn narrow_tile<S: Simd, const R: usize>(&self, s: S, row: usize, column: usize, few: usize) {
        let mut sums = [s.zero(); R];
        for (term, a) in self.terms(row).enumerate() {
            let b = load_part(s, &self.work.b[term * self.work.columns + column..][..few]);
            for (sum, a) in sums.iter_mut().zip(a) {
                *sum = s.fma(s.splat(*a), b, *sum);
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            let out = self.row(row + i, column..column + few);
            for (place, sum) in out.iter_mut().zip(s.to_array(sum)) {
                *place = self.work.scale.of(sum, place);
            }
        }
    }

    /// Numbers of the panel that starts with a row, term after term.
    #[inline(always)]
    fn terms(&self, row: usize) -> impl Iterator<Item = &[f32]> {
        let Outer { panels, terms, .. } = self.work;
        panels.data[row * terms..][..panels.height * terms].chunks_exact(panels.height)
    }

    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the place is shared out by hand")]
    fn row(&self, row: usize, columns: Range<usize>) -> &mut [f32] {
        let start = row * self.work.columns;
        #[expect(unsafe_code, reason = "columns of one slice are written by several threads")]
        // SAFETY: every row and column is handed out once, and a thread takes one place at a time.
        unsafe {
            self.out.slice(start + columns.start..start + columns.end)
        }
    }
}
