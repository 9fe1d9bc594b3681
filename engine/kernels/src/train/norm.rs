//! Backwards of root-mean-square norms.
use crate::ops::{VALUES_PER_THREAD, load_part};

use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Isa, Team};

/// Backward of [`rms_norm`](crate::rms_norm): adds to `dx` what `dout` says about `x`, row by row; a row is as wide as
/// `weight`, which is taken as given and has no gradient.
///
/// # Panics
/// If `x`, `dout` and `dx` are not equally many whole rows.
pub fn rms_norm_back(
    team: &Team,
    x: &[f32],
    weight: &[f32],
    eps: f32,
    dout: &[f32],
    dx: &mut [f32],
) {
    norm_back(team, Isa::detect(), x, (weight, eps), Some(dout), dx);
}

/// Backward of [`rms_norm_heads`](crate::rms_norm_heads), in place, of pieces as wide as `weight`: `x` is what went in, `dx`
/// holds the gradient of what came out and is made that of what went in.
///
/// # Panics
/// If `x` and `dx` are not equally many whole heads.
pub fn rms_norm_heads_back(team: &Team, x: &[f32], weight: &[f32], eps: f32, dx: &mut [f32]) {
    norm_back(team, Isa::detect(), x, (weight, eps), None, dx);
}

/// In place where there is no `dout`, else added to `dx`.
pub(super) fn norm_back(
    team: &Team,
    isa: Isa,
    x: &[f32],
    (weight, eps): (&[f32], f32),
    dout: Option<&[f32]>,
    dx: &mut [f32],
) {
    assert_eq!(x.len(), dx.len(), "values and gradients differ in length");
    assert!(dout.is_none_or(|dout| dout.len() == dx.len()), "gradients differ in length");
    let width = weight.len();
    let rows_per_chunk = VALUES_PER_THREAD.div_ceil(width.max(1));
    team.rows_mut(dx, width, rows_per_chunk, &|first, dx| {
        let range = first * width..first * width + dx.len();
        let (x, dout) = (&x[range.clone()], dout.map(|dout| &dout[range]));
        dispatch(isa, NormKernel { x, weight, eps, dout, dx });
    });
}

struct NormKernel<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    dout: Option<&'a [f32]>,
    dx: &'a mut [f32],
}

impl Kernel for NormKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.weight.len();
        let rows = self.x.chunks_exact(width).zip(self.dx.chunks_exact_mut(width));
        match self.dout {
            Some(dout) => {
                for ((x, dx), dout) in rows.zip(dout.chunks_exact(width)) {
                    let factors = factors(s, x, self.weight, self.eps, dout);
                    add_row(s, (x, self.weight), factors, dout, dx);
                }
            }
            None => {
                for (x, dx) in rows {
                    let factors = factors(s, x, self.weight, self.eps, dx);
                    replace_row(s, (x, self.weight), factors, dx);
                }
            }
        }
    }
}

/// Of `1 / sqrt(mean(x^2) + eps) =: r`: `r` itself, and what `x` is multiplied by, `-r^3 mean(dout weight x)`.
#[inline(always)]
fn factors<S: Simd>(s: S, x: &[f32], weight: &[f32], eps: f32, dout: &[f32]) -> [S::F; 2] {
    let width = x.len() as f32;
    let [x, weight, dout] = [x, weight, dout].map(|x| x.as_chunks::<LANES>());
    let (mut squares, mut products) = (s.zero(), s.zero());
    for ((x, weight), dout) in x.0.iter().zip(weight.0).zip(dout.0) {
        let x = s.load(x);
        squares = s.fma(x, x, squares);
        products = s.fma(s.mul(s.load(dout), s.load(weight)), x, products);
    }
    let [x, weight, dout] = [x.1, weight.1, dout.1].map(|rest| load_part(s, rest));
    squares = s.fma(x, x, squares);
    products = s.fma(s.mul(dout, weight), x, products);
    let root = 1.0 / (s.sum(squares) / width + eps).sqrt();
    // In this order nothing is larger than what comes out.
    let along = -(root * (root * (s.sum(products) / width))) * root;
    [s.splat(root), s.splat(along)]
}

/// `dx += dout weight r + x along`
#[inline(always)]
fn add_row<S: Simd>(
    s: S,
    (x, weight): (&[f32], &[f32]),
    [root, along]: [S::F; 2],
    dout: &[f32],
    dx: &mut [f32],
) {
    let [x, weight, dout] = [x, weight, dout].map(|x| x.as_chunks::<LANES>());
    let (dx, dx_rest) = dx.as_chunks_mut::<LANES>();
    for (((x, weight), dout), dx) in x.0.iter().zip(weight.0).zip(dout.0).zip(dx) {
        let across = s.mul(s.mul(s.load(dout), s.load(weight)), root);
        s.store(s.add(s.load(dx), s.fma(s.load(x), along, across)), dx);
    }
    if !dx_rest.is_empty() {
        let [x, weight, dout] = [x.1, weight.1, dout.1].map(|rest| load_part(s, rest));
        let across = s.mul(s.mul(dout, weight), root);
        let sum = s.add(load_part(s, dx_rest), s.fma(x, along, across));
        dx_rest.copy_from_slice(&s.to_array(sum)[..dx_rest.len()]);
    }
}

/// `dx = dx weight r + x along`
#[inline(always)]
fn replace_row<S: Simd>(
    s: S,
    (x, weight): (&[f32], &[f32]),
    [root, along]: [S::F; 2],
    dx: &mut [f32],
) {
    let [x, weight] = [x, weight].map(|x| x.as_chunks::<LANES>());
    let (dx, dx_rest) = dx.as_chunks_mut::<LANES>();
    for ((x, weight), dx) in x.0.iter().zip(weight.0).zip(dx) {
        let across = s.mul(s.mul(s.load(dx), s.load(weight)), root);
        s.store(s.fma(s.load(x), along, across), dx);
    }
    if !dx_rest.is_empty() {
        let [x, weight] = [x.1, weight.1].map(|rest| load_part(s, rest));
        let across = s.mul(s.mul(load_part(s, dx_rest), weight), root);
        dx_rest.copy_from_slice(&s.to_array(s.fma(x, along, across))[..dx_rest.len()]);
    }
}
