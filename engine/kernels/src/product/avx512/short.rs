//! Short blocks of 16 rows as lanes: integers without sign in fours of columns.
use super::long::bits;
use super::panel::{Panel, high_floats, low_floats, straddle};
use crate::format::Format;
use std::arch::x86_64::*;

pub(super) const Q4_0: u8 = Format::Q4_0 as u8;
pub(super) const Q4_1: u8 = Format::Q4_1 as u8;
pub(super) const Q5_0: u8 = Format::Q5_0 as u8;
pub(super) const Q5_1: u8 = Format::Q5_1 as u8;
pub(super) const Q8_0: u8 = Format::Q8_0 as u8;

/// What differs between the short formats, known when compiling.
pub(super) struct Layout {
    pub(super) bytes: usize,
    /// What is taken from the integers, as a shift; 0 for nothing.
    pub(super) offset_shift: u32,
    /// Whether there is a lowest value.
    pub(super) min: bool,
}

pub(super) const fn layout(format: u8) -> Layout {
    match format {
        Q4_0 => Layout { bytes: 18, offset_shift: 3, min: false },
        Q4_1 => Layout { bytes: 20, offset_shift: 0, min: true },
        Q5_0 => Layout { bytes: 22, offset_shift: 4, min: false },
        Q5_1 => Layout { bytes: 24, offset_shift: 0, min: true },
        _ => Layout { bytes: 34, offset_shift: 7, min: false },
    }
}

/// One block of each row.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) quads: [__m512i; 8],
    pub(super) d: __m512,
    /// The lowest value, in formats that have one.
    pub(super) m: __m512,
}

/// The block that starts at byte `at` of the rows. `CALLER` as for long blocks' headers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn block<const F: u8, const CALLER: usize>(panel: &Panel<'_>, at: usize) -> Block {
    let head = panel.columns4(at);
    let quads = match F {
        Q4_0 => halves(panel.columns4(at + 2)),
        Q4_1 => halves(panel.columns4(at + 4)),
        Q5_0 => with_fifths(halves(panel.columns4(at + 6)), straddle(head[0], head[1])),
        Q5_1 => with_fifths(halves(panel.columns4(at + 8)), head[1]),
        _ => without_sign(panel.columns8(at + 2)),
    };
    Block { quads, d: low_floats(head[0]), m: high_floats(head[0]) }
}

/// The lower four bits of the bytes, then the upper ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn halves(packed: [__m512i; 4]) -> [__m512i; 8] {
    let mut quads = [_mm512_setzero_si512(); 8];
    for i in 0..4 {
        quads[i] = bits::<0x0f>(packed[i], 0);
        quads[i + 4] = bits::<0x0f>(packed[i], 4);
    }
    quads
}

/// Adds bit `i` of a row's `fifths` to number `i` as its fifth bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn with_fifths(mut quads: [__m512i; 8], fifths: __m512i) -> [__m512i; 8] {
    let sixteen = _mm512_set1_epi8(16);
    for i in 0..8 {
        // Byte i / 2 of each row in all four bytes, then one bit of it for each.
        let first = (i / 2) as i32 * 0x0101_0101;
        let rows = _mm512_set_epi32(
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0x0c0c_0c0c,
            0x0808_0808,
            0x0404_0404,
            0,
        );
        let rows = _mm512_shuffle_i64x2::<0>(rows, rows);
        let bytes = _mm512_shuffle_epi8(fifths, _mm512_add_epi8(rows, _mm512_set1_epi32(first)));
        let bit = if i % 2 == 0 { 0x0804_0201 } else { 0x8040_2010_u32.cast_signed() };
        let set = _mm512_test_epi8_mask(bytes, _mm512_set1_epi32(bit));
        quads[i] = _mm512_mask_add_epi8(quads[i], set, quads[i], sixteen);
    }
    quads
}

/// Adds 128, which turns numbers with a sign into such without.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn without_sign(mut quads: [__m512i; 8]) -> [__m512i; 8] {
    for i in 0..8 {
        quads[i] = _mm512_xor_si512(quads[i], _mm512_set1_epi8(-128));
    }
    quads
}
