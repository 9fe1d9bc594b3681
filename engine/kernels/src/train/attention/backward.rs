//! The backward of one head of one sample.
use super::head::{CHUNK, Head, grown, load, pack_columns, pack_rows, unpack_row};
use super::product::{AddByColumns, AddByRows, Rows, Scores};
use super::{Attended, BLOCK, Qkv};
use crate::scatter::Scatter;
use crate::simd::{Kernel, LANES, Simd, math};
use std::cell::RefCell;
use std::f32::consts::LOG2_E;

pub(super) struct Backward<'a> {
    pub(super) head: Head<'a>,
    pub(super) inputs: Qkv<'a>,
    pub(super) attended: Attended<'a>,
    pub(super) dq: &'a Scatter<'a, f32>,
    /// Where this head's share goes; a row has a place for each key and value head, or for each query head.
    pub(super) dk: &'a Scatter<'a, f32>,
    pub(super) dv: &'a Scatter<'a, f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Buffers of a thread, kept from call to call.
#[derive(Default)]
struct Scratch {
    /// Scaled queries and gradients of the output.
    queries: Vec<f32>,
    douts: Vec<f32>,
    /// The logarithm of each row, and what is taken from the gradient of each of its weights.
    logarithms: Vec<f32>,
    means: Vec<f32>,
    /// Keys and values of a block in groups of lanes, and keys row by row.
    key_groups: Vec<f32>,
    value_groups: Vec<f32>,
    keys: Vec<f32>,
    /// Weights of a block of queries for a block of keys, and gradients of its scores.
    weights: Vec<f32>,
    dscores: Vec<f32>,
    /// Sums: of all queries, and of a block of keys and values.
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scratch = SCRATCH.take();
        let head = self.head;
        self.start(s, &mut scratch);
        for key_block in 0..head.blocks() {
            self.pack_keys(s, key_block, &mut scratch);
            for query_block in head.query_blocks(key_block) {
                for first in head.block(query_block).step_by(S::TILE_ROWS) {
                    self.query_tile(s, first, key_block, &mut scratch);
                }
                for first in head.block(key_block).step_by(S::TILE_ROWS) {
                    self.key_tile(s, first, query_block, &mut scratch);
                }
            }
            self.finish_keys(s, key_block, &scratch);
        }
        self.finish_queries(s, &scratch);
        SCRATCH.set(scratch);
    }
}

