//! Products with AVX-512 and its integer dot products.
//!
//! 16 rows go together, one in each lane: fours of columns of 16 rows are gathered by transposing what lies in the file, and
//! meet the same four columns of the activations in every lane. So sums of different rows never have to be taken apart, and
//! rows of few tokens and of many go through the same steps.
#![expect(unsafe_code, reason = "vectors are loaded from and stored to memory by pointers")]
#![expect(clippy::needless_range_loop, reason = "several arrays of registers are walked together")]
use super::scratch::Scratch;
use super::{PANEL, Rows, Weights};
use crate::activations::{Activations, GROUP, LongActivation, ShortActivation};
use crate::format::{Format, LONG, SHORT};
use panel::Panel;
use std::arch::x86_64::*;
use std::ops::Range;
use tile::Spread;

mod float;
mod fused;
mod long;
mod panel;
mod short;
mod tile;

/// The most tokens whose sums are held in registers, with two panels of rows.
const TILE: usize = 6;

/// Tokens that meet a block before the next block is spread out; so many activations stay near.
const BATCH: usize = 512;

/// What a thread computes in.
pub(super) struct Buffers {
    weights: [Spread; 2],
    /// Of one or two panels, `(tokens, panels)`.
    sums: Vec<__m512>,
    /// Finished ones of all panels of a chunk, `(tokens, panels)`.
    finished: Vec<__m512>,
    /// Rows of a panel that is not full, with zeros.
    padded: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            weights: [Spread::ZERO; 2],
            sums: Vec::new(),
            finished: Vec::new(),
            padded: Vec::new(),
        }
    }
}

/// Products of the rows of a chunk.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn rows(
    weights: &Weights<'_>,
    x: &Activations,
    out: &mut Rows<'_>,
    scratch: &mut Scratch,
) {
    let mut work = Work { weights, x, out, buffers: &mut scratch.avx512 };
    match weights.matrix.format() {
        Format::F32 => work.floats::<{ float::F32 }>(),
        Format::F16 => work.floats::<{ float::F16 }>(),
        Format::Bf16 => work.floats::<{ float::BF16 }>(),
        Format::Q4_0 => work.short::<{ short::Q4_0 }>(),
        Format::Q4_1 => work.short::<{ short::Q4_1 }>(),
        Format::Q5_0 => work.short::<{ short::Q5_0 }>(),
        Format::Q5_1 => work.short::<{ short::Q5_1 }>(),
        Format::Q8_0 => work.short::<{ short::Q8_0 }>(),
        Format::Q2K => work.long::<{ long::Q2K }>(),
        Format::Q3K => work.long::<{ long::Q3K }>(),
        Format::Q4K => work.long::<{ long::Q4K }>(),
        Format::Q5K => work.long::<{ long::Q5K }>(),
        Format::Q6K => work.long::<{ long::Q6K }>(),
    }
}

struct Work<'a, 'b> {
    weights: &'a Weights<'a>,
    x: &'a Activations,
    out: &'a mut Rows<'b>,
    buffers: &'a mut Buffers,
}

impl Work<'_, '_> {
    fn row_bytes(&self) -> usize {
        self.weights.matrix.row_bytes()
    }

