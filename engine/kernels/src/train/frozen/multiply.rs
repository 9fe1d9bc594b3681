//! Multiplication of packed operands.
use crate::scatter::Scatter;
use crate::simd::LANES;
use std::ops::Range;

/// Lanes of a panel of the right operand.
pub(super) const PANEL: usize = WIDTH * LANES;

/// Vectors of a panel.
const WIDTH: usize = 2;

/// Steps that are summed in registers before they are added to what is in memory.
pub(super) const STEPS: usize = 512;

/// Steps that weights are asked for ahead.
const STEPS_AHEAD: usize = 12;

/// Two packed operands and where their product goes.
pub(super) struct Multiplication<'a> {
    pub(super) tokens: Range<usize>,
    pub(super) steps: usize,
    /// Panels of tokens, `(steps, height)` each.
    pub(super) left: &'a [f32],
    /// Panels `(steps, PANEL)`.
    pub(super) right: &'a [f32],
    /// Where the columns of a panel of the right operand go.
    pub(super) place: &'a (dyn Fn(usize) -> Place<'a> + Sync),
}

/// Some columns of the product.
pub(super) struct Place<'a> {
    pub(super) out: &'a Scatter<'a, f32>,
    /// From one token to the next.
    pub(super) stride: usize,
    pub(super) columns: Range<usize>,
    /// Whether to add to what is there.
    pub(super) add: bool,
}

/// Operations on sixteen lanes. All are `#[inline(always)]`, so that a caller compiled for an instruction set may use them.
pub(super) trait Multiply: Copy {
    type F: Copy;
    /// Tokens and vectors of the largest tile of sums that stays in registers.
    const HEIGHT: usize;
    const WIDTH: usize;

    fn zero(self) -> Self::F;
    fn load(self, from: &[f32; LANES]) -> Self::F;
    fn splat(self, lane: f32) -> Self::F;
    /// `sum + a * b`, over all the terms of each lane.
    fn add_product(self, a: Self::F, b: Self::F, sum: Self::F) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn store(self, x: Self::F, to: &mut [f32; LANES]);
    /// Asks for a cache line to be brought near. The address need not be valid.
    fn prefetch(self, at: *const f32);
}

/// Some panels of the left operand times some of the right.
#[inline(always)]
pub(super) fn multiply<M: Multiply>(
    m: M,
    work: &Multiplication<'_>,
    tokens: Range<usize>,
    panels: Range<usize>,
) {
    for first_step in (0..work.steps).step_by(STEPS) {
        let steps = STEPS.min(work.steps - first_step);
        for token in tokens.clone().step_by(M::HEIGHT) {
            let height = M::HEIGHT.min(tokens.end - token);
            let left = &work.left[token * work.steps + first_step * height..][..steps * height];
            for panel in panels.clone() {
                let right =
                    &work.right[(panel * work.steps + first_step) * PANEL..][..steps * PANEL];
                let mut place = (work.place)(panel);
                place.add |= first_step > 0;
                let tile = Tile { m, left, right, token: work.tokens.start + token, place };
                tile.multiply(height);
            }
        }
    }
}

/// One panel of the left operand and one of the right, over one block of steps.
struct Tile<'a, M> {
    m: M,
    left: &'a [f32],
    right: &'a [f32],
    token: usize,
    place: Place<'a>,
}

