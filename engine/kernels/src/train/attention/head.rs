//! One query head of one sample: where it lies, what it sees, and how it is packed.
use super::BLOCK;
use crate::AttentionConfig;
use crate::attention::product::{lanes, lanes_mut};
use crate::ops::load_part;
use crate::simd::{LANES, Simd};
use std::f32::consts::{LN_2, LOG2_E};
use std::ops::Range;

/// Numbers of a row that lie together in scratch memory: with few of them rows are near enough to one another for a loop to go
/// over many with fixed distances.
pub(super) const CHUNK: usize = 64;

/// What scratch memory has rows for is a multiple of it: a whole number of register tiles, and of lanes.
const ROOM: usize = 48;

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

    /// Rows that scratch memory has room for.
    pub(super) fn room(&self) -> usize {
        self.tokens().next_multiple_of(ROOM)
    }

    /// Numbers of a row in scratch memory that count.
    pub(super) fn width(&self) -> usize {
        self.config.head_dim.next_multiple_of(LANES)
    }

    /// Numbers that `rows` of a head's width take in scratch memory.
    pub(super) fn packed(&self, rows: usize) -> usize {
        self.config.head_dim.div_ceil(CHUNK) * CHUNK * rows
    }

    /// The rows of a block.
    pub(super) fn block(&self, block: usize) -> Range<usize> {
        block * BLOCK..self.tokens().min((block + 1) * BLOCK)
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

    /// The columns of a block of keys that any of these rows sees, from a multiple of [`LANES`] on.
    pub(super) fn columns(&self, rows: Range<usize>, key_block: usize) -> Range<usize> {
        let last = rows.end.min(self.tokens());
        if rows.start >= last {
            return 0..0;
        }
        let first = self.seen_of_block(rows.start, key_block).start;
        let end = self.seen_of_block(last - 1, key_block).end;
        if first >= end {
            return 0..0;
        }
        first / LANES * LANES..end
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

/// Copies rows of the sample to scratch memory, times `factor`: [`CHUNK`] numbers of every row, then the next. `to` has room for
/// `room` rows; zeros are in those after the copied ones up to a whole number of lanes.
#[inline(always)]
pub(super) fn pack_rows<'a, S: Simd>(
    s: S,
    count: usize,
    row: impl Fn(usize) -> &'a [f32],
    factor: f32,
    (to, room): (&mut [f32], usize),
) {
    let factor = s.splat(factor);
    for i in 0..count {
        for (piece, from) in row(i).chunks(LANES).enumerate() {
            s.store(s.mul(load(s, from), factor), place(to, room, i, piece));
        }
    }
    let width = if count == 0 { 0 } else { row(0).len() };
    for i in count..count.next_multiple_of(LANES).min(room) {
        for piece in 0..width.div_ceil(LANES) {
            s.store(s.zero(), place(to, room, i, piece));
        }
    }
}

/// Sixteen numbers of a row packed so.
#[inline(always)]
fn place(to: &mut [f32], room: usize, row: usize, piece: usize) -> &mut [f32; LANES] {
    let column = piece * LANES;
    lanes_mut(to, (column / CHUNK * room + row) * CHUNK + column % CHUNK)
}

/// Copies a row packed so, times `factor`.
#[inline(always)]
pub(super) fn unpack_row<S: Simd>(
    s: S,
    (from, room): (&[f32], usize),
    row: usize,
    factor: f32,
    to: &mut [f32],
) {
    let factor = s.splat(factor);
    for (piece, to) in to.chunks_mut(LANES).enumerate() {
        let column = piece * LANES;
        let from = lanes(from, (column / CHUNK * room + row) * CHUNK + column % CHUNK);
        let x = s.mul(s.load(from), factor);
        match to.as_chunks_mut() {
            ([to], []) => s.store(x, to),
            _ => to.copy_from_slice(&s.to_array(x)[..to.len()]),
        }
    }
}

/// In groups of sixteen rows, in each the rows' first numbers, then their second ones and so on; zeros for rows that lack in
/// the last group.
#[inline(always)]
pub(super) fn pack_columns<'a, S: Simd>(
    s: S,
    count: usize,
    row: impl Fn(usize) -> &'a [f32],
    head_dim: usize,
    to: &mut [f32],
) {
    for (first, to) in (0..count).step_by(LANES).zip(to.chunks_exact_mut(LANES * head_dim)) {
        for column in (0..head_dim).step_by(LANES) {
            let mut rows = [s.zero(); LANES];
            for (i, lanes) in rows.iter_mut().enumerate().take(count - first) {
                let row = row(first + i);
                *lanes = load(s, &row[column..head_dim.min(column + LANES)]);
            }
            // No closures here: they are compiled without the instruction set, and no intrinsic is inlined into them.
            let places = to[column * LANES..].as_chunks_mut().0;
            for (x, place) in s.transpose(rows).into_iter().zip(places) {
                s.store(x, place);
            }
        }
    }
}

/// Up to sixteen numbers.
#[inline(always)]
pub(super) fn load<S: Simd>(s: S, from: &[f32]) -> S::F {
    match from.as_chunks() {
        ([from], []) => s.load(from),
        _ => load_part(s, from),
    }
}

/// At least this long. What is in it is anybody's.
pub(super) fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
