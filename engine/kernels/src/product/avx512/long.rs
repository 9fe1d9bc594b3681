//! Long blocks of 16 rows as lanes: integers without sign in fours of columns, scales and mins as bytes.
use super::panel::{Panel, high_floats, low_floats, straddle};
use crate::format::Format;
use std::arch::x86_64::*;

pub(super) const Q2K: u8 = Format::Q2K as u8;
pub(super) const Q3K: u8 = Format::Q3K as u8;
pub(super) const Q4K: u8 = Format::Q4K as u8;
pub(super) const Q5K: u8 = Format::Q5K as u8;
pub(super) const Q6K: u8 = Format::Q6K as u8;

/// What differs between the long formats, known when compiling.
pub(super) struct Layout {
    pub(super) bytes: usize,
    /// Fours of columns that share a scale.
    pub(super) quads: usize,
    /// What is taken from the integers, as a shift; 0 for nothing.
    pub(super) offset_shift: u32,
    /// Pairs of mins.
    pub(super) min_pairs: usize,
}

pub(super) const fn layout(format: u8) -> Layout {
    match format {
        Q2K => Layout { bytes: 84, quads: 4, offset_shift: 0, min_pairs: 8 },
        Q3K => Layout { bytes: 110, quads: 4, offset_shift: 2, min_pairs: 0 },
        Q4K => Layout { bytes: 144, quads: 8, offset_shift: 0, min_pairs: 4 },
        Q5K => Layout { bytes: 176, quads: 8, offset_shift: 0, min_pairs: 4 },
        _ => Layout { bytes: 210, quads: 4, offset_shift: 5, min_pairs: 0 },
    }
}

/// Scales and mins of a block.
pub(super) struct Header {
    /// Scales of the parts as bytes with sign, four to a vector.
    pub(super) scales: [__m512i; 4],
    /// Mins of the parts as bytes, four to a vector.
    pub(super) mins: [__m512i; 4],
    pub(super) d: __m512,
    pub(super) minus_dmin: __m512,
}

impl Header {
    /// The scale of a part, as 32 bits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub(super) fn scale(&self, part: usize) -> __m512i {
        let top =
            _mm512_sllv_epi32(self.scales[part / 4], _mm512_set1_epi32(24 - 8 * (part % 4) as i32));
        _mm512_srai_epi32::<24>(top)
    }

    /// Mins of two parts as 16 bits each, in the order of the activations' pairs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub(super) fn min_pair(&self, pair: usize) -> __m512i {
        let bytes = self.mins[pair / 2];
        _mm512_and_si512(
            if pair.is_multiple_of(2) { bytes } else { _mm512_srli_epi32::<8>(bytes) },
            _mm512_set1_epi32(0x00ff_00ff),
        )
    }
}

/// Scales and mins of the block that starts at byte `at` of the rows.
///
/// `CALLER` is any number, another one for each caller: so each has a copy to itself, which the compiler takes in whole.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn header<const F: u8, const CALLER: usize>(panel: &Panel<'_>, at: usize) -> Header {
    match F {
        Q2K => header_q2k(panel, at),
        Q3K => header_q3k(panel, at),
        Q4K | Q5K => header_q4k(panel, at),
        _ => header_q6k(panel, at),
    }
}

/// One quarter of a block: two runs of 32 columns, see [`run_start`]. For `CALLER` see [`header`].
///
/// Quarters are taken in order. `high` is kept from one to the next: bytes whose bits several of them need.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn quarter<const F: u8, const CALLER: usize>(
    panel: &Panel<'_>,
    at: usize,
    nth: usize,
    high: &mut [__m512i; 8],
) -> [[__m512i; 8]; 2] {
    match F {
        Q3K if nth == 0 => *high = panel.columns8(at),
        Q5K if nth == 0 => *high = panel.columns8(at + 16),
        Q6K if nth.is_multiple_of(2) => *high = panel.columns8(at + 128 + 16 * nth),
        _ => {}
    }
    match F {
        Q2K => quarter_q2k(panel, at, nth),
        Q3K => quarter_q3k(panel, at, nth, high),
        Q4K => quarter_q4k(panel, at, nth),
        Q5K => quarter_q5k(panel, at, nth, high),
        _ => quarter_q6k(panel, at, nth, high),
    }
}

