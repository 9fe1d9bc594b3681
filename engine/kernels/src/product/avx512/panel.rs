//! 16 rows of weights, read so that each lane holds one row.
use super::super::PANEL;
use std::arch::x86_64::*;

/// 16 rows that lie one after the other.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
}

impl<'a> Panel<'a> {
    /// # Panics
    /// If there are fewer bytes than 16 rows.
    pub(super) fn new(bytes: &'a [u8], row_bytes: usize) -> Self {
        assert!(bytes.len() >= PANEL * row_bytes, "fewer rows than a panel has");
        Self { bytes, row_bytes }
    }

    /// 16 bytes of each row, from byte `at` of it: four vectors of 32 bits of each row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub(super) fn columns4(&self, at: usize) -> [__m512i; 4] {
        let start = self.start::<16>(at);
        let lanes = |row: usize| {
            // SAFETY: `start` says that 16 bytes can be read in each of 16 rows.
            unsafe {
                let part = |row: usize| _mm_loadu_si128(start.add(row * self.row_bytes).cast());
                let lanes = _mm512_castsi128_si512(part(row));
                let lanes = _mm512_inserti32x4::<1>(lanes, part(row + 4));
                let lanes = _mm512_inserti32x4::<2>(lanes, part(row + 8));
                _mm512_inserti32x4::<3>(lanes, part(row + 12))
            }
        };
        transpose_lanes([lanes(0), lanes(1), lanes(2), lanes(3)])
    }

    /// 32 bytes of each row, from byte `at` of it: eight vectors of 32 bits of each row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    pub(super) fn columns8(&self, at: usize) -> [__m512i; 8] {
        let start = self.start::<32>(at);
        let halves = |row: usize| {
            // SAFETY: `start` says that 32 bytes can be read in each of 16 rows.
            unsafe {
                let part = |row: usize| _mm256_loadu_si256(start.add(row * self.row_bytes).cast());
                _mm512_inserti64x4::<1>(_mm512_castsi256_si512(part(row)), part(row + 4))
            }
        };
        let upper = transpose_lanes([halves(0), halves(1), halves(2), halves(3)]);
        let lower = transpose_lanes([halves(8), halves(9), halves(10), halves(11)]);
        // Lanes of `upper` are rows 0..4 of column i, of column i + 4, then rows 4..8 of the same.
        let mut columns = [_mm512_setzero_si512(); 8];
        for i in 0..4 {
            columns[i] = _mm512_shuffle_i64x2::<0b10_00_10_00>(upper[i], lower[i]);
            columns[i + 4] = _mm512_shuffle_i64x2::<0b11_01_11_01>(upper[i], lower[i]);
        }
        columns
    }

    /// Where byte `at` of the first row is; `N` bytes can be read there in each row.
    #[inline]
    fn start<const N: usize>(&self, at: usize) -> *const u8 {
        assert!(at + N <= self.row_bytes, "beyond the end of a row");
        self.bytes[at..].as_ptr()
    }
}

/// Transposes 4 x 4 numbers of 32 bits in each quarter of the vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn transpose_lanes(rows: [__m512i; 4]) -> [__m512i; 4] {
    let low01 = _mm512_unpacklo_epi32(rows[0], rows[1]);
    let high01 = _mm512_unpackhi_epi32(rows[0], rows[1]);
    let low23 = _mm512_unpacklo_epi32(rows[2], rows[3]);
    let high23 = _mm512_unpackhi_epi32(rows[2], rows[3]);
    [
        _mm512_unpacklo_epi64(low01, low23),
        _mm512_unpackhi_epi64(low01, low23),
        _mm512_unpacklo_epi64(high01, high23),
        _mm512_unpackhi_epi64(high01, high23),
    ]
}

/// The 16-bit floats in the lower halves of the lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn low_floats(lanes: __m512i) -> __m512 {
    _mm512_cvtph_ps(_mm512_cvtepi32_epi16(lanes))
}

/// The 16-bit floats in the upper halves of the lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn high_floats(lanes: __m512i) -> __m512 {
    low_floats(_mm512_srli_epi32::<16>(lanes))
}

/// 16 bits further on in two lanes that follow one another: the upper half of `low`, the lower half of `high`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) fn straddle(low: __m512i, high: __m512i) -> __m512i {
    _mm512_or_si512(_mm512_srli_epi32::<16>(low), _mm512_slli_epi32::<16>(high))
}
