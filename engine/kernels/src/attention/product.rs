//! The one inner loop of attention: a small tile of sums held in registers.
use super::STEP;
use crate::kv::{Cell, KEY_LANES, KvFormat};
use crate::simd::{Kernel, LANES, Simd};

/// Rows that narrow keys and values are multiplied with as they lie. For more it pays to widen them first.
pub(super) const NARROW_ROWS: usize = 8;

/// Where a tile's operands lie. Strides are in elements.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a, C> {
    /// Factors that each meet sixteen columns: row `r`, term `k` at `r * A_ROW + k * A_TERM` (see [`multiply`]).
    pub(crate) a: &'a [f32],
    /// Sixteen columns a term: block `m`, term `k` at `m * b_block + k * b_term`.
    pub(crate) b: &'a [C],
    pub(crate) b_block: usize,
    pub(crate) b_term: usize,
    pub(crate) terms: usize,
    /// What is met next, as large as `b`: narrow cells are read once only, mostly from memory, and asked for ahead of time.
    pub(crate) next: &'a [C],
}

/// Scores of the keys of a page: `c` has rows of [`STEP`].
pub(super) struct Score<'a, C> {
    pub(super) height: usize,
    pub(super) operands: Operands<'a, C>,
    pub(super) c: &'a mut [f32],
}

impl<C: Cell> Kernel for Score<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.height {
            1 => self.rows::<S, 1>(s),
            2 => self.rows::<S, 2>(s),
            4 if S::TILE_ROWS >= 4 => self.rows::<S, 4>(s),
            6 if S::TILE_ROWS == 6 && wide::<C>() => self.rows::<S, 6>(s),
            8 if S::TILE_ROWS >= 8 => self.rows::<S, 8>(s),
            12 if S::TILE_ROWS >= 12 && wide::<C>() => self.rows::<S, 12>(s),
            height => unreachable!("no code for {height} rows"),
        }
    }
}

impl<C: Cell> Score<'_, C> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(self, s: S) {
        let Self { operands, c, .. } = self;
        if S::TILE_COLUMNS >= 2 {
            multiply::<S, C, R, 2, 1, R, false>(s, operands, c, STEP);
        } else {
            for (block, column) in [(0, 0), (operands.b_block, KEY_LANES)] {
                let next = after(operands.next, block);
                let part = Operands { b: &operands.b[block..], next, ..operands };
                multiply::<S, C, R, 1, 1, R, false>(s, part, &mut c[column..], STEP);
            }
        }
    }
}

/// Adds weighted values: `c` has rows of the head's width, padded to lanes, and `a` rows of [`STEP`].
pub(super) struct AddValues<'a, C> {
    pub(super) height: usize,
    pub(super) operands: Operands<'a, C>,
    pub(super) c: &'a mut [f32],
}

impl<C: Cell> Kernel for AddValues<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let width = self.operands.b_term;
        let mut column = 0;
        while column < width {
            if S::TILE_COLUMNS >= 2 && column + 2 * LANES <= width {
                match self.height {
                    1 => self.part::<S, 1, 2>(s, 0, column),
                    2 => self.part::<S, 2, 2>(s, 0, column),
                    4 => self.part::<S, 4, 2>(s, 0, column),
                    8 => self.part::<S, 8, 2>(s, 0, column),
                    12 if wide::<C>() => self.part::<S, 12, 2>(s, 0, column),
                    height => unreachable!("no code for {height} rows"),
                }
                column += 2 * LANES;
            } else {
                self.single_columns(s, column);
                column += LANES;
            }
        }
    }
}

