//! The same out of the tensor library's operations, for wherever it computes, by its own backwards.

use std::f64::consts::PI;

use candle_core::{D, Result, Tensor};
use candle_nn::{ops, rotary_emb};

use crate::models::config::{Activation, RopeLayout};

pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let scale = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    x.broadcast_div(&scale)?.broadcast_mul(weight)
}

pub(super) fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Silu => gate.silu()? * up,
        Activation::GeluTanh => {
            // Not the library's own GELU, whose backward has six digits.
            let cubic = ((gate.sqr()? * gate)? * 0.044_715)?;
            let bent = ((gate + cubic)? * (2.0 / PI).sqrt())?;
            ((bent.tanh()? + 1.0)? * (gate * 0.5)?)? * up
        }
    }
}

pub(super) fn causal_softmax(scores: &Tensor, seq: usize, window: Option<usize>) -> Result<Tensor> {
    let (rows, tokens) = (scores.dim(D::Minus2)?, scores.dim(D::Minus1)?);
    if seq == 0 || tokens < seq {
        candle_core::bail!("{seq} positions cannot be the last of {tokens} tokens")
    }
    let seen = |index: usize| {
        let (position, token) = (tokens - seq + (index / tokens) % seq, index % tokens);
        token <= position && window.is_none_or(|window| position - token < window)
    };
    let mask: Vec<f32> =
        (0..rows * tokens).map(|index| if seen(index) { 0.0 } else { f32::NEG_INFINITY }).collect();
    let mask = Tensor::from_vec(mask, (rows, tokens), scores.device())?.to_dtype(scores.dtype())?;
    ops::softmax(&scores.broadcast_add(&mask)?, D::Minus1)
}

pub(super) fn turn(x: &Tensor, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
    let x = x.contiguous()?;
    match layout {
        RopeLayout::HalfSplit => rotary_emb::rope_slow(&x, cos, sin),
        RopeLayout::Interleaved => rotary_emb::rope_i_slow(&x, cos, sin),
    }
}
