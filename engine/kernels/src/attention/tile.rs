//! One unit of attention: the rows of some tokens and of some query heads with a common key and value head.
//!
//! Rows are taken token by token, the heads of a token in a row. They are cut into register tiles of [`Simd::TILE_ROWS`] rows;
//! the last one is filled up with rows of zeros to a height there is code for. Where several register tiles meet the same keys
//! and values, these are widened to F32 once for all.
use super::product::{AddValues, NARROW_ROWS, Operands, Score, lanes, lanes_mut};
use super::{AttentionConfig, STEP};
use crate::kv::{Cell, KEY_LANES, KvFormat, PAGE_TOKENS, Page};
use crate::simd::{LANES, Simd, math};
use std::ops::Range;
use std::sync::Arc;

/// What is computed, and on what.
pub(super) struct Tile<'a> {
    pub(super) config: &'a AttentionConfig,
    pub(super) pages: &'a [Arc<Page>],
    pub(super) layer: usize,
    pub(super) kv_head: usize,
    /// Position of the first token.
    pub(super) first_position: usize,
    pub(super) tokens: usize,
    /// Query heads.
    pub(super) heads: Range<usize>,
    /// The row of queries and outputs that the first token has.
    pub(super) first_row: usize,
}

/// Buffers of a tile.
#[derive(Default)]
pub(super) struct Scratch {
    /// Scaled queries, of each register tile `[value of the head][row]`.
    queries: Vec<f32>,
    /// Scores, then weights, of a step: rows of [`STEP`].
    scores: Vec<f32>,
    /// The largest score of each row so far.
    maxima: Vec<f32>,
    /// The sum of weights of each row so far, in lanes.
    weights: Vec<[f32; LANES]>,
    /// Weighted values of each row so far: rows of `value_width`.
    sums: Vec<f32>,
    /// Keys of one page, or values of one step, widened.
    wide: Vec<f32>,
    /// For 8-bit pages, the scales of the keys of a step, and those of its values.
    scales: [Vec<f32>; 2],
}

/// Rows that are multiplied together.
#[derive(Clone, Copy)]
struct Block {
    first_row: usize,
    /// Rows there is code for, and so the number of rows in the buffers.
    height: usize,
}

/// The columns of a step that some rows are computed for: positions from `base` on.
struct Step {
    base: usize,
    columns: Range<usize>,
}

