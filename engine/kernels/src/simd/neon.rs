//! Four 128-bit registers.
use super::{Kernel, LANES, Simd, operations};
use crate::Isa;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::arch::aarch64::*;
use std::array::from_fn;

/// Proof of NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn new() -> Option<Self> {
        Isa::Neon.is_available().then_some(Self(()))
    }
}

#[target_feature(enable = "neon")]
fn enter<K: Kernel>(simd: Neon, kernel: K) -> K::Output {
    kernel.run(simd)
}

type Four = [float32x4_t; 4];

impl Simd for Neon {
    type F = Four;
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
    fn load_f16(self, from: &[f16; LANES]) -> Four {
        let mut floats = [0.0; LANES];
        from.convert_to_f32_slice(&mut floats);
        self.load(&floats)
    }

    #[inline(always)]
    fn store_f16(self, x: Four, to: &mut [f16; LANES]) {
        to.convert_from_f32_slice(&self.to_array(x));
    }

    operations! {
        fn splat(x: f32) -> Four { [vdupq_n_f32(x); 4] }
        fn load(from: &[f32; LANES]) -> Four { from_fn(|i| vld1q_f32(from.as_ptr().add(4 * i))) }
        fn load_i8(from: &[i8; LANES]) -> Four {
            {
                let bytes = vld1q_s8(from.as_ptr());
                let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_s8(vget_high_s8(bytes)));
                [
                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                    vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                    vcvtq_f32_s32(vmovl_s16(vget_high_s16(high))),
                ]
            }
        }
        fn store(x: Four, to: &mut [f32; LANES]) {
            (0..4).for_each(|i| vst1q_f32(to.as_mut_ptr().add(4 * i), x[i]))
        }
        fn add(a: Four, b: Four) -> Four { from_fn(|i| vaddq_f32(a[i], b[i])) }
        fn sub(a: Four, b: Four) -> Four { from_fn(|i| vsubq_f32(a[i], b[i])) }
        fn mul(a: Four, b: Four) -> Four { from_fn(|i| vmulq_f32(a[i], b[i])) }
        fn div(a: Four, b: Four) -> Four { from_fn(|i| vdivq_f32(a[i], b[i])) }
        fn fma(a: Four, b: Four, c: Four) -> Four { from_fn(|i| vfmaq_f32(c[i], a[i], b[i])) }
        fn max(a: Four, b: Four) -> Four {
            from_fn(|i| vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i]))
        }
        fn min(a: Four, b: Four) -> Four {
            from_fn(|i| vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i]))
        }
        fn abs(x: Four) -> Four { from_fn(|i| vabsq_f32(x[i])) }
        fn select_lt(x: Four, limit: Four, less: Four, other: Four) -> Four {
            from_fn(|i| vbslq_f32(vcltq_f32(x[i], limit[i]), less[i], other[i]))
        }
        fn scale_by_power(x: Four, n: Four) -> Four {
            from_fn(|i| {
                let n = vshlq_n_s32::<23>(vreinterpretq_s32_f32(n[i]));
                vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x[i]), n))
            })
        }
    }
}
