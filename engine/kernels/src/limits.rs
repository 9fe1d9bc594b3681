//! What this machine can do at most, measured: the limits that products come up against.
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Isa, Team};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Read from memory by everyone, far more than caches hold.
const BUFFER_BYTES: usize = 512 << 20;
const LINE_BYTES: usize = 64;
const CHUNK_LINES: usize = 1024;
/// How far ahead of the reader the next lines are asked for.
const AHEAD_BYTES: usize = 4096;
const TRIES: usize = 4;
/// Of what takes about a millisecond: short enough that some run undisturbed on a busy machine.
const SHORT_TRIES: usize = 50;
const DOT_PRODUCT_STEPS: usize = 200_000;
const DOT_PRODUCT_SUMS: usize = 16;
const DOT_PRODUCT_LANES: usize = 64;
const BF16_STEPS: usize = 200_000;
const BF16_SUMS: usize = 12;
const BF16_LANES: usize = 32;
const MULTIPLY_ADD_STEPS: usize = 200_000;

/// The most bytes a second that the team reads from memory with no other work, in a few tries: each thread a stretch of its
/// own from end to end, or all of them one after the other in small parts, whichever is quicker here.
pub fn read_bandwidth(team: &Team) -> f64 {
    let bytes = vec![1_u8; BUFFER_BYTES];
    let lines = bytes.as_chunks::<LINE_BYTES>().0;
    let share = lines.len().div_ceil(team.threads());
    let apart = best(TRIES, || {
        team.run(&|worker| {
            lines.chunks(share).nth(worker).into_iter().for_each(read);
        });
    });
    let together = best(TRIES, || {
        team.chunks(lines.len(), CHUNK_LINES, &|range| read(&lines[range]));
    });
    BUFFER_BYTES as f64 / apart.min(together).as_secs_f64()
}

/// Reads lines in order.
fn read(lines: &[[u8; LINE_BYTES]]) {
    let mut sums = [0_u64; LINE_BYTES / 8];
    for line in lines {
        fetch(line.as_ptr().wrapping_add(AHEAD_BYTES));
        for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
            *sum ^= u64::from_ne_bytes(*word);
        }
    }
    black_box(sums);
}

/// The most products of 8-bit integers a second that the team adds up, waiting for nothing, in a few tries. Nothing where
/// the processor has no instruction for it that the kernels use.
pub fn dot_product_rate(team: &Team) -> Option<f64> {
    if Isa::detect() != Isa::Avx512 {
        return None;
    }
    let time = best(SHORT_TRIES, || team.run(&|_| dot_products(DOT_PRODUCT_STEPS)));
    let products = DOT_PRODUCT_STEPS * DOT_PRODUCT_SUMS * DOT_PRODUCT_LANES * team.threads();
    Some(products as f64 / time.as_secs_f64())
}

/// The most products of bfloat16 a second that the team adds up in registers, waiting for nothing, in a few tries. Nothing
/// where the processor has no instruction for it that the kernels use.
pub fn bf16_dot_product_rate(team: &Team) -> Option<f64> {
    if !has_bf16_dot_products() {
        return None;
    }
    let time = best(SHORT_TRIES, || team.run(&|_| bf16_dot_products(BF16_STEPS)));
    let products = BF16_STEPS * BF16_SUMS * BF16_LANES * team.threads();
    Some(products as f64 / time.as_secs_f64())
}

/// The most multiply-adds of F32 a second that the team does in registers, waiting for nothing, in a few tries.
pub fn multiply_add_rate(team: &Team) -> f64 {
    let isa = Isa::detect();
    let time = best(SHORT_TRIES, || {
        team.run(&|_| {
            black_box(dispatch(isa, MultiplyAdds));
        });
    });
    let sums = if isa == Isa::Avx512 { 12 } else { 6 };
    (MULTIPLY_ADD_STEPS * sums * LANES * team.threads()) as f64 / time.as_secs_f64()
}

/// As many independent sums as keep the processor busy and fit its registers.
struct MultiplyAdds;

impl Kernel for MultiplyAdds {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        if S::TILE_ROWS >= 12 { multiply_adds::<S, 12>(s) } else { multiply_adds::<S, 6>(s) }
    }
}

#[inline(always)]
fn multiply_adds<S: Simd, const SUMS: usize>(s: S) -> f32 {
    let (factor, term) = (s.splat(black_box(0.999)), s.splat(black_box(0.001)));
    let mut sums = [term; SUMS];
    for _ in 0..MULTIPLY_ADD_STEPS {
        for sum in &mut sums {
            *sum = s.fma(*sum, factor, term);
        }
    }
    sums.iter().map(|sum| s.sum(*sum)).sum()
}

fn best(tries: usize, mut work: impl FnMut()) -> Duration {
    let times = (0..tries).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap_or_default().max(Duration::from_nanos(1))
}

/// Asks for a line to be brought near.
#[inline]
fn fetch(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        #[expect(unsafe_code, reason = "a prefetch takes a pointer")]
        // SAFETY: a prefetch does not fault, whatever the address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(line.cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _no_prefetch = line;
}

#[cfg(target_arch = "x86_64")]
fn dot_products(steps: usize) {
    use std::arch::x86_64::{_mm512_dpbusd_epi32, _mm512_set1_epi8, _mm512_setzero_si512};

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn add_up(steps: usize) {
        let x = black_box(_mm512_set1_epi8(1));
        let mut sums = [_mm512_setzero_si512(); DOT_PRODUCT_SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, x, x);
            }
        }
        black_box(sums);
    }

    #[expect(unsafe_code, reason = "compiled for an instruction set that not every processor has")]
    // SAFETY: the caller has seen that the processor has it.
    unsafe {
        add_up(steps);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn dot_products(_steps: usize) {}

#[cfg(target_arch = "x86_64")]
fn has_bf16_dot_products() -> bool {
    Isa::detect() == Isa::Avx512 && is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_bf16_dot_products() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
fn bf16_dot_products(steps: usize) {
    use std::arch::x86_64::{_mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_set1_ps};

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn add_up(steps: usize) {
        let x = _mm512_set1_ps(black_box(0.001));
        let pair = _mm512_cvtne2ps_pbh(x, x);
        let mut sums = [x; BF16_SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, pair, pair);
            }
        }
        black_box(sums);
    }

    #[expect(unsafe_code, reason = "compiled for an instruction set that not every processor has")]
    // SAFETY: the caller has seen that the processor has it.
    unsafe {
        add_up(steps);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn bf16_dot_products(_steps: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_positive_where_they_can_be_told() {
        let team = Team::new(1).unwrap();
        assert!(read_bandwidth(&team) > 1e6);
        assert!(multiply_add_rate(&team) > 1e6);
        assert_eq!(bf16_dot_product_rate(&team).is_some(), has_bf16_dot_products());
        assert_eq!(dot_product_rate(&team).is_some(), Isa::detect() == Isa::Avx512);
    }
}
