//! Backwards of what is computed value by value or row by row, against central differences of plain arithmetic in F64.
use super::{cross_entropy, gates, norm, rope_back};
use crate::{Isa, Rope, RopeLayout, Team, rope};

fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 22) as f32 - 2.0
        })
        .collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn assert_near(got: &[f32], expected: impl IntoIterator<Item = f64>, tolerance: f64) {
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        assert!(error <= tolerance * (1.0 + expected.abs()), "{i}: {got} is not {expected}");
    }
}

fn team() -> Team {
    Team::new(2).unwrap()
}

/// The gradient of `loss` at `x`.
fn slopes(x: &[f32], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-5;
    let mut x = wide(x);
    (0..x.len())
        .map(|i| {
            let before = x[i];
            x[i] = before + step;
            let above = loss(&x);
            x[i] = before - step;
            let below = loss(&x);
            x[i] = before;
            (above - below) / (2.0 * step)
        })
        .collect()
}

fn dot(a: &[f64], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum()
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn gelu_tanh(x: f64) -> f64 {
    let root = (2.0 / std::f64::consts::PI).sqrt();
    0.5 * x * (1.0 + (root * (x + 0.044_715 * x * x * x)).tanh())
}

type Activation = (gates::Gate, fn(f64) -> f64);
const ACTIVATIONS: [Activation; 2] =
    [(gates::Gate::Silu, silu), (gates::Gate::GeluTanh, gelu_tanh)];

fn gate(isa: Isa, gate: gates::Gate, inputs: [&[f32]; 3]) -> [Vec<f32>; 2] {
    let nan = vec![f32::NAN; inputs[0].len()];
    let [mut dgate, mut dup] = [nan.clone(), nan];
    gates::gate_back(&team(), isa, gate, inputs, [&mut dgate, &mut dup]);
    [dgate, dup]
}

#[test]
fn gates_go_backwards() {
    let x: Vec<f32> = values(203, 1).iter().map(|x| 3.0 * x).collect();
    let (up, dout) = (values(203, 2), values(203, 3));
    for (function, activation) in ACTIVATIONS {
        let [dgate, dup] = gate(Isa::detect(), function, [&x, &up, &dout]);
        for i in 0..x.len() {
            let loss = |x: &[f64], up: f64| activation(x[0]) * up * f64::from(dout[i]);
            let expected = slopes(&x[i..=i], |x| loss(x, f64::from(up[i])));
            assert_near(&dgate[i..=i], expected, 2e-6);
            let at = [f64::from(x[i])];
            assert_near(&dup[i..=i], slopes(&up[i..=i], |up| loss(&at, up[0])), 2e-6);
        }
    }
}

#[test]
fn gates_stay_finite_far_out() {
    let x = [-1e30, -1e10, -100.0, -20.0, 0.0, 20.0, 100.0, 1e10, 1e30];
    let ones = [1.0; 9];
    for (function, _) in ACTIVATIONS {
        let [dgate, dup] = gate(Isa::detect(), function, [&x, &ones, &ones]);
        assert_near(&dgate, [0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0], 1e-6);
        assert_near(&dup, [0.0, 0.0, 0.0, 0.0, 0.0, 20.0, 100.0, 1e10, 1e30], 1e-6);
    }
}

#[test]
fn the_cap_goes_backwards() {
    for cap in [0.8_f32, 30.0] {
        let (mut capped, dout) = (values(77, 4), values(77, 5));
        let x = capped.clone();
        crate::softcap(&team(), &mut capped, cap);
        let mut dx = dout.clone();
        gates::softcap_back(&team(), &capped, cap, &mut dx);
        let (cap, mut expected) = (f64::from(cap), Vec::new());
        for (x, dout) in x.iter().zip(&dout) {
            let loss = |x: &[f64]| f64::from(*dout) * cap * (x[0] / cap).tanh();
            expected.extend(slopes(&[*x], loss));
        }
        assert_near(&dx, expected, 4e-6);
    }
}

fn normed(x: &[f64], weight: &[f32], eps: f32) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let root = 1.0 / (mean + f64::from(eps)).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * root * f64::from(*w)).collect()
}