impl Tile<'_> {
    fn rows(&self) -> usize {
        self.tokens * self.heads.len()
    }

    fn position(&self, row: usize) -> usize {
        self.first_position + row.min(self.rows() - 1) / self.heads.len()
    }

    /// The first position that a row at `position` sees.
    fn first_seen(&self, position: usize) -> usize {
        self.config.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    fn value_width(&self) -> usize {
        self.config.head_dim.next_multiple_of(LANES)
    }

    /// Where each row lies in queries and outputs.
    pub(super) fn places(&self) -> impl Iterator<Item = Range<usize>> {
        let AttentionConfig { heads, head_dim, .. } = *self.config;
        (self.first_row..self.first_row + self.tokens).flat_map(move |row| {
            self.heads.clone().map(move |head| {
                let start = (row * heads + head) * head_dim;
                start..start + head_dim
            })
        })
    }

    fn blocks<S: Simd>(&self) -> impl Iterator<Item = Block> + use<S> {
        let rows = self.rows();
        (0..rows).step_by(S::TILE_ROWS).map(move |first_row| Block {
            first_row,
            height: height(rows - first_row, S::TILE_ROWS),
        })
    }

    /// The columns of a step that any row of a block sees, in whole pages.
    fn columns(&self, base: usize, rows: Range<usize>) -> Range<usize> {
        let first =
            self.first_seen(self.position(rows.start)).max(base) / PAGE_TOKENS * PAGE_TOKENS;
        let end = (self.position(rows.end - 1) + 1).min(base + STEP).next_multiple_of(PAGE_TOKENS);
        first - base..end.saturating_sub(base).max(first - base)
    }

    /// Everything but the last division: see [`Tile::finish`].
    #[inline(always)]
    pub(super) fn run<S: Simd, C: Cell>(&self, s: S, q: &[f32], scratch: &mut Scratch) {
        self.start::<S>(q, scratch);
        let first = self.first_seen(self.first_position) / STEP;
        let last = (self.first_position + self.tokens - 1) / STEP;
        for base in (first..=last).map(|step| step * STEP) {
            let step = Step { base, columns: self.columns(base, 0..self.rows()) };
            self.score::<S, C>(s, &step, scratch);
            if C::FORMAT == KvFormat::Q8 {
                self.gather_scales(&step, scratch);
            }
            for block in self.blocks::<S>() {
                let rows = block.first_row..block.first_row + block.height;
                let columns = self.columns(base, rows.clone());
                if columns.is_empty() {
                    continue;
                }
                for row in rows {
                    self.weigh::<S, C>(s, row, &Step { base, columns: columns.clone() }, scratch);
                }
            }
            self.add_values::<S, C>(s, &step, scratch);
        }
    }

    /// Packs the queries and empties the sums.
    #[inline(always)]
    fn start<S: Simd>(&self, q: &[f32], scratch: &mut Scratch) {
        let head_dim = self.config.head_dim;
        let rows =
            self.blocks::<S>().map(|block| block.first_row + block.height).max().unwrap_or(0);
        let factor = match self.config.softcap {
            None => self.config.scale * std::f32::consts::LOG2_E,
            Some(cap) => self.config.scale / cap,
        };
        scratch.queries.clear();
        scratch.queries.resize(rows * head_dim, 0.0);
        let mut places = self.places();
        for block in self.blocks::<S>() {
            let start = block.first_row * head_dim;
            let packed = &mut scratch.queries[start..start + block.height * head_dim];
            for (row, place) in (0..block.height).zip(&mut places) {
                let to = packed[row..].iter_mut().step_by(block.height);
                to.zip(&q[place]).for_each(|(to, x)| *to = x * factor);
            }
        }
        scratch.scores.resize((rows * STEP).max(scratch.scores.len()), 0.0);
        scratch.maxima.clear();
        scratch.maxima.resize(rows, f32::MIN);
        scratch.weights.clear();
        scratch.weights.resize(rows, [0.0; LANES]);
        scratch.sums.clear();
        scratch.sums.resize(rows * self.value_width(), 0.0);
        let wide = (PAGE_TOKENS * head_dim).max(STEP * self.value_width());
        scratch.wide.resize(wide.max(scratch.wide.len()), 0.0);
    }

    /// Whether keys and values are met often enough to widen them first.
    fn widens<S: Simd, C: Cell>(&self) -> bool {
        C::FORMAT != KvFormat::F32 && self.rows() > NARROW_ROWS.min(S::TILE_ROWS)
    }

    /// Products of queries and keys.
    #[inline(always)]
    fn score<S: Simd, C: Cell>(&self, s: S, step: &Step, scratch: &mut Scratch) {
        let Scratch { queries, scores, wide, .. } = scratch;
        for column in step.columns.clone().step_by(PAGE_TOKENS) {
            let page = &self.pages[(step.base + column) / PAGE_TOKENS];
            let keys = page.keys::<C>(self.layer, self.kv_head);
            if self.widens::<S, C>() {
                let wide = &mut wide[..keys.len()];
                widen(s, keys, wide);
                self.score_page(s, step, column, queries, [&*wide, &[]], scores);
            } else {
                let values = page.values::<C>(self.layer, self.kv_head);
                self.score_page(s, step, column, queries, [keys, values], scores);
            }
        }
    }

    #[inline(always)]
    fn score_page<S: Simd, C: Cell>(
        &self,
        s: S,
        step: &Step,
        column: usize,
        queries: &[f32],
        [keys, next]: [&[C]; 2],
        scores: &mut [f32],
    ) {
        let head_dim = self.config.head_dim;
        for block in self.blocks::<S>() {
            let rows = block.first_row..block.first_row + block.height;
            if !self.columns(step.base, rows.clone()).contains(&column) {
                continue;
            }
            let operands = Operands {
                a: &queries[rows.start * head_dim..rows.end * head_dim],
                b: keys,
                b_block: KEY_LANES * head_dim,
                b_term: KEY_LANES,
                terms: head_dim,
                next,
            };
            let c = &mut scores[rows.start * STEP + column..];
            s.vectorize(Score { height: block.height, operands, c });
        }
    }

    /// Turns the scores of a row into weights.
    #[inline(always)]
    fn weigh<S: Simd, C: Cell>(&self, s: S, row: usize, step: &Step, scratch: &mut Scratch) {
        let columns = step.columns.clone();
        let scores = &mut scratch.scores[row * STEP..(row + 1) * STEP];
        self.bend::<S, C>(s, step, &scratch.scales[0], scores);
        let position = self.position(row);
        let seen_from = self.first_seen(position).saturating_sub(step.base);
        let seen_to = (position + 1).saturating_sub(step.base);
        let (seen_from, seen_to) = (
            seen_from.clamp(columns.start, columns.end),
            seen_to.clamp(columns.start, columns.end),
        );
        scores[columns.start..seen_from].fill(f32::NEG_INFINITY);
        scores[seen_to..columns.end].fill(f32::NEG_INFINITY);

        let before = scratch.maxima[row];
        let mut maximum = s.splat(before);
        for lane in columns.start / LANES..columns.end / LANES {
            maximum = s.max(maximum, s.load(lanes(scores, lane * LANES)));
        }
        let after = s.max_lane(maximum);
        let maximum = s.splat(after);
        let mut weight = s.load(&scratch.weights[row]);
        if after != before {
            scratch.maxima[row] = after;
            let factor = math::exp2(s, s.splat(before - after));
            weight = s.mul(weight, factor);
            let width = self.value_width();
            let (sums, _) = scratch.sums[row * width..(row + 1) * width].as_chunks_mut::<LANES>();
            for sums in sums {
                s.store(s.mul(s.load(sums), factor), sums);
            }
        }
        for lane in columns.start / LANES..columns.end / LANES {
            let column = lane * LANES;
            let score = s.load(lanes(scores, column));
            let mut p = math::exp2(s, s.sub(score, maximum));
            weight = s.add(weight, p);
            if C::FORMAT == KvFormat::Q8 {
                p = s.mul(p, s.load(lanes(&scratch.scales[1], column)));
            }
            s.store(p, lanes_mut(scores, column));
        }
        s.store(weight, &mut scratch.weights[row]);
    }

    /// What lies between the product of query and key and the score: the scale of an 8-bit key, and the cap.
    #[inline(always)]
    fn bend<S: Simd, C: Cell>(&self, s: S, step: &Step, key_scales: &[f32], scores: &mut [f32]) {
        if C::FORMAT != KvFormat::Q8 && self.config.softcap.is_none() {
            return;
        }
        for lane in step.columns.start / LANES..step.columns.end / LANES {
            let column = lane * LANES;
            let mut score = s.load(lanes(scores, column));
            if C::FORMAT == KvFormat::Q8 {
                score = s.mul(score, s.load(lanes(key_scales, column)));
            }
            if let Some(cap) = self.config.softcap {
                let cap = s.splat(cap * std::f32::consts::LOG2_E);
                score = s.mul(cap, math::tanh(s, score));
            }
            s.store(score, lanes_mut(scores, column));
        }
    }

    /// Brings the scales of a step together.
    fn gather_scales(&self, step: &Step, scratch: &mut Scratch) {
        for (part, scales) in scratch.scales.iter_mut().enumerate() {
            scales.resize(STEP, 0.0);
            for column in step.columns.clone().step_by(PAGE_TOKENS) {
                let page = &self.pages[(step.base + column) / PAGE_TOKENS];
                let of_page = page.scales(self.layer, self.kv_head);
                let of_part = &of_page[part * PAGE_TOKENS..(part + 1) * PAGE_TOKENS];
                scales[column..column + PAGE_TOKENS].copy_from_slice(of_part);
            }
        }
    }

    /// Adds the weighted values of a step to the sums.
    #[inline(always)]
    fn add_values<S: Simd, C: Cell>(&self, s: S, step: &Step, scratch: &mut Scratch) {
        let Scratch { scores, sums, wide, .. } = scratch;
        let width = self.value_width();
        for column in step.columns.clone().step_by(PAGE_TOKENS) {
            let page = &self.pages[(step.base + column) / PAGE_TOKENS];
            let values = page.values::<C>(self.layer, self.kv_head);
            if self.widens::<S, C>() {
                widen(s, values, &mut wide[column * width..(column + PAGE_TOKENS) * width]);
            } else {
                let step = Step { base: step.base, columns: column..column + PAGE_TOKENS };
                // What the next step starts with.
                let next = self.pages.get((step.base + column + STEP) / PAGE_TOKENS);
                let next = next.map_or(&[][..], |page| page.keys::<C>(self.layer, self.kv_head));
                self.add_span(s, &step, scores, [values, next], sums);
            }
        }
        if self.widens::<S, C>() {
            let values = &wide[step.columns.start * width..step.columns.end * width];
            self.add_span(s, step, scores, [values, &[]], sums);
        }
    }

    /// `values` are those of the step's columns.
    #[inline(always)]
    fn add_span<S: Simd, C: Cell>(
        &self,
        s: S,
        step: &Step,
        scores: &[f32],
        [values, next]: [&[C]; 2],
        sums: &mut [f32],
    ) {
        let width = self.value_width();
        for block in self.blocks::<S>() {
            let rows = block.first_row..block.first_row + block.height;
            let columns = self.columns(step.base, rows.clone());
            let columns = columns.start.max(step.columns.start)..columns.end.min(step.columns.end);
            if columns.is_empty() {
                continue;
            }
            let operands = Operands {
                a: &scores[rows.start * STEP + columns.start..rows.end * STEP],
                b: &values[(columns.start - step.columns.start) * width..],
                b_block: LANES,
                b_term: width,
                terms: columns.len(),
                next,
            };
            let c = &mut sums[rows.start * width..rows.end * width];
            s.vectorize(AddValues { height: block.height, operands, c });
        }
    }

    /// The row's result: its sums over its weight. Adding zero makes one zero of the two, whose sign would tell how many masked
    /// positions were met.
    #[inline(always)]
    pub(super) fn finish<S: Simd>(&self, s: S, scratch: &Scratch, row: usize, out: &mut [f32]) {
        let width = self.value_width();
        let inverse = s.splat(1.0 / s.sum(s.load(&scratch.weights[row])));
        let (sums, _) = scratch.sums[row * width..(row + 1) * width].as_chunks::<LANES>();
        for (out, sums) in out.chunks_mut(LANES).zip(sums) {
            let result = s.add(s.mul(s.load(sums), inverse), s.zero());
            match out.as_chunks_mut() {
                ([out], []) => s.store(result, out),
                _ => out.copy_from_slice(&s.to_array(result)[..out.len()]),
            }
        }
    }
}

/// The rows there is code for that hold as many, or a whole register tile.
fn height(rows: usize, tile_rows: usize) -> usize {
    let heights = [1, 2, 4, 6, 8, 12];
    let enough = heights.into_iter().find(|height| *height >= rows.min(tile_rows));
    match enough {
        // Six is a whole tile where registers are few, and not worth its code elsewhere.
        Some(6) if tile_rows != 6 => 8,
        enough => enough.unwrap_or(tile_rows),
    }
}

#[inline(always)]
fn widen<S: Simd, C: Cell>(s: S, from: &[C], to: &mut [f32]) {
    let (from, _) = from.as_chunks::<LANES>();
    let (to, _) = to.as_chunks_mut::<LANES>();
    for (i, to) in to.iter_mut().enumerate() {
        s.store(C::load(s, &from[i]), to);
    }
}
