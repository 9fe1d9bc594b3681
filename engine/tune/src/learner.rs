//! The seam between the loop and the arithmetic: what is read at once, and what comes back.

use std::{
    fmt,
    ops::{ControlFlow, Range},
};

use hearth_engine_api::{Target, TuneError};
use hearth_engine_candle::{lora::Adapter, models::DecoderConfig};

/// Tokens that are read at once: samples one after the other, each of which sees only itself and counts its positions
/// from 0. All lists but `samples` are equally long.
#[derive(Clone, Default, PartialEq)]
pub struct Batch {
    /// The tokens.
    pub ids: Vec<u32>,
    /// The stretches that samples take up, in order, without gaps; none is empty.
    pub samples: Vec<Range<usize>>,
    /// The token that follows each; anything where nothing is learnt.
    pub targets: Vec<u32>,
    /// What the loss of each target counts; 0 where nothing is learnt, else positive.
    pub weights: Vec<f32>,
}

impl Batch {
    /// Positions whose target is learnt.
    pub fn learnt(&self) -> usize {
        self.weights.iter().filter(|weight| **weight > 0.0).count()
    }
}

/// Ids spell the user's words.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("tokens", &self.ids.len())
            .field("samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

/// Asked between two layers at most; `Break` ends the work with [`TuneError::Cancelled`].
pub type Breathe<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// A base model with the adapter that is being trained beside it.
///
/// The same adapter, batch and dropout give the same bits, in whatever order batches are read.
pub trait Learner {
    /// What the base is.
    fn config(&self) -> &DecoderConfig;

    /// The adapter.
    fn adapter(&self) -> &Adapter;

    /// The adapter, to be changed by the optimiser; never its shape.
    fn adapter_mut(&mut self) -> &mut Adapter;

    /// Adds the gradient of `sum(weight * -ln p(target))` to `gradients`, an adapter of the same shape, and returns that
    /// sum. `gradients` are of no use after an error.
    ///
    /// # Errors
    /// [`TuneError::Cancelled`] where `breathe` broke off, `Compute` where the numerics fail.
    fn backward(
        &mut self,
        batch: &Batch,
        dropout: Option<Dropout>,
        gradients: &mut Adapter,
        breathe: Breathe<'_>,
    ) -> Result<f64, TuneError>;

    /// `-ln p(target)` of each position of positive weight, in order, in nats, with the adapter's part multiplied by
    /// `strength` and no dropout. At strength 0 it is the base alone.
    ///
    /// # Errors
    /// As [`Learner::backward`].
    fn losses(
        &mut self,
        batch: &Batch,
        strength: f32,
        breathe: Breathe<'_>,
    ) -> Result<Vec<f32>, TuneError>;

    /// Most memory that [`Learner::backward`] takes for batches of so many tokens beside the weights where they lie in the
    /// file, adapter and gradients, with activations kept or computed again on the way back.
    fn memory_bytes(&self, batch_tokens: usize, recompute: bool) -> u64;

    /// Whether activations are computed again on the way back from now on. The results do not depend on it.
    fn set_recompute(&mut self, recompute: bool);
}

/// Which inputs of an adapter's `A` are left out for one batch, reckoned from its place alone: nothing is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share left out, in 0..1; the others are divided by what remains.
    pub share: f32,
    /// Of the run, step and batch.
    pub seed: u64,
}

impl Dropout {
    /// Fills `out` with what the inputs of a target in a layer are multiplied by at row `row` of a batch: 0, or
    /// `1 / (1 - share)`.
    pub fn factors(self, layer: usize, target: Target, row: usize, out: &mut [f32]) {
        let limit = (f64::from(self.share).clamp(0.0, 1.0) * 65536.0).round() as u64;
        let kept = 65536.0 / (65536 - limit.min(65535)) as f32;
        let place = ((layer as u64) << 40) | ((target as u64) << 36) | row as u64;
        let key = mix(self.seed ^ mix(place));
        for (group, out) in out.chunks_mut(4).enumerate() {
            let bits = mix(key ^ group as u64);
            for (i, out) in out.iter_mut().enumerate() {
                *out = if (bits >> (16 * i)) & 0xFFFF < limit { 0.0 } else { kept };
            }
        }
    }
}

/// The output function of `SplitMix64` (Steele, Lea and Flood 2014): neighbouring inputs give unrelated outputs.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_leaves_out_its_share_and_keeps_the_mean() {
        let dropout = Dropout { share: 0.25, seed: 7 };
        let mut sum = 0.0;
        let mut dropped = 0;
        let mut row = [0.0; 101];
        for r in 0..1000 {
            dropout.factors(3, Target::Up, r, &mut row);
            sum += row.iter().map(|f| f64::from(*f)).sum::<f64>();
            dropped += row.iter().filter(|f| **f == 0.0).count();
        }
        assert!((dropped as f64 / 101_000.0 - 0.25).abs() < 0.01, "{dropped}");
        assert!((sum / 101_000.0 - 1.0).abs() < 0.01, "{sum}");
    }

    #[test]
    fn dropout_follows_from_its_place() {
        let at = |seed, layer, target, row| {
            let mut out = [0.0; 64];
            Dropout { share: 0.5, seed }.factors(layer, target, row, &mut out);
            out
        };
        let one = at(1, 0, Target::Q, 0);
        assert_eq!(one, at(1, 0, Target::Q, 0));
        for other in [at(2, 0, Target::Q, 0), at(1, 1, Target::Q, 0), at(1, 0, Target::K, 0)] {
            assert_ne!(one, other);
        }
        assert_ne!(one, at(1, 0, Target::Q, 1));
    }

    #[test]
    fn no_share_drops_nothing() {
        let mut out = [0.0; 9];
        Dropout { share: 0.0, seed: 3 }.factors(0, Target::V, 0, &mut out);
        assert_eq!(out, [1.0; 9]);
    }
}
