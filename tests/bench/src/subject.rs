//! Our side: this program again, as a process of its own that does one task and prints what it took as JSON.

use std::{
    env,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};

use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterSlot, Backend, CacheScope, EngineError, GenerateRequest,
    LoadOptions, Priority, Prompt, Report, RequestId, TuneSettings,
};
use hearth_engine_candle::{
    Applied, CandleBackend, Checkpoint, CpuDecoder, Step, Wanted, lora::Adapter, measure,
    models::DecoderConfig,
};
use hearth_engine_kernels::{KvFormat, Sequence, Team};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    BenchError,
    jobs::{JobList, JobsTimed},
    model::ModelFile,
    process::{self, Ran},
    side::{Pass, Timed},
    texts::{self, Exchange},
};

/// The hidden sub-command.
const SUBCOMMAND: &str = "subject";
const PROGRAM: &str = "hearth-bench";
/// Whose pages the jobs share.
const SCOPE: &str = "hearth-bench";

/// What the process is told.
#[derive(Clone, Debug)]
pub struct SubjectOptions {
    /// The model.
    pub model: PathBuf,
    /// Threads to compute with.
    pub threads: usize,
    /// What to do, as JSON.
    pub task: String,
}

#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Pass { pass: Pass, adapters: usize },
    Jobs(JobList),
    Replay { exchange: String, guess_first: bool },
}

/// What a pass took.
#[derive(Debug, Default, Serialize, Deserialize)]
struct PassAnswer {
    prompt_secs: Vec<f64>,
    generate_secs: Vec<f64>,
    ready_secs: Vec<f64>,
}

/// A pass in a process of its own.
pub(crate) fn measure(
    model: &ModelFile,
    pass: Pass,
    adapters: usize,
    threads: usize,
) -> Result<Timed, BenchError> {
    let task = Task::Pass { pass, adapters };
    let (answer, ran): (PassAnswer, Ran) = ask(model, &task, threads)?;
    Ok(Timed {
        prompt_secs: answer.prompt_secs,
        generate_secs: answer.generate_secs,
        ready_secs: answer.ready_secs,
        wall_secs: ran.wall.as_secs_f64(),
        peak_bytes: ran.peak_bytes,
        version: Some(concat!("hearth-bench ", env!("CARGO_PKG_VERSION")).into()),
    })
}

/// Jobs in a process of their own.
pub(crate) fn jobs(
    model: &ModelFile,
    list: &JobList,
    threads: usize,
) -> Result<JobsTimed, BenchError> {
    ask(model, &Task::Jobs(*list), threads).map(|(timed, _)| timed)
}

/// One answer replayed plain and with guessing, by one process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Replays {
    pub(crate) plain: Replayed,
    pub(crate) guessed: Replayed,
}

/// What it took to say an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Replayed {
    pub(crate) answer_tokens: u32,
    pub(crate) tokens_per_pass: f64,
    pub(crate) drafted_tokens: u32,
    pub(crate) accepted_tokens: u32,
    pub(crate) secs: f64,
}

impl Replayed {
    /// Tokens behind the first, a second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.answer_tokens.saturating_sub(1)) / self.secs.max(1e-9)
    }
}

/// A replay in a process of its own.
pub(crate) fn replay(
    model: &ModelFile,
    exchange: &str,
    guess_first: bool,
    threads: usize,
) -> Result<Replays, BenchError> {
    let task = Task::Replay { exchange: exchange.into(), guess_first };
    ask(model, &task, threads).map(|(replays, _)| replays)
}

fn ask<T: DeserializeOwned>(
    model: &ModelFile,
    task: &Task,
    threads: usize,
) -> Result<(T, Ran), BenchError> {
    let start_error = |source| BenchError::Start { program: PROGRAM.into(), source };
    let this = env::current_exe().map_err(start_error)?;
    let task = serde_json::to_string(task).map_err(|error| unknown(&error))?;
    let mut command = Command::new(this);
    command.arg(SUBCOMMAND).arg("--model").arg(&model.path);
    command.args(["--threads", &threads.to_string(), "--task", &task]);
    let ran = process::run(&mut command)?;
    let answer = serde_json::from_str(&ran.stdout).map_err(|error| unknown(&error))?;
    Ok((answer, ran))
}

