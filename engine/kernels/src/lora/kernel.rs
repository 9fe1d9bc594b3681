//! The inner loops.
use super::LowRankRow;
use crate::kv::Cell;
use crate::ops::load_part;
use crate::scatter::Scatter;
use crate::simd::{Kernel, LANES, Simd};

/// Rows of A that are summed at a time.
pub(super) const RANKS: usize = 4;

/// Products of one block of A with some rows.
pub(super) struct Down<'a, C> {
    /// `(RANKS, columns filled up to lanes)`
    pub(super) a: &'a [C],
    pub(super) x: &'a [f32],
    pub(super) columns: usize,
    pub(super) rows: &'a [LowRankRow],
    /// A part of every factor.
    pub(super) unit: f32,
    /// `(rows, RANKS)`
    pub(super) sums: &'a mut [f32],
}

impl<C: Cell> Kernel for Down<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
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
    /// `T` rows from `first` on.
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&mut self, s: S, first: usize) {
        let Self { a, x, columns, rows, unit, sums } = self;
        let a = a.as_chunks::<LANES>().0;
        let width = a.len() / RANKS;
        let a: [&[[C; LANES]]; RANKS] = std::array::from_fn(|rank| &a[rank * width..][..width]);
        let rows: [LowRankRow; T] = std::array::from_fn(|t| rows[first + t]);
        let x = rows.map(|row| x[row.row * *columns..][..*columns].as_chunks::<LANES>());
        let mut lanes = [[s.zero(); RANKS]; T];
        let whole = *columns / LANES;
        for i in 0..whole {
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
        let sums = &mut sums.as_chunks_mut::<RANKS>().0[first..first + T];
        for ((sums, lanes), row) in sums.iter_mut().zip(&lanes).zip(&rows) {
            let factor = row.factor * *unit;
            *sums = std::array::from_fn(|rank| factor * s.sum(lanes[rank]));
        }
    }
}

/// Adds the products of some blocks of outputs to the rows' results.
pub(super) struct Up<'a, C> {
    /// `(panels, ranks, LANES)`
    pub(super) b: &'a [C],
    /// Blocks of [`RANKS`].
    pub(super) blocks: usize,
    /// `(blocks, rows, RANKS)`
    pub(super) sums: &'a [f32],
    pub(super) rows: &'a [LowRankRow],
    /// `(rows, outputs)`, in which the outputs of these blocks are this thread's alone.
    pub(super) out: &'a Scatter<'a, f32>,
    pub(super) outputs: usize,
    /// The first of the outputs.
    pub(super) first: usize,
}

impl<C: Cell> Kernel for Up<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let panel_len = self.blocks * RANKS;
        for (panel, b) in self.b.as_chunks::<LANES>().0.chunks_exact(panel_len).enumerate() {
            let mut row = 0;
            if S::TILE_ROWS >= 12 {
                while row + 8 <= self.rows.len() {
                    self.tile::<S, 8>(s, b, panel, row);
                    row += 8;
                }
            }
            while row + 4 <= self.rows.len() {
                self.tile::<S, 4>(s, b, panel, row);
                row += 4;
            }
            for row in row..self.rows.len() {
                self.tile::<S, 1>(s, b, panel, row);
            }
        }
    }
}

impl<C: Cell> Up<'_, C> {
    /// Sixteen outputs of `T` rows from `first` on.
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&self, s: S, b: &[[C; LANES]], panel: usize, first: usize) {
        let mut lanes = [s.zero(); T];
        let sums = self.sums.as_chunks::<RANKS>().0;
        let blocks = b.as_chunks::<RANKS>().0.iter().zip(sums.chunks_exact(self.rows.len()));
        for (b, sums) in blocks {
            let sums: &[[f32; RANKS]] = &sums[first..first + T];
            for (rank, b) in b.iter().enumerate() {
                let b = C::load(s, b);
                for (lane, sums) in lanes.iter_mut().zip(sums) {
                    *lane = s.fma(b, s.splat(sums[rank]), *lane);
                }
            }
        }
        let output = self.first + panel * LANES;
        let count = LANES.min(self.outputs - output);
        for (lane, row) in lanes.iter().zip(&self.rows[first..first + T]) {
            let start = row.row * self.outputs + output;
            #[expect(unsafe_code, reason = "columns of one slice are written by several threads")]
            // SAFETY: the outputs of these blocks belong to this thread alone, and the part ends with this round, so no two
            // parts overlap.
            let out = unsafe { self.out.slice(start..start + count) };
            match out.as_mut_array::<LANES>() {
                Some(out) => s.store(s.add(s.load(out), *lane), out),
                None => {
                    let sum = s.to_array(s.add(load_part(s, out), *lane));
                    out.copy_from_slice(&sum[..count]);
                }
            }
        }
    }
}
