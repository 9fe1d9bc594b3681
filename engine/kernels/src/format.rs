//! How the numbers of a matrix lie in a file: plain floats, and the blocks of GGUF's quantised types.
use half::{bf16, f16};

mod long;
mod short;

pub(crate) use long::{LONG, LongBlock};
pub(crate) use short::{SHORT, ShortBlock};

/// The layout of a matrix's numbers, named as in GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit floats with the exponent of 32-bit ones.
    Bf16,
    /// 32 numbers of 4 bits around zero with one scale.
    Q4_0,
    /// 32 numbers of 4 bits with a scale and a lowest value.
    Q4_1,
    /// 32 numbers of 5 bits around zero with one scale.
    Q5_0,
    /// 32 numbers of 5 bits with a scale and a lowest value.
    Q5_1,
    /// 32 numbers of 8 bits with one scale.
    Q8_0,
    /// 256 numbers of 2 bits, scales and lowest values of 4 bits for each 16.
    Q2K,
    /// 256 numbers of 3 bits around zero, scales of 6 bits for each 16.
    Q3K,
    /// 256 numbers of 4 bits, scales and lowest values of 6 bits for each 32.
    Q4K,
    /// 256 numbers of 5 bits, scales and lowest values of 6 bits for each 32.
    Q5K,
    /// 256 numbers of 6 bits around zero, scales of 8 bits for each 16.
    Q6K,
}

/// What a product needs of the activations, by the kind of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Floats, multiplied as such.
    Float,
    /// Blocks of 32 integers.
    Short,
    /// Blocks of 256 integers.
    Long,
}

impl Format {
    /// Every format there is.
    pub const ALL: [Self; 13] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Numbers in a block; the columns of a matrix are a multiple of it.
    pub const fn block_len(self) -> usize {
        match self.kind() {
            Kind::Float => 1,
            Kind::Short => SHORT,
            Kind::Long => LONG,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of a row; `None` if the columns are no multiple of [`Format::block_len`] or the number would overflow.
    pub const fn row_bytes(self, columns: usize) -> Option<usize> {
        if !columns.is_multiple_of(self.block_len()) {
            return None;
        }
        (columns / self.block_len()).checked_mul(self.block_bytes())
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => Kind::Float,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => Kind::Short,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => Kind::Long,
        }
    }

    /// The numbers of one row as floats. `row` and `out` must be of matching lengths; what is beyond the shorter is left alone.
    pub(crate) fn dequantize(self, row: &[u8], out: &mut [f32]) {
        match self.kind() {
            Kind::Float => floats(self, row, out),
            Kind::Short => {
                let blocks = row.chunks_exact(self.block_bytes());
                for (bytes, out) in blocks.zip(out.chunks_exact_mut(SHORT)) {
                    ShortBlock::decode(self, bytes).dequantize(out);
                }
            }
            Kind::Long => {
                let blocks = row.chunks_exact(self.block_bytes());
                for (bytes, out) in blocks.zip(out.chunks_exact_mut(LONG)) {
                    LongBlock::decode(self, bytes).dequantize(out);
                }
            }
        }
    }
}

/// A row of floats of any of the three widths.
#[inline(always)]
pub(crate) fn floats(format: Format, row: &[u8], out: &mut [f32]) {
    match format {
        Format::F32 => {
            for (value, bytes) in out.iter_mut().zip(row.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        Format::F16 => {
            for (value, bytes) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                *value = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        _ => {
            for (value, bytes) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                *value = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
    }
}

/// The 16-bit float at an offset, without looking up what the processor has: this is taken into code that was compiled for it.
#[inline(always)]
pub(crate) fn f16_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32_const()
}

#[cfg(test)]
mod tests;
