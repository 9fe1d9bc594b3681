//! Few tokens: weights go from memory through registers into the sums.
use super::long::{self, header, quarter, run_start};
use super::panel::Panel;
use super::short::{self, block};
use super::{fetch, quad};
use crate::activations::{GROUP, LongActivation, ShortActivation};
use std::arch::x86_64::*;

/// Sums of 16 rows for `N` tokens. `x` is `(groups, N)`. `upcoming` is where the next 16 rows will be read.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn long<const F: u8, const N: usize>(
    panel: &Panel<'_>,
    x: &[[LongActivation; N]],
    upcoming: *const u8,
) -> [__m512; N] {
    let layout = const { long::layout(F) };
    let mut sums = [_mm512_setzero_ps(); N];
    for (i, x) in x.iter().enumerate() {
        let at = i * layout.bytes;
        let header = header::<F, N>(panel, at);
        let mut totals = [_mm512_setzero_si512(); N];
        let mut high = [_mm512_setzero_si512(); 8];
        for nth in 0..4 {
            let runs = quarter::<F, N>(panel, at, nth, &mut high);
            for run in 0..2 {
                // In small portions: the processor waits where too much is asked for at once.
                let portion = 2 * layout.bytes;
                fetch(upcoming.wrapping_add((8 * i + 2 * nth + run) * portion), portion);
                let first = run_start::<F>(nth, run) / 4;
                for part in 0..8 / layout.quads {
                    let scale = header.scale(first / layout.quads + part);
                    for t in 0..N {
                        let mut sum = _mm512_setzero_si512();
                        for i in part * layout.quads..(part + 1) * layout.quads {
                            sum = _mm512_dpbusd_epi32(sum, runs[run][i], quad(&x[t].q, first + i));
                        }
                        if layout.offset_shift > 0 {
                            let part = _mm512_set1_epi32(x[t].sums[first / layout.quads + part]);
                            sum = _mm512_sub_epi32(sum, shifted(part, layout.offset_shift));
                        }
                        totals[t] = _mm512_add_epi32(totals[t], _mm512_mullo_epi32(sum, scale));
                    }
                }
            }
        }
        for t in 0..N {
            let scale = _mm512_set1_ps(x[t].scale);
            let d = _mm512_mul_ps(header.d, scale);
            sums[t] = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(totals[t]), sums[t]);
            if layout.min_pairs > 0 {
                let mut mins = _mm512_setzero_si512();
                for pair in 0..layout.min_pairs {
                    let x = pair_of(&x[t], layout.min_pairs, pair);
                    mins = _mm512_dpwssd_epi32(mins, header.min_pair(pair), x);
                }
                let d = _mm512_mul_ps(header.minus_dmin, scale);
                sums[t] = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(mins), sums[t]);
            }
        }
    }
    sums
}

/// The same for short blocks; `blocks` is how many a row has.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn short<const F: u8, const N: usize>(
    panel: &Panel<'_>,
    x: &[[ShortActivation; N]],
    blocks: usize,
    upcoming: *const u8,
) -> [__m512; N] {
    let layout = const { short::layout(F) };
    let mut sums = [_mm512_setzero_ps(); N];
    for i in 0..blocks {
        let at = i * layout.bytes;
        fetch(upcoming.wrapping_add(16 * at), 16 * layout.bytes);
        let block = block::<F, N>(panel, at);
        let x = &x[i / GROUP];
        let i = i % GROUP;
        for t in 0..N {
            sums[t] = add_short::<F>(sums[t], &block, &x[t], i);
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn add_short<const F: u8>(
    sum: __m512,
    block: &short::Block,
    x: &ShortActivation,
    i: usize,
) -> __m512 {
    let layout = const { short::layout(F) };
    let zero = _mm512_setzero_si512();
    // Two sums, since each waits for its own last.
    let (mut first, mut second) = (zero, zero);
    for at in 0..4 {
        first = _mm512_dpbusd_epi32(first, block.quads[at], quad(&x.q, 8 * i + at));
        second = _mm512_dpbusd_epi32(second, block.quads[at + 4], quad(&x.q, 8 * i + at + 4));
    }
    let mut total = _mm512_add_epi32(first, second);
    if layout.offset_shift > 0 {
        total = _mm512_sub_epi32(total, shifted(_mm512_set1_epi32(x.sums[i]), layout.offset_shift));
    }
    let scale = _mm512_set1_ps(x.scales[i]);
    let sum = _mm512_fmadd_ps(_mm512_mul_ps(block.d, scale), _mm512_cvtepi32_ps(total), sum);
    if layout.min {
        let x = _mm512_cvtepi32_ps(_mm512_set1_epi32(x.sums[i]));
        _mm512_fmadd_ps(_mm512_mul_ps(block.m, scale), x, sum)
    } else {
        sum
    }
}

/// A pair of sums of activations, for a pair of mins.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn pair_of(x: &LongActivation, pairs: usize, pair: usize) -> __m512i {
    let both = if pairs == 4 {
        [x.pairs32[2 * pair], x.pairs32[2 * pair + 1]]
    } else {
        [x.pairs16[2 * pair], x.pairs16[2 * pair + 1]]
    };
    _mm512_set1_epi32(i32::from(both[1]) << 16 | (i32::from(both[0]) & 0xffff))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn shifted(numbers: __m512i, shift: u32) -> __m512i {
    _mm512_sllv_epi32(numbers, _mm512_set1_epi32(shift.cast_signed()))
}
