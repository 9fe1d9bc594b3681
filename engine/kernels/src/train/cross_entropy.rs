//! The loss and its gradient at the logits.
use crate::scatter::Scatter;
use crate::simd::{Kernel, LANES, Simd, dispatch, math};
use crate::{Isa, Team};

/// Vectors of sixteen whose sum is taken in F32; such sums are added up in F64.
const BLOCK: usize = 64;

/// Cross entropy, summed and not averaged: of each row of logits, `losses` gets `weight * (logsumexp(row) - row[target])`, and
/// the row is overwritten by its gradient, `weight * (softmax(row) - one_hot(target))`. Rows of weight 0 have a loss and a
/// gradient of exactly 0, whatever they and their targets hold. A row is as wide as `logits.len() / targets.len()`.
///
/// # Panics
/// If `targets`, `weights` and `losses` differ in length, `logits` is not as many whole rows, or a row with a weight has a
/// target outside it.
pub fn cross_entropy(
    team: &Team,
    logits: &mut [f32],
    targets: &[u32],
    weights: &[f32],
    losses: &mut [f64],
) {
    cross_entropy_on(team, Isa::detect(), logits, (targets, weights), losses);
}

pub(super) fn cross_entropy_on(
    team: &Team,
    isa: Isa,
    logits: &mut [f32],
    (targets, weights): (&[u32], &[f32]),
    losses: &mut [f64],
) {
    let rows = targets.len();
    assert!(weights.len() == rows && losses.len() == rows, "rows do not pair up");
    if rows == 0 {
        assert!(logits.is_empty(), "logits without targets");
        return;
    }
    assert!(logits.len().is_multiple_of(rows), "logits are no whole number of rows");
    let width = logits.len() / rows;
    let losses = Scatter::new(losses);
    team.rows_mut(logits, width, 1, &|row, logits| {
        #[expect(unsafe_code, reason = "two outputs are written by several threads")]
        // SAFETY: a row is handed out once.
        let loss = unsafe { losses.slice(row..row + 1) };
        let weight = weights[row];
        if weight == 0.0 {
            logits.fill(0.0);
            loss[0] = 0.0;
            return;
        }
        let target = targets[row] as usize;
        assert!(target < width, "target {target} is outside a row of {width} logits");
        let of_row = dispatch(isa, RowKernel { logits, target, weight });
        loss[0] = f64::from(weight) * of_row;
    });
}

struct RowKernel<'a> {
    logits: &'a mut [f32],
    target: usize,
    weight: f32,
}

impl Kernel for RowKernel<'_> {
    type Output = f64;

    /// The loss, not weighted.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Self { logits, target, weight } = self;
        let at_target = logits[target];
        let (row, rest) = logits.as_chunks_mut::<LANES>();
        let largest = largest(s, row, rest);
        let sum = exponentiate(s, row, rest, largest);
        let factor = (f64::from(weight) / sum) as f32;
        let factors = s.splat(factor);
        for x in row {
            s.store(s.mul(s.load(x), factors), x);
        }
        for x in rest {
            *x *= factor;
        }
        logits[target] -= weight;
        f64::from(largest) - f64::from(at_target) + sum.ln()
    }
}

#[inline(always)]
fn largest<S: Simd>(s: S, row: &[[f32; LANES]], rest: &[f32]) -> f32 {
    let mut maxima = [s.splat(f32::NEG_INFINITY); 4];
    let (fours, others) = row.as_chunks::<4>();
    for four in fours {
        for (maximum, x) in maxima.iter_mut().zip(four) {
            *maximum = s.max(*maximum, s.load(x));
        }
    }
    for x in others {
        maxima[0] = s.max(maxima[0], s.load(x));
    }
    let maximum = s.max(s.max(maxima[0], maxima[1]), s.max(maxima[2], maxima[3]));
    rest.iter().fold(s.max_lane(maximum), |largest, x| if *x > largest { *x } else { largest })
}

/// `x = e^(x - largest)`, and the sum of that.
#[inline(always)]
fn exponentiate<S: Simd>(s: S, row: &mut [[f32; LANES]], rest: &mut [f32], largest: f32) -> f64 {
    let shift = s.splat(largest);
    let mut sum = 0.0;
    for block in row.chunks_mut(BLOCK) {
        let mut sums = s.zero();
        for x in block {
            let e = math::exp(s, s.sub(s.load(x), shift));
            sums = s.add(sums, e);
            s.store(e, x);
        }
        sum += f64::from(s.sum(sums));
    }
    if !rest.is_empty() {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        let e = math::exp(s, s.sub(s.load(&lanes), shift));
        sum += f64::from(s.sum(e));
        rest.copy_from_slice(&s.to_array(e)[..rest.len()]);
    }
    sum
}
