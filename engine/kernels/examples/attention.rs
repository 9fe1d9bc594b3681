//! How near attention comes to what the machine can do: `cargo run --release --example attention [threads] [rounds]`.
//!
//! Reading a prompt is held against the peak of F32 multiply-adds, a decoding step against the bandwidth of memory. All of it is
//! measured in turns in one run, and the best of several is taken.
#![allow(clippy::print_stdout, reason = "a table is what it makes")]
use hearth_engine_kernels::{
    AttentionConfig, KvFormat, KvLayout, Segment, Sequence, Team, attention, multiply_add_rate,
    read_bandwidth,
};
use std::time::Instant;

const HEADS: usize = 32;
const KV_HEADS: usize = 8;
const HEAD_DIM: usize = 64;
const LAYERS: usize = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let threads = arguments.next().unwrap_or(Ok(std::thread::available_parallelism()?.get()))?;
    let rounds = arguments.next().unwrap_or(Ok(5))?;
    let team = Team::new(threads)?;
    println!("{HEADS} query heads, {KV_HEADS} key heads of {HEAD_DIM}, {threads} threads");
    for format in [KvFormat::F32, KvFormat::F16, KvFormat::Q8] {
        for tokens in [512, 4096] {
            prompt(&team, format, tokens, rounds);
        }
        for tokens in [512, 8192] {
            step(&team, format, tokens, rounds);
        }
    }
    Ok(())
}

fn filled(format: KvFormat, layers: usize, tokens: usize) -> Sequence {
    let layout = KvLayout { layers, kv_heads: KV_HEADS, head_dim: HEAD_DIM, format };
    let mut sequence = Sequence::new(&layout);
    sequence.reserve(tokens);
    for layer in 0..layers {
        let k = noise(tokens * KV_HEADS * HEAD_DIM, layer);
        sequence.write(layer, 0, &k, &k);
    }
    sequence.advance(tokens);
    sequence
}

fn noise(len: usize, seed: usize) -> Vec<f32> {
    let noise = |i: usize| ((i + seed * 77).wrapping_mul(2_654_435_761) >> 16 & 0xffff) as f32;
    (0..len).map(|i| noise(i) / 32_768.0 - 1.0).collect()
}

fn config() -> AttentionConfig {
    AttentionConfig {
        heads: HEADS,
        kv_heads: KV_HEADS,
        head_dim: HEAD_DIM,
        scale: 0.125,
        softcap: None,
        window: None,
    }
}

fn prompt(team: &Team, format: KvFormat, tokens: usize, rounds: usize) {
    let sequence = filled(format, 1, tokens);
    let q = noise(tokens * HEADS * HEAD_DIM, 99);
    let mut out = vec![0.0; q.len()];
    let segment = [Segment { sequence: &sequence, first_position: 0, tokens }];
    let (mut seconds, mut peak) = (f64::INFINITY, 0.0_f64);
    for _ in 0..rounds {
        peak = peak.max(2.0 * multiply_add_rate(team));
        let start = Instant::now();
        attention(team, &config(), 0, &segment, &q, &mut out);
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let rate = (4 * HEAD_DIM * HEADS * tokens * (tokens + 1) / 2) as f64 / seconds;
    println!(
        "{format:?} prompt of {tokens:4}: {:8.2} ms, {:6.1} of {:6.1} GFLOP/s, {:3.0} % of the peak",
        seconds * 1e3,
        rate / 1e9,
        peak / 1e9,
        100.0 * rate / peak
    );
}

fn step(team: &Team, format: KvFormat, tokens: usize, rounds: usize) {
    let sequence = filled(format, LAYERS, tokens);
    let q = noise(HEADS * HEAD_DIM, 99);
    let mut out = vec![0.0; q.len()];
    let segment = [Segment { sequence: &sequence, first_position: tokens - 1, tokens: 1 }];
    let (mut seconds, mut bandwidth) = (f64::INFINITY, 0.0_f64);
    for _ in 0..rounds {
        bandwidth = bandwidth.max(read_bandwidth(team));
        for _ in 0..2 {
            let start = Instant::now();
            for layer in 0..LAYERS {
                attention(team, &config(), layer, &segment, &q, &mut out);
            }
            seconds = seconds.min(start.elapsed().as_secs_f64());
        }
    }
    let bytes = sequence.layout().page_bytes() * sequence.pages().len();
    println!(
        "{format:?} step after {tokens:4}: {:8.3} ms a layer, {:5.1} GB/s, {:3.0} % of {:5.1} GB/s read from memory",
        seconds * 1e3 / LAYERS as f64,
        bytes as f64 / seconds / 1e9,
        100.0 * bytes as f64 / seconds / bandwidth,
        bandwidth / 1e9
    );
}
