//! How near the operations of training come to what the machine can do: `cargo run --release --example training [threads]
//! [rounds]`.
//!
//! Attention, forwards and backwards, is held against the peak of F32 multiply-adds, cross entropy against the bandwidth of
//! memory. All of it is measured in turns in one run, and the best of several is taken.
#![allow(clippy::print_stdout, reason = "a table is what it makes")]
use hearth_engine_kernels::train::{
    Attended, Qkv, QkvGradients, attention, attention_back, cross_entropy, swiglu_back,
};
use hearth_engine_kernels::{AttentionConfig, Team, multiply_add_rate, read_bandwidth};
use std::ops::Range;
use std::time::Instant;

const HEADS: usize = 12;
const KV_HEADS: usize = 4;
const HEAD_DIM: usize = 64;
const VOCABULARY: usize = 50_257;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let threads = arguments.next().unwrap_or(Ok(std::thread::available_parallelism()?.get()))?;
    let rounds = arguments.next().unwrap_or(Ok(5))?;
    let team = Team::new(threads)?;
    println!("{HEADS} query heads, {KV_HEADS} key heads of {HEAD_DIM}, {threads} threads");
    for (samples, tokens) in [(8, 128), (2, 512), (1, 1024), (1, 2048)] {
        attend(&team, samples, tokens, rounds);
    }
    loss(&team, rounds);
    gates(&team, rounds);
    Ok(())
}

fn noise(len: usize, seed: usize) -> Vec<f32> {
    let noise = |i: usize| ((i + seed * 77).wrapping_mul(2_654_435_761) >> 16 & 0xffff) as f32;
    (0..len).map(|i| noise(i) / 32_768.0 - 1.0).collect()
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn attend(team: &Team, samples: usize, tokens: usize, rounds: usize) {
    let config = AttentionConfig {
        heads: HEADS,
        kv_heads: KV_HEADS,
        head_dim: HEAD_DIM,
        scale: 0.125,
        softcap: None,
        window: None,
    };
    let ranges: Vec<Range<usize>> =
        (0..samples).map(|sample| sample * tokens..(sample + 1) * tokens).collect();
    let rows = samples * tokens;
    let [q, dout] = [1, 2].map(|seed| noise(rows * HEADS * HEAD_DIM, seed));
    let [k, v] = [3, 4].map(|seed| noise(rows * KV_HEADS * HEAD_DIM, seed));
    let (mut out, mut logsumexp) = (vec![0.0; q.len()], vec![0.0; rows * HEADS]);
    let [mut dq, mut dk, mut dv] = [&q, &k, &v].map(|x| vec![0.0; x.len()]);
    let inputs = Qkv { q: &q, k: &k, v: &v };
    let (mut best, mut peak) = ([f64::INFINITY; 2], 0.0_f64);
    for _ in 0..rounds {
        peak = peak.max(2.0 * multiply_add_rate(team));
        let forward =
            seconds(|| attention(team, &config, &ranges, inputs, &mut out, &mut logsumexp));
        let attended = Attended { out: &out, logsumexp: &logsumexp, dout: &dout };
        let gradients = QkvGradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        let back = seconds(|| attention_back(team, &config, &ranges, inputs, attended, gradients));
        best = [best[0].min(forward), best[1].min(back)];
    }
    let product = samples * HEADS * HEAD_DIM * tokens * (tokens + 1);
    for (name, products, seconds) in [("forward ", 2, best[0]), ("backward", 5, best[1])] {
        let rate = (products * product) as f64 / seconds;
        println!(
            "{samples} x {tokens:4} {name}: {:8.2} ms, {:6.1} of {:6.1} GFLOP/s, {:3.0} % of the peak",
            seconds * 1e3,
            rate / 1e9,
            peak / 1e9,
            100.0 * rate / peak
        );
    }
}

fn loss(team: &Team, rounds: usize) {
    let rows = 512;
    let targets: Vec<u32> = (0..rows as u32).map(|row| row * 97).collect();
    let (weights, mut losses) = (vec![1.0; rows], vec![0.0; rows]);
    let (mut best, mut bandwidth) = (f64::INFINITY, 0.0_f64);
    let mut logits = noise(rows * VOCABULARY, 5);
    for _ in 0..rounds {
        bandwidth = bandwidth.max(read_bandwidth(team));
        best = best.min(seconds(|| {
            cross_entropy(team, &mut logits, &targets, &weights, &mut losses);
        }));
    }
    traffic(
        &format!("cross entropy, {rows} x {VOCABULARY}"),
        2 * 4 * logits.len(),
        best,
        bandwidth,
    );
}

fn gates(team: &Team, rounds: usize) {
    let len = 4096 * 2048;
    let [gate, up, dout] = [1, 2, 3].map(|seed| noise(len, seed));
    let [mut dgate, mut dup] = [vec![0.0; len], vec![0.0; len]];
    let (mut best, mut bandwidth) = (f64::INFINITY, 0.0_f64);
    for _ in 0..rounds {
        bandwidth = bandwidth.max(read_bandwidth(team));
        best = best.min(seconds(|| swiglu_back(team, &gate, &up, &dout, &mut dgate, &mut dup)));
    }
    traffic("swiglu backward", 5 * 4 * len, best, bandwidth);
}

fn traffic(name: &str, bytes: usize, seconds: f64, bandwidth: f64) {
    let rate = bytes as f64 / seconds;
    println!(
        "{name}: {:8.2} ms, {:5.1} GB/s moved, {:5.1} GB/s can be read",
        seconds * 1e3,
        rate / 1e9,
        bandwidth / 1e9
    );
}