impl Backward<'_> {
    /// Packs what belongs to queries, and empties their sums.
    #[inline(always)]
    fn start<S: Simd>(&self, s: S, scratch: &mut Scratch) {
        let (head, Attended { out, logsumexp, dout }) = (self.head, self.attended);
        let (tokens, room) = (head.tokens(), head.room());
        let len = head.packed(room);
        let queries = grown(&mut scratch.queries, len);
        let query = |row| &self.inputs.q[head.query(row)];
        pack_rows(s, tokens, query, head.query_factor(), (queries, room));
        let douts = grown(&mut scratch.douts, len);
        pack_rows(s, tokens, |row| &dout[head.query(row)], 1.0, (douts, room));
        scratch.logarithms.clear();
        scratch.logarithms.extend((0..tokens).map(|row| logsumexp[head.logarithm(row)]));
        scratch.logarithms.resize(room, 0.0);
        scratch.means.clear();
        for place in (0..tokens).map(|row| head.query(row)) {
            scratch.means.push(dot(s, &out[place.clone()], &dout[place]));
        }
        scratch.means.resize(room, 0.0);
        grown(&mut scratch.dq, len).fill(0.0);
        grown(&mut scratch.weights, BLOCK * BLOCK);
        grown(&mut scratch.dscores, BLOCK * BLOCK);
    }

    /// Packs a block of keys and values, and empties their sums.
    #[inline(always)]
    fn pack_keys<S: Simd>(&self, s: S, key_block: usize, scratch: &mut Scratch) {
        let (head, Qkv { k, v, .. }) = (self.head, self.inputs);
        let (rows, head_dim) = (head.block(key_block), head.config.head_dim);
        let key = |row| &k[head.key(rows.start + row)];
        let value = |row| &v[head.key(rows.start + row)];
        let groups = grown(&mut scratch.key_groups, BLOCK * head_dim);
        pack_columns(s, rows.len(), key, head_dim, groups);
        let groups = grown(&mut scratch.value_groups, BLOCK * head_dim);
        pack_columns(s, rows.len(), value, head_dim, groups);
        let len = head.packed(BLOCK);
        pack_rows(s, rows.len(), key, 1.0, (grown(&mut scratch.keys, len), BLOCK));
        grown(&mut scratch.dk, len).fill(0.0);
        grown(&mut scratch.dv, len).fill(0.0);
    }

    /// Weights and gradients of scores of a register tile of queries from `first` on, and what they say about the queries.
    #[inline(always)]
    fn query_tile<S: Simd>(&self, s: S, first: usize, key_block: usize, scratch: &mut Scratch) {
        let head = self.head;
        let (width, head_dim) = (head.width(), head.config.head_dim);
        let tile = first % BLOCK * BLOCK..(first % BLOCK + S::TILE_ROWS) * BLOCK;
        let weights = &mut scratch.weights[tile.clone()];
        let dscores = &mut scratch.dscores[tile];
        let columns = head.columns(first..first + S::TILE_ROWS, key_block);
        if columns.is_empty() {
            weights.fill(0.0);
            dscores.fill(0.0);
            return;
        }
        s.vectorize(Scores {
            a: Rows::new(&scratch.queries, head.room(), first),
            b: &scratch.key_groups,
            terms: head_dim,
            columns: columns.clone(),
            c: weights,
        });
        s.vectorize(Scores {
            a: Rows::new(&scratch.douts, head.room(), first),
            b: &scratch.value_groups,
            terms: head_dim,
            columns: columns.clone(),
            c: dscores,
        });
        let rows = weights.chunks_exact_mut(BLOCK).zip(dscores.chunks_exact_mut(BLOCK));
        for (row, (weights, dscores)) in (first..).zip(rows) {
            let of_row = [scratch.logarithms[row], scratch.means[row]];
            let whole = columns.start..columns.end.next_multiple_of(LANES);
            self.bend(s, of_row, [&mut weights[whole.clone()], &mut dscores[whole]]);
            let seen = head.seen_of_block(row, key_block);
            for x in [weights, dscores] {
                x[..seen.start].fill(0.0);
                x[seen.end..].fill(0.0);
            }
        }
        s.vectorize(AddByRows {
            a: &dscores[columns.start..],
            b: Rows::new(&scratch.keys, BLOCK, columns.start),
            terms: columns.len(),
            width,
            c: &mut scratch.dq[first * CHUNK..],
            c_room: head.room(),
        });
    }

    /// Makes weights of scores, and gradients of scores of those of weights.
    #[inline(always)]
    fn bend<S: Simd>(
        &self,
        s: S,
        [logarithm, mean]: [f32; 2],
        [weights, dscores]: [&mut [f32]; 2],
    ) {
        let (logarithm, mean) = (s.splat(logarithm), s.splat(mean));
        let pairs = weights.as_chunks_mut().0.iter_mut().zip(dscores.as_chunks_mut().0);
        match self.head.config.softcap {
            None => {
                for (weight, dscore) in pairs {
                    let power = math::exp2(s, s.sub(s.load(weight), logarithm));
                    s.store(s.mul(power, s.sub(s.load(dscore), mean)), dscore);
                    s.store(power, weight);
                }
            }
            Some(cap) => {
                let cap = s.splat(cap * LOG2_E);
                for (weight, dscore) in pairs {
                    let tanh = math::tanh(s, s.load(weight));
                    let power = math::exp2(s, s.sub(s.mul(cap, tanh), logarithm));
                    let slope = s.sub(s.splat(1.0), s.mul(tanh, tanh));
                    let dscore_capped = s.mul(power, s.sub(s.load(dscore), mean));
                    s.store(s.mul(dscore_capped, slope), dscore);
                    s.store(power, weight);
                }
            }
        }
    }

    /// What the rows of a block of queries say about a register tile of keys and values from `first` on.
    #[inline(always)]
    fn key_tile<S: Simd>(&self, s: S, first: usize, query_block: usize, scratch: &mut Scratch) {
        let (head, width, base) = (self.head, self.head.width(), query_block * BLOCK);
        let rows = first..head.seen_by(first + S::TILE_ROWS - 1).end;
        let rows = rows.start.max(base)..rows.end.min(base + BLOCK);
        if rows.is_empty() {
            return;
        }
        let (row, column) = (rows.start - base, first % BLOCK);
        s.vectorize(AddByColumns {
            a: &scratch.weights[row * BLOCK + column..],
            b: Rows::new(&scratch.douts, head.room(), rows.start),
            terms: rows.len(),
            width,
            c: &mut scratch.dv[column * CHUNK..],
            c_room: BLOCK,
        });
        s.vectorize(AddByColumns {
            a: &scratch.dscores[row * BLOCK + column..],
            b: Rows::new(&scratch.queries, head.room(), rows.start),
            terms: rows.len(),
            width,
            c: &mut scratch.dk[column * CHUNK..],
            c_room: BLOCK,
        });
    }

    /// Writes the gradients of a block of keys and values.
    #[inline(always)]
    fn finish_keys<S: Simd>(&self, s: S, key_block: usize, scratch: &Scratch) {
        let head = self.head;
        let shared = head.config.heads > head.config.kv_heads;
        for (i, row) in head.block(key_block).enumerate() {
            let place = if shared { head.query(row) } else { head.key(row) };
            #[expect(unsafe_code, reason = "heads of a row are written by several threads")]
            // SAFETY: a head of a sample is handed out once, and where several have the same key each has its own place.
            let (dk, dv) = unsafe { (self.dk.slice(place.clone()), self.dv.slice(place)) };
            unpack_row(s, (&scratch.dk, BLOCK), i, head.unpacked_factor(), dk);
            unpack_row(s, (&scratch.dv, BLOCK), i, 1.0, dv);
        }
    }

    /// Writes the gradients of the queries.
    #[inline(always)]
    fn finish_queries<S: Simd>(&self, s: S, scratch: &Scratch) {
        let head = self.head;
        for row in 0..head.tokens() {
            #[expect(unsafe_code, reason = "heads of a row are written by several threads")]
            // SAFETY: a head of a sample is handed out once.
            let out = unsafe { self.dq.slice(head.query(row)) };
            unpack_row(s, (&scratch.dq, head.room()), row, head.config.scale, out);
        }
    }
}

#[inline(always)]
fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let mut sums = s.zero();
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        sums = s.fma(load(s, a), load(s, b), sums);
    }
    s.sum(sums)
}
