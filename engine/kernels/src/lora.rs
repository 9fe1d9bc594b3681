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

use kernel::{Down, RANKS, Up};

/// Rows that are taken through a block of A at a time.
const ROWS_AT_ONCE: usize = 64;
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

    const fn panels(&self) -> usize {
        self.outputs.div_ceil(LANES)
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
    let len = parts(products).map(|part| part.rows.len() * part.pair.ranks).sum();
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

/// `f * (A x)` of all parts, one part after the other, each `(blocks of RANKS, rows, RANKS)`.
fn go_down(
    isa: Isa,
    team: &Team,
    (x, columns): (&[f32], usize),
    products: &[LowRankProduct<'_>],
    sums: &mut [f32],
) {
    let width = columns.next_multiple_of(LANES);
    let pieces =
        |part: &LowRankPart<'_>| part.pair.blocks() * part.rows.len().div_ceil(ROWS_AT_ONCE);
    let count = parts(products).map(pieces).sum();
    let sums = Scatter::new(sums);
    team.chunks(count, 1, &|nth| {
        let (mut nth, mut start) = (nth.start, 0);
        for part in parts(products) {
            let LowRankPart { pair, rows } = part;
            let here = pieces(part);
            if nth >= here {
                nth -= here;
                start += rows.len() * pair.ranks;
                continue;
            }
            let groups = rows.len().div_ceil(ROWS_AT_ONCE);
            let (block, group) = (nth / groups, nth % groups);
            let first = group * ROWS_AT_ONCE;
            let taken = first..rows.len().min(first + ROWS_AT_ONCE);
            let place = |row: usize| start + (block * rows.len() + row) * RANKS;
            #[expect(unsafe_code, reason = "sums are written by several threads")]
            // SAFETY: every piece is handed out once, and pieces differ in part, block or rows, so no two parts overlap.
            let sums = unsafe { sums.slice(place(taken.start)..place(taken.end)) };
            let a = block * RANKS * width..(block + 1) * RANKS * width;
            let (rows, unit) = (&rows[taken], pair.unit);
            let down = Work { x, columns, rows, unit, sums };
            match &pair.numbers {
                Numbers::F32(thin) => down.run(isa, &thin.a[a]),
                Numbers::F16(thin) => down.run(isa, &thin.a[a]),
            }
            return;
        }
    });
}

/// Everything but the numbers, which come in two forms.
struct Work<'a> {
    x: &'a [f32],
    columns: usize,
    rows: &'a [LowRankRow],
    unit: f32,
    sums: &'a mut [f32],
}

impl Work<'_> {
    fn run<C: Cell>(self, isa: Isa, a: &[C]) {
        let Self { x, columns, rows, unit, sums } = self;
        dispatch(isa, Down { a, x, columns, rows, unit, sums });
    }
}

/// `out += B sums`, blocks of outputs handed out, each with all of its parts in order.
fn go_up(isa: Isa, team: &Team, products: &mut [LowRankProduct<'_>], sums: &[f32]) {
    let mut start = 0;
    for product in products {
        let LowRankProduct { parts, out } = product;
        let Some(pair) = parts.first().map(|part| part.pair) else { continue };
        let (panels, outputs) = (pair.panels(), pair.outputs);
        let out = Scatter::new(out);
        team.chunks(panels, PANELS_AT_ONCE, &|panels| {
            let mut start = start;
            for LowRankPart { pair, rows } in *parts {
                let len = rows.len() * pair.ranks;
                let part = (&sums[start..start + len], *rows);
                match &pair.numbers {
                    Numbers::F32(thin) => {
                        up(isa, &thin.b, pair, part, (&out, outputs), panels.clone());
                    }
                    Numbers::F16(thin) => {
                        up(isa, &thin.b, pair, part, (&out, outputs), panels.clone());
                    }
                }
                start += len;
            }
        });
        start += parts.iter().map(|part| part.rows.len() * part.pair.ranks).sum::<usize>();
    }
}

fn up<C: Cell>(
    isa: Isa,
    b: &[C],
    pair: &LowRank,
    (sums, rows): (&[f32], &[LowRankRow]),
    (out, outputs): (&Scatter<'_, f32>, usize),
    panels: Range<usize>,
) {
    let panel_len = pair.ranks * LANES;
    let b = &b[panels.start * panel_len..panels.end * panel_len];
    let first = panels.start * LANES;
    dispatch(isa, Up { b, blocks: pair.blocks(), sums, rows, out, outputs, first });
}

#[cfg(test)]
mod tests;
