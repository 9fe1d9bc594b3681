//! The backward of one head of one sample.
use super::head::{Head, grown, pack_groups, pack_rows};
use super::product::{AddByColumns, AddByRows, Scores};
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
    /// Scaled queries and gradients of the output: in register tiles, and row by row.
    query_tiles: Vec<f32>,
    dout_tiles: Vec<f32>,
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
        self.start(s, &mut scratch);
        for key_block in 0..self.head.blocks() {
            self.pack_keys(key_block, &mut scratch);
            for query_block in self.head.query_blocks(key_block) {
                for tile in (0..BLOCK).step_by(S::TILE_ROWS) {
                    self.query_tile(s, query_block * BLOCK + tile, key_block, &mut scratch);
                }
                for tile in (0..BLOCK).step_by(S::TILE_ROWS) {
                    self.key_tile(s, key_block * BLOCK + tile, query_block, &mut scratch);
                }
            }
            self.finish_keys(key_block, &scratch);
        }
        self.finish_queries(&scratch);
        SCRATCH.set(scratch);
    }
}

impl Backward<'_> {
    /// Packs what belongs to queries, and empties their sums.
    #[inline(always)]
    fn start<S: Simd>(&self, s: S, scratch: &mut Scratch) {
        let (head, Attended { out, logsumexp, dout }) = (self.head, self.attended);
        let (width, head_dim) = (head.width(), head.config.head_dim);
        let (tokens, padded) = (head.tokens(), head.blocks() * BLOCK);
        let queries = || (0..tokens).map(|row| &self.inputs.q[head.query(row)]);
        let douts = || (0..tokens).map(|row| &dout[head.query(row)]);
        let [tiles, rows] = [padded * head_dim, padded * width];
        let factor = head.query_factor();
        let packed = grown(&mut scratch.query_tiles, tiles);
        pack_groups(queries(), S::TILE_ROWS, head_dim, factor, packed);
        pack_groups(douts(), S::TILE_ROWS, head_dim, 1.0, grown(&mut scratch.dout_tiles, tiles));
        let packed = grown(&mut scratch.queries, rows);
        pack_rows(queries(), width, packed);
        for x in packed.as_chunks_mut::<LANES>().0 {
            s.store(s.mul(s.load(x), s.splat(factor)), x);
        }
        pack_rows(douts(), width, grown(&mut scratch.douts, rows));
        scratch.logarithms.clear();
        scratch.logarithms.extend((0..tokens).map(|row| logsumexp[head.logarithm(row)]));
        scratch.logarithms.resize(padded, 0.0);
        scratch.means.clear();
        scratch
            .means
            .extend((0..tokens).map(|row| dot(s, &out[head.query(row)], &dout[head.query(row)])));
        scratch.means.resize(padded, 0.0);
        grown(&mut scratch.dq, rows).fill(0.0);
        grown(&mut scratch.weights, BLOCK * BLOCK);
        grown(&mut scratch.dscores, BLOCK * BLOCK);
    }

    /// Packs a block of keys and values, and empties their sums.
    #[inline(always)]
    fn pack_keys(&self, key_block: usize, scratch: &mut Scratch) {
        let (head, Qkv { k, v, .. }) = (self.head, self.inputs);
        let (width, head_dim) = (head.width(), head.config.head_dim);
        let rows = key_block * BLOCK..head.tokens().min((key_block + 1) * BLOCK);
        let keys = || rows.clone().map(|row| &k[head.key(row)]);
        let values = rows.clone().map(|row| &v[head.key(row)]);
        let len = BLOCK * head_dim;
        pack_groups(keys(), LANES, head_dim, 1.0, grown(&mut scratch.key_groups, len));
        pack_groups(values, LANES, head_dim, 1.0, grown(&mut scratch.value_groups, len));
        pack_rows(keys(), width, grown(&mut scratch.keys, BLOCK * width));
        grown(&mut scratch.dk, BLOCK * width).fill(0.0);
        grown(&mut scratch.dv, BLOCK * width).fill(0.0);
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
        let rows = first * head_dim..(first + S::TILE_ROWS) * head_dim;
        s.vectorize(Scores {
            a: &scratch.query_tiles[rows.clone()],
            b: &scratch.key_groups,
            terms: head_dim,
            columns: columns.clone(),
            c: weights,
        });
        s.vectorize(Scores {
            a: &scratch.dout_tiles[rows],
            b: &scratch.value_groups,
            terms: head_dim,
            columns: columns.clone(),
            c: dscores,
        });
        let rows = weights.chunks_exact_mut(BLOCK).zip(dscores.chunks_exact_mut(BLOCK));
        for (row, (weights, dscores)) in (first..).zip(rows) {
            let of_row = [scratch.logarithms[row], scratch.means[row]];
            self.bend(s, of_row, [&mut weights[columns.clone()], &mut dscores[columns.clone()]]);
            let seen = head.seen_of_block(row, key_block);
            for x in [weights, dscores] {
                x[..seen.start].fill(0.0);
                x[seen.end..].fill(0.0);
            }
        }
        s.vectorize(AddByRows {
            a: &dscores[columns.start..],
            b: &scratch.keys[columns.start * width..],
            terms: columns.len(),
            width,
            c: &mut scratch.dq[first * width..],
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
        if first >= head.tokens() || rows.is_empty() {
            return;
        }
        let (row, column) = (rows.start - base, first % BLOCK);
        let sums = column * width..(column + S::TILE_ROWS) * width;
        s.vectorize(AddByColumns {
            a: &scratch.weights[row * BLOCK + column..],
            b: &scratch.douts[rows.start * width..],
            terms: rows.len(),
            width,
            c: &mut scratch.dv[sums.clone()],
        });
        s.vectorize(AddByColumns {
            a: &scratch.dscores[row * BLOCK + column..],
            b: &scratch.queries[rows.start * width..],
            terms: rows.len(),
            width,
            c: &mut scratch.dk[sums],
        });
    }

    /// Writes the gradients of a block of keys and values.
    #[inline(always)]
    fn finish_keys(&self, key_block: usize, scratch: &Scratch) {
        let (head, width) = (self.head, self.head.width());
        let shared = head.config.heads > head.config.kv_heads;
        let rows = key_block * BLOCK..head.tokens().min((key_block + 1) * BLOCK);
        let factor = head.unpacked_factor();
        let sums = scratch.dk.chunks_exact(width).zip(scratch.dv.chunks_exact(width));
        for (row, (dk, dv)) in rows.zip(sums) {
            let place = if shared { head.query(row) } else { head.key(row) };
            #[expect(unsafe_code, reason = "heads of a row are written by several threads")]
            // SAFETY: a head of a sample is handed out once, and where several have the same key each has its own place.
            let (dk_out, dv_out) = unsafe { (self.dk.slice(place.clone()), self.dv.slice(place)) };
            dk_out.iter_mut().zip(dk).for_each(|(out, sum)| *out = sum * factor);
            dv_out.copy_from_slice(&dv[..dv_out.len()]);
        }
    }

    /// Writes the gradients of the queries.
    #[inline(always)]
    fn finish_queries(&self, scratch: &Scratch) {
        let scale = self.head.config.scale;
        for (row, dq) in (0..self.head.tokens()).zip(scratch.dq.chunks_exact(self.head.width())) {
            #[expect(unsafe_code, reason = "heads of a row are written by several threads")]
            // SAFETY: a head of a sample is handed out once.
            let out = unsafe { self.dq.slice(self.head.query(row)) };
            out.iter_mut().zip(dq).for_each(|(out, sum)| *out = sum * scale);
        }
    }
}

#[inline(always)]
fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = s.zero();
    for (a, b) in a.iter().zip(b) {
        sums = s.fma(s.load(a), s.load(b), sums);
    }
    let rest = s.mul(crate::ops::load_part(s, a_rest), crate::ops::load_part(s, b_rest));
    s.sum(s.add(sums, rest))
}