fn unknown(error: &serde_json::Error) -> BenchError {
    BenchError::Answer { program: PROGRAM.into(), reason: error.to_string() }
}

/// Does a task in this process; the answer is JSON.
///
/// # Errors
/// [`BenchError`] where the model does not load or compute.
pub fn run(options: &SubjectOptions) -> Result<String, BenchError> {
    let task = serde_json::from_str(&options.task).map_err(|error| unknown(&error))?;
    let answer = match task {
        Task::Pass { pass, adapters } => {
            serde_json::to_string(&run_pass(&options.model, pass, adapters, options.threads)?)
        }
        Task::Jobs(list) => {
            serde_json::to_string(&run_jobs(&options.model, &list, options.threads)?)
        }
        Task::Replay { exchange, guess_first } => {
            let exchange = texts::exchange(&exchange)
                .ok_or_else(|| BenchError::Refused(format!("no exchange called {exchange:?}")))?;
            let replays = run_replays(&options.model, &exchange, guess_first, options.threads)?;
            serde_json::to_string(&replays)
        }
    };
    answer.map_err(|error| unknown(&error))
}

fn run_pass(
    model: &Path,
    pass: Pass,
    adapters: usize,
    threads: usize,
) -> Result<PassAnswer, BenchError> {
    let team = Team::new(threads)
        .map_err(|source| BenchError::Start { program: "a thread".into(), source })?;
    let checkpoint = Checkpoint::open(model)?;
    // The other engines read the vocabulary too when they load.
    let _vocabulary = checkpoint.tokenizer()?;
    let mut go_on = |_share: f32| ControlFlow::Continue(());
    let decoder = CpuDecoder::load(&checkpoint, team, KvFormat::F16, &mut go_on)?;
    let mut answer = PassAnswer::default();
    let mut applied = Vec::new();
    for slot in 0..adapters as u64 {
        let file = adapter(decoder.config(), slot)?;
        let start = Instant::now();
        let adapter = Adapter::from_peft(&file, decoder.config())?;
        let adapter = Arc::new(decoder.adapter(AdapterSlot(slot), &adapter)?);
        answer.ready_secs.push(start.elapsed().as_secs_f64());
        applied.push(Applied { adapter, strength: 1.0 });
    }
    let mut reader = Reader { logits: Vec::new(), position: 0, decoder, adapters: applied };
    for _ in 0..pass.repeat {
        let mut sequence = Sequence::new(reader.decoder.kv_layout());
        if pass.depth > 0 {
            reader.read(&mut sequence, pass.depth, Wanted::None)?;
        }
        if pass.prompt > 0 {
            let start = Instant::now();
            reader.read(&mut sequence, pass.prompt, Wanted::Last)?;
            answer.prompt_secs.push(start.elapsed().as_secs_f64());
        }
        if pass.generate > 0 {
            sequence.truncate(pass.depth);
            let start = Instant::now();
            for _ in 0..pass.generate {
                reader.read(&mut sequence, 1, Wanted::Last)?;
            }
            answer.generate_secs.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(answer)
}

/// A made-up adapter of rank 16 beside every matrix of the layers, so small that the model goes on as it would.
fn adapter(config: &DecoderConfig, seed: u64) -> Result<AdapterFile, AdapterError> {
    let mut adapter = Adapter::zeros(config, &TuneSettings::default().lora)?.random_a(seed);
    for (_, _, pair) in adapter.pairs_mut() {
        let numbers = pair.b.iter_mut().enumerate();
        numbers.for_each(|(i, b)| *b = 1e-4 * ((i % 17) as f32 - 8.0));
    }
    adapter.to_peft("made up", None)
}

struct Reader {
    adapters: Vec<Applied>,
    decoder: CpuDecoder,
    logits: Vec<f32>,
    position: usize,
}

impl Reader {
    /// Reads so many made-up tokens, spread over the vocabulary so that no part of the embedding is in a cache by chance.
    fn read(
        &mut self,
        sequence: &mut Sequence,
        tokens: usize,
        logits: Wanted,
    ) -> Result<(), EngineError> {
        let vocabulary = self.decoder.config().vocab;
        let id = |i: usize| u32::try_from(i.wrapping_mul(7919) % vocabulary).unwrap_or(0);
        let ids: Vec<u32> = (self.position..self.position + tokens).map(id).collect();
        self.position += tokens;
        let adapters = &self.adapters;
        let steps = &mut [Step { sequence, ids: &ids, logits, adapters }];
        self.decoder.step(steps, &mut self.logits)
    }
}

fn run_replays(
    model: &Path,
    exchange: &Exchange,
    guess_first: bool,
    threads: usize,
) -> Result<Replays, BenchError> {
    let options = LoadOptions { threads: Some(threads), ..LoadOptions::default() };
    let mut model = measure::Subject::load(model, &options)?;
    let mut replay = |guess: bool| {
        let done = model.replay(&exchange.prompt, &exchange.answer, guess)?;
        Ok::<_, BenchError>(Replayed {
            answer_tokens: done.answer_tokens,
            tokens_per_pass: done.tokens_per_pass,
            drafted_tokens: done.drafted_tokens,
            accepted_tokens: done.accepted_tokens,
            secs: done.decode_s,
        })
    };
    let first = replay(guess_first)?;
    let second = replay(!guess_first)?;
    let (plain, guessed) = if guess_first { (second, first) } else { (first, second) };
    Ok(Replays { plain, guessed })
}

/// All jobs at once, as a plugin's jobs arrive; the engine decides what runs together.
fn run_jobs(model: &Path, list: &JobList, threads: usize) -> Result<JobsTimed, BenchError> {
    let ends = Checkpoint::open(model)?.tokenizer()?.end_ids().to_vec();
    let options = LoadOptions { threads: Some(threads), ..LoadOptions::default() };
    let mut go_on = |_share: f32| ControlFlow::Continue(());
    let mut model = CandleBackend.load(model, &options, &mut go_on)?;
    let mut waiting = list.prompts().into_iter().zip(0..);
    let mut timed = JobsTimed { secs: 0.0, computed: 0, generated: 0 };
    let (mut running, mut failed) = (0, None);
    let start = Instant::now();
    loop {
        while running < model.most_running()
            && let Some((prompt, id)) = waiting.next()
        {
            model.begin(RequestId(id), request(prompt, list.generate, &ends))?;
            running += 1;
        }
        if running == 0 {
            break;
        }
        model.step(&mut |_, report| {
            if let Report::Ended(ended) = report {
                running -= 1;
                match ended {
                    Ok(done) => {
                        let usage = done.usage;
                        timed.computed += (usage.prompt_tokens - usage.cached_tokens) as usize;
                        timed.generated += usage.generated_tokens as usize;
                    }
                    Err(error) => failed = Some(error),
                }
            }
            ControlFlow::Continue(())
        });
        if let Some(error) = failed.take() {
            return Err(error.into());
        }
    }
    timed.secs = start.elapsed().as_secs_f64();
    Ok(timed)
}

/// Never ends by itself, as with the other engines' switch for that.
fn request(prompt: Vec<u32>, generate: usize, ends: &[u32]) -> GenerateRequest {
    GenerateRequest {
        max_tokens: u32::try_from(generate).unwrap_or(u32::MAX),
        priority: Priority::Background,
        cache: CacheScope::Shared(SCOPE.into()),
        logit_bias: ends.iter().map(|&id| (id, f32::NEG_INFINITY)).collect(),
        ..GenerateRequest::new(Prompt::Tokens(prompt))
    }
}
