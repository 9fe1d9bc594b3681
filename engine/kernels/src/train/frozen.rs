//! Products with frozen weights, forwards and backwards.
//!
//! Both are the same product of two packed operands: on the left the activations or gradients, on the right the weights, whose
//! numbers are read out of their blocks a slab at a time. What is packed lies in the order in which the innermost loop reads it.
//!
//! # Order of sums
//! Terms (columns forwards, rows backwards) are summed in blocks of 512 lanes, of one float each or of two neighbouring
//! bfloat16 where the processor has dot products of them. A block is summed in order from zero by fused multiply-add, or by
//! those dot products, and added to what the blocks before it came to, which starts with what was there if something was to be
//! added to. So a number depends on its row, its token and the instruction set alone.
//!
//! # Rounding
//! [`Precision::Bf16`] rounds every weight, activation and gradient to bfloat16 once. The processor's dot products take
//! denormal operands and sums for zeros and round in their own way between the two terms of a lane; elsewhere rounded operands are multiplied and
//! added up like 32-bit floats. Numbers that are not finite come out as such.
use crate::scatter::Scatter;
use crate::simd::LANES;
use crate::{Isa, Matrix, Product, ShapeError, Team};
use buffer::Buffer;
use engine::{Block, Engine};
use floats::Floats;
use multiply::{Multiplication, PANEL, Place};
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
mod bf16;
mod buffer;
mod engine;
mod floats;
mod multiply;
mod weights;

/// Tokens whose activations are packed at a time.
const TOKENS: usize = 2048;

/// Terms that are packed at a time: a multiple of the terms of a block of sums, and of any format's blocks.
const TERMS: usize = 4096;

/// Lanes of packed weights at a time, about.
const SLAB_LANES: usize = 2 << 20;

/// Panels that cover whole blocks of any format, and are packed and met together.
const GROUP: usize = 8;

/// Rows of weights that a thread packs at a time in backward products.
const ROWS_AT_ONCE: usize = 32;

/// What operands of products are rounded to. Sums are 32-bit floats either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Not rounded at all.
    F32,
    /// To bfloat16, to the nearest and ties to even. Fast where the processor has dot products of them.
    Bf16,
}

/// Products with frozen weights as they lie in a model's file. Keeps memory to pack operands in, never more than
/// [`Frozen::MAX_BYTES`].
#[derive(Debug)]
pub struct Frozen {
    precision: Precision,
    left: Buffer,
    right: Buffer,
}

impl Frozen {
    /// The most memory that is kept, whatever the shapes.
    pub const MAX_BYTES: usize =
        size_of::<f32>() * (TOKENS * TERMS + SLAB_LANES + TERMS * GROUP * PANEL + 2 * LANES);

    /// Takes no memory yet.
    pub fn new(precision: Precision) -> Self {
        Self { precision, left: Buffer::default(), right: Buffer::default() }
    }

