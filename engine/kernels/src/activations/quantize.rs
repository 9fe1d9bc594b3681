//! Floats to integers of 8 bits. One body, compiled for each instruction set; the results are the same in all.
use super::{LongActivation, ShortActivation};
use crate::Isa;
use crate::format::{LONG, SHORT};

/// 256 numbers with one scale.
pub(super) fn long(isa: Isa, x: &[f32; LONG], out: &mut LongActivation) {
    debug_assert!(isa.is_available());
    match isa {
        #[cfg(target_arch = "x86_64")]
        #[expect(
            unsafe_code,
            reason = "compiled for an instruction set that not every processor has"
        )]
        // SAFETY: callers name an instruction set that is available.
        Isa::Avx512 => unsafe { long_avx512(x, out) },
        #[cfg(target_arch = "x86_64")]
        #[expect(
            unsafe_code,
            reason = "compiled for an instruction set that not every processor has"
        )]
        // SAFETY: callers name an instruction set that is available.
        Isa::Avx2 => unsafe { long_avx2(x, out) },
        _ => long_body(x, out),
    }
}

/// Up to 8 blocks of 32 numbers with a scale each; what is beyond the end of `x` becomes zeros.
pub(super) fn short(isa: Isa, x: &[f32], out: &mut ShortActivation) {
    debug_assert!(isa.is_available());
    match isa {
        #[cfg(target_arch = "x86_64")]
        #[expect(
            unsafe_code,
            reason = "compiled for an instruction set that not every processor has"
        )]
        // SAFETY: callers name an instruction set that is available.
        Isa::Avx512 => unsafe { short_avx512(x, out) },
        #[cfg(target_arch = "x86_64")]
        #[expect(
            unsafe_code,
            reason = "compiled for an instruction set that not every processor has"
        )]
        // SAFETY: callers name an instruction set that is available.
        Isa::Avx2 => unsafe { short_avx2(x, out) },
        _ => short_body(x, out),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
fn long_avx512(x: &[f32; LONG], out: &mut LongActivation) {
    long_body(x, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn long_avx2(x: &[f32; LONG], out: &mut LongActivation) {
    long_body(x, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2")]
fn short_avx512(x: &[f32], out: &mut ShortActivation) {
    short_body(x, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn short_avx2(x: &[f32], out: &mut ShortActivation) {
    short_body(x, out);
}

#[inline(always)]
fn long_body(x: &[f32; LONG], out: &mut LongActivation) {
    out.scale = quantize(x, &mut out.q);
    for (sum, part) in out.sums.iter_mut().zip(out.q.as_chunks::<16>().0) {
        *sum = part.iter().map(|&q| i32::from(q)).sum();
    }
    // Sums of 32 numbers of at most 127 fit in 16 bits.
    for (pair, at) in out.pairs16.as_chunks_mut::<4>().0.iter_mut().zip((0..).step_by(4)) {
        *pair = [0, 2, 1, 3].map(|i| out.sums[at + i] as i16);
    }
    for (pair, at) in out.pairs32.as_chunks_mut::<4>().0.iter_mut().zip((0..).step_by(8)) {
        *pair = [0, 4, 2, 6].map(|i| (out.sums[at + i] + out.sums[at + i + 1]) as i16);
    }
}

#[inline(always)]
fn short_body(x: &[f32], out: &mut ShortActivation) {
    for (block, q) in out.q.as_chunks_mut::<SHORT>().0.iter_mut().enumerate() {
        match x.as_chunks::<SHORT>().0.get(block) {
            Some(x) => {
                out.scales[block] = quantize(x, q);
                out.sums[block] = q.iter().map(|&q| i32::from(q)).sum();
            }
            None => {
                out.scales[block] = 0.0;
                *q = [0; SHORT];
                out.sums[block] = 0;
            }
        }
    }
}

/// The scale, with the integers in `q`.
#[inline(always)]
fn quantize<const N: usize>(x: &[f32; N], q: &mut [i8; N]) -> f32 {
    /// Added to a number of small magnitude it leaves that number, rounded to even, in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // As integers, so that what is not finite counts as the largest.
    let amax = x.iter().fold(0, |amax, x| amax.max(x.to_bits() & 0x7fff_ffff));
    let amax = f32::from_bits(amax);
    let to_integer = 127.0 / amax;
    if !to_integer.is_finite() && !amax.is_nan() {
        // All zeros, or so near to it that products with them are.
        *q = [0; N];
        return 0.0;
    }
    for (q, &x) in q.iter_mut().zip(x) {
        *q = (x * to_integer + ROUND).to_bits() as i8;
    }
    amax / 127.0
}
