//! Two 256-bit registers.
use super::{Kernel, LANES, Simd, operations};
use crate::Isa;
use half::f16;
use std::arch::x86_64::*;

/// Proof of AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        Isa::Avx2.is_available().then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn enter<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
    kernel.run(simd)
}

type Two = [__m256; 2];

impl Simd for Avx2 {
    type F = Two;
    const TILE_ROWS: usize = 6;
    const TILE_COLUMNS: usize = 1;

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

    operations! {
        fn splat(x: f32) -> Two { [_mm256_set1_ps(x); 2] }
        fn load(from: &[f32; LANES]) -> Two {
            [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))]
        }
        fn load_f16(from: &[f16; LANES]) -> Two {
            {
                let from = from.as_ptr().cast::<__m128i>();
                [_mm256_cvtph_ps(_mm_loadu_si128(from)), _mm256_cvtph_ps(_mm_loadu_si128(from.add(1)))]
            }
        }
        fn load_i8(from: &[i8; LANES]) -> Two {
            {
                let bytes = _mm_loadu_si128(from.as_ptr().cast());
                [
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128::<8>(bytes))),
                ]
            }
        }
        fn store(x: Two, to: &mut [f32; LANES]) {
            {
                _mm256_storeu_ps(to.as_mut_ptr(), x[0]);
                _mm256_storeu_ps(to.as_mut_ptr().add(8), x[1]);
            }
        }
        fn store_f16(x: Two, to: &mut [f16; LANES]) {
            {
                let to = to.as_mut_ptr().cast::<__m128i>();
                _mm_storeu_si128(to, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[0]));
                _mm_storeu_si128(to.add(1), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[1]));
            }
        }
        fn add(a: Two, b: Two) -> Two { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
        fn sub(a: Two, b: Two) -> Two { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
        fn mul(a: Two, b: Two) -> Two { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
        fn div(a: Two, b: Two) -> Two { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
        fn fma(a: Two, b: Two, c: Two) -> Two {
            [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])]
        }
        fn max(a: Two, b: Two) -> Two { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
        fn min(a: Two, b: Two) -> Two { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
        fn abs(x: Two) -> Two {
            {
                let sign = _mm256_set1_ps(-0.0);
                [_mm256_andnot_ps(sign, x[0]), _mm256_andnot_ps(sign, x[1])]
            }
        }
        fn select_lt(x: Two, limit: Two, less: Two, other: Two) -> Two {
            [
                _mm256_blendv_ps(other[0], less[0], _mm256_cmp_ps::<_CMP_LT_OQ>(x[0], limit[0])),
                _mm256_blendv_ps(other[1], less[1], _mm256_cmp_ps::<_CMP_LT_OQ>(x[1], limit[1])),
            ]
        }
        fn scale_by_power(x: Two, n: Two) -> Two {
            [scale_half(x[0], n[0]), scale_half(x[1], n[1])]
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn scale_half(x: __m256, n: __m256) -> __m256 {
    _mm256_castsi256_ps(_mm256_add_epi32(
        _mm256_castps_si256(x),
        _mm256_slli_epi32::<23>(_mm256_castps_si256(n)),
    ))
}