    /// Products of `x`, `(tokens, columns)`, with the transposes of some matrices of as many columns.
    ///
    /// # Errors
    /// If sizes do not fit. Nothing has been written then.
    pub fn forward(
        &mut self,
        team: &Team,
        x: &[f32],
        products: &mut [Product<'_>],
    ) -> Result<(), ShapeError> {
        self.forward_on(Path::detect(self.precision), team, x, products)
    }

    /// The sum of products of gradients, `(tokens, rows)` each, with their matrices, all of as many columns.
    ///
    /// # Errors
    /// If sizes do not fit. Nothing has been written then.
    pub fn backward(
        &mut self,
        team: &Team,
        gradients: &[(&Matrix, &[f32])],
        dx: &mut [f32],
        add: bool,
    ) -> Result<(), ShapeError> {
        self.backward_on(Path::detect(self.precision), team, gradients, dx, add)
    }

    fn forward_on(
        &mut self,
        path: Path,
        team: &Team,
        x: &[f32],
        products: &mut [Product<'_>],
    ) -> Result<(), ShapeError> {
        let Some(columns) = products.first().map(|product| product.matrix.columns()) else {
            return Ok(());
        };
        let tokens = whole_rows(x, columns)?;
        for product in &*products {
            same_columns(product.matrix, columns)?;
            check_len("the product's place", tokens, product.matrix.rows(), product.out.len())?;
        }
        let mut outs = Vec::with_capacity(products.len());
        for Product { matrix, out, add } in products {
            outs.push(Out { matrix, out: Scatter::new(out), add: *add });
        }
        match path {
            Path::Floats(engine) => self.forward_by(engine, team, x, &outs),
            #[cfg(target_arch = "x86_64")]
            Path::Bf16(engine) => self.forward_by(engine, team, x, &outs),
        }
        Ok(())
    }

    fn backward_on(
        &mut self,
        path: Path,
        team: &Team,
        gradients: &[(&Matrix, &[f32])],
        dx: &mut [f32],
        add: bool,
    ) -> Result<(), ShapeError> {
        let Some(columns) = gradients.first().map(|(matrix, _)| matrix.columns()) else {
            if !add {
                dx.fill(0.0);
            }
            return Ok(());
        };
        let tokens = whole_rows(dx, columns)?;
        for (matrix, dy) in gradients {
            same_columns(matrix, columns)?;
            check_len("a gradient", tokens, matrix.rows(), dy.len())?;
        }
        if !add && gradients.iter().all(|(matrix, _)| matrix.rows() == 0) {
            dx.fill(0.0);
        }
        match path {
            Path::Floats(engine) => self.backward_by(engine, team, gradients, dx, add),
            #[cfg(target_arch = "x86_64")]
            Path::Bf16(engine) => self.backward_by(engine, team, gradients, dx, add),
        }
        Ok(())
    }

    fn forward_by<E: Engine>(&mut self, engine: E, team: &Team, x: &[f32], outs: &[Out<'_>]) {
        let columns = outs.first().map_or(0, |out| out.matrix.columns());
        let panels: Vec<_> = outs.iter().flat_map(Out::panels).collect();
        for tokens in blocks(0..x.len() / columns, TOKENS) {
            for terms in blocks(0..columns, TERMS) {
                let steps = terms.len().div_ceil(E::TERMS);
                let block = Block { numbers: x, stride: columns, terms: terms.clone() };
                let left = pack_left(engine, team, &mut self.left, &block, tokens.clone());
                for panels in panels.chunks(panels_at_once(steps)) {
                    let right = self.right.of_len(panels.len() * steps * PANEL);
                    team.rows_mut(right, steps * PANEL, 1, &|first, part| {
                        let PanelOf { out, row } = &panels[first];
                        let rows = *row..out.matrix.rows().min(row + PANEL);
                        engine.pack_rows(out.matrix, rows, terms.clone(), part);
                    });
                    let place = |panel: usize| {
                        let PanelOf { out, row } = &panels[panel];
                        Place {
                            out: &out.out,
                            stride: out.matrix.rows(),
                            columns: *row..out.matrix.rows().min(row + PANEL),
                            add: out.add || terms.start > 0,
                        }
                    };
                    let tokens = tokens.clone();
                    multiply(
                        engine,
                        team,
                        &Multiplication { tokens, steps, left, right, place: &place },
                    );
                }
            }
        }
    }

    fn backward_by<E: Engine>(
        &mut self,
        engine: E,
        team: &Team,
        gradients: &[(&Matrix, &[f32])],
        dx: &mut [f32],
        add: bool,
    ) {
        let columns = gradients.first().map_or(0, |(matrix, _)| matrix.columns());
        let all = dx.len() / columns;
        let dx = Scatter::new(dx);
        for tokens in blocks(0..all, TOKENS) {
            let mut add = add;
            for (matrix, dy) in gradients {
                for terms in blocks(0..matrix.rows(), TERMS) {
                    let steps = terms.len().div_ceil(E::TERMS);
                    let block = Block { numbers: dy, stride: matrix.rows(), terms: terms.clone() };
                    let left = pack_left(engine, team, &mut self.left, &block, tokens.clone());
                    for columns in blocks(0..columns, PANEL * panels_at_once(steps)) {
                        let right = &mut self.right;
                        let right = pack_columns(engine, team, right, matrix, &terms, &columns);
                        let place = |panel: usize| {
                            let first = columns.start + panel * PANEL;
                            Place {
                                out: &dx,
                                stride: matrix.columns(),
                                columns: first..columns.end.min(first + PANEL),
                                add,
                            }
                        };
                        let tokens = tokens.clone();
                        multiply(
                            engine,
                            team,
                            &Multiplication { tokens, steps, left, right, place: &place },
                        );
                    }
                    add = true;
                }
            }
        }
    }
}

/// What operands are rounded to, and how they are multiplied.
#[derive(Clone, Copy, Debug)]
enum Path {
    Floats(Floats),
    #[cfg(target_arch = "x86_64")]
    Bf16(bf16::Bf16),
}

impl Path {
    fn detect(precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        if precision == Precision::Bf16
            && let Some(engine) = bf16::Bf16::new()
        {
            return Self::Bf16(engine);
        }
        Self::Floats(Floats::new(Isa::detect(), precision))
    }
}

/// A matrix and the place of the product with it.
struct Out<'a> {
    matrix: &'a Matrix,
    out: Scatter<'a, f32>,
    add: bool,
}

/// The panel of rows of a matrix that starts at `row`.
struct PanelOf<'a> {
    out: &'a Out<'a>,
    row: usize,
}

impl Out<'_> {
    fn panels(&self) -> impl Iterator<Item = PanelOf<'_>> {
        (0..self.matrix.rows()).step_by(PANEL).map(|row| PanelOf { out: self, row })
    }
}

