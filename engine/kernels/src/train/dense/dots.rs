//! Products of rows with rows: the terms of a sum lie side by side in both factors.
use super::Scale;
use crate::simd::{Kernel, LANES, Simd};

/// Rows of the first factor that a tile has at the most; what is handed out is a multiple of it.
pub(super) const ROWS: usize = 3;

/// The factors, `(rows, terms)` and `(columns, terms)`.
#[derive(Clone, Copy)]
pub(super) struct Dots<'a> {
    pub(super) a: &'a [f32],
    pub(super) b: &'a [f32],
    pub(super) terms: usize,
    pub(super) columns: usize,
    pub(super) scale: Scale,
}

/// All the products of the factors' rows.
pub(super) struct Rows<'a> {
    pub(super) work: Dots<'a>,
    /// `(rows, columns)`.
    pub(super) out: &'a mut [f32],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let rows = self.out.len() / self.work.columns;
        let mut row = 0;
        while row < rows {
            match rows - row {
                ROWS.. if S::TILE_ROWS >= 6 => {
                    self.columns::<S, ROWS>(s, row);
                    row += ROWS;
                }
                _ => {
                    self.columns::<S, 1>(s, row);
                    row += 1;
                }
            }
        }
    }
}

impl Rows<'_> {
    /// `R` rows with every row of the second factor.
    #[inline(always)]
    fn columns<S: Simd, const R: usize>(&mut self, s: S, row: usize) {
        let mut column = 0;
        while column < self.work.columns {
            match self.work.columns - column {
                8.. if S::TILE_ROWS >= 12 => {
                    self.tile::<S, R, 8>(s, row, column);
                    column += 8;
                }
                4.. if S::TILE_ROWS >= 12 => {
                    self.tile::<S, R, 4>(s, row, column);
                    column += 4;
                }
                2.. => {
                    self.tile::<S, R, 2>(s, row, column);
                    column += 2;
                }
                _ => {
                    self.tile::<S, R, 1>(s, row, column);
                    column += 1;
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const C: usize>(&mut self, s: S, row: usize, column: usize) {
        let Dots { a, b, terms, columns, scale } = self.work;
        let sums = sums::<S, R, C>(s, &a[row * terms..], &b[column * terms..], terms);
        for (i, sums) in sums.into_iter().enumerate() {
            let out = &mut self.out[(row + i) * columns + column..][..C];
            let mut values = [s.zero(); 8];
            values[..C].copy_from_slice(&sums);
            let values = if C > 2 { s.sums(values) } else { first_sums::<S, C>(s, values) };
            for (place, sum) in out.iter_mut().zip(values) {
                *place = scale.of(sum, place);
            }
        }
    }
}

#[inline(always)]
fn first_sums<S: Simd, const C: usize>(s: S, values: [S::F; 8]) -> [f32; 8] {
    let mut sums = [0.0; 8];
    for i in 0..C {
        sums[i] = s.sum(values[i]);
    }
    sums
}

/// Sums by lanes of the first rows of `a` and `b`.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "several arrays of registers are walked together")]
fn sums<S: Simd, const R: usize, const C: usize>(
    s: S,
    a: &[f32],
    b: &[f32],
    terms: usize,
) -> [[S::F; C]; R] {
    let mut sums = [[s.zero(); C]; R];
    let whole = terms / LANES * LANES;
    // The last rows' ends are those of the slices, so that one look is enough for all rows.
    let (a, b) = (&a[..R * terms], &b[..C * terms]);
    for term in (0..whole).step_by(LANES) {
        let mut x = [s.zero(); R];
        for r in 0..R {
            x[r] = s.load(lanes(a, r * terms + term));
        }
        for c in 0..C {
            let w = s.load(lanes(b, c * terms + term));
            for r in 0..R {
                sums[r][c] = s.fma(x[r], w, sums[r][c]);
            }
        }
    }
    if whole < terms {
        for c in 0..C {
            let w = load_part(s, &b[c * terms + whole..(c + 1) * terms]);
            for r in 0..R {
                // Lanes beyond the end get zero times zero.
                let x = load_part(s, &a[r * terms + whole..(r + 1) * terms]);
                sums[r][c] = s.fma(x, w, sums[r][c]);
            }
        }
    }
    sums
}

/// Sixteen values from a place on.
#[inline(always)]
fn lanes(x: &[f32], at: usize) -> &[f32; LANES] {
    debug_assert!(at + LANES <= x.len());
    #[expect(unsafe_code, reason = "looking at every place would cost as much as the products")]
    // SAFETY: `sums` asks for whole lanes of its rows, which it has cut the slices to.
    unsafe {
        &*x.as_ptr().add(at).cast()
    }
}

/// Fewer than sixteen values, zeros after them.
#[inline(always)]
pub(super) fn load_part<S: Simd>(s: S, part: &[f32]) -> S::F {
    let mut lanes = [0.0; LANES];
    lanes[..part.len()].copy_from_slice(part);
    s.load(&lanes)
}
