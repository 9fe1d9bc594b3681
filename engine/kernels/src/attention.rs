//! Causal attention of rows of queries over paged keys and values.
//!
//! # Order of the arithmetic
//! For each row (one head of one token), on every instruction set the same:
//! - a score is the product of the query, times `scale` and log2(e) beforehand, and the key, by fused multiply-add from the
//!   head's first value to its last;
//! - positions go in steps of [`STEP`] from position 0 on. A step raises the running maximum, weighs by powers of two
//!   relative to it, sums weights in sixteen lanes (position `i` in lane `i mod 16`), scales what was summed before, and adds
//!   weighted values by fused multiply-add, position by position;
//! - positions that a row must not see weigh exactly 0, so a step may hold more of them or fewer, and a step without any
//!   visible position may be left out.
//!
//! So a row's bits depend on its own query and on what it sees, not on how a prompt was cut or what else is in the call. This
//! holds for finite keys and values; a NaN in one may reach rows that must not see it.
use crate::kv::{KvFormat, PAGE_TOKENS};
use crate::scatter::Scatter;
use crate::simd::{Kernel, Simd, dispatch};
use crate::{Isa, Sequence, Team};
use half::f16;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::ops::Range;

pub(crate) mod product;
mod tile;
use tile::{Scratch, Tile};

/// Positions between two rescalings of a row's sums.
const STEP: usize = 4 * PAGE_TOKENS;

/// Query rows of one unit of work: enough that widening keys and values is a small part of it, few enough for the L2 cache.
const UNIT_ROWS: usize = 96;

/// What a layer's attention is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionConfig {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads in a row.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Scores are multiplied by it, usually by `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// Scores are bent to within it: `cap * tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// A position sees itself and the `window - 1` before it.
    pub window: Option<usize>,
}

/// Rows of one sequence in a call.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Where the keys and values are, those of these rows included.
    pub sequence: &'a Sequence,
    /// The position of the segment's first row.
    pub first_position: usize,
    /// Rows, one a token. They follow those of the segment before.
    pub tokens: usize,
}

/// Attention of one layer. `q` and `out` have a row of `heads * head_dim` for each token, queries after their rotation.
///
/// # Panics
/// If shapes do not fit together, there is no such layer, or a sequence has no pages for the positions of its rows.
pub fn attention(
    team: &Team,
    config: &AttentionConfig,
    layer: usize,
    segments: &[Segment<'_>],
    q: &[f32],
    out: &mut [f32],
) {
    attention_on(team, Isa::detect(), config, layer, segments, (q, out));
}

fn attention_on(
    team: &Team,
    isa: Isa,
    config: &AttentionConfig,
    layer: usize,
    segments: &[Segment<'_>],
    (q, out): (&[f32], &mut [f32]),
) {
    check(config, layer, segments, q, out);
    let mut units = UNITS.take();
    lay_out(config, segments, team.threads(), &mut units);
    let out = Scatter::new(out);
    team.chunks(units.len(), 1, &|range| {
        for unit in &units[range] {
            let kernel =
                UnitKernel { config, layer, segment: &segments[unit.segment], unit, q, out: &out };
            dispatch(isa, kernel);
        }
    });
    UNITS.set(units);
}

fn check(config: &AttentionConfig, layer: usize, segments: &[Segment<'_>], q: &[f32], out: &[f32]) {
    let AttentionConfig { heads, kv_heads, head_dim, window, .. } = *config;
    assert!(head_dim > 0 && kv_heads > 0 && heads.is_multiple_of(kv_heads), "heads do not divide");
    assert!(window != Some(0), "a window of nothing");
    let tokens: usize = segments.iter().map(|segment| segment.tokens).sum();
    assert_eq!(q.len(), tokens * heads * head_dim, "queries of another shape");
    assert_eq!(q.len(), out.len(), "an output of another shape");
    for segment in segments {
        let layout = segment.sequence.layout();
        assert!(
            layout.kv_heads == kv_heads && layout.head_dim == head_dim,
            "keys of another shape"
        );
        assert!(layer < layout.layers, "no such layer");
        let end = segment.first_position + segment.tokens;
        assert!(end <= segment.sequence.capacity(), "no pages for these positions");
    }
}

/// Some rows of some query heads that share a key and value head.
struct Unit {
    segment: usize,
    kv_head: usize,
    heads: Range<usize>,
    /// Rows of the segment.
    tokens: Range<usize>,
    /// The row of the whole call that the first of them is.
    first_row: usize,
}

/// Cuts a call into units, the costly ones first, so that the team ends together.
fn lay_out(
    config: &AttentionConfig,
    segments: &[Segment<'_>],
    threads: usize,
    units: &mut Vec<Unit>,
) {
    units.clear();
    let group = config.heads / config.kv_heads;
    let unit_tokens = (UNIT_ROWS / group).max(1);
    let tiles: usize = segments.iter().map(|segment| segment.tokens.div_ceil(unit_tokens)).sum();
    let parts = threads.div_ceil((tiles * config.kv_heads).max(1)).min(group);
    let part_heads = group.div_ceil(parts);
    let mut segment_row = 0;
    for (index, segment) in segments.iter().enumerate() {
        for start in (0..segment.tokens).step_by(unit_tokens) {
            let tokens = start..segment.tokens.min(start + unit_tokens);
            for kv_head in 0..config.kv_heads {
                let last_head = (kv_head + 1) * group;
                units.extend((kv_head * group..last_head).step_by(part_heads).map(|head| Unit {
                    segment: index,
                    kv_head,
                    heads: head..last_head.min(head + part_heads),
                    tokens: tokens.clone(),
                    first_row: segment_row + start,
                }));
            }
        }
        segment_row += segment.tokens;
    }
    // Among units of like cost those of one head stand together: what they share is then still in a cache.
    units.sort_unstable_by_key(|unit| {
        let last = segments[unit.segment].first_position + unit.tokens.end;
        let seen = last.min(config.window.unwrap_or(last));
        let cost = unit.tokens.len() * unit.heads.len() * seen;
        (Reverse(cost.checked_ilog2()), unit.kv_head, Reverse(cost))
    });
}

struct UnitKernel<'a> {
    config: &'a AttentionConfig,
    layer: usize,
    segment: &'a Segment<'a>,
    unit: &'a Unit,
    q: &'a [f32],
    out: &'a Scatter<'a, f32>,
}

thread_local! {
    /// Buffers of a thread, kept from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    static UNITS: Cell<Vec<Unit>> = Cell::default();
}

impl Kernel for UnitKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { config, layer, segment, unit, q, out } = self;
        let mut scratch = SCRATCH.take();
        let tile = Tile {
            config,
            pages: segment.sequence.pages(),
            layer,
            kv_head: unit.kv_head,
            first_position: segment.first_position + unit.tokens.start,
            tokens: unit.tokens.len(),
            heads: unit.heads.clone(),
            first_row: unit.first_row,
        };
        match segment.sequence.layout().format {
            KvFormat::F32 => tile.run::<S, f32>(s, q, &mut scratch),
            KvFormat::F16 => tile.run::<S, f16>(s, q, &mut scratch),
            KvFormat::Q8 => tile.run::<S, i8>(s, q, &mut scratch),
        }
        for (row, place) in tile.places().enumerate() {
            #[expect(unsafe_code, reason = "heads of a row are written by several threads")]
            // SAFETY: units are disjoint in rows or in heads, and each is handed out once.
            let place = unsafe { out.slice(place) };
            tile.finish(s, &scratch, row, place);
        }
        SCRATCH.set(scratch);
    }
}

#[cfg(test)]
mod tests;
