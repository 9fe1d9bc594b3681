//! Products with the thin matrices of low-rank adapters, added to those of the matrices they stand beside.
//!
//! With `A` `(rank, inputs)` and `B` `(outputs, rank)`, a row `x` with factor `f` gets `out += B (f * (A x))`, all in 32-bit
//! floats. A sum over inputs is made in sixteen lanes by fused multiply-add, input `i` in lane `i mod 16`, and the lanes
//! folded in halves; a sum over ranks is made in their order by fused multiply-add; then it is added to what is there. So a
//! row's result is bitwise the same whatever other rows and adapters there are, on every instruction set.
use crate::Isa;
use crate::Team;
use crate::kv::Cell;
use crate::matrix::{Matrix, ShapeError};
use crate::scatter::Scatter;
use crate::simd::{LANES, dispatch};
use half::f16;
use std::ops::Range;

mod kernel;

use kernel::{Add, Down, RANKS, Sums};

/// So many rows go through a block of A at a time, so that there is work for everybody.
const FEW_ROWS: usize = 8;
/// Of more, so many go through all of it, so that they are read once.
const ROWS_AT_ONCE: usize = 16;
/// Blocks of sixteen outputs that a thread takes at a time.
const PANELS_AT_ONCE: usize = 32;

/// How the numbers of a [`LowRank`] are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowRankFormat {
    /// As 32-bit floats.
    F32,
    /// As 16-bit floats under a power of two for each matrix, such that its largest number has full precision: half the
    /// memory to read, and finer than any quantised matrix beside it.
    F16,
}

/// The two thin matrices that stand beside one matrix, laid out for products.
pub struct LowRank {
    inputs: usize,
    outputs: usize,
    /// Rows of A, with those of zeros that fill up the last block of [`RANKS`].
    ranks: usize,
    /// What undoes the powers of two.
    unit: f32,
    numbers: Numbers,
}

enum Numbers {
    F32(Thin<f32>),
    F16(Thin<f16>),
}

struct Thin<C> {
    /// `(ranks, inputs)`, rows filled up with zeros to whole lanes.
    a: Vec<C>,
    /// Blocks of sixteen outputs: `(panels, ranks, 16)`.
    b: Vec<C>,
}

/// A row of activations that an adapter is applied to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LowRankRow {
    /// Which.
    pub row: usize,
    /// What the adapter's part is multiplied by.
    pub factor: f32,
}

/// An adapter's part in a product.
#[derive(Clone, Copy, Debug)]
pub struct LowRankPart<'a> {
    /// The matrices.
    pub pair: &'a LowRank,
    /// The rows it is applied to, each at most once.
    pub rows: &'a [LowRankRow],
}

/// What is added to one product's result.
#[derive(Debug)]
pub struct LowRankProduct<'a> {
    /// Parts, which are added in this order.
    pub parts: &'a [LowRankPart<'a>],
    /// The result, `(rows, outputs)`.
    pub out: &'a mut [f32],
}

impl LowRank {
    /// Lays out `a` `(rank, inputs)` and `b` `(outputs, rank)`.
    ///
    /// # Errors
    /// If they have not the lengths of their shapes.
    pub fn new(
        (a, b): (&[f32], &[f32]),
        rank: usize,
        (outputs, inputs): (usize, usize),
        format: LowRankFormat,
    ) -> Result<Self, ShapeError> {
        check_len("an adapter's A", a.len(), rank, inputs)?;
        check_len("an adapter's B", b.len(), outputs, rank)?;
        let ranks = rank.next_multiple_of(RANKS);
        let shape = Shape { rank, ranks, inputs, outputs };
        let (numbers, unit) = match format {
            LowRankFormat::F32 => (Numbers::F32(shape.lay_out(a, b, |a| a, |b| b)), 1.0),
            LowRankFormat::F16 => {
                let (up_a, up_b) = (power_for(a), power_for(b));
                let narrow = |power: f32| move |x: f32| f16::from_f32(x * power);
                let thin = shape.lay_out(a, b, narrow(up_a), narrow(up_b));
                (Numbers::F16(thin), 1.0 / up_a / up_b)
            }
        };
        Ok(Self { inputs, outputs, ranks, unit, numbers })
    }

    /// Whether it has the shape of `matrix`.
    pub fn fits(&self, matrix: &Matrix) -> bool {
        (self.outputs, self.inputs) == (matrix.rows(), matrix.columns())
    }

    /// Memory it takes.
    pub fn bytes_len(&self) -> usize {
        match &self.numbers {
            Numbers::F32(thin) => size_of_val(&*thin.a) + size_of_val(&*thin.b),
            Numbers::F16(thin) => size_of_val(&*thin.a) + size_of_val(&*thin.b),
        }
    }

