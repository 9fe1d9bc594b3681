//! One 512-bit register.
use super::{Kernel, LANES, Simd, operations};
use crate::Isa;
use half::f16;
use std::arch::x86_64::*;

/// Proof of AVX-512, as [`Isa::Avx512`] has it.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn new() -> Option<Self> {
        Isa::Avx512.is_available().then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn enter<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
    kernel.run(simd)
}

/// Adds the upper halves of two vectors to their lower ones, which share the result.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold_halves([a, b]: [__m512; 2]) -> __m512 {
    _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b01_00_01_00>(a, b),
        _mm512_shuffle_f32x4::<0b11_10_11_10>(a, b),
    )
}

/// The same of what [`fold_halves`] gives.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold_quarters([a, b]: [__m512; 2]) -> __m512 {
    _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b),
        _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b),
    )
}

impl Simd for Avx512 {
    type F = __m512;
    const TILE_ROWS: usize = 12;
    const TILE_COLUMNS: usize = 2;

    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        #[expect(unsafe_code, reason = "a function for processors with these instructions")]
        // SAFETY: `self` is proof that the processor has them.
        unsafe {
            enter(self, kernel)
        }
    }

    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        #[expect(unsafe_code, reason = "intrinsics")]
        // SAFETY: every processor of this kind has it, and it does not fault, whatever the address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at.cast());
        }
    }

    /// Vectors share registers as they get narrower.
    #[inline(always)]
    fn sums(self, x: [__m512; 8]) -> [f32; 8] {
        #[expect(unsafe_code, reason = "intrinsics")]
        // SAFETY: `self` is proof that the processor has these instructions; eight numbers are written where eight have room.
        unsafe {
            let [a, b, c, d] = [[x[0], x[1]], [x[2], x[3]], [x[4], x[5]], [x[6], x[7]]];
            let (a, b) = (fold_halves(a), fold_halves(b));
            let (c, d) = (fold_halves(c), fold_halves(d));
            // Quarters hold lanes 0..4 of one vector, lanes 4..8, and the same of the next.
            let (a, c) = (fold_quarters([a, b]), fold_quarters([c, d]));
            // Quarters hold four lanes of a vector each.
            let pairs = _mm512_add_ps(
                _mm512_shuffle_ps::<0b01_00_01_00>(a, c),
                _mm512_shuffle_ps::<0b11_10_11_10>(a, c),
            );
            // Quarter `q` holds two lanes of vector `q` and two of vector `4 + q`.
            let sums = _mm512_add_ps(pairs, _mm512_permute_ps::<0b10_11_00_01>(pairs));
            let order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
            let mut array = [0.0; 8];
            let sums = _mm512_castps512_ps256(_mm512_permutexvar_ps(order, sums));
            _mm256_storeu_ps(array.as_mut_ptr(), sums);
            array
        }
    }

    operations! {
        fn splat(x: f32) -> __m512 { _mm512_set1_ps(x) }
        fn load(from: &[f32; LANES]) -> __m512 { _mm512_loadu_ps(from.as_ptr()) }
        fn load_f16(from: &[f16; LANES]) -> __m512 {
            _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))
        }
        fn load_i8(from: &[i8; LANES]) -> __m512 {
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast())))
        }
        fn store(x: __m512, to: &mut [f32; LANES]) { _mm512_storeu_ps(to.as_mut_ptr(), x) }
        fn store_f16(x: __m512, to: &mut [f16; LANES]) {
            _mm256_storeu_si256(
                to.as_mut_ptr().cast(),
                _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x),
            )
        }
        fn add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
        fn sub(a: __m512, b: __m512) -> __m512 { _mm512_sub_ps(a, b) }
        fn mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
        fn div(a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
        fn fma(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
        fn max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
        fn min(a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }
        fn abs(x: __m512) -> __m512 { _mm512_abs_ps(x) }
        fn select_lt(x: __m512, limit: __m512, less: __m512, other: __m512) -> __m512 {
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, limit), other, less)
        }
        fn scale_by_power(x: __m512, n: __m512) -> __m512 {
            _mm512_castsi512_ps(_mm512_add_epi32(
                _mm512_castps_si512(x),
                _mm512_slli_epi32::<23>(_mm512_castps_si512(n)),
            ))
        }
        fn transpose(rows: [__m512; LANES]) -> [__m512; LANES] { transposed(rows) }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: [__m512; LANES]) -> [__m512; LANES] {
    let mut pairs = rows;
    for i in 0..LANES / 2 {
        pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
    // Vector `4 * i + j` has in its quarter `q` the column `4 * q + j` of rows `4 * i` to `4 * i + 3`.
    let mut fours = pairs;
    for at in (0..LANES).step_by(4) {
        let [a, b, c, d] = std::array::from_fn(|i| _mm512_castps_pd(pairs[at + i]));
        fours[at] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        fours[at + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        fours[at + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        fours[at + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    let mut columns = fours;
    for j in 0..LANES / 4 {
        let low01 = _mm512_shuffle_f32x4::<0b01_00_01_00>(fours[j], fours[j + 4]);
        let high01 = _mm512_shuffle_f32x4::<0b11_10_11_10>(fours[j], fours[j + 4]);
        let low23 = _mm512_shuffle_f32x4::<0b01_00_01_00>(fours[j + 8], fours[j + 12]);
        let high23 = _mm512_shuffle_f32x4::<0b11_10_11_10>(fours[j + 8], fours[j + 12]);
        columns[j] = _mm512_shuffle_f32x4::<0b10_00_10_00>(low01, low23);
        columns[j + 4] = _mm512_shuffle_f32x4::<0b11_01_11_01>(low01, low23);
        columns[j + 8] = _mm512_shuffle_f32x4::<0b10_00_10_00>(high01, high23);
        columns[j + 12] = _mm512_shuffle_f32x4::<0b11_01_11_01>(high01, high23);
    }
    columns
}
