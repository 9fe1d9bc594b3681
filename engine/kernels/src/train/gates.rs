//! Backwards of gated activations and of the cap.
use crate::ops::{VALUES_PER_THREAD, load_part};

use crate::scatter::Scatter;
use crate::simd::{Kernel, LANES, Simd, dispatch, math};
use crate::{Isa, Team};

/// Backward of [`swiglu`](crate::swiglu), value by value: of `out = silu(gate) * up`, given `gate` as it was before. `dgate`
/// and `dup` are overwritten.
///
/// # Panics
/// If lengths differ.
pub fn swiglu_back(
    team: &Team,
    gate: &[f32],
    up: &[f32],
    dout: &[f32],
    dgate: &mut [f32],
    dup: &mut [f32],
) {
    gate_back(team, Isa::detect(), Gate::Silu, [gate, up, dout], [dgate, dup]);
}

/// Backward of [`geglu_tanh`](crate::geglu_tanh), value by value: of `out = gelu(gate) * up`, given `gate` as it was before.
/// `dgate` and `dup` are overwritten.
///
/// # Panics
/// If lengths differ.
pub fn geglu_tanh_back(
    team: &Team,
    gate: &[f32],
    up: &[f32],
    dout: &[f32],
    dgate: &mut [f32],
    dup: &mut [f32],
) {
    gate_back(team, Isa::detect(), Gate::GeluTanh, [gate, up, dout], [dgate, dup]);
}

/// Backward of [`softcap`](crate::softcap), in place and value by value: `dx` holds the gradient of what came out, which is
/// `capped`, and is made that of what went in.
///
/// # Panics
/// If lengths differ.
pub fn softcap_back(team: &Team, capped: &[f32], cap: f32, dx: &mut [f32]) {
    cap_back(team, Isa::detect(), capped, cap, dx);
}

/// The activation of a gate.
#[derive(Clone, Copy)]
pub(super) enum Gate {
    /// `x / (1 + e^-x)`
    Silu,
    /// `x (1 + tanh(...)) / 2`
    GeluTanh,
}

pub(super) fn gate_back(
    team: &Team,
    isa: Isa,
    gate: Gate,
    inputs: [&[f32]; 3],
    [dgate, dup]: [&mut [f32]; 2],
) {
    let len = dgate.len();
    assert!(dup.len() == len && inputs.iter().all(|x| x.len() == len), "values do not pair up");
    let dup = Scatter::new(dup);
    team.rows_mut(dgate, 1, VALUES_PER_THREAD, &|first, dgate| {
        let range = first..first + dgate.len();
        #[expect(unsafe_code, reason = "two outputs are written by several threads")]
        // SAFETY: the range of `dgate`, which is handed out once.
        let dup = unsafe { dup.slice(range.clone()) };
        let inputs = inputs.map(|x| &x[range.clone()]);
        dispatch(isa, GateKernel { gate, inputs, dgate, dup });
    });
}

struct GateKernel<'a> {
    gate: Gate,
    /// What went into the gate, what it lets through, and the gradient of what came out.
    inputs: [&'a [f32]; 3],
    dgate: &'a mut [f32],
    dup: &'a mut [f32],
}

impl Kernel for GateKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.gate {
            Gate::Silu => self.lanes(s, Silu),
            Gate::GeluTanh => self.lanes(s, GeluTanh),
        }
    }
}

impl GateKernel<'_> {
    #[inline(always)]
    fn lanes<S: Simd>(self, s: S, activation: impl Activation<S>) {
        let [gate, up, dout] = self.inputs.map(|x| x.as_chunks::<LANES>());
        let (dgate, dgate_rest) = self.dgate.as_chunks_mut::<LANES>();
        let (dup, dup_rest) = self.dup.as_chunks_mut::<LANES>();
        let inputs = gate.0.iter().zip(up.0).zip(dout.0);
        for (((gate, up), dout), (dgate, dup)) in inputs.zip(dgate.iter_mut().zip(dup)) {
            let dout = s.load(dout);
            let (value, slope) = activation.value_and_slope(s, s.load(gate));
            s.store(s.mul(s.mul(dout, s.load(up)), slope), dgate);
            s.store(s.mul(dout, value), dup);
        }
        if !dgate_rest.is_empty() {
            let dout = load_part(s, dout.1);
            let (value, slope) = activation.value_and_slope(s, load_part(s, gate.1));
            let dgate = s.to_array(s.mul(s.mul(dout, load_part(s, up.1)), slope));
            dgate_rest.copy_from_slice(&dgate[..dgate_rest.len()]);
            let dup = s.to_array(s.mul(dout, value));
            dup_rest.copy_from_slice(&dup[..dup_rest.len()]);
        }
    }
}