    const fn blocks(&self) -> usize {
        self.ranks / RANKS
    }
}

/// What an adapter learnt is nobody's to read.
impl std::fmt::Debug for LowRank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LowRank")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

struct Shape {
    rank: usize,
    ranks: usize,
    inputs: usize,
    outputs: usize,
}

impl Shape {
    fn lay_out<C: Copy + Default>(
        &self,
        a: &[f32],
        b: &[f32],
        of_a: impl Fn(f32) -> C,
        of_b: impl Fn(f32) -> C,
    ) -> Thin<C> {
        let width = self.inputs.next_multiple_of(LANES);
        let mut rows = vec![C::default(); self.ranks * width];
        for (row, a) in rows.chunks_exact_mut(width.max(1)).zip(a.chunks_exact(self.inputs.max(1)))
        {
            row.iter_mut().zip(a).for_each(|(place, &a)| *place = of_a(a));
        }
        let panel_len = self.ranks * LANES;
        let mut panels = vec![C::default(); self.outputs.div_ceil(LANES) * panel_len];
        for (output, b) in b.chunks_exact(self.rank.max(1)).enumerate() {
            let first = output / LANES * panel_len + output % LANES;
            for (place, &b) in panels[first..].iter_mut().step_by(LANES).zip(b) {
                *place = of_b(b);
            }
        }
        Thin { a: rows, b: panels }
    }
}

/// A power of two that takes the largest of `numbers` near the top of what 16 bits hold.
fn power_for(numbers: &[f32]) -> f32 {
    const TOP: i32 = 14;
    const FARTHEST: i32 = 60;
    let largest = numbers.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    if !largest.is_normal() {
        return 1.0;
    }
    let exponent = (largest.to_bits() >> 23) as i32 - 127;
    2.0_f32.powi((TOP - exponent).clamp(-FARTHEST, FARTHEST))
}

fn check_len(what: &'static str, got: usize, a: usize, b: usize) -> Result<(), ShapeError> {
    match a.checked_mul(b) {
        Some(expected) if expected == got => Ok(()),
        expected => Err(ShapeError::Len { what, expected: expected.unwrap_or(usize::MAX), got }),
    }
}

/// Adds the parts of adapters to products over the same rows `x` `(rows, columns)`. `scratch` is memory to work in.
///
/// # Errors
/// If sizes do not fit, or a row is not there. Nothing has been written then.
pub fn add_low_rank(
    team: &Team,
    x: &[f32],
    columns: usize,
    products: &mut [LowRankProduct<'_>],
    scratch: &mut Vec<f32>,
) -> Result<(), ShapeError> {
    add_low_rank_on(Isa::detect(), team, (x, columns), products, scratch)
}

/// The same on a given instruction set, or the portable one where the processor lacks it.
fn add_low_rank_on(
    isa: Isa,
    team: &Team,
    (x, columns): (&[f32], usize),
    products: &mut [LowRankProduct<'_>],
    scratch: &mut Vec<f32>,
) -> Result<(), ShapeError> {
    let rows = x.len().checked_div(columns).unwrap_or(0);
    check_len("the activations", x.len(), rows, columns)?;
    for product in &*products {
        for part in product.parts {
            check_part(part, product.out.len(), (rows, columns))?;
        }
    }
    let len = parts(products).map(LowRankPart::sums).sum();
    scratch.clear();
    scratch.resize(len, 0.0);
    go_down(isa, team, (x, columns), products, scratch);
    go_up(isa, team, products, scratch);
    Ok(())
}

fn check_part(
    part: &LowRankPart<'_>,
    out: usize,
    (rows, columns): (usize, usize),
) -> Result<(), ShapeError> {
    let pair = part.pair;
    if pair.inputs != columns {
        return Err(ShapeError::Activations { expected: pair.inputs, got: columns });
    }
    check_len("the product's place", out, rows, pair.outputs)?;
    match part.rows.iter().map(|row| row.row).max() {
        Some(last) if last >= rows => {
            Err(ShapeError::Len { what: "the activations' rows", expected: last + 1, got: rows })
        }
        _ => Ok(()),
    }
}

fn parts<'a>(products: &'a [LowRankProduct<'_>]) -> impl Iterator<Item = &'a LowRankPart<'a>> {
    products.iter().flat_map(|product| product.parts)
}

/// `f * (A x)` of all parts, one part after the other, each `(rows, ranks)`.
fn go_down(
    isa: Isa,
    team: &Team,
    (x, columns): (&[f32], usize),
    products: &[LowRankProduct<'_>],
    sums: &mut [f32],
) {
    let count = parts(products).map(LowRankPart::pieces).sum();
    let sums = Scatter::new(sums);
    team.chunks(count, 1, &|nth| {
        let (mut nth, mut start) = (nth.start, 0);
        for part in parts(products) {
            let here = part.pieces();
            if nth >= here {
                nth -= here;
                start += part.sums();
                continue;
            }
            let (blocks, rows) = part.piece(nth);
            let work = Work { x, columns, part, blocks, rows, sums: &sums, start };
            match &part.pair.numbers {
                Numbers::F32(thin) => work.run(isa, &thin.a),
                Numbers::F16(thin) => work.run(isa, &thin.a),
            }
            return;
        }
    });
}

impl LowRankPart<'_> {
    /// Numbers between A and B.
    const fn sums(&self) -> usize {
        self.rows.len() * self.pair.ranks
    }

    /// Pieces of work with A: a few rows go through a block of it at a time, groups of many through all of it.
    const fn pieces(&self) -> usize {
        match self.rows.len() {
            0 => 0,
            rows if rows <= FEW_ROWS => self.pair.blocks(),
            rows => rows.div_ceil(ROWS_AT_ONCE),
        }
    }

    /// Blocks and rows of a piece.
    fn piece(&self, nth: usize) -> (Range<usize>, Range<usize>) {
        let rows = self.rows.len();
        if rows <= FEW_ROWS {
            return (nth..nth + 1, 0..rows);
        }
        let first = nth * ROWS_AT_ONCE;
        (0..self.pair.blocks(), first..rows.min(first + ROWS_AT_ONCE))
    }
}

/// A piece of work with A, but for its numbers, which come in two forms.
struct Work<'a> {
    x: &'a [f32],
    columns: usize,
    part: &'a LowRankPart<'a>,
    blocks: Range<usize>,
    rows: Range<usize>,
    sums: &'a Scatter<'a, f32>,
    start: usize,
}

impl Work<'_> {
    fn run<C: Cell>(self, isa: Isa, a: &[C]) {
        let Self { x, columns, part, blocks, rows, sums, start } = self;
        let LowRankPart { pair, rows: all } = part;
        let sums = Sums { place: sums, start: start + rows.start * pair.ranks, ranks: pair.ranks };
        let unit = pair.unit;
        dispatch(isa, Down { a, x, columns, blocks, rows: &all[rows], unit, sums });
    }
}

