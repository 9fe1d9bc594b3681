//! The forward of one head of one sample.
use super::head::{CHUNK, Head, grown, pack_columns, pack_rows, unpack_row};
use super::product::{AddByRows, Rows, Scores};
use super::{BLOCK, Qkv};
use crate::scatter::Scatter;
use crate::simd::{Kernel, LANES, Simd, math};
use std::cell::RefCell;
use std::f32::consts::LOG2_E;
use std::ops::Range;

pub(super) struct Forward<'a> {
    pub(super) head: Head<'a>,
    pub(super) inputs: Qkv<'a>,
    pub(super) out: &'a Scatter<'a, f32>,
    pub(super) logsumexp: &'a Scatter<'a, f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Buffers of a thread, kept from call to call.
#[derive(Default)]
struct Scratch {
    /// Keys, in groups of lanes; values row by row.
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Scaled queries of a block.
    queries: Vec<f32>,
    /// Scores, then weights, of a register tile: rows of [`BLOCK`].
    scores: Vec<f32>,
    /// The largest score of each row of the block so far.
    maxima: Vec<f32>,
    /// The sum of weights of each row so far, in lanes.
    weights: Vec<[f32; LANES]>,
    /// Weighted values of each row so far.
    sums: Vec<f32>,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scratch = SCRATCH.take();
        let (head, Qkv { k, v, .. }) = (self.head, self.inputs);
        let (tokens, room, head_dim) = (head.tokens(), head.room(), head.config.head_dim);
        let keys = grown(&mut scratch.keys, room * head_dim);
        pack_columns(s, tokens, |row| &k[head.key(row)], head_dim, keys);
        let values = grown(&mut scratch.values, head.packed(room));
        pack_rows(s, tokens, |row| &v[head.key(row)], 1.0, (values, room));
        for query_block in 0..head.blocks() {
            self.start(s, query_block, &mut scratch);
            let rows = head.block(query_block);
            for key_block in head.key_blocks(query_block) {
                for first in rows.clone().step_by(S::TILE_ROWS) {
                    self.tile(s, first, key_block, &mut scratch);
                }
            }
            for row in rows {
                self.finish(s, row, &scratch);
            }
        }
        SCRATCH.set(scratch);
    }
}

impl Forward<'_> {
    /// Packs the queries of a block and empties the sums.
    #[inline(always)]
    fn start<S: Simd>(&self, s: S, query_block: usize, scratch: &mut Scratch) {
        let (head, q) = (self.head, self.inputs.q);
        let (rows, len) = (head.block(query_block), head.packed(BLOCK));
        let queries = grown(&mut scratch.queries, len);
        let row = |row: usize| &q[head.query(rows.start + row)];
        pack_rows(s, rows.len(), row, head.query_factor(), (queries, BLOCK));
        grown(&mut scratch.scores, S::TILE_ROWS * BLOCK);
        grown(&mut scratch.sums, len).fill(0.0);
        scratch.maxima.clear();
        scratch.maxima.resize(BLOCK, f32::MIN);
        scratch.weights.clear();
        scratch.weights.resize(BLOCK, [0.0; LANES]);
    }

    /// What the rows of a register tile from `first` on see of a block of keys.
    #[inline(always)]
    fn tile<S: Simd>(&self, s: S, first: usize, key_block: usize, scratch: &mut Scratch) {
        let head = self.head;
        let (width, head_dim) = (head.width(), head.config.head_dim);
        let columns = head.columns(first..first + S::TILE_ROWS, key_block);
        if columns.is_empty() {
            return;
        }
        let (base, tile) = (key_block * BLOCK, first % BLOCK);
        s.vectorize(Scores {
            a: Rows::new(&scratch.queries, BLOCK, tile),
            b: &scratch.keys[base * head_dim..],
            terms: head_dim,
            columns: columns.clone(),
            c: &mut scratch.scores,
        });
        for row in 0..S::TILE_ROWS {
            let seen = head.seen_of_block(first + row, key_block);
            self.weigh(s, row, tile + row, (columns.clone(), seen), scratch);
        }
        s.vectorize(AddByRows {
            a: &scratch.scores[columns.start..],
            b: Rows::new(&scratch.values, head.room(), base + columns.start),
            terms: columns.len(),
            width,
            c: &mut scratch.sums[tile * CHUNK..],
            c_room: BLOCK,
        });
    }

    /// Makes weights of a row's scores, and scales what was summed before to the same maximum.
    #[inline(always)]
    fn weigh<S: Simd>(
        &self,
        s: S,
        tile_row: usize,
        row: usize,
        (columns, seen): (Range<usize>, Range<usize>),
        scratch: &mut Scratch,
    ) {
        let scores = &mut scratch.scores[tile_row * BLOCK..(tile_row + 1) * BLOCK];
        let columns = columns.start..columns.end.next_multiple_of(LANES);
        if let Some(cap) = self.head.config.softcap {
            let cap = s.splat(cap * LOG2_E);
            for x in scores[columns.clone()].as_chunks_mut().0 {
                s.store(s.mul(cap, math::tanh(s, s.load(x))), x);
            }
        }
        scores[columns.start..seen.start.clamp(columns.start, columns.end)].fill(f32::NEG_INFINITY);
        scores[seen.end.clamp(columns.start, columns.end)..columns.end].fill(f32::NEG_INFINITY);
        let (scores, _) = scores[columns].as_chunks_mut::<LANES>();
        let before = scratch.maxima[row];
        let mut maximum = s.splat(before);
        for x in &*scores {
            maximum = s.max(maximum, s.load(x));
        }
        let after = s.max_lane(maximum);
        let maximum = s.splat(after);
        let mut weight = s.load(&scratch.weights[row]);
        if after != before {
            scratch.maxima[row] = after;
            let factor = math::exp2(s, s.splat(before - after));
            weight = s.mul(weight, factor);
            for chunk in (0..self.head.width()).step_by(CHUNK) {
                let width = CHUNK.min(self.head.width() - chunk);
                let sums = &mut scratch.sums[chunk * BLOCK + row * CHUNK..][..width];
                for x in sums.as_chunks_mut().0 {
                    s.store(s.mul(s.load(x), factor), x);
                }
            }
        }
        for x in scores {
            let power = math::exp2(s, s.sub(s.load(x), maximum));
            weight = s.add(weight, power);
            s.store(power, x);
        }
        s.store(weight, &mut scratch.weights[row]);
    }

    /// Writes a row's result.
    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, row: usize, scratch: &Scratch) {
        let (place, logarithm) = (self.head.query(row), self.head.logarithm(row));
        #[expect(unsafe_code, reason = "heads of a row are written by several threads")]
        // SAFETY: a head of a sample is handed out once.
        let (out, logsumexp) =
            unsafe { (self.out.slice(place), self.logsumexp.slice(logarithm..logarithm + 1)) };
        let row = row % BLOCK;
        let weight = s.sum(s.load(&scratch.weights[row]));
        unpack_row(s, (&scratch.sums, BLOCK), row, 1.0 / weight, out);
        logsumexp[0] = scratch.maxima[row] + weight.log2();
    }
}
