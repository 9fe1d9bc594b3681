//! Weights that are floats: columns along the lanes, some rows and tokens at a time.
use super::super::add_lanes;
use crate::format::Format;
use std::arch::x86_64::*;

pub(super) const F32: u8 = Format::F32 as u8;
pub(super) const F16: u8 = Format::F16 as u8;
pub(super) const BF16: u8 = Format::Bf16 as u8;

/// Products of `R` rows with `N` tokens. Rows are `row_bytes` long, tokens `columns`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn tile<const F: u8, const R: usize, const N: usize>(
    rows: &[u8],
    x: &[f32],
    columns: usize,
) -> [[f32; R]; N] {
    let width = if F == F32 { 4 } else { 2 };
    assert!(rows.len() >= R * columns * width && x.len() >= N * columns, "a tile outside its rows");
    let mut lanes = [[_mm512_setzero_ps(); R]; N];
    let mut column = 0;
    while column < columns {
        let left = columns - column;
        let mask = if left >= 16 { 0xffff } else { (1 << left) - 1 };
        // SAFETY: the lanes of the mask lie within `R` rows and `N` tokens, whose lengths were checked.
        unsafe {
            let mut weights = [_mm512_setzero_ps(); R];
            for r in 0..R {
                weights[r] = load::<F>(rows.as_ptr().add((r * columns + column) * width), mask);
            }
            for t in 0..N {
                let x = _mm512_maskz_loadu_ps(mask, x.as_ptr().add(t * columns + column));
                for r in 0..R {
                    // Lanes beyond the end keep what they have.
                    lanes[t][r] = _mm512_mask3_fmadd_ps(weights[r], x, lanes[t][r], mask);
                }
            }
        }
        column += 16;
    }
    let mut results = [[0.0; R]; N];
    for t in 0..N {
        for r in 0..R {
            let mut values = [0.0; 16];
            // SAFETY: 16 numbers are written to where 16 have room.
            unsafe { _mm512_storeu_ps(values.as_mut_ptr(), lanes[t][r]) };
            results[t][r] = add_lanes(values);
        }
    }
    results
}

/// Some weights as floats.
///
/// # Safety
/// The weights of the lanes of the mask must be readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn load<const F: u8>(start: *const u8, mask: u16) -> __m512 {
    // SAFETY: lanes outside the mask are not read; the caller vouches for those within.
    unsafe {
        match F {
            F32 => _mm512_maskz_loadu_ps(mask, start.cast()),
            F16 => _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, start.cast())),
            _ => {
                let halves = _mm256_maskz_loadu_epi16(mask, start.cast());
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
            }
        }
    }
}
