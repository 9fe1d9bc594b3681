#![allow(clippy::single_range_in_vec_init, reason = "one sample is a list of samples")]
use super::*;

fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn assert_near(name: &str, got: f32, expected: f64, tolerance: f64) {
    let error = (f64::from(got) - expected).abs();
    assert!(error <= tolerance * (1.0 + expected.abs()), "{name}: {got} is not {expected}");
}

fn config(heads: usize, kv_heads: usize, head_dim: usize) -> AttentionConfig {
    let scale = 3.0 / (head_dim as f32).sqrt();
    AttentionConfig { heads, kv_heads, head_dim, scale, softcap: None, window: None }
}

/// Packed samples, and the gradient of what they give.
struct Case {
    config: AttentionConfig,
    samples: Vec<Range<usize>>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    dout: Vec<f32>,
}

/// All that is computed.
#[derive(Debug, PartialEq)]
struct Results {
    out: Vec<f32>,
    logsumexp: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

impl Case {
    fn new(config: AttentionConfig, samples: &[Range<usize>], seed: u64) -> Self {
        let AttentionConfig { heads, kv_heads, head_dim, .. } = config;
        let tokens = samples.last().unwrap().end;
        Self {
            config,
            samples: samples.to_vec(),
            q: values(tokens * heads * head_dim, seed),
            k: values(tokens * kv_heads * head_dim, seed + 1),
            v: values(tokens * kv_heads * head_dim, seed + 2),
            dout: values(tokens * heads * head_dim, seed + 3),
        }
    }

    /// One of its samples alone.
    fn alone(&self, sample: &Range<usize>) -> Self {
        let AttentionConfig { heads, kv_heads, head_dim, .. } = self.config;
        let rows = |x: &[f32], heads: usize| {
            x[sample.start * heads * head_dim..sample.end * heads * head_dim].to_vec()
        };
        Self {
            config: self.config,
            samples: vec![0..sample.len()],
            q: rows(&self.q, heads),
            k: rows(&self.k, kv_heads),
            v: rows(&self.v, kv_heads),
            dout: rows(&self.dout, heads),
        }
    }

    fn run(&self, isa: Isa, threads: usize) -> Results {
        let team = Team::new(threads).unwrap();
        let tokens = self.q.len() / (self.config.heads * self.config.head_dim);
        let nan = |len: usize| vec![f32::NAN; len];
        let mut results = Results {
            out: nan(self.q.len()),
            logsumexp: nan(tokens * self.config.heads),
            dq: nan(self.q.len()),
            dk: nan(self.k.len()),
            dv: nan(self.v.len()),
        };
        let inputs = Qkv { q: &self.q, k: &self.k, v: &self.v };
        let Results { out, logsumexp, dq, dk, dv } = &mut results;
        attention_on(&team, isa, &self.config, &self.samples, inputs, [out, logsumexp]);
        let attended = Attended { out, logsumexp, dout: &self.dout };
        let gradients = QkvGradients { dq, dk, dv };
        attention_back_on(&team, isa, &self.config, &self.samples, (inputs, attended), gradients);
        results
    }

    /// Outputs and logarithms in F64, in the plainest way.
    fn naive(&self, [q, k, v]: [&[f64]; 3]) -> (Vec<f64>, Vec<f64>) {
        let AttentionConfig { heads, kv_heads, head_dim, scale, softcap, window } = self.config;
        let (mut out, mut logarithms) = (vec![0.0; q.len()], vec![0.0; q.len() / head_dim]);
        for sample in &self.samples {
            for (token, head) in sample.clone().flat_map(|t| (0..heads).map(move |h| (t, h))) {
                let row = token * heads + head;
                let first = window.map_or(0, |window| (token + 1).saturating_sub(window));
                let keys = first.max(sample.start)..token + 1;
                let key = |token: usize| {
                    let start = (token * kv_heads + head / (heads / kv_heads)) * head_dim;
                    start..start + head_dim
                };
                let q = &q[row * head_dim..(row + 1) * head_dim];
                let score = |token: usize| {
                    let dot: f64 = q.iter().zip(&k[key(token)]).map(|(q, k)| q * k).sum();
                    let score = dot * f64::from(scale);
                    softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
                };
                let scores: Vec<f64> = keys.clone().map(score).collect();
                let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
                logarithms[row] = (largest + sum.ln()) * std::f64::consts::LOG2_E;
                for (token, score) in keys.zip(scores) {
                    let weight = (score - largest).exp() / sum;
                    let out = &mut out[row * head_dim..(row + 1) * head_dim];
                    out.iter_mut().zip(&v[key(token)]).for_each(|(out, v)| *out += weight * v);
                }
            }
        }
        (out, logarithms)
    }

    /// The gradient of one number by central differences.
    fn slope(&self, input: usize, index: usize) -> f64 {
        let step = 1e-5;
        let loss = |step: f64| -> f64 {
            let mut inputs = [wide(&self.q), wide(&self.k), wide(&self.v)];
            inputs[input][index] += step;
            let (out, _) = self.naive(inputs.each_ref().map(|x| &x[..]));
            out.iter().zip(&self.dout).map(|(out, dout)| out * f64::from(*dout)).sum()
        };
        (loss(step) - loss(-step)) / (2.0 * step)
    }