impl<C: Cell> AddValues<'_, C> {
    /// Where registers are few, and what is left of heads that are no multiple of two registers.
    #[inline(always)]
    fn single_columns<S: Simd>(&mut self, s: S, column: usize) {
        let mut row = 0;
        while row < self.height {
            match self.height - row {
                1 => self.part::<S, 1, 1>(s, row, column),
                6 if S::TILE_ROWS == 6 && wide::<C>() => self.part::<S, 6, 1>(s, row, column),
                4.. if S::TILE_ROWS >= 4 => {
                    self.part::<S, 4, 1>(s, row, column);
                    row += 4;
                    continue;
                }
                _ => {
                    self.part::<S, 2, 1>(s, row, column);
                    row += 2;
                    continue;
                }
            }
            return;
        }
    }

    /// `R` rows from `row` on, `M` blocks from `column` on.
    #[inline(always)]
    fn part<S: Simd, const R: usize, const M: usize>(&mut self, s: S, row: usize, column: usize) {
        let Operands { a, b, b_term, terms, next, .. } = self.operands;
        let next = after(next, column * terms);
        let part = Operands { a: &a[row * STEP..], b: &b[column..], next, ..self.operands };
        let c = &mut self.c[row * b_term + column..];
        multiply::<S, C, R, M, STEP, 1, true>(s, part, c, b_term);
    }
}

/// What follows the first `len` cells, if anything.
#[inline(always)]
fn after<C>(cells: &[C], len: usize) -> &[C] {
    cells.get(len..).unwrap_or(&[])
}

/// Whether these cells may be met by a whole register tile: others are widened first.
#[inline(always)]
fn wide<C: Cell>() -> bool {
    matches!(C::FORMAT, KvFormat::F32)
}

/// `c[r][m] (+)= sum over k of a[r][k] * b[k][m]`, by fused multiply-add in the order of the terms, for `R` rows and `M` blocks
/// of sixteen columns. Row `r`, block `m` of `c` starts at `r * c_row + m * 16`. With `ADD`, sums start at what `c` holds.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "sums stay in registers only if no iterator borrows them"
)]
pub(crate) fn multiply<
    S: Simd,
    C: Cell,
    const R: usize,
    const M: usize,
    const A_ROW: usize,
    const A_TERM: usize,
    const ADD: bool,
>(
    s: S,
    operands: Operands<'_, C>,
    c: &mut [f32],
    c_row: usize,
) {
    let Operands { a, b, b_block, b_term, terms, next } = operands;
    if terms == 0 {
        return;
    }
    assert!(a.len() > (R - 1) * A_ROW + (terms - 1) * A_TERM);
    assert!(b.len() >= (M - 1) * b_block + (terms - 1) * b_term + LANES);
    assert!(c.len() >= (R - 1) * c_row + M * LANES);
    let mut sums = [[s.zero(); M]; R];
    if ADD {
        for r in 0..R {
            for m in 0..M {
                sums[r][m] = s.load(lanes(c, r * c_row + m * LANES));
            }
        }
    }
    let (mut a, mut b, mut next) = (a.as_ptr(), b.as_ptr(), next.as_ptr());
    for _ in 0..terms {
        #[expect(unsafe_code, reason = "the innermost loop, checked as a whole above")]
        // SAFETY: the asserts above cover the largest offsets that the loop over terms reaches in `a` and `b`. Pointers are
        // moved by `wrapping_add`, since the last move may leave the slice.
        unsafe {
            let mut columns = [s.zero(); M];
            for m in 0..M {
                columns[m] = C::load(s, &*b.add(m * b_block).cast::<[C; LANES]>());
            }
            for r in 0..R {
                let factor = s.splat(*a.add(r * A_ROW));
                for m in 0..M {
                    sums[r][m] = s.fma(factor, columns[m], sums[r][m]);
                }
            }
        }
        if !wide::<C>() {
            s.prefetch(next);
            next = next.wrapping_add(M * LANES);
        }
        a = a.wrapping_add(A_TERM);
        b = b.wrapping_add(b_term);
    }
    for r in 0..R {
        for m in 0..M {
            s.store(sums[r][m], lanes_mut(c, r * c_row + m * LANES));
        }
    }
}

/// Sixteen values from `start` on.
#[inline(always)]
pub(crate) fn lanes<T>(values: &[T], start: usize) -> &[T; LANES] {
    &values[start..start + LANES].as_chunks().0[0]
}

/// Sixteen values from `start` on.
#[inline(always)]
pub(crate) fn lanes_mut<T>(values: &mut [T], start: usize) -> &mut [T; LANES] {
    &mut values[start..start + LANES].as_chunks_mut().0[0]
}
