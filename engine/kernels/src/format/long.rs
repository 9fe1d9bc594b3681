//! Blocks of 256 integers: the K quants.
use super::{Format, f16_at};

/// Numbers in a long block.
pub(crate) const LONG: usize = 256;

/// Numbers whose bits lie alike in as many bytes.
const RUN: usize = 32;

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
    #[inline(always)]
    pub(crate) fn decode(format: Format, bytes: &[u8]) -> Self {
        match format {
            Format::Q2K => decode_q2k(bytes),
            Format::Q3K => decode_q3k(bytes),
            Format::Q4K => decode_q4k(bytes, &bytes[16..], None),
            Format::Q5K => decode_q4k(bytes, &bytes[48..], Some(&bytes[16..48])),
            _ => decode_q6k(bytes),
        }
    }

    #[inline(always)]
    pub(crate) fn dequantize(&self, out: &mut [f32]) {
        for (part, out) in out.chunks_exact_mut(16).enumerate() {
            let scale = self.d * self.scales[part] as f32;
            let min = self.dmin * self.mins[part] as f32;
            for (value, &q) in out.iter_mut().zip(&self.q[16 * part..]) {
                *value = scale * f32::from(q) - min;
            }
        }
    }

    pub(crate) const ZERO: Self =
        Self { q: [0; LONG], scales: [0; 16], mins: [0; 16], d: 0.0, dmin: 0.0 };
}

/// Scales and mins (four bits each) of 16 parts, 64 bytes of two bits, d, dmin.
#[inline(always)]
fn decode_q2k(bytes: &[u8]) -> LongBlock {
    let mut block = LongBlock { d: f16_at(bytes, 80), dmin: f16_at(bytes, 82), ..LongBlock::ZERO };
    for (part, byte) in bytes[..16].iter().enumerate() {
        block.scales[part] = i32::from(byte & 15);
        block.mins[part] = i32::from(byte >> 4);
    }
    for (run, q) in block.q.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
        two_bits(&bytes[16..], run, q);
    }
    block
}

/// 32 bytes of third bits, 64 bytes of two bits, 12 bytes of scales, d. A third bit that is not set takes 4 away.
#[inline(always)]
fn decode_q3k(bytes: &[u8]) -> LongBlock {
    let mut block = LongBlock { d: f16_at(bytes, 108), ..LongBlock::ZERO };
    let (thirds, packed) = (&bytes[..RUN], &bytes[96..108]);
    for (part, scale) in block.scales.iter_mut().enumerate() {
        let low = (packed[part % 8] >> (4 * (part / 8))) & 15;
        let high = (packed[8 + part % 4] >> (2 * (part / 4))) & 3;
        *scale = i32::from(low | (high << 4)) - 32;
    }
    for (run, q) in block.q.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
        two_bits(&bytes[32..], run, q);
        for (q, third) in q.iter_mut().zip(thirds) {
            *q += (((third >> run) & 1) << 2).cast_signed() - 4;
        }
    }
    block
}

/// d, dmin, 12 bytes of scales and mins of 8 parts, then (of five bits: 32 bytes of fifth bits, then) 128 bytes of four bits.
#[inline(always)]
fn decode_q4k(bytes: &[u8], quants: &[u8], fifths: Option<&[u8]>) -> LongBlock {
    let mut block = LongBlock { d: f16_at(bytes, 0), dmin: f16_at(bytes, 2), ..LongBlock::ZERO };
    let packed = &bytes[4..16];
    for pair in 0..8 {
        let (scale, min) = if pair < 4 {
            (packed[pair] & 63, packed[pair + 4] & 63)
        } else {
            let top = |byte: u8| (byte >> 6) << 4;
            let low = packed[pair + 4];
            ((low & 15) | top(packed[pair - 4]), (low >> 4) | top(packed[pair]))
        };
        block.scales[2 * pair..][..2].fill(i32::from(scale));
        block.mins[2 * pair..][..2].fill(i32::from(min));
    }
    for (run, q) in block.q.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
        four_bits(&quants[RUN * (run / 2)..], run % 2, q);
        for (q, fifth) in q.iter_mut().zip(fifths.unwrap_or_default()) {
            *q |= if fifth & (1 << run) == 0 { 0 } else { 16 };
        }
    }
    block
}

/// 128 bytes of low four bits, 64 bytes of high two bits, 16 scales, d.
#[inline(always)]
fn decode_q6k(bytes: &[u8]) -> LongBlock {
    let mut block = LongBlock { d: f16_at(bytes, 208), ..LongBlock::ZERO };
    for (scale, byte) in block.scales.iter_mut().zip(&bytes[192..208]) {
        *scale = i32::from(byte.cast_signed());
    }
    for (run, q) in block.q.as_chunks_mut::<RUN>().0.iter_mut().enumerate() {
        let (half, quarter) = (run / 4, run % 4);
        four_bits(&bytes[64 * half + RUN * (quarter % 2)..], quarter / 2, q);
        for (q, high) in q.iter_mut().zip(&bytes[128 + RUN * half..][..RUN]) {
            *q = (*q | (((high >> (2 * quarter)) & 3) << 4).cast_signed()) - 32;
        }
    }
    block
}

/// The lower (0) or upper (1) halves of bytes.
#[inline(always)]
fn four_bits(quants: &[u8], half: usize, q: &mut [i8; RUN]) {
    // Shifts by a constant: there are none of bytes by a variable.
    for (q, byte) in q.iter_mut().zip(&quants[..RUN]) {
        *q = if half == 0 { byte & 15 } else { byte >> 4 }.cast_signed();
    }
}

/// One of eight runs of numbers of two bits: 32 bytes hold four, one for each pair of bits.
#[inline(always)]
fn two_bits(quants: &[u8], run: usize, q: &mut [i8; RUN]) {
    for (q, byte) in q.iter_mut().zip(&quants[RUN * (run / 4)..][..RUN]) {
        *q = ((byte >> (2 * (run % 4))) & 3).cast_signed();
    }
}
