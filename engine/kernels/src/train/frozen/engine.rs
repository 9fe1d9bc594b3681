//! What a kind of arithmetic must know: how its operands are packed, and how packed operands are multiplied.
use super::GROUP;
use super::multiply::Multiplication;
use crate::Matrix;
use std::ops::Range;

/// A kind of arithmetic. A lane of 32 bits holds one float, or several smaller ones that are neighbours among the terms of a
/// sum; lanes of packed operands are called `f32` whatever they hold.
pub(super) trait Engine: Copy + Sync {
    /// Terms in a lane.
    const TERMS: usize;

    /// Tokens in a panel of the left operand.
    fn height(self) -> usize;

    /// Packs tokens from `first` on: `out` is `(steps, tokens)`, and each step takes [`Engine::TERMS`] terms.
    fn pack_left(self, block: &Block<'_>, first: usize, out: &mut [f32]);

    /// Packs up to a panel of rows: `out` is `(steps, PANEL)`. What is missing is zero.
    fn pack_rows(self, matrix: &Matrix, rows: Range<usize>, terms: Range<usize>, out: &mut [f32]);

    /// Packs columns of some rows: each panel of `out` is `(steps, PANEL)`. What is missing is zero.
    fn pack_columns(
        self,
        matrix: &Matrix,
        rows: Range<usize>,
        columns: Range<usize>,
        out: [&mut [f32]; GROUP],
    );

    /// Multiplies some panels of the left operand, given by tokens counted from the operand's first, with some of the right.
    fn multiply(self, work: &Multiplication<'_>, tokens: Range<usize>, panels: Range<usize>);
}

/// Some terms of activations or gradients.
pub(super) struct Block<'a> {
    pub(super) numbers: &'a [f32],
    /// From one token to the next.
    pub(super) stride: usize,
    pub(super) terms: Range<usize>,
}

impl Block<'_> {
    /// The terms of a token.
    pub(super) fn token(&self, token: usize) -> &[f32] {
        &self.numbers[token * self.stride..][self.terms.clone()]
    }
}