    fn rows(&self) -> usize {
        self.weights.bytes.len() / self.row_bytes()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn long<const F: u8>(&mut self) {
        match self.x.tokens() {
            1 => self.long_few::<F, 1>(),
            2 => self.long_few::<F, 2>(),
            3 => self.long_few::<F, 3>(),
            4 => self.long_few::<F, 4>(),
            tokens => {
                for first in (0..tokens).step_by(BATCH) {
                    let batch = first..tokens.min(first + BATCH);
                    for row in (0..self.rows()).step_by(2 * PANEL) {
                        if row + PANEL < self.rows() {
                            self.long_many::<F, 2>(row, &batch);
                        } else {
                            self.long_many::<F, 1>(row, &batch);
                        }
                    }
                    self.put_finished(batch.start);
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn short<const F: u8>(&mut self) {
        match self.x.tokens() {
            1 => self.short_few::<F, 1>(),
            2 => self.short_few::<F, 2>(),
            3 => self.short_few::<F, 3>(),
            4 => self.short_few::<F, 4>(),
            tokens => {
                for first in (0..tokens).step_by(BATCH) {
                    let batch = first..tokens.min(first + BATCH);
                    for row in (0..self.rows()).step_by(2 * PANEL) {
                        if row + PANEL < self.rows() {
                            self.short_many::<F, 2>(row, &batch);
                        } else {
                            self.short_many::<F, 1>(row, &batch);
                        }
                    }
                    self.put_finished(batch.start);
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn long_few<const F: u8, const N: usize>(&mut self) {
        let x = self.x.long().as_chunks::<N>().0;
        for row in (0..self.rows()).step_by(PANEL) {
            let upcoming = self.upcoming(row + PANEL);
            let panel = panel(self.weights, row, &mut self.buffers.padded);
            let sums = fused::long::<F, N>(&panel, x, upcoming);
            self.put(0, row, &sums);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn short_few<const F: u8, const N: usize>(&mut self) {
        let x = self.x.short().as_chunks::<N>().0;
        let blocks = self.x.columns() / SHORT;
        for row in (0..self.rows()).step_by(PANEL) {
            let upcoming = self.upcoming(row + PANEL);
            let panel = panel(self.weights, row, &mut self.buffers.padded);
            let sums = fused::short::<F, N>(&panel, x, blocks, upcoming);
            self.put(0, row, &sums);
        }
    }

    /// Where the panel at `next` will be read, or what comes after the last.
    fn upcoming(&self, next: usize) -> *const u8 {
        let next = next * self.row_bytes();
        match (self.weights.bytes.get(next..), self.weights.upcoming) {
            (Some(next), _) if !next.is_empty() => next.as_ptr(),
            (_, Some(upcoming)) => upcoming,
            _ => self.weights.bytes.as_ptr(),
        }
    }

    /// `R` panels from `row` on, with a batch of tokens.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn long_many<const F: u8, const R: usize>(&mut self, row: usize, batch: &Range<usize>) {
        let tokens = self.x.tokens();
        self.start_sums(batch.len() * R);
        let upcoming = self.upcoming(row + R * PANEL);
        let bytes = PANEL * const { long::layout(F).bytes };
        for (block, x) in self.x.long().chunks_exact(tokens).enumerate() {
            let Buffers { weights, sums, padded, .. } = &mut *self.buffers;
            for r in 0..R {
                let panel = panel(self.weights, row + r * PANEL, padded);
                let upcoming = upcoming.wrapping_add((block * R + r) * bytes);
                weights[r].long::<F>(&panel, block, upcoming);
            }
            let Some(weights) = weights.first_chunk::<R>() else { return };
            let mut x = &x[batch.clone()];
            let mut sums = sums.as_chunks_mut::<R>().0;
            for size in tiles(batch.len()) {
                let (some_x, rest_x) = x.split_at(size);
                let (some_sums, rest_sums) = sums.split_at_mut(size);
                match size {
                    1 => long_tile::<F, R, 1>(weights, some_x, some_sums),
                    2 => long_tile::<F, R, 2>(weights, some_x, some_sums),
                    3 => long_tile::<F, R, 3>(weights, some_x, some_sums),
                    4 => long_tile::<F, R, 4>(weights, some_x, some_sums),
                    5 => long_tile::<F, R, 5>(weights, some_x, some_sums),
                    _ => long_tile::<F, R, TILE>(weights, some_x, some_sums),
                }
                (x, sums) = (rest_x, rest_sums);
            }
        }
        self.finish::<R>(row);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn short_many<const F: u8, const R: usize>(&mut self, row: usize, batch: &Range<usize>) {
        let tokens = self.x.tokens();
        self.start_sums(batch.len() * R);
        let upcoming = self.upcoming(row + R * PANEL);
        let bytes = PANEL * GROUP * const { short::layout(F).bytes };
        for (group, x) in self.x.short().chunks_exact(tokens).enumerate() {
            let Buffers { weights, sums, padded, .. } = &mut *self.buffers;
            let blocks = GROUP.min(self.x.columns() / SHORT - group * GROUP);
            for r in 0..R {
                let panel = panel(self.weights, row + r * PANEL, padded);
                let upcoming = upcoming.wrapping_add((group * R + r) * bytes);
                weights[r].short::<F>(&panel, group * GROUP, blocks, upcoming);
            }
            let Some(weights) = weights.first_chunk::<R>() else { return };
            let mut x = &x[batch.clone()];
            let mut sums = sums.as_chunks_mut::<R>().0;
            for size in tiles(batch.len()) {
                let (some_x, rest_x) = x.split_at(size);
                let (some_sums, rest_sums) = sums.split_at_mut(size);
                match size {
                    1 => short_tile::<F, R, 1>(weights, some_x, blocks, some_sums),
                    2 => short_tile::<F, R, 2>(weights, some_x, blocks, some_sums),
                    3 => short_tile::<F, R, 3>(weights, some_x, blocks, some_sums),
                    4 => short_tile::<F, R, 4>(weights, some_x, blocks, some_sums),
                    5 => short_tile::<F, R, 5>(weights, some_x, blocks, some_sums),
                    _ => short_tile::<F, R, TILE>(weights, some_x, blocks, some_sums),
                }
                (x, sums) = (rest_x, rest_sums);
            }
        }
        self.finish::<R>(row);
    }

    #[target_feature(enable = "avx512f")]
    fn start_sums(&mut self, len: usize) {
        self.buffers.sums.clear();
        self.buffers.sums.resize(len, _mm512_setzero_ps());
    }

    /// Puts the sums `(tokens, R)` of `R` panels from `row` on with the others of the chunk.
    #[target_feature(enable = "avx512f")]
    fn finish<const R: usize>(&mut self, row: usize) {
        let panels = self.rows().div_ceil(PANEL);
        let Buffers { sums, finished, .. } = &mut *self.buffers;
        let sums = sums.as_chunks::<R>().0;
        if row == 0 {
            finished.clear();
            finished.resize(sums.len() * panels, _mm512_setzero_ps());
        }
        for (sums, finished) in sums.iter().zip(finished.chunks_exact_mut(panels)) {
            if let Some(place) = finished[row / PANEL..].first_chunk_mut() {
                *place = *sums;
            }
        }
    }

    /// Writes the sums of the chunk for consecutive tokens: long stretches, since the places of different tokens lie far apart.
    fn put_finished(&mut self, token: usize) {
        let rows = self.rows();
        let panels = rows.div_ceil(PANEL);
        for (i, sums) in self.buffers.finished.chunks_exact(panels).enumerate() {
            // SAFETY: a vector is 16 numbers, and panels are as many as the rows need.
            let values = unsafe { std::slice::from_raw_parts(sums.as_ptr().cast::<f32>(), rows) };
            self.out.put(token + i, 0, values);
        }
    }

    /// Writes the sums of a panel for consecutive tokens.
    #[target_feature(enable = "avx512f")]
    fn put(&mut self, token: usize, row: usize, sums: &[__m512]) {
        let rows = PANEL.min(self.rows() - row);
        for (i, &sum) in sums.iter().enumerate() {
            let mut values = [0.0; PANEL];
            // SAFETY: 16 numbers are written to where 16 have room.
            unsafe { _mm512_storeu_ps(values.as_mut_ptr(), sum) };
            // The length of a full panel is known when compiling, which spares a call.
            match rows {
                PANEL => self.out.put(token + i, row, &values),
                _ => self.out.put(token + i, row, &values[..rows]),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    fn floats<const F: u8>(&mut self) {
        let (tokens, rows) = (self.x.tokens(), self.rows());
        for row in (0..rows - rows % 4).step_by(4) {
            for token in (0..tokens - tokens % 4).step_by(4) {
                self.float_tile::<F, 4, 4>(row, token);
            }
            for token in tokens - tokens % 4..tokens {
                self.float_tile::<F, 4, 1>(row, token);
            }
        }
        for row in rows - rows % 4..rows {
            for token in 0..tokens {
                self.float_tile::<F, 1, 1>(row, token);
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    fn float_tile<const F: u8, const R: usize, const N: usize>(
        &mut self,
        row: usize,
        token: usize,
    ) {
        let columns = self.x.columns();
        let weights = &self.weights.bytes[row * self.row_bytes()..];
        let x = &self.x.float()[token * columns..];
        for (i, values) in float::tile::<F, R, N>(weights, x, columns).iter().enumerate() {
            self.out.put(token + i, row, values);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn long_tile<const F: u8, const R: usize, const N: usize>(
    weights: &[Spread; R],
    x: &[LongActivation],
    sums: &mut [[__m512; R]],
) {
    if let (Some(x), Some(sums)) = (x.first_chunk(), sums.first_chunk_mut()) {
        tile::long::<F, R, N>(weights, x, sums);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn short_tile<const F: u8, const R: usize, const N: usize>(
    weights: &[Spread; R],
    x: &[ShortActivation],
    blocks: usize,
    sums: &mut [[__m512; R]],
) {
    if let (Some(x), Some(sums)) = (x.first_chunk(), sums.first_chunk_mut()) {
        tile::short::<F, R, N>(weights, x, blocks, sums);
    }
}

/// The panel from `row` on; one that is not full is filled up with zeros in `padded`.
fn panel<'a>(weights: &Weights<'a>, row: usize, padded: &'a mut Vec<u8>) -> Panel<'a> {
    let row_bytes = weights.matrix.row_bytes();
    let bytes = &weights.bytes[row * row_bytes..];
    if bytes.len() >= PANEL * row_bytes {
        return Panel::new(bytes, row_bytes);
    }
    padded.clear();
    padded.extend_from_slice(bytes);
    padded.resize(PANEL * row_bytes, 0);
    Panel::new(padded, row_bytes)
}

/// Divides tokens into tiles of nearly the same size.
fn tiles(tokens: usize) -> impl Iterator<Item = usize> {
    let count = tokens.div_ceil(TILE);
    (0..count).map(move |i| tokens / count + usize::from(i < tokens % count))
}

/// Columns `4 * i` to `4 * i + 3` of a token, the same in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn quad(x: &[i8; LONG], i: usize) -> __m512i {
    let bytes = [
        x[4 * i].cast_unsigned(),
        x[4 * i + 1].cast_unsigned(),
        x[4 * i + 2].cast_unsigned(),
        x[4 * i + 3].cast_unsigned(),
    ];
    _mm512_set1_epi32(i32::from_ne_bytes(bytes))
}

/// Asks for some bytes to be brought near. They may be anywhere: nothing is read if they are not there.
#[inline]
fn fetch(start: *const u8, len: usize) {
    for line in (0..len).step_by(64) {
        // SAFETY: a prefetch does not fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(start.wrapping_add(line).cast()) };
    }
}
