//! Our side: this program again, as a process of its own that does one task and prints what it took as JSON.

use std::{
    collections::BTreeSet,
    env,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use hearth_engine_api::{
    AdapterSlot, AdapterUse, Backend, GenerateRequest, LanguageModel, LoadOptions, LoraSettings,
    Precision, Prompt, Report, RequestId, Target,
};
use hearth_engine_candle::{CandleBackend, Checkpoint, lora::Adapter};
use hearth_engine_kernels::{Team, bf16_dot_product_rate};
use hearth_engine_tune::{Batch, CpuLearner, Learner};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{curve, data, learns, manner};
use crate::{
    BenchError,
    process::{self, Ran},
};

const SUBCOMMAND: &str = "tune-subject";
const PROGRAM: &str = "hearth-bench";
/// What both sides' steps go by.
const RATE: f32 = 1e-4;
const LIVE_PROMPT: u32 = 16;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    Steps(Steps),
    Live(PathBuf),
    Curve(curve::Run),
    Learns(learns::Run),
    Manner(manner::Run),
}

/// Steps with random tokens, all learnt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Steps {
    pub(super) model: PathBuf,
    pub(super) rank: u32,
    pub(super) targets: BTreeSet<Target>,
    pub(super) samples: usize,
    pub(super) tokens: usize,
    pub(super) steps: usize,
    pub(super) recompute: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stepped {
    pub(super) secs: Vec<f64>,
    /// Multiply-adds with frozen weights of one token, there and back.
    pub(super) token_products: f64,
    /// Those of bfloat16 that the processor does a second.
    pub(super) products_per_sec: Option<f64>,
    /// What the learner said it would take beside the weights.
    pub(super) estimated_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lived {
    pub(super) adapter_bytes: usize,
    pub(super) ready_secs: f64,
    /// From its bytes to the first token of an answer with it.
    pub(super) first_token_secs: f64,
}

/// A task in a process of its own.
pub(super) fn ask<T: DeserializeOwned>(
    task: &Task,
    threads: usize,
) -> Result<(T, Ran), BenchError> {
    let start_error = |source| BenchError::Start { program: PROGRAM.into(), source };
    let this = env::current_exe().map_err(start_error)?;
    let task = serde_json::to_string(task).map_err(|error| unknown(&error))?;
    let mut command = Command::new(this);
    command.args([SUBCOMMAND, "--threads", &threads.to_string(), "--task", &task]);
    let ran = process::run(&mut command)?;
    let answer = serde_json::from_str(&ran.stdout).map_err(|error| unknown(&error))?;
    Ok((answer, ran))
}

fn unknown(error: &serde_json::Error) -> BenchError {
    BenchError::Answer { program: PROGRAM.into(), reason: error.to_string() }
}

/// Does a task of `bench tune`, given as JSON, in this process; the answer is JSON.
///
/// # Errors
/// [`BenchError`] where the model does not load or train.
pub fn run(task: &str, threads: usize) -> Result<String, BenchError> {
    let task = serde_json::from_str(task).map_err(|error| unknown(&error))?;
    let answer = match task {
        Task::Steps(steps) => serde_json::to_string(&run_steps(&steps, threads)?),
        Task::Live(model) => serde_json::to_string(&run_live(&model, threads)?),
        Task::Curve(run) => serde_json::to_string(&run.perform(threads)?),
        Task::Learns(run) => serde_json::to_string(&run.perform(threads)?),
        Task::Manner(run) => serde_json::to_string(&run.perform(threads)?),
    };
    answer.map_err(|error| unknown(&error))
}

fn run_steps(steps: &Steps, threads: usize) -> Result<Stepped, BenchError> {
    let checkpoint = Checkpoint::open(&steps.model)?;
    let settings = lora(steps.rank, steps.targets.clone());
    let adapter = Adapter::zeros(checkpoint.config(), &settings)?.random_a(1);
    let mut gradients = adapter.zeros_like();
    let (mut means, mut squares) = (adapter.zeros_like(), adapter.zeros_like());
    let team = Team::new(threads)
        .map_err(|source| BenchError::Start { program: "a thread".into(), source })?;
    let products_per_sec = bf16_dot_product_rate(&team);
    let precision = Precision::Bf16;
    let mut learner = CpuLearner::load(&checkpoint, adapter, precision, steps.recompute, team)?;
    let batch = data::random_batch(learner.config().vocab, steps.samples, steps.tokens);
    let mut answer = Stepped {
        secs: Vec::new(),
        token_products: token_products(&learner),
        products_per_sec,
        estimated_bytes: learner.memory_bytes(batch.ids.len(), steps.recompute),
    };
    for _ in 0..steps.steps {
        let start = Instant::now();
        step(&mut learner, &batch, &mut gradients, (&mut means, &mut squares))?;
        answer.secs.push(start.elapsed().as_secs_f64());
    }
    Ok(answer)
}

/// Gradients, and Adam's step by them.
fn step(
    learner: &mut CpuLearner,
    batch: &Batch,
    gradients: &mut Adapter,
    (means, squares): (&mut Adapter, &mut Adapter),
) -> Result<(), BenchError> {
    gradients.parameters_mut().for_each(|numbers| numbers.fill(0.0));
    learner.backward(batch, None, gradients, &mut || ControlFlow::Continue(()))?;
    let moments = means.parameters_mut().zip(squares.parameters_mut());
    let parameters = learner.adapter_mut().parameters_mut().zip(gradients.parameters());
    for ((values, gradients), (means, squares)) in parameters.zip(moments) {
        let numbers = values.iter_mut().zip(gradients).zip(means.iter_mut().zip(squares));
        for ((value, gradient), (mean, square)) in numbers {
            *mean += 0.1 * (gradient - *mean);
            *square += 0.001 * (gradient * gradient - *square);
            *value -= RATE * *mean / (square.sqrt() + 1e-8);
        }
    }
    Ok(())
}

fn run_live(path: &Path, threads: usize) -> Result<Lived, BenchError> {
    let checkpoint = Checkpoint::open(path)?;
    let settings = lora(16, BTreeSet::from(Target::ALL));
    let mut adapter = Adapter::zeros(checkpoint.config(), &settings)?.random_a(2);
    for (_, _, pair) in adapter.pairs_mut() {
        pair.b.fill(1e-5);
    }
    let file = adapter.to_peft("made up", None)?;
    let options = LoadOptions { threads: Some(threads), ..LoadOptions::default() };
    let mut model = CandleBackend.load(path, &options, &mut |_| ControlFlow::Continue(()))?;
    let slot = AdapterSlot(1);
    // The model has answered before, as one that an adapter was trained for has.
    first_token(&mut *model, Vec::new())?;
    let start = Instant::now();
    model.add_adapter(slot, &file)?;
    let ready_secs = start.elapsed().as_secs_f64();
    first_token(&mut *model, vec![AdapterUse { slot, strength: 1.0 }])?;
    let first_token_secs = start.elapsed().as_secs_f64();
    Ok(Lived { adapter_bytes: file.weights.len(), ready_secs, first_token_secs })
}

fn first_token(model: &mut dyn LanguageModel, adapters: Vec<AdapterUse>) -> Result<(), BenchError> {
    let prompt = Prompt::Tokens((1..=LIVE_PROMPT).collect());
    let request = GenerateRequest { max_tokens: 1, adapters, ..GenerateRequest::new(prompt) };
    model.begin(RequestId(1), request)?;
    let mut ended = None;
    while ended.is_none() {
        model.step(&mut |_, report| {
            if let Report::Ended(result) = report {
                ended = Some(result);
            }
            ControlFlow::Continue(())
        });
    }
    ended.transpose()?;
    Ok(())
}

fn lora(rank: u32, targets: BTreeSet<Target>) -> LoraSettings {
    LoraSettings { rank, alpha: 2.0 * rank as f32, rslora: false, dropout: 0.0, targets }
}

/// Multiply-adds with frozen weights that a token takes, there and back.
fn token_products(learner: &CpuLearner) -> f64 {
    let config = learner.config();
    let heads = config.head_dim * (2 * config.heads + 2 * config.kv_heads);
    let layer = config.hidden * (heads + 3 * config.ffn);
    2.0 * (config.layers * layer + config.hidden * config.vocab) as f64
}
