//! The inner loops.
use super::LowRankRow;
use crate::kv::Cell;
use crate::ops::load_part;
use crate::scatter::Scatter;
use crate::simd::{Kernel, LANES, Simd};
use std::ops::Range;

/// Rows of A that are summed at a time.
pub(super) const RANKS: usize = 4;

/// Bytes that are asked for ahead of those in use, where each is used once.
const AHEAD_BYTES: usize = 512;
const LINE_BYTES: usize = 64;

/// Where the sums of some rows go: `(rows, ranks)`, from a place on.
pub(super) struct Sums<'a> {
    pub(super) place: &'a Scatter<'a, f32>,
    pub(super) start: usize,
    pub(super) ranks: usize,
}

/// Products of some blocks of A with some rows.
pub(super) struct Down<'a, C> {
    /// `(ranks, columns filled up to lanes)`
    pub(super) a: &'a [C],
    pub(super) x: &'a [f32],
    pub(super) columns: usize,
    /// Of [`RANKS`] ranks each.
    pub(super) blocks: Range<usize>,
    pub(super) rows: &'a [LowRankRow],
    /// A part of every factor.
    pub(super) unit: f32,
    /// The sums of these blocks and rows are this thread's alone.
    pub(super) sums: Sums<'a>,
}

impl<C: Cell> Kernel for Down<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut row = 0;
        if S::TILE_ROWS >= 12 {
            while row + 4 <= self.rows.len() {
                self.tile::<S, 4>(s, row);
                row += 4;
            }
        }
        for row in row..self.rows.len() {
            self.tile::<S, 1>(s, row);
        }
    }
}

impl<C: Cell> Down<'_, C> {
    /// `T` rows from `first` on, with all blocks.
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&self, s: S, first: usize) {
        let rows: [LowRankRow; T] = std::array::from_fn(|t| self.rows[first + t]);
        let x = rows.map(|row| &self.x[row.row * self.columns..][..self.columns]);
        for block in self.blocks.clone() {
            let lanes = self.block::<S, T>(s, block, x);
            for (t, (lanes, row)) in lanes.iter().zip(&rows).enumerate() {
                let factor = row.factor * self.unit;
                let start = self.sums.start + (first + t) * self.sums.ranks + block * RANKS;
                #[expect(unsafe_code, reason = "sums are written by several threads")]
                // SAFETY: the sums of these rows and blocks belong to this thread alone, and the part ends with this round,
                // so no two parts overlap.
                let sums = unsafe { self.sums.place.slice(start..start + RANKS) };
                for (sum, lanes) in sums.iter_mut().zip(lanes) {
                    *sum = factor * s.sum(*lanes);
                }
            }
        }
    }

    #[inline(always)]
    fn block<S: Simd, const T: usize>(
        &self,
        s: S,
        block: usize,
        x: [&[f32]; T],
    ) -> [[S::F; RANKS]; T] {
        let a = self.a.as_chunks::<LANES>().0;
        let width = self.columns.div_ceil(LANES);
        let a: [&[[C; LANES]]; RANKS] =
            std::array::from_fn(|rank| &a[(block * RANKS + rank) * width..][..width]);
        let x = x.map(|x| x.as_chunks::<LANES>());
        let mut lanes = [[s.zero(); RANKS]; T];
        let whole = self.columns / LANES;
        if T == 1 {
            for line in (0..AHEAD_BYTES).step_by(LINE_BYTES) {
                for a in a {
                    s.prefetch(a.as_ptr().cast::<u8>().wrapping_add(line));
                }
            }
        }
        for i in 0..whole {
            if T == 1 {
                for a in a {
                    s.prefetch((&raw const a[i]).cast::<u8>().wrapping_add(AHEAD_BYTES));
                }
            }
            let a: [S::F; RANKS] = std::array::from_fn(|rank| C::load(s, &a[rank][i]));
            for (lanes, (x, _)) in lanes.iter_mut().zip(&x) {
                let x = s.load(&x[i]);
                for (lane, &a) in lanes.iter_mut().zip(&a) {
                    *lane = s.fma(a, x, *lane);
                }
            }
        }
        if whole < width {
            for (lanes, (_, rest)) in lanes.iter_mut().zip(&x) {
                let x = load_part(s, rest);
                for (lane, a) in lanes.iter_mut().zip(&a) {
                    *lane = s.fma(C::load(s, &a[whole]), x, *lane);
                }
            }
        }
        lanes
    }
}

/// Adds the products of some blocks of outputs to the rows' results.
pub(super) struct Add<'a, C> {
    /// `(panels, ranks, LANES)`
    pub(super) b: &'a [C],
    pub(super) ranks: usize,
    /// `(rows, ranks)`
    pub(super) sums: &'a [f32],
    pub(super) rows: &'a [LowRankRow],
    /// `(rows, outputs)`, in which the outputs of these blocks are this thread's alone.
    pub(super) out: &'a Scatter<'a, f32>,
    pub(super) outputs: usize,
    /// The first of the outputs.
    pub(super) first: usize,
}

impl<C: Cell> Kernel for Add<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut row = 0;
        if S::TILE_ROWS >= 12 {
            while row + 8 <= self.rows.len() {
                self.tile::<S, 8>(s, row);
                row += 8;
            }
        }
        while row + 4 <= self.rows.len() {
            self.tile::<S, 4>(s, row);
            row += 4;
        }
        for row in row..self.rows.len() {
            self.tile::<S, 1>(s, row);
        }
    }
}

impl<C: Cell> Add<'_, C> {
    /// All blocks of outputs of `T` rows from `row` on.
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&self, s: S, row: usize) {
        let rows = &self.rows[row..row + T];
        let sums: [&[f32]; T] =
            std::array::from_fn(|t| &self.sums[(row + t) * self.ranks..][..self.ranks]);
        for (panel, b) in self.b.as_chunks::<LANES>().0.chunks_exact(self.ranks).enumerate() {
            if T == 1 {
                let ahead = b.as_ptr_range().end.cast::<u8>().wrapping_add(AHEAD_BYTES);
                for line in (0..size_of_val(b)).step_by(LINE_BYTES) {
                    s.prefetch(ahead.wrapping_add(line));
                }
            }
            let mut lanes = [s.zero(); T];
            for (rank, b) in b.iter().enumerate() {
                let b = C::load(s, b);
                for (lane, sums) in lanes.iter_mut().zip(&sums) {
                    *lane = s.fma(b, s.splat(sums[rank]), *lane);
                }
            }
            for (lane, row) in lanes.iter().zip(rows) {
                self.put(s, row.row, self.first + panel * LANES, *lane);
            }
        }
    }

    #[inline(always)]
    fn put<S: Simd>(&self, s: S, row: usize, output: usize, lanes: S::F) {
        let count = LANES.min(self.outputs - output);
        let start = row * self.outputs + output;
        #[expect(unsafe_code, reason = "columns of one slice are written by several threads")]
        // SAFETY: the outputs of these blocks belong to this thread alone, and the part ends with this function, so no two
        // parts overlap.
        let out = unsafe { self.out.slice(start..start + count) };
        match out.as_mut_array::<LANES>() {
            Some(out) => s.store(s.add(s.load(out), lanes), out),
            None => {
                let sum = s.to_array(s.add(load_part(s, out), lanes));
                out.copy_from_slice(&sum[..count]);
            }
        }
    }
}
