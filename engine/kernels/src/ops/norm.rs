//! Root-mean-square norms.
use super::{VALUES_PER_THREAD, load_part};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Isa, Team};

/// `out = x / sqrt(mean(x^2) + eps) * weight`, row by row; a row is as wide as `weight`. Squares are summed by fused
/// multiply-add in sixteen lanes, value `i` in lane `i mod 16`, and the lanes folded in halves.
///
/// # Panics
/// If `x` and `out` are not equally many whole rows.
pub fn rms_norm(team: &Team, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    norm_rows(team, Isa::detect(), Some(x), weight, eps, out);
}

/// [`rms_norm`] in place, of every head of every row: `x` is cut into pieces as wide as `weight`.
///
/// # Panics
/// If `x` is not a whole number of heads.
pub fn rms_norm_heads(team: &Team, x: &mut [f32], weight: &[f32], eps: f32) {
    norm_rows(team, Isa::detect(), None, weight, eps, x);
}

pub(super) fn norm_rows(
    team: &Team,
    isa: Isa,
    x: Option<&[f32]>,
    weight: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    let width = weight.len();
    if let Some(x) = x {
        assert_eq!(x.len(), out.len(), "input and output differ in length");
    }
    let rows_per_chunk = VALUES_PER_THREAD.div_ceil(width.max(1));
    team.rows_mut(out, width, rows_per_chunk, &|first, out| {
        let start = first * width;
        if let Some(x) = x {
            out.copy_from_slice(&x[start..start + out.len()]);
        }
        dispatch(isa, NormKernel { weight, eps, rows: out });
    });
}

struct NormKernel<'a> {
    weight: &'a [f32],
    eps: f32,
    rows: &'a mut [f32],
}

impl Kernel for NormKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (weight, weight_rest) = self.weight.as_chunks::<LANES>();
        for row in self.rows.chunks_exact_mut(self.weight.len()) {
            let width = row.len() as f32;
            let (row, row_rest) = row.as_chunks_mut::<LANES>();
            let mut squares = s.zero();
            for x in &*row {
                let x = s.load(x);
                squares = s.fma(x, x, squares);
            }
            let rest = load_part(s, row_rest);
            squares = s.fma(rest, rest, squares);
            let factor = s.splat(1.0 / (s.sum(squares) / width + self.eps).sqrt());
            for (x, w) in row.iter_mut().zip(weight) {
                s.store(s.mul(s.mul(s.load(x), factor), s.load(w)), x);
            }
            let rest = s.to_array(s.mul(s.mul(rest, factor), load_part(s, weight_rest)));
            row_rest.copy_from_slice(&rest[..row_rest.len()]);
        }
    }
}