/// Packs the left operand, a panel of tokens a time.
fn pack_left<'a, E: Engine>(
    engine: E,
    team: &Team,
    buffer: &'a mut Buffer,
    block: &Block<'_>,
    tokens: Range<usize>,
) -> &'a [f32] {
    let steps = block.terms.len().div_ceil(E::TERMS);
    let left = buffer.of_len(tokens.len() * steps);
    team.rows_mut(left, steps, engine.height(), &|first, part| {
        engine.pack_left(block, tokens.start + first, part);
    });
    left
}

/// Packs some columns of some rows as the right operand: lanes are columns.
fn pack_columns<'a, E: Engine>(
    engine: E,
    team: &Team,
    buffer: &'a mut Buffer,
    matrix: &Matrix,
    rows: &Range<usize>,
    columns: &Range<usize>,
) -> &'a [f32] {
    let steps = rows.len().div_ceil(E::TERMS);
    let right = buffer.of_len(columns.len().div_ceil(PANEL) * steps * PANEL);
    let scattered = Scatter::new(right);
    team.chunks(rows.len(), ROWS_AT_ONCE, &|part| {
        let steps_of_part = part.start / E::TERMS..part.end.div_ceil(E::TERMS);
        let rows = rows.start + part.start..rows.start + part.end;
        for columns_of_part in blocks(columns.clone(), PANEL * GROUP) {
            let first = (columns_of_part.start - columns.start) / PANEL;
            let panels: [_; GROUP] = std::array::from_fn(|panel| {
                if columns_of_part.len() <= panel * PANEL {
                    return &mut [][..];
                }
                let start = (first + panel) * steps;
                let places =
                    (start + steps_of_part.start) * PANEL..(start + steps_of_part.end) * PANEL;
                #[expect(unsafe_code, reason = "steps of one panel are written by several threads")]
                // SAFETY: rows are handed out once, in whole steps, and each panel's places are taken once for them.
                unsafe {
                    scattered.slice(places)
                }
            });
            engine.pack_columns(matrix, rows.clone(), columns_of_part, panels);
        }
    });
    right
}

/// Multiplies packed operands, a few panels of tokens and of weights at a time.
fn multiply<E: Engine>(engine: E, team: &Team, work: &Multiplication<'_>) {
    let panels = work.right.len() / (work.steps * PANEL);
    // Enough parts that no thread waits long for the last, each large enough that what is read is used often.
    let mut heights = 8;
    let mut group = GROUP;
    let count = |heights: usize, group: usize| {
        work.tokens.len().div_ceil(heights * engine.height()) * panels.div_ceil(group)
    };
    while group > 2 && count(heights, group) < PARTS_PER_THREAD * team.threads() {
        (heights, group) =
            if heights > group { (heights / 2, group) } else { (heights, group / 2) };
    }
    let tokens_at_once = heights * engine.height();
    let columns = work.tokens.len().div_ceil(tokens_at_once);
    team.chunks(columns * panels.div_ceil(group), 1, &|part| {
        for part in part {
            let tokens = part % columns * tokens_at_once;
            let panel = part / columns * group;
            engine.multiply(
                work,
                tokens..work.tokens.len().min(tokens + tokens_at_once),
                panel..panels.min(panel + group),
            );
        }
    });
}

/// Parts of a product that every thread should get at the least.
const PARTS_PER_THREAD: usize = 8;

/// Panels whose weights are packed together.
fn panels_at_once(steps: usize) -> usize {
    (SLAB_LANES / (steps * PANEL)).next_multiple_of(GROUP)
}

/// A range cut into blocks.
fn blocks(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(len).map(move |start| start..end.min(start + len))
}

fn whole_rows(x: &[f32], columns: usize) -> Result<usize, ShapeError> {
    if x.len().is_multiple_of(columns) {
        return Ok(x.len() / columns);
    }
    Err(ShapeError::Activations { expected: columns, got: x.len() })
}

fn same_columns(matrix: &Matrix, columns: usize) -> Result<(), ShapeError> {
    if matrix.columns() == columns {
        return Ok(());
    }
    Err(ShapeError::Activations { expected: matrix.columns(), got: columns })
}

fn check_len(
    what: &'static str,
    rows: usize,
    columns: usize,
    got: usize,
) -> Result<(), ShapeError> {
    if rows.checked_mul(columns) == Some(got) {
        return Ok(());
    }
    Err(ShapeError::Len { what, expected: rows.saturating_mul(columns), got })
}

#[cfg(test)]
mod tests;
