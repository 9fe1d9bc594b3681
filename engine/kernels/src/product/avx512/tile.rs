//! Many tokens: a block of 16 or 32 rows is spread out once, close to the processor, and then meets all tokens.
use super::fused::{pair_of, shifted};
use super::long::{self, header, quarter, run_start};
use super::panel::Panel;
use super::short::{self, block};
use super::{fetch, quad};
use crate::activations::{GROUP, LongActivation, ShortActivation};
use std::arch::x86_64::*;

/// 256 columns of 16 rows, spread out. Each vector has one lane for each row.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    /// Fours of columns.
    quads: [__m512i; 64],
    /// Scales of a long block's parts.
    scales: [__m512i; 16],
    /// Mins of a long block's parts, in pairs.
    mins: [__m512i; 8],
    /// `d` of a long block, or of eight short ones.
    d: [__m512; GROUP],
    /// `-dmin` of a long block, or the lowest values of eight short ones.
    m: [__m512; GROUP],
}

impl Spread {
    pub(super) const ZERO: Self = {
        #[expect(unsafe_code, reason = "there is no constant vector of zeros")]
        // SAFETY: vectors of numbers may be all zeros.
        unsafe {
            std::mem::zeroed()
        }
    };

    /// Spreads out long block number `nth` of each row, and asks for as many bytes from `upcoming` on.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub(super) fn long<const F: u8>(&mut self, panel: &Panel<'_>, nth: usize, upcoming: *const u8) {
        let layout = const { long::layout(F) };
        let at = nth * layout.bytes;
        let header = header::<F, 0>(panel, at);
        for part in 0..64 / layout.quads {
            self.scales[part] = header.scale(part);
        }
        for pair in 0..layout.min_pairs {
            self.mins[pair] = header.min_pair(pair);
        }
        self.d[0] = header.d;
        self.m[0] = header.minus_dmin;
        let mut high = [_mm512_setzero_si512(); 8];
        for nth in 0..4 {
            fetch(upcoming.wrapping_add(nth * 4 * layout.bytes), 4 * layout.bytes);
            let runs = quarter::<F, 0>(panel, at, nth, &mut high);
            for run in 0..2 {
                let first = run_start::<F>(nth, run) / 4;
                for i in 0..8 {
                    self.quads[first + i] = runs[run][i];
                }
            }
        }
    }

    /// Spreads out some short blocks of each row, from number `first` on, and asks for as many bytes from `upcoming` on.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub(super) fn short<const F: u8>(
        &mut self,
        panel: &Panel<'_>,
        first: usize,
        blocks: usize,
        upcoming: *const u8,
    ) {
        let layout = const { short::layout(F) };
        for i in 0..blocks.min(GROUP) {
            fetch(upcoming.wrapping_add(16 * i * layout.bytes), 16 * layout.bytes);
            let block = block::<F, 0>(panel, (first + i) * layout.bytes);
            for quad in 0..8 {
                self.quads[8 * i + quad] = block.quads[quad];
            }
            self.d[i] = block.d;
            self.m[i] = block.m;
        }
    }
}

/// Adds the products of one long block of `R` times 16 rows with `N` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn long<const F: u8, const R: usize, const N: usize>(
    weights: &[Spread; R],
    x: &[LongActivation; N],
    sums: &mut [[__m512; R]; N],
) {
    let layout = const { long::layout(F) };
    let zero = _mm512_setzero_si512();
    let mut totals = [[zero; R]; N];
    for part in 0..64 / layout.quads {
        let mut products = [[zero; R]; N];
        for i in part * layout.quads..(part + 1) * layout.quads {
            for t in 0..N {
                let x = quad(&x[t].q, i);
                for r in 0..R {
                    products[t][r] = _mm512_dpbusd_epi32(products[t][r], weights[r].quads[i], x);
                }
            }
        }
        for t in 0..N {
            let mut offset = zero;
            if layout.offset_shift > 0 {
                offset = shifted(_mm512_set1_epi32(x[t].sums[part]), layout.offset_shift);
            }
            for r in 0..R {
                let product = _mm512_sub_epi32(products[t][r], offset);
                let scaled = _mm512_mullo_epi32(product, weights[r].scales[part]);
                totals[t][r] = _mm512_add_epi32(totals[t][r], scaled);
            }
        }
    }
    for t in 0..N {
        let scale = _mm512_set1_ps(x[t].scale);
        for r in 0..R {
            let d = _mm512_mul_ps(weights[r].d[0], scale);
            let mut sum = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(totals[t][r]), sums[t][r]);
            if layout.min_pairs > 0 {
                let mut mins = zero;
                for pair in 0..layout.min_pairs {
                    let x = pair_of(&x[t], layout.min_pairs, pair);
                    mins = _mm512_dpwssd_epi32(mins, weights[r].mins[pair], x);
                }
                let d = _mm512_mul_ps(weights[r].m[0], scale);
                sum = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(mins), sum);
            }
            sums[t][r] = sum;
        }
    }
}

/// Adds the products of up to 8 short blocks of `R` times 16 rows with `N` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn short<const F: u8, const R: usize, const N: usize>(
    weights: &[Spread; R],
    x: &[ShortActivation; N],
    blocks: usize,
    sums: &mut [[__m512; R]; N],
) {
    let layout = const { short::layout(F) };
    let zero = _mm512_setzero_si512();
    let mut all = *sums;
    for block in 0..blocks.min(GROUP) {
        let mut products = [[zero; R]; N];
        for i in 8 * block..8 * block + 8 {
            for t in 0..N {
                let x = quad(&x[t].q, i);
                for r in 0..R {
                    products[t][r] = _mm512_dpbusd_epi32(products[t][r], weights[r].quads[i], x);
                }
            }
        }
        for t in 0..N {
            let scale = _mm512_set1_ps(x[t].scales[block]);
            let total = _mm512_set1_epi32(x[t].sums[block]);
            let mut offset = zero;
            if layout.offset_shift > 0 {
                offset = shifted(total, layout.offset_shift);
            }
            for r in 0..R {
                let product = _mm512_cvtepi32_ps(_mm512_sub_epi32(products[t][r], offset));
                let d = _mm512_mul_ps(weights[r].d[block], scale);
                all[t][r] = _mm512_fmadd_ps(d, product, all[t][r]);
                if layout.min {
                    let m = _mm512_mul_ps(weights[r].m[block], scale);
                    all[t][r] = _mm512_fmadd_ps(m, _mm512_cvtepi32_ps(total), all[t][r]);
                }
            }
        }
    }
    *sums = all;
}
