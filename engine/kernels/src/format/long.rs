//! Blocks of 256 integers: the K quants.
use super::{Format, f16_at};

/// Numbers in a long block.
pub(crate) const LONG: usize = 256;

/// A long block as integers: number `i` is `d * scales[i / 16] * q[i] - dmin * mins[i / 16]`.
pub(crate) struct LongBlock {
    pub(crate) q: [i8; LONG],
    pub(crate) scales: [i32; 16],
    pub(crate) mins: [i32; 16],
    pub(crate) d: f32,
    pub(crate) dmin: f32,
}

impl LongBlock {
    /// Reads a block of a long format.
    pub(crate) fn decode(format: Format, bytes: &[u8]) -> Self {
        match format {
            Format::Q2K => decode_q2k(bytes),
            Format::Q3K => decode_q3k(bytes),
            Format::Q4K => decode_q4k(bytes, &bytes[16..], None),
            Format::Q5K => decode_q4k(bytes, &bytes[48..], Some(&bytes[16..48])),
            _ => decode_q6k(bytes),
        }
    }

    pub(crate) fn dequantize(&self, out: &mut [f32]) {
        for (part, out) in out.chunks_exact_mut(16).enumerate() {
            let (scale, min) =
                (self.d * self.scales[part] as f32, self.dmin * self.mins[part] as f32);
            for (value, &q) in out.iter_mut().zip(&self.q[16 * part..]) {
                *value = scale * f32::from(q) - min;
            }
        }
    }
}

/// Scales and mins (four bits each) of 16 parts, 64 bytes of two bits, d, dmin.
fn decode_q2k(bytes: &[u8]) -> LongBlock {
    let quants = &bytes[16..80];
    LongBlock {
        q: std::array::from_fn(|i| two_bits(quants, i).cast_signed()),
        scales: std::array::from_fn(|part| i32::from(bytes[part] & 15)),
        mins: std::array::from_fn(|part| i32::from(bytes[part] >> 4)),
        d: f16_at(bytes, 80),
        dmin: f16_at(bytes, 82),
    }
}

/// 32 bytes of third bits, 64 bytes of two bits, 12 bytes of scales, d. A third bit that is not set takes 4 away.
fn decode_q3k(bytes: &[u8]) -> LongBlock {
    let (thirds, quants, packed) = (&bytes[..32], &bytes[32..96], &bytes[96..108]);
    LongBlock {
        q: std::array::from_fn(|i| {
            let third = (thirds[i % 32] >> (i / 32)) & 1;
            (two_bits(quants, i) | (third << 2)).cast_signed() - 4
        }),
        scales: std::array::from_fn(|part| {
            let low = (packed[part % 8] >> (4 * (part / 8))) & 15;
            let high = (packed[8 + part % 4] >> (2 * (part / 4))) & 3;
            i32::from(low | (high << 4)) - 32
        }),
        mins: [0; 16],
        d: f16_at(bytes, 108),
        dmin: 0.0,
    }
}

/// d, dmin, 12 bytes of scales and mins of 8 parts, then (of five bits: 32 bytes of fifth bits, then) 128 bytes of four bits.
fn decode_q4k(bytes: &[u8], quants: &[u8], fifths: Option<&[u8]>) -> LongBlock {
    let packed = &bytes[4..16];
    let scale = |part: usize| match part {
        0..4 => packed[part] & 63,
        _ => (packed[part + 4] & 15) | ((packed[part - 4] >> 6) << 4),
    };
    let min = |part: usize| match part {
        0..4 => packed[part + 4] & 63,
        _ => (packed[part + 4] >> 4) | ((packed[part] >> 6) << 4),
    };
    LongBlock {
        q: std::array::from_fn(|i| {
            let (group, half) = (i / 64, (i / 32) % 2);
            let low = (quants[32 * group + i % 32] >> (4 * half)) & 15;
            let fifth = fifths.map_or(0, |fifths| (fifths[i % 32] >> (i / 32)) & 1);
            (low | (fifth << 4)).cast_signed()
        }),
        scales: std::array::from_fn(|part| i32::from(scale(part / 2))),
        mins: std::array::from_fn(|part| i32::from(min(part / 2))),
        d: f16_at(bytes, 0),
        dmin: f16_at(bytes, 2),
    }
}

/// 128 bytes of low four bits, 64 bytes of high two bits, 16 scales, d.
fn decode_q6k(bytes: &[u8]) -> LongBlock {
    let (low, high, scales) = (&bytes[..128], &bytes[128..192], &bytes[192..208]);
    LongBlock {
        q: std::array::from_fn(|i| {
            let (half, quarter, at) = (i / 128, (i / 32) % 4, i % 32);
            let low = (low[64 * half + 32 * (quarter % 2) + at] >> (4 * (quarter / 2))) & 15;
            let high = (high[32 * half + at] >> (2 * quarter)) & 3;
            (low | (high << 4)).cast_signed() - 32
        }),
        scales: std::array::from_fn(|part| i32::from(scales[part].cast_signed())),
        mins: [0; 16],
        d: f16_at(bytes, 208),
        dmin: 0.0,
    }
}

/// 64 bytes hold 256 numbers of two bits: 128 in each 32 bytes, 32 for each pair of bits.
fn two_bits(quants: &[u8], i: usize) -> u8 {
    (quants[32 * (i / 128) + i % 32] >> (2 * ((i / 32) % 4))) & 3
}
