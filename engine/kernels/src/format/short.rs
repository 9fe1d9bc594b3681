//! Blocks of 32 integers: `Q4_0`, `Q4_1`, `Q5_0`, `Q5_1`, `Q8_0`.
use super::{Format, f16_at};

/// Numbers in a short block.
pub(crate) const SHORT: usize = 32;

/// A short block as integers: number `i` is `d * q[i] + m`.
pub(crate) struct ShortBlock {
    pub(crate) q: [i8; SHORT],
    pub(crate) d: f32,
    pub(crate) m: f32,
}

impl ShortBlock {
    /// Reads a block of a short format.
    #[inline(always)]
    pub(crate) fn decode(format: Format, bytes: &[u8]) -> Self {
        let d = f16_at(bytes, 0);
        let (q, m) = match format {
            Format::Q4_0 => (nibbles(&bytes[2..], 0, -8), 0.0),
            Format::Q4_1 => (nibbles(&bytes[4..], 0, 0), f16_at(bytes, 2)),
            Format::Q5_0 => (nibbles(&bytes[6..], u32_at(bytes, 2), -16), 0.0),
            Format::Q5_1 => (nibbles(&bytes[8..], u32_at(bytes, 4), 0), f16_at(bytes, 2)),
            _ => (with_sign(&bytes[2..]), 0.0),
        };
        Self { q, d, m }
    }

    #[inline(always)]
    pub(crate) fn dequantize(&self, out: &mut [f32]) {
        for (value, &q) in out.iter_mut().zip(&self.q) {
            *value = self.d * f32::from(q) + self.m;
        }
    }
}

/// 16 bytes hold the low four bits of number `i` in byte `i`'s lower half, of number `i + 16` in its upper half; bit `i` of
/// `fifth` is the fifth bit of number `i`.
#[inline(always)]
fn nibbles(bytes: &[u8], fifth: u32, offset: i8) -> [i8; SHORT] {
    let mut q = [0; SHORT];
    let bytes = &bytes[..16];
    for i in 0..16 {
        q[i] = (bytes[i] & 15).cast_signed() + offset;
        q[i + 16] = (bytes[i] >> 4).cast_signed() + offset;
    }
    if fifth != 0 {
        for (i, q) in q.iter_mut().enumerate() {
            *q += (((fifth >> i) & 1) as i8) << 4;
        }
    }
    q
}

#[inline(always)]
fn with_sign(bytes: &[u8]) -> [i8; SHORT] {
    let mut q = [0; SHORT];
    for (q, byte) in q.iter_mut().zip(&bytes[..SHORT]) {
        *q = byte.cast_signed();
    }
    q
}

#[inline(always)]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