    /// Everything against F64, gradients at some places.
    fn check(&self, places: usize) {
        let results = self.run(Isa::detect(), 2);
        let inputs = [wide(&self.q), wide(&self.k), wide(&self.v)];
        let (out, logarithms) = self.naive(inputs.each_ref().map(|x| &x[..]));
        for (got, expected) in results.out.iter().zip(out) {
            assert_near("out", *got, expected, 4e-6);
        }
        for (got, expected) in results.logsumexp.iter().zip(logarithms) {
            assert_near("logsumexp", *got, expected, 4e-6);
        }
        let gradients = [("dq", &results.dq), ("dk", &results.dk), ("dv", &results.dv)];
        for (input, (name, gradient)) in gradients.into_iter().enumerate() {
            for place in 0..places.min(gradient.len()) {
                let index = place * gradient.len() / places.min(gradient.len());
                let name = format!("{name}[{index}] of {:?}", self.config);
                assert_near(&name, gradient[index], self.slope(input, index), 2e-5);
            }
        }
    }
}

#[test]
fn results_and_gradients_are_those_of_plain_arithmetic() {
    for (heads, kv_heads, head_dim) in
        [(1, 1, 16), (4, 2, 8), (3, 1, 24), (2, 2, 64), (2, 1, 33), (2, 1, 80)]
    {
        for window in [None, Some(1), Some(5)] {
            for softcap in [None, Some(1.5)] {
                let config =
                    AttentionConfig { softcap, window, ..config(heads, kv_heads, head_dim) };
                Case::new(config, &[0..13, 13..14, 14..31], 5).check(60);
            }
        }
    }
}

#[test]
fn samples_of_several_blocks_are_right_too() {
    for window in [None, Some(40), Some(100), Some(130), Some(1_000)] {
        for softcap in [None, Some(2.0)] {
            let config = AttentionConfig { softcap, window, ..config(2, 1, 16) };
            Case::new(config, &[0..2 * BLOCK + 17, 2 * BLOCK + 17..3 * BLOCK + 18], 9).check(23);
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same() {
    for (heads, kv_heads, head_dim) in [(4, 2, 64), (2, 2, 144), (3, 3, 20)] {
        for (window, softcap) in [(None, None), (Some(50), Some(3.0)), (Some(100), None)] {
            let config = AttentionConfig { softcap, window, ..config(heads, kv_heads, head_dim) };
            let case = Case::new(config, &[0..BLOCK + 37, BLOCK + 37..BLOCK + 60], 3);
            let portable = case.run(Isa::Portable, 1);
            for isa in Isa::available() {
                assert!(case.run(isa, 2) == portable, "{isa:?} differs from portable");
            }
        }
    }
}

#[test]
fn samples_and_threads_know_nothing_of_one_another() {
    for window in [None, Some(70)] {
        let config = AttentionConfig { window, ..config(4, 2, 32) };
        let samples = [0..5, 5..BLOCK + 50, BLOCK + 50..BLOCK + 51, BLOCK + 51..3 * BLOCK];
        let case = Case::new(config, &samples, 21);
        let packed = case.run(Isa::detect(), 2);
        for threads in [1, 3] {
            let other = case.run(Isa::detect(), threads);
            assert_eq!(bits(&other.out), bits(&packed.out));
            assert_eq!(bits(&other.dq), bits(&packed.dq));
            assert_eq!(bits(&other.dk), bits(&packed.dk));
            assert_eq!(bits(&other.dv), bits(&packed.dv));
        }
        for sample in &samples {
            let alone = case.alone(sample).run(Isa::detect(), 2);
            let rows = |x: &[f32], heads: usize| {
                bits(&x[sample.start * heads * 32..sample.end * heads * 32])
            };
            assert_eq!(bits(&alone.out), rows(&packed.out, 4));
            assert_eq!(bits(&alone.dq), rows(&packed.dq, 4));
            assert_eq!(bits(&alone.dk), rows(&packed.dk, 2));
            assert_eq!(bits(&alone.dv), rows(&packed.dv, 2));
        }
    }
}

#[test]
fn tokens_of_no_sample_get_zeros() {
    for kv_heads in [1, 2] {
        let mut case = Case::new(config(2, kv_heads, 8), &[0..12], 2);
        case.samples = vec![2..5, 5..5, 7..10];
        let results = case.run(Isa::detect(), 2);
        for token in (0..2).chain(5..7).chain(10..12) {
            let zero = |x: &[f32], width: usize| {
                x[token * width..(token + 1) * width].iter().all(|x| x.to_bits() == 0)
            };
            assert!(zero(&results.out, 16) && zero(&results.dq, 16) && zero(&results.logsumexp, 2));
            assert!(zero(&results.dk, kv_heads * 8) && zero(&results.dv, kv_heads * 8));
        }
        assert!(results.dv[2 * kv_heads * 8] != 0.0);
    }
}

#[test]
fn large_scores_stay_finite() {
    for softcap in [None, Some(30.0)] {
        let config = AttentionConfig { softcap, ..config(2, 1, 16) };
        let mut case = Case::new(config, &[0..BLOCK + 20], 7);
        for x in case.q.iter_mut().chain(&mut case.k) {
            *x *= 1e4;
        }
        let results = case.run(Isa::detect(), 2);
        let Results { out, logsumexp, dq, dk, dv } = results;
        for x in [&out, &logsumexp, &dq, &dk, &dv] {
            assert!(x.iter().all(|x| x.is_finite()));
        }
        assert!(out.iter().all(|x| x.abs() <= 1.001));
    }
}

#[test]
#[should_panic(expected = "samples overlap or lie outside")]
fn overlapping_samples_are_refused() {
    let mut case = Case::new(config(1, 1, 8), &[0..12], 2);
    case.samples = vec![0..7, 6..12];
    case.run(Isa::detect(), 1);
}
