//! One query head of one sample: where it lies, what it sees, and how it is packed.
use super::BLOCK;
use crate::AttentionConfig;
use crate::simd::LANES;
use std::f32::consts::{LN_2, LOG2_E};
use std::ops::Range;

/// Columns that are multiplied at a time.
pub(super) const COLUMNS: usize = 2 * LANES;

#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) config: &'a AttentionConfig,
    /// Its tokens.
    pub(super) sample: &'a Range<usize>,
    /// Which of the query heads.
    pub(super) head: usize,
}

impl Head<'_> {
    pub(super) fn tokens(&self) -> usize {
        self.sample.len()
    }

    /// Numbers of a row in scratch memory.
    pub(super) fn width(&self) -> usize {
        self.config.head_dim.next_multiple_of(LANES)
    }

    pub(super) fn blocks(&self) -> usize {
        self.tokens().div_ceil(BLOCK)
    }

    /// Where the query of the sample's row lies.
    pub(super) fn query(&self, row: usize) -> Range<usize> {
        let AttentionConfig { heads, head_dim, .. } = *self.config;
        let start = ((self.sample.start + row) * heads + self.head) * head_dim;
        start..start + head_dim
    }

    /// Where its key lies.
    pub(super) fn key(&self, row: usize) -> Range<usize> {
        let AttentionConfig { heads, kv_heads, head_dim, .. } = *self.config;
        let kv_head = self.head / (heads / kv_heads);
        let start = ((self.sample.start + row) * kv_heads + kv_head) * head_dim;
        start..start + head_dim
    }

    /// Where its logarithm lies.
    pub(super) fn logarithm(&self, row: usize) -> usize {
        (self.sample.start + row) * self.config.heads + self.head
    }

    /// What queries are multiplied by to give scores to base 2, or with a cap what the hyperbolic tangent is taken of.
    pub(super) fn query_factor(&self) -> f32 {
        match self.config.softcap {
            None => self.config.scale * LOG2_E,
            Some(cap) => self.config.scale / cap,
        }
    }

    /// What queries packed so are multiplied by to be as they were, times the scale.
    pub(super) fn unpacked_factor(&self) -> f32 {
        self.config.softcap.unwrap_or(LN_2)
    }

    /// The keys that a row sees.
    pub(super) fn seen(&self, row: usize) -> Range<usize> {
        if row >= self.tokens() {
            return 0..0;
        }
        let first = self.config.window.map_or(0, |window| (row + 1).saturating_sub(window));
        first..row + 1
    }

    /// The columns of a block of keys that a row sees.
    pub(super) fn seen_of_block(&self, row: usize, key_block: usize) -> Range<usize> {
        let (seen, base) = (self.seen(row), key_block * BLOCK);
        let end = seen.end.saturating_sub(base).min(BLOCK);
        seen.start.saturating_sub(base).min(end)..end
    }

    /// The columns of a block of keys that any of these rows sees, in whole steps of [`COLUMNS`].
    pub(super) fn columns(&self, rows: Range<usize>, key_block: usize) -> Range<usize> {
        let last = rows.end.min(self.tokens());
        if rows.start >= last {
            return 0..0;
        }
        let first = self.seen_of_block(rows.start, key_block);
        let end = self.seen_of_block(last - 1, key_block).end;
        if first.start >= end {
            return 0..0;
        }
        first.start / COLUMNS * COLUMNS..end.next_multiple_of(COLUMNS)
    }

    /// The blocks of keys that a block of queries sees.
    pub(super) fn key_blocks(&self, query_block: usize) -> Range<usize> {
        self.seen(query_block * BLOCK).start / BLOCK..query_block + 1
    }

    /// The blocks of queries that see a block of keys.
    pub(super) fn query_blocks(&self, key_block: usize) -> Range<usize> {
        key_block..self.seen_by((key_block + 1) * BLOCK - 1).end.div_ceil(BLOCK)
    }

    /// The rows that see a key, whether or not there is such a key.
    pub(super) fn seen_by(&self, key: usize) -> Range<usize> {
        let end = self.config.window.map_or(self.tokens(), |window| key.saturating_add(window));
        key..end.min(self.tokens())
    }
}

/// Rows one after the other, in places of `width`, and zeros in what is left of `to`.
#[inline(always)]
pub(super) fn pack_rows<'a>(rows: impl Iterator<Item = &'a [f32]>, width: usize, to: &mut [f32]) {
    let mut places = to.chunks_exact_mut(width);
    for (row, place) in rows.zip(&mut places) {
        place[..row.len()].copy_from_slice(row);
        place[row.len()..].fill(0.0);
    }
    places.for_each(|place| place.fill(0.0));
}

/// In groups of `group` rows, in each the rows' first numbers, then their second ones and so on, times `factor`; zeros in what
/// is left of `to`.
#[inline(always)]
pub(super) fn pack_groups<'a>(
    mut rows: impl Iterator<Item = &'a [f32]>,
    group: usize,
    head_dim: usize,
    factor: f32,
    to: &mut [f32],
) {
    for to in to.chunks_exact_mut(group * head_dim) {
        for lane in 0..group {
            let places = to[lane..].iter_mut().step_by(group);
            match rows.next() {
                Some(row) => places.zip(row).for_each(|(to, x)| *to = x * factor),
                None => places.for_each(|to| *to = 0.0),
            }
        }
    }
}

/// At least this long. What is in it is anybody's.
pub(super) fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
