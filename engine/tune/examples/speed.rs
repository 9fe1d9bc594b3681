//! How fast a model is trained on this machine: `speed MODEL [samples] [tokens of a sample] [recompute]`.
//!
//! Rank 8 beside queries, keys, values and attention's output; every token is learnt. Prints tokens a second of each step,
//! beside what the processor's dot products of bfloat16 would allow.
#![expect(clippy::print_stdout, reason = "figures are what it makes")]

use std::{collections::BTreeSet, error::Error, fs, ops::ControlFlow, path::Path, time::Instant};

use hearth_engine_api::{LoraSettings, Precision, Target};
use hearth_engine_candle::{Checkpoint, lora::Adapter};
use hearth_engine_kernels::{Team, bf16_dot_product_rate};
use hearth_engine_tune::{Batch, CpuLearner, Learner};

const STEPS: usize = 6;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rest @ ..] = arguments.as_slice() else { return Err("which model?".into()) };
    let number = |i: usize, default| rest.get(i).map_or(Ok(default), |text| text.parse::<usize>());
    let (samples, tokens) = (number(0, 4)?, number(1, 256)?);
    let recompute = rest.get(2).is_some_and(|word| word == "recompute");

    let checkpoint = Checkpoint::open(Path::new(model))?;
    let settings = LoraSettings {
        rank: 8,
        alpha: 16.0,
        rslora: false,
        dropout: 0.0,
        targets: BTreeSet::from([Target::Q, Target::K, Target::V, Target::O]),
    };
    let adapter = Adapter::zeros(checkpoint.config(), &settings)?.random_a(1);
    let mut gradients = adapter.zeros_like();
    let team = Team::new(std::thread::available_parallelism()?.get())?;
    let rate = bf16_dot_product_rate(&team);
    let mut learner = CpuLearner::load(&checkpoint, adapter, Precision::Bf16, recompute, team)?;
    let vocab = learner.config().vocab;
    let ids: Vec<u32> = (0..samples * tokens).map(|i| (i * 7919 % vocab) as u32).collect();
    let batch = Batch {
        targets: ids.iter().map(|id| (id + 1) % vocab as u32).collect(),
        weights: vec![1.0 / ids.len() as f32; ids.len()],
        samples: (0..samples).map(|i| i * tokens..(i + 1) * tokens).collect(),
        ids,
    };
    let go_on = &mut || ControlFlow::Continue(());
    let products = token_products(&learner);
    for _ in 0..STEPS {
        let start = Instant::now();
        let loss = learner.backward(&batch, None, &mut gradients, go_on)?;
        let speed = batch.ids.len() as f64 / start.elapsed().as_secs_f64();
        let share = rate.map_or(0.0, |rate| 100.0 * speed * products / rate);
        println!(
            "{speed:7.1} tokens a second, {share:4.1} % of what dot products allow; loss {loss:.3}"
        );
    }
    let estimate = learner.memory_bytes(batch.ids.len(), recompute) >> 20;
    println!(
        "estimated memory {estimate} MiB beside {} MiB of weights",
        fs::metadata(model)?.len() >> 20
    );
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        for line in
            status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("Rss"))
        {
            println!("{line}");
        }
    }
    Ok(())
}

/// Multiply-adds with frozen weights that a token takes, there and back.
fn token_products(learner: &CpuLearner) -> f64 {
    let config = learner.config();
    let heads = config.head_dim * (2 * config.heads + 2 * config.kv_heads);
    let layer = config.hidden * (heads + 3 * config.ffn);
    // Nothing asks for the gradient of the lowest layer's input.
    let spared = config.hidden * (heads - config.head_dim * config.heads);
    2.0 * (config.layers * layer + config.hidden * config.vocab) as f64 - spared as f64
}
