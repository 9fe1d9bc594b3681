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

/// How many tokens ahead the places of results are asked for.
const PLACES_AHEAD: usize = 12;

/// What a thread computes in.
pub(super) struct Buffers {
    weights: [Spread; 2],
    sums: Vec<__m512>,
    /// Rows of a panel that is not full, with zeros.
    padded: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { weights: [Spread::ZERO; 2], sums: Vec::new(), padded: Vec::new() }
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
            _ => {
                for row in (0..self.rows()).step_by(2 * PANEL) {
                    if row + PANEL < self.rows() {
                        self.long_many::<F, 2>(row);
                    } else {
                        self.long_many::<F, 1>(row);
                    }
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
            _ => {
                for row in (0..self.rows()).step_by(2 * PANEL) {
                    if row + PANEL < self.rows() {
                        self.short_many::<F, 2>(row);
                    } else {
                        self.short_many::<F, 1>(row);
                    }
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

    /// `R` panels from `row` on, with all tokens.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn long_many<const F: u8, const R: usize>(&mut self, row: usize) {
        let tokens = self.x.tokens();
        for first in (0..tokens).step_by(BATCH) {
            let batch = BATCH.min(tokens - first);
            self.start_sums(batch * R);
            let upcoming = self.upcoming(row + R * PANEL);
            let bytes = PANEL * const { long::layout(F).bytes };
            for (block, x) in self.x.long().chunks_exact(tokens).enumerate() {
                let Buffers { weights, sums, padded } = &mut *self.buffers;
                for r in 0..R {
                    let panel = panel(self.weights, row + r * PANEL, padded);
                    let upcoming = upcoming.wrapping_add((block * R + r) * bytes);
                    weights[r].long::<F>(&panel, block, upcoming);
                }
                let Some(weights) = weights.first_chunk::<R>() else { return };
                let mut x = &x[first..first + batch];
                let mut sums = sums.as_chunks_mut::<R>().0;
                for size in tiles(batch) {
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
            self.put_sums::<R>(first, row);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn short_many<const F: u8, const R: usize>(&mut self, row: usize) {
        let tokens = self.x.tokens();
        for first in (0..tokens).step_by(BATCH) {
            let batch = BATCH.min(tokens - first);
            self.start_sums(batch * R);
            let upcoming = self.upcoming(row + R * PANEL);
            let bytes = PANEL * GROUP * const { short::layout(F).bytes };
            for (group, x) in self.x.short().chunks_exact(tokens).enumerate() {
                let Buffers { weights, sums, padded } = &mut *self.buffers;
                let blocks = GROUP.min(self.x.columns() / SHORT - group * GROUP);
                for r in 0..R {
                    let panel = panel(self.weights, row + r * PANEL, padded);
                    let upcoming = upcoming.wrapping_add((group * R + r) * bytes);
                    weights[r].short::<F>(&panel, group * GROUP, blocks, upcoming);
                }
                let Some(weights) = weights.first_chunk::<R>() else { return };
                let mut x = &x[first..first + batch];
                let mut sums = sums.as_chunks_mut::<R>().0;
                for size in tiles(batch) {
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
            self.put_sums::<R>(first, row);
        }
    }

    #[target_feature(enable = "avx512f")]
    fn start_sums(&mut self, len: usize) {
        self.buffers.sums.clear();
        self.buffers.sums.resize(len, _mm512_setzero_ps());
    }

    /// Writes finished sums `(tokens, R)`, from token `first` on.
    #[target_feature(enable = "avx512f")]
    fn put_sums<const R: usize>(&mut self, first: usize, row: usize) {
        let sums = std::mem::take(&mut self.buffers.sums);
        for (token, sums) in sums.as_chunks::<R>().0.iter().enumerate() {
            for (r, sum) in sums.iter().enumerate() {
                // Places of different tokens lie far apart, and none is near yet.
                let place = self.out.place(first + token + PLACES_AHEAD, row + r * PANEL);
                _mm_prefetch::<_MM_HINT_ET0>(place.cast());
                self.put(first + token, row + r * PANEL, std::slice::from_ref(sum));
            }
        }
        self.buffers.sums = sums;
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
