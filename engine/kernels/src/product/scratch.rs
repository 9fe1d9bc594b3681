//! Memory of a thread's own that outlives a product.

/// What a thread computes in.
#[derive(Default)]
pub(super) struct Scratch {
    /// Sums that are not finished.
    pub(super) sums: Vec<f32>,
    /// Rows as floats.
    pub(super) rows: [Vec<f32>; super::portable::ROWS],
    /// Of the AVX-512 path, once it has run.
    #[cfg(target_arch = "x86_64")]
    pub(super) avx512: Box<super::avx512::Buffers>,
}