#[test]
fn norms_go_backwards() {
    for (width, size, eps) in
        [(1, 1.0, 0.1), (7, 1.0, 1e-5), (16, 100.0, 1e-6), (33, 0.01, 1e-5), (128, 1.0, 1e-5)]
    {
        let x: Vec<f32> = values(3 * width, 6).iter().map(|x| size * x).collect();
        let (weight, dout, before) = (values(width, 7), values(3 * width, 8), values(3 * width, 9));
        let mut expected = Vec::new();
        for (x, dout) in x.chunks(width).zip(dout.chunks(width)) {
            expected.extend(slopes(x, |x| dot(&normed(x, &weight, eps), dout)));
        }
        let mut dx = before.clone();
        norm::rms_norm_back(&team(), &x, &weight, eps, &dout, &mut dx);
        let sums = wide(&before).into_iter().zip(&expected).map(|(before, dx)| before + dx);
        assert_near(&dx, sums, 4e-6);
        let mut dx = dout;
        norm::rms_norm_heads_back(&team(), &x, &weight, eps, &mut dx);
        assert_near(&dx, expected, 4e-6);
    }
}

#[test]
fn norms_stay_finite_at_extremes() {
    for size in [0.0, 1e-20, 1e15] {
        let x: Vec<f32> = values(48, 6).iter().map(|x| size * x).collect();
        let (weight, mut dx) = (values(16, 7), values(48, 8));
        norm::rms_norm_heads_back(&team(), &x, &weight, 1e-6, &mut dx);
        assert!(dx.iter().all(|dx| dx.is_finite()), "not finite at {size}");
    }
}

/// What is turned back against what is turned: `<turn(x), y> = <x, turn_back(y)>` for every `x` and `y` says that one is the
/// other's transpose, and a turn is linear.
#[test]
fn turns_go_backwards_with_their_magnitude() {
    let (heads, head_dim) = (2, 40);
    let frequencies: Vec<f64> = (0..17).map(|i| 0.7_f64.powi(i)).collect();
    let mut table = Rope::default();
    table.fill(&frequencies, 1.3, &[0, 5, 0, 900]);
    for layout in [RopeLayout::HalfSplit, RopeLayout::Interleaved] {
        let dout = values(4 * heads * head_dim, 4);
        let mut dx = dout.clone();
        rope_back(&team(), &mut dx, heads, head_dim, &table, layout);
        let expected = (0..dx.len()).map(|i| {
            let mut one = vec![0.0; dx.len()];
            one[i] = 1.0;
            rope(&team(), &mut one, heads, head_dim, &table, layout);
            dot(&wide(&one), &dout)
        });
        assert_near(&dx, expected.collect::<Vec<_>>(), 1e-6);
        assert_eq!(dx[34..40], dout[34..40], "what is not turned stays");
    }
}

fn loss_of(logits: &[f64], target: usize) -> f64 {
    let largest = logits.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - largest).exp()).sum();
    largest + sum.ln() - logits[target]
}

