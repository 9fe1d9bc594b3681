//! What lies between the products of a decoder: norms, rotary positions, gated activations, sums.
//!
//! All of it works on rows of activations, one row a token. Each value depends on its own row alone and is computed in one
//! order, the same on every instruction set, so results are bitwise equal however many rows and threads there are. Long calls
//! are divided over the team; the single row of a decoding step is not worth it.
//!
//! Shapes are the caller's to keep: a function panics if they do not fit together.
use crate::simd::{Kernel, LANES, Simd, dispatch, math};
use crate::{Isa, Team};

mod norm;
mod rope;

pub use norm::{rms_norm, rms_norm_heads};
pub use rope::{Rope, RopeLayout, rope, rope_back};

/// Values a thread should have for itself before others are called in: some ten microseconds of work.
pub(crate) const VALUES_PER_THREAD: usize = 16 * 1024;

/// `gate = silu(gate) * up`, value by value.
pub fn swiglu(team: &Team, up: &[f32], gate: &mut [f32]) {
    zip(team, Isa::detect(), Zip::Swiglu, Some(up), gate);
}

/// `gate = gelu(gate) * up`, value by value, with the approximation of gelu by tanh.
pub fn geglu_tanh(team: &Team, up: &[f32], gate: &mut [f32]) {
    zip(team, Isa::detect(), Zip::GegluTanh, Some(up), gate);
}

/// `out += x`, value by value.
pub fn add(team: &Team, x: &[f32], out: &mut [f32]) {
    zip(team, Isa::detect(), Zip::Add, Some(x), out);
}

/// `x *= factor`, value by value.
pub fn scale(team: &Team, x: &mut [f32], factor: f32) {
    zip(team, Isa::detect(), Zip::Scale(factor), None, x);
}

/// `x = cap * tanh(x / cap)`, value by value: no score or logit beyond `cap`.
pub fn softcap(team: &Team, x: &mut [f32], cap: f32) {
    zip(team, Isa::detect(), Zip::Softcap(cap), None, x);
}

/// What becomes of a value `o` of the output and the value `a` at its place.
#[derive(Clone, Copy)]
enum Zip {
    /// `silu(o) * a`
    Swiglu,
    /// `gelu(o) * a`
    GegluTanh,
    /// `o + a`
    Add,
    /// `o * factor`
    Scale(f32),
    /// `cap * tanh(o / cap)`
    Softcap(f32),
}

/// The input is absent where the output alone is read.
fn zip(team: &Team, isa: Isa, function: Zip, input: Option<&[f32]>, out: &mut [f32]) {
    if let Some(a) = input {
        assert!(a.len() == out.len(), "values do not pair up");
    }
    team.rows_mut(out, 1, VALUES_PER_THREAD, &|first, out| {
        let a = input.map_or(&[][..], |a| &a[first..first + out.len()]);
        dispatch(isa, ZipKernel { function, a, out });
    });
}

struct ZipKernel<'a> {
    function: Zip,
    a: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for ZipKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { function, a, out } = self;
        match function {
            Zip::Swiglu => zip_lanes(s, a, out, Swiglu),
            Zip::GegluTanh => zip_lanes(s, a, out, GegluTanh),
            Zip::Add => zip_lanes(s, a, out, Add),
            Zip::Scale(factor) => map_lanes(s, out, Scale(s.splat(factor))),
            Zip::Softcap(cap) => map_lanes(s, out, Softcap(s.splat(cap), s.splat(1.0 / cap))),
        }
    }
}

/// A function of lanes of two inputs. Closures would not do: they are compiled without the instruction set of the kernel they
/// stand in, and so no intrinsic could be inlined into them.
trait Zipped<S: Simd>: Copy {
    fn of(self, s: S, a: S::F, o: S::F) -> S::F;
}

/// A function of lanes.
trait Mapped<S: Simd>: Copy {
    fn of(self, s: S, o: S::F) -> S::F;
}

#[derive(Clone, Copy)]
struct Swiglu;
#[derive(Clone, Copy)]
struct GegluTanh;
#[derive(Clone, Copy)]
struct Add;
#[derive(Clone, Copy)]
struct Scale<F>(F);
/// The cap and its inverse.
#[derive(Clone, Copy)]
struct Softcap<F>(F, F);

impl<S: Simd> Zipped<S> for Swiglu {
    #[inline(always)]
    fn of(self, s: S, a: S::F, o: S::F) -> S::F {
        s.mul(math::silu(s, o), a)
    }
}

impl<S: Simd> Zipped<S> for GegluTanh {
    #[inline(always)]
    fn of(self, s: S, a: S::F, o: S::F) -> S::F {
        s.mul(math::gelu_tanh(s, o), a)
    }
}

impl<S: Simd> Zipped<S> for Add {
    #[inline(always)]
    fn of(self, s: S, a: S::F, o: S::F) -> S::F {
        s.add(o, a)
    }
}

impl<S: Simd> Mapped<S> for Scale<S::F> {
    #[inline(always)]
    fn of(self, s: S, o: S::F) -> S::F {
        s.mul(o, self.0)
    }
}

impl<S: Simd> Mapped<S> for Softcap<S::F> {
    #[inline(always)]
    fn of(self, s: S, o: S::F) -> S::F {
        s.mul(self.0, math::tanh(s, s.mul(o, self.1)))
    }
}

/// `out = f(a, out)` by lanes.
#[inline(always)]
fn zip_lanes<S: Simd>(s: S, a: &[f32], out: &mut [f32], f: impl Zipped<S>) {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (out, out_rest) = out.as_chunks_mut::<LANES>();
    for (a, o) in a.iter().zip(out) {
        s.store(f.of(s, s.load(a), s.load(o)), o);
    }
    if !out_rest.is_empty() {
        let o = f.of(s, load_part(s, a_rest), load_part(s, out_rest));
        out_rest.copy_from_slice(&s.to_array(o)[..out_rest.len()]);
    }
}

/// `x = f(x)` by lanes.
#[inline(always)]
fn map_lanes<S: Simd>(s: S, x: &mut [f32], f: impl Mapped<S>) {
    let (whole, rest) = x.as_chunks_mut::<LANES>();
    for x in whole {
        s.store(f.of(s, s.load(x)), x);
    }
    if !rest.is_empty() {
        let x = f.of(s, load_part(s, rest));
        rest.copy_from_slice(&s.to_array(x)[..rest.len()]);
    }
}

/// Fewer than sixteen values, zeros after them.
#[inline(always)]
pub(crate) fn load_part<S: Simd>(s: S, part: &[f32]) -> S::F {
    let mut lanes = [0.0; LANES];
    lanes[..part.len()].copy_from_slice(part);
    s.load(&lanes)
}

#[cfg(test)]
mod tests;