/// The first column of run 0 or 1 of a quarter.
#[inline]
pub(super) const fn run_start<const F: u8>(quarter: usize, run: usize) -> usize {
    match F {
        Q6K => 128 * (quarter / 2) + 32 * (quarter % 2) + 64 * run,
        _ => 64 * quarter + 32 * run,
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn header_q2k(panel: &Panel<'_>, at: usize) -> Header {
    let bytes = panel.columns4(at);
    let floats = panel.columns4(at + 68)[3];
    let mut header = Header {
        scales: bytes,
        mins: bytes,
        d: low_floats(floats),
        minus_dmin: negated(high_floats(floats)),
    };
    for i in 0..4 {
        header.scales[i] = bits::<0x0f>(bytes[i], 0);
        header.mins[i] = bits::<0x0f>(bytes[i], 4);
    }
    header
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn header_q3k(panel: &Panel<'_>, at: usize) -> Header {
    // The last 16 bytes of the block: two of other things, 12 of scales, d.
    let bytes = panel.columns4(at + 94);
    let low = [straddle(bytes[0], bytes[1]), straddle(bytes[1], bytes[2])];
    let high = straddle(bytes[2], bytes[3]);
    let zero = _mm512_setzero_si512();
    let mut scales = [zero; 4];
    for i in 0..4 {
        let low = bits::<0x0f>(low[i % 2], 4 * (i as i32 / 2));
        let high = _mm512_slli_epi32::<4>(bits::<0x03>(high, 2 * i as i32));
        scales[i] = _mm512_sub_epi8(_mm512_or_si512(low, high), _mm512_set1_epi8(32));
    }
    Header { scales, mins: [zero; 4], d: high_floats(bytes[3]), minus_dmin: _mm512_setzero_ps() }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn header_q4k(panel: &Panel<'_>, at: usize) -> Header {
    let [floats, a, b, c] = panel.columns4(at);
    let zero = _mm512_setzero_si512();
    let top = |bytes| bits::<0x30>(bytes, 2);
    Header {
        scales: [bits::<0x3f>(a, 0), _mm512_or_si512(bits::<0x0f>(c, 0), top(a)), zero, zero],
        mins: [bits::<0x3f>(b, 0), _mm512_or_si512(bits::<0x0f>(c, 4), top(b)), zero, zero],
        d: low_floats(floats),
        minus_dmin: negated(high_floats(floats)),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn header_q6k(panel: &Panel<'_>, at: usize) -> Header {
    Header {
        scales: panel.columns4(at + 192),
        mins: [_mm512_setzero_si512(); 4],
        d: high_floats(panel.columns4(at + 194)[3]),
        minus_dmin: _mm512_setzero_ps(),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn quarter_q2k(panel: &Panel<'_>, at: usize, nth: usize) -> [[__m512i; 8]; 2] {
    let packed = panel.columns8(at + 16 + 32 * (nth / 2));
    let mut runs = [packed; 2];
    for run in 0..2 {
        for i in 0..8 {
            runs[run][i] = bits::<0x03>(packed[i], (4 * (nth % 2) + 2 * run) as i32);
        }
    }
    runs
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn quarter_q3k(panel: &Panel<'_>, at: usize, nth: usize, high: &[__m512i; 8]) -> [[__m512i; 8]; 2] {
    let packed = panel.columns8(at + 32 + 32 * (nth / 2));
    let mut runs = [packed; 2];
    for run in 0..2 {
        for i in 0..8 {
            let low = bits::<0x03>(packed[i], (4 * (nth % 2) + 2 * run) as i32);
            runs[run][i] = with_bits::<0x04>(low, high[i], (2 * nth + run) as i32 - 2);
        }
    }
    runs
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn quarter_q4k(panel: &Panel<'_>, at: usize, nth: usize) -> [[__m512i; 8]; 2] {
    halves(panel.columns8(at + 16 + 32 * nth))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn quarter_q5k(panel: &Panel<'_>, at: usize, nth: usize, high: &[__m512i; 8]) -> [[__m512i; 8]; 2] {
    let mut runs = halves(panel.columns8(at + 48 + 32 * nth));
    for run in 0..2 {
        for i in 0..8 {
            runs[run][i] = with_bits::<0x10>(runs[run][i], high[i], (2 * nth + run) as i32 - 4);
        }
    }
    runs
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn quarter_q6k(panel: &Panel<'_>, at: usize, nth: usize, high: &[__m512i; 8]) -> [[__m512i; 8]; 2] {
    let mut runs = halves(panel.columns8(at + 64 * (nth / 2) + 32 * (nth % 2)));
    for run in 0..2 {
        for i in 0..8 {
            let shift = (2 * (nth % 2) + 4 * run) as i32 - 4;
            runs[run][i] = with_bits::<0x30>(runs[run][i], high[i], shift);
        }
    }
    runs
}

/// Puts in some bits of other bytes, after a shift of these to the right by less than 8, or to the left.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn with_bits<const MASK: i8>(bytes: __m512i, others: __m512i, shift: i32) -> __m512i {
    /// `a | b & c`
    const OR_AND: i32 = 0b1111_1000;
    let shifted = if shift < 0 {
        _mm512_sllv_epi32(others, _mm512_set1_epi32(-shift))
    } else {
        _mm512_srlv_epi32(others, _mm512_set1_epi32(shift))
    };
    _mm512_ternarylogic_epi32::<OR_AND>(bytes, shifted, _mm512_set1_epi8(MASK))
}

/// The lower and the upper four bits of the bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn halves(packed: [__m512i; 8]) -> [[__m512i; 8]; 2] {
    let mut runs = [packed; 2];
    for i in 0..8 {
        runs[0][i] = bits::<0x0f>(packed[i], 0);
        runs[1][i] = bits::<0x0f>(packed[i], 4);
    }
    runs
}

/// Some bits of each byte, after a shift to the right of less than 8.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn bits<const MASK: i8>(bytes: __m512i, shift: i32) -> __m512i {
    let shifted = _mm512_srlv_epi32(bytes, _mm512_set1_epi32(shift));
    _mm512_and_si512(shifted, _mm512_set1_epi8(MASK))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn negated(floats: __m512) -> __m512 {
    _mm512_xor_ps(floats, _mm512_set1_ps(-0.0))
}
