//! Sixteen floats at a time, on every instruction set, so that a kernel is written once.
//!
//! All implementations round alike operation by operation (fused multiply-add is fused everywhere), so a kernel that combines
//! its lanes in a fixed order gives the same bits on all of them.
use crate::Isa;
use half::f16;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

/// Floats in one [`Simd::F`], whatever the width of the registers.
pub(crate) const LANES: usize = 16;

/// Proof that the processor has an instruction set, and its operations on sixteen floats. Only the proof's own constructor
/// makes one.
pub(crate) trait Simd: Copy {
    /// Sixteen floats.
    type F: Copy;
    /// Rows and sixteen-wide columns of the largest tile of sums that stays in registers.
    const TILE_ROWS: usize;
    const TILE_COLUMNS: usize;

    /// Runs a kernel compiled with these instructions.
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output;

    fn splat(self, x: f32) -> Self::F;
    fn load(self, from: &[f32; LANES]) -> Self::F;
    fn load_f16(self, from: &[f16; LANES]) -> Self::F;
    fn load_i8(self, from: &[i8; LANES]) -> Self::F;
    fn store(self, x: Self::F, to: &mut [f32; LANES]);
    /// Rounded to nearest, ties to even.
    fn store_f16(self, x: Self::F, to: &mut [f16; LANES]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger of a number `a` and `b`, which may be NaN and then comes out.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller of a number `a` and `b`, which may be NaN and then comes out.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn abs(self, x: Self::F) -> Self::F;
    /// `less` where `x < limit`, `other` elsewhere (and where `x` is NaN).
    fn select_lt(self, x: Self::F, limit: Self::F, less: Self::F, other: Self::F) -> Self::F;
    /// `x * 2^n` for a normal `x` whose result is normal; `n` is the integer in the low bits of `1.5 * 2^23 + n`.
    fn scale_by_power(self, x: Self::F, n: Self::F) -> Self::F;

    /// Asks for a cache line to be brought near. The address need not be valid.
    #[inline(always)]
    fn prefetch<T>(self, _at: *const T) {}

    #[inline(always)]
    fn zero(self) -> Self::F {
        self.splat(0.0)
    }

    #[inline(always)]
    fn to_array(self, x: Self::F) -> [f32; LANES] {
        let mut array = [0.0; LANES];
        self.store(x, &mut array);
        array
    }

    /// The sum of all lanes: halves folded onto one another, 8 then 4 then 2 then 1.
    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        let x = self.to_array(x);
        let x: [f32; 8] = std::array::from_fn(|i| x[i] + x[i + 8]);
        let x: [f32; 4] = std::array::from_fn(|i| x[i] + x[i + 4]);
        (x[0] + x[2]) + (x[1] + x[3])
    }

    /// The sums of all lanes of eight vectors, each as [`Simd::sum`] has it.
    #[inline(always)]
    fn sums(self, x: [Self::F; 8]) -> [f32; 8] {
        let mut sums = [0.0; 8];
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = self.sum(x);
        }
        sums
    }

    /// Lane `i` of vector `j` from lane `j` of vector `i`.
    #[inline(always)]
    fn transpose(self, rows: [Self::F; LANES]) -> [Self::F; LANES] {
        // No closures: they are compiled without the instruction set.
        let (mut values, mut columns) = ([[0.0; LANES]; LANES], rows);
        for (row, values) in rows.into_iter().zip(&mut values) {
            self.store(row, values);
        }
        for (j, column) in columns.iter_mut().enumerate() {
            let mut lanes = [0.0; LANES];
            for (lane, values) in lanes.iter_mut().zip(&values) {
                *lane = values[j];
            }
            *column = self.load(&lanes);
        }
        columns
    }

    /// The largest of all lanes.
    #[inline(always)]
    fn max_lane(self, x: Self::F) -> f32 {
        let larger = |a: f32, b: f32| if a > b { a } else { b };
        let x = self.to_array(x);
        let x: [f32; 8] = std::array::from_fn(|i| larger(x[i], x[i + 8]));
        let x: [f32; 4] = std::array::from_fn(|i| larger(x[i], x[i + 4]));
        larger(larger(x[0], x[2]), larger(x[1], x[3]))
    }
}

/// Work that is compiled once for every instruction set. `run` and all it calls must be `#[inline(always)]`: that is how the
/// instructions allowed in [`Simd::vectorize`] reach it.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs a kernel on an instruction set, or on the portable one where the processor lacks it.
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if isa == Isa::Avx512
            && let Some(simd) = avx512::Avx512::new()
        {
            return simd.vectorize(kernel);
        }
        if isa == Isa::Avx2
            && let Some(simd) = avx2::Avx2::new()
        {
            return simd.vectorize(kernel);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if isa == Isa::Neon
        && let Some(simd) = neon::Neon::new()
    {
        return simd.vectorize(kernel);
    }
    portable::Portable.vectorize(kernel)
}

/// Writes the operations of a proof: each is an expression that is unsafe only for want of that proof.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! operations {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? { $body:expr })*) => {
        $(
            #[inline(always)]
            fn $name(self, $($arg: $ty),*) $(-> $out)? {
                #[expect(unsafe_code, reason = "intrinsics")]
                // SAFETY: `self` is proof that the processor has these instructions, and memory is reached only through
                // references to all the elements that are read or written.
                unsafe {
                    $body
                }
            }
        )*
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use operations;

#[cfg(test)]
mod tests;
