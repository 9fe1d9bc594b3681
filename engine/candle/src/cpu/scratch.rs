//! Memory a pass works in, kept from one to the next.

use hearth_engine_kernels::{Activations, Segment};

use crate::models::DecoderConfig;

/// Rows of a pass: no more, so that what they need stays small beside the weights.
const MAX_ROWS: usize = 512;
const MIN_ROWS: usize = 64;
/// What the rows of a pass may take, where that leaves [`MIN_ROWS`] of them.
const ROWS_BYTES: usize = 64 << 20;

/// Rows of numbers; each buffer grows to the longest pass there was.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) ids: Vec<u32>,
    pub(super) positions: Vec<u32>,
    pub(super) pieces: Vec<Piece>,
    /// The residual stream.
    pub(super) x: Vec<f32>,
    pub(super) normed: Vec<f32>,
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    /// What is normed before it is added to the stream, in families that do so.
    pub(super) before_norm: Vec<f32>,
    pub(super) activations: Activations,
    /// What adapters work in.
    pub(super) low_rank: Vec<f32>,
    /// An empty list whose memory serves [`Scratch::segments`].
    segments: Vec<Segment<'static>>,
}

/// Consecutive tokens of one segment in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which of the segments.
    pub(super) step: usize,
    /// Where its tokens begin among the segment's.
    pub(super) first_id: usize,
    pub(super) first_position: usize,
    pub(super) tokens: usize,
    /// How many of its last tokens get logits.
    pub(super) wanted: usize,
}

impl Scratch {
    /// A list of segments, empty, in memory of one before.
    pub(super) fn segments<'a>(&mut self) -> Vec<Segment<'a>> {
        reused(std::mem::take(&mut self.segments))
    }

    /// Keeps the memory of a list.
    pub(super) fn keep(&mut self, segments: Vec<Segment<'_>>) {
        self.segments = reused(segments);
    }
}

/// The same memory as a list of another lifetime: collecting from a vector's own iterator takes it over.
fn reused<'b>(mut list: Vec<Segment<'_>>) -> Vec<Segment<'b>> {
    list.clear();
    list.into_iter().map_while(|_segment| None).collect()
}

/// The first `len` numbers of a buffer that grows as needed.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Numbers each row of a pass takes.
fn row_numbers(config: &DecoderConfig) -> usize {
    let &DecoderConfig { hidden, heads, kv_heads, head_dim, ffn, .. } = config;
    let post = if config.post_norms { hidden } else { 0 };
    // The activations' 8-bit form and its scales take less than half a row of the widest.
    let activations = hidden.max(heads * head_dim).max(ffn) / 2;
    2 * hidden + 2 * (heads + kv_heads) * head_dim + 2 * ffn + post + activations
}

/// How many rows a pass may have.
pub(super) fn max_rows(config: &DecoderConfig) -> usize {
    let row_bytes = row_numbers(config) * size_of::<f32>();
    (ROWS_BYTES / row_bytes).clamp(MIN_ROWS, MAX_ROWS)
}

/// Bytes a pass of the most rows takes.
pub(crate) fn max_bytes(config: &DecoderConfig) -> u64 {
    (max_rows(config) * row_numbers(config) * size_of::<f32>()) as u64
}
