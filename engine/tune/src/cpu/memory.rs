//! Memory that a pass works in, kept from one to the next, and how much it is.

use std::ops::Range;

use hearth_engine_candle::{
    lora::{Adapter, target_shape},
    models::DecoderConfig,
};
use hearth_engine_kernels::train::Frozen;

use super::head::{self, Head};

/// All of it. Each buffer grows to the longest batch there was.
#[derive(Default)]
pub(super) struct Memory {
    /// Of each token in its sample.
    pub(super) positions: Vec<u32>,
    /// Inputs of the layers on the way back.
    pub(super) inputs: Vec<Vec<f32>>,
    /// What those layers keep; of the last one alone where they are computed again.
    pub(super) kept: Vec<Kept>,
    /// The residual stream.
    pub(super) stream: Vec<f32>,
    /// The stream as a layer leaves it.
    pub(super) next: Vec<f32>,
    pub(super) scratch: Scratch,
    pub(super) head: Head,
}

/// What each target's A made of its inputs, in the order of [`hearth_engine_api::Target::ALL`].
pub(super) type Reduced = [Vec<f32>; 7];

/// What a layer keeps for the way back, its input apart.
#[derive(Default)]
pub(super) struct Kept {
    /// Queries, keys and values as projected, before norms and turns.
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    /// What attention gave.
    pub(super) attended: Vec<f32>,
    pub(super) logsumexp: Vec<f32>,
    /// The stream between attention and feed-forward.
    pub(super) middle: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    /// What is normed before it is added to the stream, in families that do so.
    pub(super) attention_out: Vec<f32>,
    pub(super) ffn_out: Vec<f32>,
    pub(super) reduced: Reduced,
}

/// What no layer keeps. A name with a `d` in front is the gradient of what the name says.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) normed: Vec<f32>,
    /// Queries and keys as attention takes them.
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    /// Gated activations, which on the way back make room for the gate's gradient; then their gradient and that of `up`.
    pub(super) ffn: [Vec<f32>; 3],
    pub(super) dropped: Dropped,
    pub(super) dx: Vec<f32>,
    pub(super) dout: Vec<f32>,
    pub(super) dnormed: Vec<f32>,
    pub(super) dattended: Vec<f32>,
    pub(super) dq: Vec<f32>,
    pub(super) dk: Vec<f32>,
    pub(super) dv: Vec<f32>,
    pub(super) dreduced: Vec<f32>,
}

/// An adapter's inputs without what is dropped, and their gradient.
#[derive(Default)]
pub(super) struct Dropped {
    pub(super) x: Vec<f32>,
    pub(super) dx: Vec<f32>,
}

impl Memory {
    /// Lays out positions, and makes places for what `layers` layers keep.
    pub(super) fn lay_out(&mut self, samples: &[Range<usize>], layers: usize, recompute: bool) {
        self.positions.clear();
        self.positions.extend(samples.iter().flat_map(|sample| 0..sample.len() as u32));
        if self.inputs.len() < layers {
            self.inputs.resize_with(layers, Vec::new);
        }
        self.head.sparing = recompute;
        let places = if recompute { 1 } else { layers.max(1) };
        if recompute || self.kept.len() < places {
            self.kept.resize_with(places, Kept::default);
        }
    }
}

/// The first `len` numbers of a buffer that grows as needed. What they are is anything.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        // What it held is of no use any more, so it need not be there beside what it grows to.
        *buffer = Vec::new();
        *buffer = vec![0.0; len];
    }
    &mut buffer[..len]
}

/// Most bytes that a way there and back takes for batches of so many tokens.
pub(super) fn estimate(
    config: &DecoderConfig,
    adapter: &Adapter,
    tokens: usize,
    recompute: bool,
    threads: usize,
) -> u64 {
    let lowest = adapter.layers().iter().take_while(|pairs| pairs.is_empty()).count();
    let layers = config.layers - lowest;
    let kept_layers = if recompute { layers.min(1) } else { layers };
    let reduced = adapter.layers().iter().map(|pairs| pairs.len() * adapter.rank());
    let reduced = if recompute { reduced.max().unwrap_or(0) } else { reduced.sum() };
    let row = row_numbers(config, adapter)
        + layers * config.hidden
        + kept_layers.max(1) * kept_numbers(config)
        + reduced;
    let numbers = tokens * row + threads * thread_numbers(config, tokens);
    (numbers * size_of::<f32>() + head::max_bytes(config, recompute, tokens) + Frozen::MAX_BYTES)
        as u64
}

/// Numbers of a row that a layer keeps, its input and what A made apart.
const fn kept_numbers(config: &DecoderConfig) -> usize {
    let &DecoderConfig { hidden, heads, kv_heads, head_dim, ffn, .. } = config;
    let norms = if config.post_norms { 2 } else { 0 };
    (1 + norms) * hidden + 2 * (heads + kv_heads) * head_dim + heads + 2 * ffn
}

/// Numbers of a row that there are once.
fn row_numbers(config: &DecoderConfig, adapter: &Adapter) -> usize {
    let &DecoderConfig { hidden, heads, kv_heads, head_dim, ffn, .. } = config;
    let (wide, narrow) = (heads * head_dim, kv_heads * head_dim);
    let streams = if config.post_norms { 6 } else { 5 };
    let turned = if config.local_rope_theta.is_some() { 2 } else { 1 } * config.rotary_dim();
    // Query heads that share keys have their own gradients of these at first.
    let shares = if heads > kv_heads { 2 * wide } else { 0 };
    let inputs = adapter.settings().targets.iter().map(|target| target_shape(config, *target).1);
    let dropped = match adapter.settings().dropout {
        0.0 => 0,
        _ => 2 * inputs.max().unwrap_or(0),
    };
    let attention = 3 * wide + 3 * narrow + shares + turned;
    streams * hidden + attention + 3 * ffn + dropped + adapter.rank() + 1
}

/// Numbers that each thread has for itself in attention over a sample of so many tokens.
const fn thread_numbers(config: &DecoderConfig, tokens: usize) -> usize {
    const BLOCK: usize = 128;
    let width = config.head_dim.next_multiple_of(16);
    8 * (tokens + BLOCK) * width + 2 * BLOCK * (BLOCK + 2 * width)
}