impl<M: Multiply> Tile<'_, M> {
    #[inline(always)]
    fn multiply(&self, height: usize) {
        match height {
            1 => self.rows::<1>(),
            2 => self.rows::<2>(),
            3 if M::HEIGHT >= 3 => self.rows::<3>(),
            4 if M::HEIGHT >= 4 => self.rows::<4>(),
            5 if M::HEIGHT >= 5 => self.rows::<5>(),
            6 if M::HEIGHT >= 6 => self.rows::<6>(),
            7 if M::HEIGHT >= 7 => self.rows::<7>(),
            8 if M::HEIGHT >= 8 => self.rows::<8>(),
            9 if M::HEIGHT >= 9 => self.rows::<9>(),
            10 if M::HEIGHT >= 10 => self.rows::<10>(),
            11 if M::HEIGHT >= 11 => self.rows::<11>(),
            12 if M::HEIGHT >= 12 => self.rows::<12>(),
            height => unreachable!("no code for {height} tokens"),
        }
    }

    #[inline(always)]
    fn rows<const H: usize>(&self) {
        let lanes = self.place.columns.len();
        if M::WIDTH >= 2 && lanes > LANES {
            self.ask_for::<H>();
            let sums = self.sums::<H, 2, 0>();
            for (i, [low, high]) in sums.into_iter().enumerate() {
                let row = self.row(i);
                let (row_low, row_high) = row.split_at_mut(LANES);
                self.put(low, row_low);
                self.put(high, row_high);
            }
        } else {
            for (i, [sum]) in self.sums::<H, 1, 0>().into_iter().enumerate() {
                let row = self.row(i);
                self.put(sum, &mut row[..lanes.min(LANES)]);
            }
            if lanes > LANES {
                for (i, [sum]) in self.sums::<H, 1, 1>().into_iter().enumerate() {
                    let row = self.row(i);
                    self.put(sum, &mut row[LANES..]);
                }
            }
        }
    }

    /// Asks for the places of the results, which are written when the sums are done.
    #[inline(always)]
    fn ask_for<const H: usize>(&self) {
        for row in 0..H {
            let at = (self.token + row) * self.place.stride + self.place.columns.start;
            let at = self.place.out.start().wrapping_add(at);
            self.m.prefetch(at);
            self.m.prefetch(at.wrapping_add(LANES));
        }
    }

    /// `H` tokens times `W` vectors of the panel, from vector `FIRST` on.
    #[inline(always)]
    fn sums<const H: usize, const W: usize, const FIRST: usize>(&self) -> [[M::F; W]; H] {
        let m = self.m;
        let mut sums = [[m.zero(); W]; H];
        let right = self.right.as_chunks::<LANES>().0.as_chunks::<WIDTH>().0;
        for (left, right) in self.left.as_chunks::<H>().0.iter().zip(right) {
            // Weights come from farther away than what the processor asks for by itself in time.
            let ahead = right.as_ptr().cast::<f32>().wrapping_add(STEPS_AHEAD * PANEL);
            m.prefetch(ahead);
            m.prefetch(ahead.wrapping_add(LANES));
            let mut columns = [m.zero(); W];
            for (column, right) in columns.iter_mut().zip(&right[FIRST..]) {
                *column = m.load(right);
            }
            for (sums, left) in sums.iter_mut().zip(left) {
                let left = m.splat(*left);
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = m.add_product(left, column, *sum);
                }
            }
        }
        sums
    }

    /// The columns of this tile's token number `i`.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the place is shared out by hand")]
    fn row(&self, i: usize) -> &mut [f32] {
        let start = (self.token + i) * self.place.stride;
        let columns = &self.place.columns;
        #[expect(unsafe_code, reason = "columns of one slice are written by several threads")]
        // SAFETY: every panel and token is handed out once, and tiles of one thread take their rows one after the other.
        unsafe {
            self.place.out.slice(start + columns.start..start + columns.end)
        }
    }

    #[inline(always)]
    fn put(&self, sum: M::F, to: &mut [f32]) {
        let m = self.m;
        if let Ok(to) = <&mut [f32; LANES]>::try_from(&mut *to) {
            let sum = if self.place.add { m.add(m.load(to), sum) } else { sum };
            m.store(sum, to);
            return;
        }
        let mut lanes = [0.0; LANES];
        m.store(sum, &mut lanes);
        for (to, sum) in to.iter_mut().zip(lanes) {
            *to = if self.place.add { *to + sum } else { sum };
        }
    }
}
