//! Functions of sixteen floats, made of operations that round alike everywhere.
use super::Simd;

/// Added to a small float, it rounds it to an integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `2^f - 1` over `f`, for `f` from -1/2 to 1/2: minimax, relative error of `2^f` below 1.6e-8.
const POWER: [f32; 6] = [
    std::f32::consts::LN_2,
    0.240_226_48,
    0.055_503_324,
    0.009_618_437,
    0.001_339_887_5,
    0.000_153_533_62,
];

/// `2^x` for `x` up to 127, within 2 units in the last place; exactly 1 for 0, exactly 0 below -125.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(s: S, x: S::F) -> S::F {
    let low = s.splat(-125.0);
    let clamped = s.max(low, x);
    let n = s.add(clamped, s.splat(ROUND));
    let f = s.sub(clamped, s.sub(n, s.splat(ROUND)));
    s.select_lt(x, low, s.zero(), power(s, f, n))
}

/// `e^x`, within 3 units in the last place; exactly 1 for 0, exactly 0 below -86, and no more than `e^87`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let low = s.splat(-86.0);
    let clamped = s.min(s.splat(87.0), s.max(low, x));
    let n = s.fma(clamped, s.splat(std::f32::consts::LOG2_E), s.splat(ROUND));
    let whole = s.sub(n, s.splat(ROUND));
    // ln 2 in two parts, so that what is left of x after the whole powers is exact.
    let rest = s.fma(whole, s.splat(-0.693_145_75), clamped);
    let rest = s.fma(whole, s.splat(-1.428_606_8e-6), rest);
    let f = s.mul(rest, s.splat(std::f32::consts::LOG2_E));
    s.select_lt(x, low, s.zero(), power(s, f, n))
}

/// `2^f` times two to the integer in the low bits of `n`.
#[inline(always)]
fn power<S: Simd>(s: S, f: S::F, n: S::F) -> S::F {
    let mut p = s.splat(POWER[5]);
    for coefficient in POWER[..5].iter().rev() {
        p = s.fma(p, f, s.splat(*coefficient));
    }
    s.scale_by_power(s.fma(p, f, s.splat(1.0)), n)
}

/// The hyperbolic tangent, relative error below 6e-7.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let e = exp(s, s.add(x, x));
    let large = s.sub(s.splat(1.0), s.div(s.splat(2.0), s.add(e, s.splat(1.0))));
    let square = s.mul(x, x);
    let mut p = s.splat(62.0 / 2835.0);
    for coefficient in [-17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 1.0] {
        p = s.fma(p, square, s.splat(coefficient));
    }
    s.select_lt(s.abs(x), s.splat(0.25), s.mul(p, x), large)
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn silu<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(x, s.add(s.splat(1.0), exp(s, s.sub(s.zero(), x))))
}

/// The Gaussian error linear unit in its usual approximation by tanh.
#[inline(always)]
pub(crate) fn gelu_tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let cube = s.mul(s.mul(x, x), x);
    let inner = s.mul(s.splat(0.797_884_6), s.fma(s.splat(0.044_715), cube, x));
    s.mul(s.mul(s.splat(0.5), x), s.add(s.splat(1.0), tanh(s, inner)))
}
