//! Products with AVX2: the same walk over rows as in plain Rust, with sums of products in registers.
#![expect(unsafe_code, reason = "instructions that not every processor has")]
use super::portable::{self, Dots, ROWS};
use super::scratch::Scratch;
use super::{LANES, Rows, Weights, add_lanes};
use crate::activations::{Activations, LongActivation};
use crate::format::{Format, LONG, LongBlock, SHORT, f16_at, floats};
use std::arch::x86_64::*;

/// Products of the rows of a chunk.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn rows(
    weights: &Weights<'_>,
    x: &Activations,
    out: &mut Rows<'_>,
    scratch: &mut Scratch,
) {
    portable::rows(Avx2(()), weights, x, out, scratch);
}

/// Proof of AVX2, FMA and F16C; only [`rows`] makes one.
#[derive(Clone, Copy)]
struct Avx2(());

/// A long block whose scales lie as the products do.
#[repr(align(32))]
struct Long {
    q: [i8; LONG],
    /// For each 32 products the scale of 8 pairs, then of 8 more.
    scales: [[i16; 16]; 8],
    /// In the order of the activations' pairs.
    mins: [i16; 16],
    d: f32,
    dmin: f32,
}

impl Dots for Avx2 {
    type Long = Long;
    const ZERO: Long =
        Long { q: [0; LONG], scales: [[0; 16]; 8], mins: [0; 16], d: 0.0, dmin: 0.0 };

    #[inline(always)]
    fn long(self, format: Format, bytes: &[u8]) -> Long {
        match (format, bytes.as_array(), bytes.as_array()) {
            (Format::Q4K, Some(bytes), _) => long_q4k(self, bytes),
            (Format::Q6K, _, Some(bytes)) => long_q6k(self, bytes),
            _ => {
                let block = LongBlock::decode(format, bytes);
                let mut long = Long { q: block.q, d: block.d, dmin: block.dmin, ..Self::ZERO };
                long.set_scales(&block.scales.map(|scale| scale as i16));
                long.set_mins(&block.mins.map(|min| min as i16));
                long
            }
        }
    }

    #[inline(always)]
    fn add_long(self, block: &Long, mins: bool, x: &LongActivation, sum: &mut f32) {
        // SAFETY: `self` is proof of the instructions; what is loaded are whole arrays behind references, of 32 bytes each.
        unsafe {
            let mut products = _mm256_setzero_si256();
            for i in 0..8 {
                let q = _mm256_loadu_si256(block.q.as_ptr().add(32 * i).cast());
                let x = _mm256_loadu_si256(x.q.as_ptr().add(32 * i).cast());
                let scales = _mm256_loadu_si256(block.scales[i].as_ptr().cast());
                // Two products of at most 128 * 127 fit in 16 bits.
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q));
                products = _mm256_add_epi32(products, _mm256_madd_epi16(pairs, scales));
            }
            *sum = (block.d * x.scale).mul_add(add_up(products) as f32, *sum);
            if mins {
                let mins = _mm256_loadu_si256(block.mins.as_ptr().cast());
                let sums = _mm256_loadu_si256(x.pairs16.as_ptr().cast());
                let offset = add_up(_mm256_madd_epi16(mins, sums));
                *sum = (-(block.dmin * x.scale)).mul_add(offset as f32, *sum);
            }
        }
    }

    #[inline(always)]
    fn short(self, q: &[i8; SHORT], x: &[i8; SHORT]) -> i32 {
        // SAFETY: `self` is proof of the instructions; what is loaded are whole arrays behind references, of 32 bytes each.
        unsafe {
            let q = _mm256_loadu_si256(q.as_ptr().cast());
            let x = _mm256_loadu_si256(x.as_ptr().cast());
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q));
            add_up(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    fn widen(self, format: Format, bytes: &[u8], row: &mut [f32]) {
        if format != Format::F16 {
            return floats(format, bytes, row);
        }
        let (whole, rest) = row.as_chunks_mut::<8>();
        for (out, bytes) in whole.iter_mut().zip(bytes.as_chunks::<16>().0) {
            // SAFETY: `self` is proof of the instructions; 16 bytes become 8 floats.
            unsafe {
                let halves = _mm_loadu_si128(bytes.as_ptr().cast());
                _mm256_storeu_ps(out.as_mut_ptr(), _mm256_cvtph_ps(halves));
            }
        }
        floats(format, &bytes[16 * whole.len()..], rest);
    }

    #[inline(always)]
    fn floats(self, rows: &[Vec<f32>; ROWS], x: &[f32]) -> [f32; ROWS] {
        let mut lanes = [[0.0; LANES]; ROWS];
        let (whole, rest) = x.as_chunks::<LANES>();
        // SAFETY: `self` is proof of the instructions; what is loaded and stored are halves of arrays of 16 floats.
        unsafe {
            let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
            for (i, x) in whole.iter().enumerate() {
                let x = [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))];
                for r in 0..ROWS {
                    let w: &[f32; LANES] = &rows[r].as_chunks().0[i];
                    sums[r][0] = _mm256_fmadd_ps(_mm256_loadu_ps(w.as_ptr()), x[0], sums[r][0]);
                    sums[r][1] =
                        _mm256_fmadd_ps(_mm256_loadu_ps(w.as_ptr().add(8)), x[1], sums[r][1]);
                }
            }
            for r in 0..ROWS {
                _mm256_storeu_ps(lanes[r].as_mut_ptr(), sums[r][0]);
                _mm256_storeu_ps(lanes[r].as_mut_ptr().add(8), sums[r][1]);
            }
        }
        let mut results = [0.0; ROWS];
        for r in 0..ROWS {
            let row = &rows[r][whole.len() * LANES..];
            for ((lane, w), x) in lanes[r].iter_mut().zip(row).zip(rest) {
                *lane = w.mul_add(*x, *lane);
            }
            results[r] = add_lanes(lanes[r]);
        }
        results
    }
}

