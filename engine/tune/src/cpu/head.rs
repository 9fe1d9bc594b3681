//! From the stream to the loss, and its gradient at the stream: for learnt positions alone, a few at a time.

use hearth_engine_api::TuneError;
use hearth_engine_candle::models::DecoderConfig;
use hearth_engine_kernels::{
    Product, ShapeError, rms_norm, softcap,
    train::{cross_entropy, rms_norm_back, softcap_back},
};

use super::{breath, compute, memory::sized, pass::Pass};
use crate::learner::{Batch, Breathe};

/// What the logits of some rows may take, where that leaves [`MIN_ROWS`] of them, and where memory is to be spared.
const LOGITS_BYTES: usize = 256 << 20;
const SPARE_LOGITS_BYTES: usize = 64 << 20;
/// Each round over the rows reads and unpacks the whole head, which fewer would not pay for.
const MIN_ROWS: usize = 64;
const MAX_ROWS: usize = 1024;

/// Memory for some rows.
#[derive(Default)]
pub(super) struct Head {
    /// Whether memory is to be spared.
    pub(super) sparing: bool,
    /// The learnt positions.
    rows: Vec<usize>,
    targets: Vec<u32>,
    weights: Vec<f32>,
    losses: Vec<f64>,
    x: Vec<f32>,
    normed: Vec<f32>,
    dnormed: Vec<f32>,
    dx: Vec<f32>,
    /// Logits, then their gradients.
    logits: Vec<f32>,
    /// Logits once more, in families that cap them.
    capped: Vec<f32>,
}

/// Most rows at a time.
fn most_rows(config: &DecoderConfig, sparing: bool) -> usize {
    let copies = if config.final_softcap.is_some() { 2 } else { 1 };
    let bytes = if sparing { SPARE_LOGITS_BYTES } else { LOGITS_BYTES };
    (bytes / (copies * config.vocab * size_of::<f32>())).clamp(MIN_ROWS, MAX_ROWS)
}

/// Rows at a time, of so many: in as few rounds as may be, and those alike.
fn rows_at_once(config: &DecoderConfig, sparing: bool, rows: usize) -> usize {
    let rounds = rows.div_ceil(most_rows(config, sparing)).max(1);
    rows.div_ceil(rounds).max(1)
}

/// Most memory for batches of so many tokens.
pub(super) fn max_bytes(config: &DecoderConfig, sparing: bool, tokens: usize) -> usize {
    let rows = most_rows(config, sparing).min(tokens);
    let copies = if config.final_softcap.is_some() { 2 } else { 1 };
    let row = copies * config.vocab + 4 * config.hidden;
    rows * row * size_of::<f32>()
        + tokens * (size_of::<usize>() + 2 * size_of::<f32>() + size_of::<f64>())
}

impl Head {
    /// The loss, and its gradient at the stream `x` in `dx`.
    pub(super) fn backward(
        &mut self,
        pass: &mut Pass<'_>,
        batch: &Batch,
        x: &[f32],
        dx: &mut [f32],
        breathe: Breathe<'_>,
    ) -> Result<f64, TuneError> {
        self.find_learnt(batch, false);
        dx.fill(0.0);
        let at_once = rows_at_once(pass.config, self.sparing, self.rows.len());
        for first in (0..self.rows.len()).step_by(at_once) {
            breath(breathe)?;
            let count = at_once.min(self.rows.len() - first);
            self.entropy(pass, x, (first, count))
                .and_then(|()| self.gradient(pass, (first, count), dx))
                .map_err(|error| compute("the head", &error))?;
        }
        Ok(self.losses.iter().sum())
    }

    /// The loss of each learnt position, not weighted.
    pub(super) fn losses(
        &mut self,
        pass: &mut Pass<'_>,
        batch: &Batch,
        x: &[f32],
        breathe: Breathe<'_>,
    ) -> Result<Vec<f32>, TuneError> {
        self.find_learnt(batch, true);
        let at_once = rows_at_once(pass.config, self.sparing, self.rows.len());
        for first in (0..self.rows.len()).step_by(at_once) {
            breath(breathe)?;
            let count = at_once.min(self.rows.len() - first);
            self.entropy(pass, x, (first, count)).map_err(|error| compute("the head", &error))?;
        }
        Ok(self.losses.iter().map(|loss| *loss as f32).collect())
    }

    fn find_learnt(&mut self, batch: &Batch, alike: bool) {
        self.rows.clear();
        self.targets.clear();
        self.weights.clear();
        for (row, (&target, &weight)) in batch.targets.iter().zip(&batch.weights).enumerate() {
            if weight > 0.0 {
                self.rows.push(row);
                self.targets.push(target);
                self.weights.push(if alike { 1.0 } else { weight });
            }
        }
        self.losses.clear();
        self.losses.resize(self.rows.len(), 0.0);
    }

    /// Losses of some learnt rows; leaves the gradients of their logits.
    fn entropy(
        &mut self,
        pass: &mut Pass<'_>,
        x: &[f32],
        (first, count): (usize, usize),
    ) -> Result<(), ShapeError> {
        let (team, config) = (pass.team, pass.config);
        let width = config.hidden;
        let own = sized(&mut self.x, count * width);
        for (own, &row) in own.chunks_exact_mut(width).zip(&self.rows[first..]) {
            own.copy_from_slice(&x[row * width..(row + 1) * width]);
        }
        let normed = sized(&mut self.normed, count * width);
        rms_norm(team, own, &pass.weights.norm, pass.eps(), normed);
        let logits = sized(&mut self.logits, count * config.vocab);
        let matrix = &pass.weights.head;
        pass.frozen.forward(team, normed, &mut [Product { matrix, out: logits, add: false }])?;
        if let Some(cap) = config.final_softcap {
            softcap(team, logits, cap as f32);
            sized(&mut self.capped, logits.len()).copy_from_slice(logits);
        }
        let rows = first..first + count;
        let (targets, weights) = (&self.targets[rows.clone()], &self.weights[rows.clone()]);
        cross_entropy(team, logits, targets, weights, &mut self.losses[rows]);
        Ok(())
    }

    /// From the gradients of logits to those of the stream.
    fn gradient(
        &mut self,
        pass: &mut Pass<'_>,
        (first, count): (usize, usize),
        dx: &mut [f32],
    ) -> Result<(), ShapeError> {
        let (team, config) = (pass.team, pass.config);
        let width = config.hidden;
        let dlogits = sized(&mut self.logits, count * config.vocab);
        if let Some(cap) = config.final_softcap {
            softcap_back(team, &self.capped[..dlogits.len()], cap as f32, dlogits);
        }
        let dnormed = sized(&mut self.dnormed, count * width);
        pass.frozen.backward(team, &[(&pass.weights.head, dlogits)], dnormed, false)?;
        let own = sized(&mut self.dx, count * width);
        own.fill(0.0);
        let x = &self.x[..count * width];
        rms_norm_back(team, x, &pass.weights.norm, pass.eps(), dnormed, own);
        for (own, &row) in own.chunks_exact(width).zip(&self.rows[first..]) {
            dx[row * width..(row + 1) * width].copy_from_slice(own);
        }
        Ok(())
    }
}