#[test]
fn cross_entropy_is_a_loss_and_its_gradient() {
    for width in [1, 5, 16, 100, 1_003, 3_000] {
        let logits: Vec<f32> = values(4 * width, 11).iter().map(|x| 4.0 * x).collect();
        let targets = [0, width as u32 - 1, u32::MAX, width as u32 / 2];
        let weights = [1.0, 0.25, 0.0, 2.5];
        let (mut got, mut losses) = (logits.clone(), [f64::NAN; 4]);
        cross_entropy(&team(), &mut got, &targets, &weights, &mut losses);
        for (row, logits) in logits.chunks(width).enumerate() {
            let (got, weight) = (&got[row * width..(row + 1) * width], f64::from(weights[row]));
            if weight == 0.0 {
                assert!(losses[row] == 0.0 && got.iter().all(|x| x.to_bits() == 0));
                continue;
            }
            let target = targets[row] as usize;
            let loss = weight * loss_of(&wide(logits), target);
            assert!((losses[row] - loss).abs() <= 1e-6 * (1.0 + loss), "{} {loss}", losses[row]);
            // Of a wide row some places do.
            let places = [0, width / 3, target, width - 1];
            for place in places {
                let slope = slopes(&logits[place..=place], |x| {
                    let mut logits = wide(logits);
                    logits[place] = x[0];
                    weight * loss_of(&logits, target)
                });
                assert_near(&got[place..=place], slope, 1e-6);
            }
            let sum: f64 = wide(got).iter().sum();
            assert!(sum.abs() < 1e-5, "a gradient that adds up to {sum}");
        }
    }
}

#[test]
fn cross_entropy_stays_finite_at_extremes() {
    let mut logits = vec![-3e38, 3e38, 0.0, f32::NEG_INFINITY, 1e4, 1e4, -1e4, -1e4];
    let mut losses = [0.0; 2];
    cross_entropy(&team(), &mut logits, &[1, 2], &[1.0, 1.0], &mut losses);
    assert_eq!(logits, [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, -1.0, 0.0]);
    assert_eq!(losses[0], 0.0);
    assert!((losses[1] - (2e4 + 2_f64.ln())).abs() < 1e-3);
}

#[test]
#[should_panic(expected = "target 5 is outside a row of 5 logits")]
fn a_target_outside_its_row_is_refused() {
    let team = Team::new(1).unwrap();
    cross_entropy(&team, &mut [0.0; 10], &[4, 5], &[1.0, 1.0], &mut [0.0; 2]);
}

/// Every function on rows of one width, the results one after the other.
fn all(isa: Isa, threads: usize, width: usize) -> Vec<Vec<f32>> {
    let team = Team::new(threads).unwrap();
    let rows = 40_000_usize.div_ceil(width);
    let len = rows * width;
    let (a, b, c) = (values(len, 1), values(len, 2), values(len, 3));
    let weight = values(width, 4);
    let mut results = Vec::new();
    for (function, _) in ACTIVATIONS {
        let (mut dgate, mut dup) = (vec![0.0; len], vec![0.0; len]);
        gates::gate_back(&team, isa, function, [&a, &b, &c], [&mut dgate, &mut dup]);
        results.extend([dgate, dup]);
    }
    let mut dx = b.clone();
    gates::cap_back(&team, isa, &a, 2.5, &mut dx);
    results.push(dx);
    for dout in [Some(&c[..]), None] {
        let mut dx = b.clone();
        norm::norm_back(&team, isa, &a, (&weight, 1e-5), dout, &mut dx);
        results.push(dx);
    }
    let targets: Vec<u32> = (0..rows).map(|row| (row * 7 % width) as u32).collect();
    let weights: Vec<f32> = (0..rows).map(|row| (row % 3) as f32).collect();
    let (mut logits, mut losses) = (a, vec![0.0; rows]);
    let of_rows = (&targets[..], &weights[..]);
    cross_entropy::cross_entropy_on(&team, isa, &mut logits, of_rows, &mut losses);
    results.push(logits);
    results.push(losses.iter().map(|loss| *loss as f32).collect());
    results
}

#[test]
fn every_instruction_set_and_number_of_threads_gives_the_same_bits() {
    for width in [1, 13, 64, 5_003] {
        let portable: Vec<_> = all(Isa::Portable, 1, width).iter().map(|x| bits(x)).collect();
        for isa in Isa::available() {
            for threads in [1, 2, 3] {
                let got: Vec<_> = all(isa, threads, width).iter().map(|x| bits(x)).collect();
                assert!(got == portable, "{isa:?} on {threads} threads differs");
            }
        }
    }
}
