//! Two bfloat16 in a lane, multiplied by AVX-512's dot products of them.
#![expect(unsafe_code, reason = "vectors are loaded from and stored to memory by pointers")]
use super::engine::{Block, Engine};
use super::multiply::{Multiplication, Multiply, PANEL, multiply};
use super::weights::{self, COLUMNS};
use super::{GROUP, blocks};
use crate::simd::LANES;
use crate::{Isa, Matrix};
use std::arch::x86_64::*;
use std::ops::Range;

/// Terms that fill a vector.
const VECTOR: usize = 2 * LANES;

/// Proof that the processor has the dot products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bf16(());

impl Bf16 {
    pub(crate) fn new() -> Option<Self> {
        let available = Isa::Avx512.is_available() && is_x86_feature_detected!("avx512bf16");
        available.then_some(Self(()))
    }
}

impl Engine for Bf16 {
    const TERMS: usize = 2;

    fn height(self) -> usize {
        <Self as Multiply>::HEIGHT
    }

    fn pack_left(self, block: &Block<'_>, first: usize, out: &mut [f32]) {
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe { pack_left(block, first, out) }
    }

    fn pack_rows(self, matrix: &Matrix, rows: Range<usize>, terms: Range<usize>, out: &mut [f32]) {
        let mut values = [[0.0; COLUMNS]; LANES];
        for (half, rows) in blocks(rows, LANES).enumerate() {
            if rows.len() < LANES {
                values = [[0.0; COLUMNS]; LANES];
            }
            for columns in blocks(terms.clone(), COLUMNS) {
                for (row, values) in rows.clone().zip(&mut values) {
                    weights::read(Isa::Avx512, matrix, row, &columns, values);
                }
                let steps = columns.len().div_ceil(2);
                let out = &mut out[(columns.start - terms.start) / 2 * PANEL..][..steps * PANEL];
                // SAFETY: `self` is proof that the processor has these instructions.
                unsafe { transpose(&values, half, out) }
            }
        }
    }

    fn pack_columns(
        self,
        matrix: &Matrix,
        rows: Range<usize>,
        columns: Range<usize>,
        mut out: [&mut [f32]; GROUP],
    ) {
        let mut values = [[0.0; COLUMNS]; 2];
        for (step, pair) in blocks(rows, 2).enumerate() {
            if pair.len() < 2 {
                values[1].fill(0.0);
            }
            for (row, values) in pair.zip(&mut values) {
                weights::read(Isa::Avx512, matrix, row, &columns, values);
            }
            // SAFETY: `self` is proof that the processor has these instructions.
            unsafe { interleave(&values, step, &mut out) }
        }
    }

    fn multiply(self, work: &Multiplication<'_>, tokens: Range<usize>, panels: Range<usize>) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
        fn enter(
            proof: Bf16,
            work: &Multiplication<'_>,
            tokens: Range<usize>,
            panels: Range<usize>,
        ) {
            multiply(proof, work, tokens, panels);
        }
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe { enter(self, work, tokens, panels) }
    }
}

/// Packs as many tokens from `first` on as `out` has room for.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
fn pack_left(block: &Block<'_>, first: usize, out: &mut [f32]) {
    let steps = block.terms.len().div_ceil(2);
    let height = out.len() / steps;
    for (at, columns) in blocks(0..block.terms.len(), VECTOR).enumerate() {
        let mut rows = [_mm512_setzero_si512(); LANES];
        for (token, row) in rows.iter_mut().enumerate().take(height) {
            let x = &block.token(first + token)[columns.clone()];
            *row = match x.as_array::<VECTOR>() {
                Some(x) => round(x),
                None => {
                    let mut padded = [0.0; VECTOR];
                    padded[..x.len()].copy_from_slice(x);
                    round(&padded)
                }
            };
        }
        let columns = transposed(rows);
        let out = &mut out[at * LANES * height..];
        for (step, column) in columns.into_iter().enumerate().take(out.len() / height) {
            let out = &mut out[step * height..];
            // What is written beyond the step's end is written again by the next one.
            let mask = if out.len() >= LANES { 0xffff } else { (1 << height) - 1 };
            // SAFETY: `out` has room for the lanes of the mask: it has a step's, and all of them where all are written.
            unsafe { _mm512_mask_storeu_epi32(out.as_mut_ptr().cast(), mask, column) }
        }
    }
}

/// Packs sixteen rows into one half of a panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
fn transpose(values: &[[f32; COLUMNS]; LANES], half: usize, out: &mut [f32]) {
    for (at, out) in out.chunks_mut(LANES * PANEL).enumerate() {
        let mut rows = [_mm512_setzero_si512(); LANES];
        for (row, values) in rows.iter_mut().zip(values) {
            *row = round(&values.as_chunks().0[at]);
        }
        let columns = transposed(rows);
        let out = out.as_chunks_mut::<LANES>().0.chunks_exact_mut(PANEL / LANES);
        for (out, column) in out.zip(columns) {
            // SAFETY: sixteen lanes are written to where sixteen have room.
            unsafe { _mm512_storeu_si512(out[half].as_mut_ptr().cast(), column) }
        }
    }
}