impl Long {
    #[inline(always)]
    fn set_scales(&mut self, scales: &[i16; 16]) {
        for (to, from) in self.scales.iter_mut().zip(scales.as_chunks::<2>().0) {
            let (first, second) = to.split_at_mut(8);
            first.fill(from[0]);
            second.fill(from[1]);
        }
    }

    #[inline(always)]
    fn set_mins(&mut self, mins: &[i16; 16]) {
        for (to, from) in self.mins.as_chunks_mut::<4>().0.iter_mut().zip(mins.as_chunks::<4>().0) {
            *to = [from[0], from[2], from[1], from[3]];
        }
    }
}

#[inline(always)]
fn long_q4k(_: Avx2, bytes: &[u8; 144]) -> Long {
    let mut long = Long { d: f16_at(bytes, 0), dmin: f16_at(bytes, 2), ..Avx2::ZERO };
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (a, b, c) = (word(4), word(8), word(12));
    let top = |word: u32| (word >> 2) & 0x3030_3030;
    let scales = [a & 0x3f3f_3f3f, (c & 0x0f0f_0f0f) | top(a)].map(u32::to_le_bytes);
    let mins = [b & 0x3f3f_3f3f, ((c >> 4) & 0x0f0f_0f0f) | top(b)].map(u32::to_le_bytes);
    // Parts of 32 numbers here, of 16 in a block.
    let mut each = [[0; 16]; 2];
    for part in 0..16 {
        each[0][part] = i16::from(scales[part / 8][part / 2 % 4]);
        each[1][part] = i16::from(mins[part / 8][part / 2 % 4]);
    }
    long.set_scales(&each[0]);
    long.set_mins(&each[1]);
    // SAFETY: the argument is proof of the instructions; 32 bytes are read from 16 + 32 * i of 144, and 64 written from 64 * i
    // of 256 on.
    unsafe {
        let low = _mm256_set1_epi8(15);
        for i in 0..4 {
            let packed = _mm256_loadu_si256(bytes.as_ptr().add(16 + 32 * i).cast());
            let to: *mut __m256i = long.q.as_mut_ptr().add(64 * i).cast();
            _mm256_storeu_si256(to, _mm256_and_si256(packed, low));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(packed), low);
            _mm256_storeu_si256(to.add(1), high);
        }
    }
    long
}

#[inline(always)]
fn long_q6k(_: Avx2, bytes: &[u8; 210]) -> Long {
    let mut long = Long { d: f16_at(bytes, 208), ..Avx2::ZERO };
    let mut scales = [0; 16];
    for (scale, byte) in scales.iter_mut().zip(&bytes[192..208]) {
        *scale = i16::from(byte.cast_signed());
    }
    long.set_scales(&scales);
    // SAFETY: the argument is proof of the instructions; 32 bytes are read at 64 * half, 32 on, and 128 + 32 * half of 210, and
    // 128 written from 128 * half of 256 on.
    unsafe {
        let (four, two) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
        for half in 0..2 {
            let load = |at: usize| _mm256_loadu_si256(bytes.as_ptr().add(at).cast());
            let (first, second) = (load(64 * half), load(64 * half + 32));
            let high = load(128 + 32 * half);
            let runs = [
                (first, _mm256_slli_epi16::<4>(high)),
                (second, _mm256_slli_epi16::<2>(high)),
                (_mm256_srli_epi16::<4>(first), high),
                (_mm256_srli_epi16::<4>(second), _mm256_srli_epi16::<2>(high)),
            ];
            for (run, (low, high)) in runs.into_iter().enumerate() {
                let both =
                    _mm256_or_si256(_mm256_and_si256(low, four), _mm256_and_si256(high, two));
                let to: *mut __m256i = long.q.as_mut_ptr().add(128 * half + 32 * run).cast();
                _mm256_storeu_si256(to, _mm256_sub_epi8(both, _mm256_set1_epi8(32)));
            }
        }
    }
    long
}

/// The sum of eight integers.
///
/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn add_up(x: __m256i) -> i32 {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
        let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b00_00_11_10>(x));
        _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<0b00_00_00_01>(x)))
    }
}