/// `out += B sums`: blocks of outputs are handed out, each with all of its parts in order.
fn go_up(isa: Isa, team: &Team, products: &mut [LowRankProduct<'_>], sums: &[f32]) {
    let mut start = 0;
    let outs: Vec<Up<'_>> = products
        .iter_mut()
        .filter_map(|LowRankProduct { parts, out }| {
            let outputs = parts.first()?.pair.outputs;
            let len: usize = parts.iter().map(LowRankPart::sums).sum();
            let sums = &sums[start..start + len];
            start += len;
            Some(Up { parts, sums, out: Scatter::new(out), outputs })
        })
        .collect();
    let chunks = |up: &Up<'_>| up.panels().div_ceil(PANELS_AT_ONCE);
    let count = outs.iter().map(chunks).sum();
    team.chunks(count, 1, &|nth| {
        let mut nth = nth.start;
        for up in &outs {
            if nth < chunks(up) {
                let first = nth * PANELS_AT_ONCE;
                return up.run(isa, first..up.panels().min(first + PANELS_AT_ONCE));
            }
            nth -= chunks(up);
        }
    });
}

/// Everything that is added to one product's result.
struct Up<'a> {
    parts: &'a [LowRankPart<'a>],
    /// Of the parts, one after the other, each `(rows, ranks)`.
    sums: &'a [f32],
    out: Scatter<'a, f32>,
    outputs: usize,
}

impl Up<'_> {
    const fn panels(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// Some blocks of outputs, which are handed out once.
    fn run(&self, isa: Isa, panels: Range<usize>) {
        let mut sums = self.sums;
        for part in self.parts {
            let own = sums.split_off(..part.sums()).unwrap_or_default();
            match &part.pair.numbers {
                Numbers::F32(thin) => self.add(isa, (part, &thin.b), own, panels.clone()),
                Numbers::F16(thin) => self.add(isa, (part, &thin.b), own, panels.clone()),
            }
        }
    }

    fn add<C: Cell>(
        &self,
        isa: Isa,
        (part, b): (&LowRankPart<'_>, &[C]),
        sums: &[f32],
        panels: Range<usize>,
    ) {
        let ranks = part.pair.ranks;
        let b = &b[panels.start * ranks * LANES..panels.end * ranks * LANES];
        let (rows, out, outputs) = (part.rows, &self.out, self.outputs);
        let first = panels.start * LANES;
        dispatch(isa, Add { b, ranks, sums, rows, out, outputs, first });
    }
}

#[cfg(test)]
mod tests;