trait Activation<S: Simd>: Copy {
    fn value_and_slope(self, s: S, x: S::F) -> (S::F, S::F);
}

#[derive(Clone, Copy)]
struct Silu;
#[derive(Clone, Copy)]
struct GeluTanh;

impl<S: Simd> Activation<S> for Silu {
    #[inline(always)]
    fn value_and_slope(self, s: S, x: S::F) -> (S::F, S::F) {
        let one = s.splat(1.0);
        let [open, shut] = sigmoid(s, x);
        (s.mul(x, open), s.mul(open, s.fma(x, shut, one)))
    }
}

impl<S: Simd> Activation<S> for GeluTanh {
    #[inline(always)]
    fn value_and_slope(self, s: S, x: S::F) -> (S::F, S::F) {
        let (root, cubic) = (s.splat(2.0 * 0.797_884_6), s.splat(0.044_715));
        // Beyond this the curve is straight, and squares could be too large.
        let near = s.max(s.splat(-32.0), s.min(s.splat(32.0), x));
        let square = s.mul(near, near);
        let inner = s.mul(root, s.fma(s.mul(cubic, square), near, near));
        let inner_slope = s.mul(root, s.fma(s.splat(3.0 * 0.044_715), square, s.splat(1.0)));
        // (1 + tanh(x)) / 2 is the sigmoid of 2 x, which loses nothing where tanh is close to -1.
        let [open, shut] = sigmoid(s, inner);
        let bend = s.mul(s.mul(open, shut), inner_slope);
        (s.mul(x, open), s.fma(near, bend, open))
    }
}

/// `1 / (1 + e^-x)`, and one less that.
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::F) -> [S::F; 2] {
    let one = s.splat(1.0);
    let power = math::exp(s, s.sub(s.zero(), x));
    let open = s.div(one, s.add(one, power));
    [open, s.mul(power, open)]
}

pub(super) fn cap_back(team: &Team, isa: Isa, capped: &[f32], cap: f32, dx: &mut [f32]) {
    assert_eq!(capped.len(), dx.len(), "values do not pair up");
    team.rows_mut(dx, 1, VALUES_PER_THREAD, &|first, dx| {
        let capped = &capped[first..first + dx.len()];
        dispatch(isa, CapKernel { capped, cap, dx });
    });
}

struct CapKernel<'a> {
    capped: &'a [f32],
    cap: f32,
    dx: &'a mut [f32],
}

impl Kernel for CapKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let inverse = s.splat(1.0 / self.cap);
        let (capped, capped_rest) = self.capped.as_chunks::<LANES>();
        let (dx, dx_rest) = self.dx.as_chunks_mut::<LANES>();
        for (capped, dx) in capped.iter().zip(dx) {
            s.store(flatten(s, s.load(capped), inverse, s.load(dx)), dx);
        }
        if !dx_rest.is_empty() {
            let rest = flatten(s, load_part(s, capped_rest), inverse, load_part(s, dx_rest));
            dx_rest.copy_from_slice(&s.to_array(rest)[..dx_rest.len()]);
        }
    }
}

/// `dx (1 - (capped / cap)^2)`
#[inline(always)]
fn flatten<S: Simd>(s: S, capped: S::F, inverse: S::F, dx: S::F) -> S::F {
    let tanh = s.mul(capped, inverse);
    s.mul(dx, s.sub(s.splat(1.0), s.mul(tanh, tanh)))
}
