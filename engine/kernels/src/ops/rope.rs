//! Rotary positions.
use super::VALUES_PER_THREAD;
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Isa, Team};

/// Which two values of a head are turned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeLayout {
    /// Value `i` with value `i + rotary_dim / 2`: checkpoints of Hugging Face, GPT-NeoX.
    HalfSplit,
    /// Value `2 i` with value `2 i + 1`: Llama as Meta wrote it, and as GGUF files have its rows.
    Interleaved,
}

/// Cosines and sines of the tokens of one pass, made once and used by every layer.
#[derive(Clone, Debug, Default)]
pub struct Rope {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// Replaces what it holds by the angles `position * frequency`, one row for each of `positions`; each pair of values has
    /// its frequency, in radians a position. Cosines and sines are multiplied by `magnitude` (1 but for some ways to stretch
    /// the context). Angles are taken in F64, so far positions are as exact as near ones.
    pub fn fill(&mut self, frequencies: &[f64], magnitude: f32, positions: &[u32]) {
        self.half = frequencies.len();
        self.cos.clear();
        self.sin.clear();
        for position in positions {
            for frequency in frequencies {
                let (sin, cos) = (f64::from(*position) * frequency).sin_cos();
                self.cos.push(cos as f32 * magnitude);
                self.sin.push(sin as f32 * magnitude);
            }
        }
    }

    /// Tokens it has rows for.
    pub fn tokens(&self) -> usize {
        self.cos.len().checked_div(self.half).unwrap_or(0)
    }

    /// Values of a head that are turned; those after them stay as they are.
    pub fn rotary_dim(&self) -> usize {
        2 * self.half
    }
}

/// Turns the first `rotary_dim` values of every head, in place: `x` has one row of `heads * head_dim` for each token of `table`.
///
/// # Panics
/// If `x` has another shape, or a head is narrower than what is to be turned.
pub fn rope(
    team: &Team,
    x: &mut [f32],
    heads: usize,
    head_dim: usize,
    table: &Rope,
    layout: RopeLayout,
) {
    rope_on(team, Isa::detect(), x, [heads, head_dim], table, (layout, Direction::Forward));
}

/// Backward of [`rope`], in place: `dx` holds the gradient of what was turned and is made that of what was not. That is a turn
/// the other way; the table's magnitude stays a factor.
///
/// # Panics
/// As [`rope`].
pub fn rope_back(
    team: &Team,
    dx: &mut [f32],
    heads: usize,
    head_dim: usize,
    table: &Rope,
    layout: RopeLayout,
) {
    rope_on(team, Isa::detect(), dx, [heads, head_dim], table, (layout, Direction::Back));
}

/// Which way values are turned.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    /// By the angles of the table.
    Forward,
    /// Against them.
    Back,
}

pub(crate) fn rope_on(
    team: &Team,
    isa: Isa,
    x: &mut [f32],
    [heads, head_dim]: [usize; 2],
    table: &Rope,
    (layout, direction): (RopeLayout, Direction),
) {
    let width = heads * head_dim;
    assert_eq!(x.len(), table.tokens() * width, "values and positions do not pair up");
    assert!(table.rotary_dim() <= head_dim, "a head is narrower than its rotary part");
    if table.half == 0 {
        return;
    }
    let rows_per_chunk = VALUES_PER_THREAD.div_ceil(width.max(1));
    team.rows_mut(x, width, rows_per_chunk, &|first, rows| {
        dispatch(isa, RopeKernel { rows, first, width, head_dim, table, layout, direction });
    });
}

struct RopeKernel<'a> {
    rows: &'a mut [f32],
    first: usize,
    width: usize,
    head_dim: usize,
    table: &'a Rope,
    layout: RopeLayout,
    direction: Direction,
}

impl Kernel for RopeKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let half = self.table.half;
        let sign = match self.direction {
            Direction::Forward => 1.0,
            Direction::Back => -1.0,
        };
        for (i, row) in self.rows.chunks_exact_mut(self.width).enumerate() {
            let angles = (self.first + i) * half..(self.first + i + 1) * half;
            let (cos, sin) = (&self.table.cos[angles.clone()], &self.table.sin[angles]);
            for head in row.chunks_exact_mut(self.head_dim) {
                match self.layout {
                    RopeLayout::HalfSplit => half_split(s, &mut head[..2 * half], cos, sin, sign),
                    RopeLayout::Interleaved => interleaved(&mut head[..2 * half], cos, sin, sign),
                }
            }
        }
    }
}

#[inline(always)]
fn half_split<S: Simd>(s: S, head: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let (a, b) = head.split_at_mut(cos.len());
    let (a, a_rest) = a.as_chunks_mut::<LANES>();
    let (b, b_rest) = b.as_chunks_mut::<LANES>();
    let (cos, cos_rest) = cos.as_chunks::<LANES>();
    let (sin, sin_rest) = sin.as_chunks::<LANES>();
    let signs = s.splat(sign);
    for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
        let (x, y, cos, sin) = (s.load(a), s.load(b), s.load(cos), s.mul(s.load(sin), signs));
        let minus_sin = s.sub(s.zero(), sin);
        s.store(s.fma(x, cos, s.mul(y, minus_sin)), a);
        s.store(s.fma(x, sin, s.mul(y, cos)), b);
    }
    for (((a, b), cos), sin) in a_rest.iter_mut().zip(b_rest).zip(cos_rest).zip(sin_rest) {
        (*a, *b) = turn(*a, *b, *cos, *sin * sign);
    }
}

#[inline(always)]
fn interleaved(head: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let (pairs, _) = head.as_chunks_mut::<2>();
    for ((pair, cos), sin) in pairs.iter_mut().zip(cos).zip(sin) {
        let (a, b) = turn(pair[0], pair[1], *cos, *sin * sign);
        *pair = [a, b];
    }
}

/// One pair, rounded as by lanes.
#[inline(always)]
fn turn(x: f32, y: f32, cos: f32, sin: f32) -> (f32, f32) {
    (x.mul_add(cos, y * -sin), x.mul_add(sin, y * cos))
}
