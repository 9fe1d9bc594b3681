//! An adapter's pair beside one matrix: `scale * B A x`.

use hearth_engine_api::Target;
use hearth_engine_candle::lora::Pair;
use hearth_engine_kernels::{
    ShapeError, Team,
    train::{Dense, product},
};

use super::memory::{Dropped, sized};
use crate::learner::Dropout;

const ROWS_AT_ONCE: usize = 16;

/// A pair at work.
pub(super) struct LowRank<'a> {
    pub(super) pair: &'a Pair,
    pub(super) team: &'a Team,
    pub(super) scale: f32,
    /// Layer and target.
    pub(super) place: (usize, Target),
    pub(super) dropout: Option<Dropout>,
}

/// What the way back needs of the way there, at one matrix.
pub(super) struct Passed<'a> {
    /// What went into the matrix.
    pub(super) x: &'a [f32],
    /// What A made of it.
    pub(super) reduced: &'a [f32],
    /// The gradient of what came out.
    pub(super) dy: &'a [f32],
}

impl LowRank<'_> {
    /// What A makes of `x`.
    pub(super) fn reduce(
        &self,
        x: &[f32],
        reduced: &mut Vec<f32>,
        dropped: &mut Dropped,
    ) -> Result<(), ShapeError> {
        let rows = x.len() / self.pair.inputs();
        let x = self.left_in(x, &mut dropped.x);
        let a = dense(&self.pair.a, self.pair.rank(), self.pair.inputs());
        let reduced = sized(reduced, rows * self.pair.rank());
        product(self.team, 1.0, dense(x, rows, self.pair.inputs()), flipped(a), 0.0, reduced)
    }

    /// Adds what B makes of what A made.
    pub(super) fn expand(&self, reduced: &[f32], out: &mut [f32]) -> Result<(), ShapeError> {
        let (rank, outputs) = (self.pair.rank(), self.pair.outputs());
        let rows = out.len() / outputs;
        let reduced = dense(&reduced[..rows * rank], rows, rank);
        let b = flipped(dense(&self.pair.b, outputs, rank));
        product(self.team, self.scale, reduced, b, 1.0, out)
    }

    /// Adds the gradients of A and B to those in `gradient`, and the gradient of what went in to `dx` if wanted.
    pub(super) fn back(
        &self,
        passed: &Passed<'_>,
        gradient: &mut Pair,
        (dreduced, dropped): (&mut Vec<f32>, &mut Dropped),
        dx: Option<&mut [f32]>,
    ) -> Result<(), ShapeError> {
        let (team, pair) = (self.team, self.pair);
        let (rank, inputs, outputs) = (pair.rank(), pair.inputs(), pair.outputs());
        let rows = passed.x.len() / inputs;
        let dy = dense(passed.dy, rows, outputs);
        let reduced = dense(&passed.reduced[..rows * rank], rows, rank);
        product(team, self.scale, flipped(dy), reduced, 1.0, &mut gradient.b)?;
        let dreduced = sized(dreduced, rows * rank);
        product(team, self.scale, dy, dense(&pair.b, outputs, rank), 0.0, dreduced)?;
        let dreduced = dense(dreduced, rows, rank);
        let x = dense(self.left_in(passed.x, &mut dropped.x), rows, inputs);
        product(team, 1.0, flipped(dreduced), x, 1.0, &mut gradient.a)?;
        let Some(dx) = dx else { return Ok(()) };
        let a = dense(&pair.a, rank, inputs);
        if self.dropout.is_none() {
            return product(team, 1.0, dreduced, a, 1.0, dx);
        }
        let dleft_in = sized(&mut dropped.dx, rows * inputs);
        product(team, 1.0, dreduced, a, 0.0, dleft_in)?;
        let factors = sized(&mut dropped.x, rows * inputs);
        self.factors(factors, inputs);
        let (dleft_in, factors) = (&*dleft_in, &*factors);
        team.rows_mut(dx, inputs, ROWS_AT_ONCE, &|first, rows| {
            let places = first * inputs..first * inputs + rows.len();
            let terms = dleft_in[places.clone()].iter().zip(&factors[places]);
            rows.iter_mut()
                .zip(terms)
                .for_each(|(dx, (gradient, factor))| *dx += gradient * factor);
        });
        Ok(())
    }

    /// `x` without what is dropped.
    fn left_in<'b>(&self, x: &'b [f32], buffer: &'b mut Vec<f32>) -> &'b [f32] {
        if self.dropout.is_none() {
            return x;
        }
        let (inputs, left) = (self.pair.inputs(), sized(buffer, x.len()));
        self.factors(left, inputs);
        self.team.rows_mut(left, inputs, ROWS_AT_ONCE, &|first, rows| {
            rows.iter_mut().zip(&x[first * inputs..]).for_each(|(left, x)| *left *= x);
        });
        left
    }

    /// What inputs are multiplied by.
    fn factors(&self, out: &mut [f32], inputs: usize) {
        let (Some(dropout), (layer, target)) = (self.dropout, self.place) else { return };
        self.team.rows_mut(out, inputs, ROWS_AT_ONCE, &|first, rows| {
            for (row, out) in (first..).zip(rows.chunks_exact_mut(inputs)) {
                dropout.factors(layer, target, row, out);
            }
        });
    }
}

const fn dense(data: &[f32], rows: usize, columns: usize) -> Dense<'_> {
    Dense { data, rows, columns, transposed: false }
}

const fn flipped(matrix: Dense<'_>) -> Dense<'_> {
    Dense { transposed: true, ..matrix }
}