/// Packs two rows as one step of every panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
fn interleave(values: &[[f32; COLUMNS]; 2], step: usize, out: &mut [&mut [f32]; GROUP]) {
    const ORDER: [u16; VECTOR] = {
        let mut order = [0; VECTOR];
        let mut i = 0;
        while i < VECTOR {
            order[i] = (i / 2 + i % 2 * LANES) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: 32 numbers of 16 bits are read from where they lie.
    let order = unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) };
    let [low, high] = values.each_ref().map(|row| row.as_chunks::<LANES>().0);
    for (i, (low, high)) in low.iter().zip(high).enumerate() {
        let lines = out[i / 2].as_chunks_mut::<LANES>().0;
        let Some(line) = lines.get_mut(2 * step + i % 2) else { return };
        // SAFETY: sixteen numbers are read from and written to where sixteen have room; the types are of one size.
        unsafe {
            let (low, high) = (_mm512_loadu_ps(low.as_ptr()), _mm512_loadu_ps(high.as_ptr()));
            let pair: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(line.as_mut_ptr().cast(), _mm512_permutexvar_epi16(order, pair));
        }
    }
}

/// Rounds to bfloat16; neighbours share a lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
fn round(x: &[f32; VECTOR]) -> __m512i {
    // SAFETY: twice sixteen numbers are read from where they lie; the types are of one size.
    unsafe {
        let (low, high) = (_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x[LANES..].as_ptr()));
        std::mem::transmute(_mm512_cvtne2ps_pbh(high, low))
    }
}

/// Lane `j` of vector `i` becomes lane `i` of vector `j`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn transposed(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    let mut pairs = rows;
    for i in 0..LANES / 2 {
        pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // Vector `4 * i + j` has in its quarter `q` the column `4 * q + j` of rows `4 * i` to `4 * i + 3`.
    let mut fours = pairs;
    for i in 0..LANES / 4 {
        let at = 4 * i;
        fours[at] = _mm512_unpacklo_epi64(pairs[at], pairs[at + 2]);
        fours[at + 1] = _mm512_unpackhi_epi64(pairs[at], pairs[at + 2]);
        fours[at + 2] = _mm512_unpacklo_epi64(pairs[at + 1], pairs[at + 3]);
        fours[at + 3] = _mm512_unpackhi_epi64(pairs[at + 1], pairs[at + 3]);
    }
    let mut columns = fours;
    for j in 0..LANES / 4 {
        let low01 = _mm512_shuffle_i64x2::<0b01_00_01_00>(fours[j], fours[j + 4]);
        let high01 = _mm512_shuffle_i64x2::<0b11_10_11_10>(fours[j], fours[j + 4]);
        let low23 = _mm512_shuffle_i64x2::<0b01_00_01_00>(fours[j + 8], fours[j + 12]);
        let high23 = _mm512_shuffle_i64x2::<0b11_10_11_10>(fours[j + 8], fours[j + 12]);
        columns[j] = _mm512_shuffle_i64x2::<0b10_00_10_00>(low01, low23);
        columns[j + 4] = _mm512_shuffle_i64x2::<0b11_01_11_01>(low01, low23);
        columns[j + 8] = _mm512_shuffle_i64x2::<0b10_00_10_00>(high01, high23);
        columns[j + 12] = _mm512_shuffle_i64x2::<0b11_01_11_01>(high01, high23);
    }
    columns
}

/// Writes the operations of a proof: each is an expression that is unsafe only for want of that proof.
macro_rules! operations {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? { $body:expr })*) => {
        $(
            #[inline(always)]
            fn $name(self, $($arg: $ty),*) $(-> $out)? {
                // SAFETY: `self` is proof that the processor has these instructions, memory is reached only through references
                // to all the elements that are read or written (a prefetch does not fault), and types are of one size.
                unsafe {
                    $body
                }
            }
        )*
    };
}

impl Multiply for Bf16 {
    type F = __m512;
    const HEIGHT: usize = 12;
    const WIDTH: usize = 2;

    operations! {
        fn zero() -> __m512 { _mm512_setzero_ps() }
        fn load(from: &[f32; LANES]) -> __m512 { _mm512_loadu_ps(from.as_ptr()) }
        fn splat(lane: f32) -> __m512 { _mm512_set1_ps(lane) }
        fn add_product(a: __m512, b: __m512, sum: __m512) -> __m512 {
            _mm512_dpbf16_ps(sum, std::mem::transmute::<__m512, __m512bh>(a), std::mem::transmute::<__m512, __m512bh>(b))
        }
        fn add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
        fn store(x: __m512, to: &mut [f32; LANES]) { _mm512_storeu_ps(to.as_mut_ptr(), x) }
        fn prefetch(at: *const f32) { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}
