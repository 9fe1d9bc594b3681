//! `cargo xtask bench`: see `cargo xtask bench help`.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode, thread};

use clap::{Args, Parser, Subcommand};
use hearth_bench::{BenchError, Peers, Plan, Report, SubjectOptions, TunePlan};

/// Measures the engine beside other engines, all on the same files, in turn.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Single tokens after 512: tokens a second, and the share of the read bandwidth.
    Decode(Options),
    /// Prompts of 512 and 4096 tokens, first pass included.
    Prefill(Options),
    /// Cost of a token from 512 to 8k tokens of context.
    Growth(Options),
    /// From start to first token, and peak memory.
    Load(Options),
    /// Answers that repeat what was said, plain and with tokens guessed ahead.
    Copy(Options),
    /// Many short jobs with a common head, beside llama-server with its cache on.
    Jobs(Options),
    /// Prompts and single tokens with adapters and without.
    Adapters(Options),
    /// Every table.
    All(Options),
    /// Fine-tuning: speed and memory beside peft and QVAC, and what comes of it.
    Tune(TunePlan),
    /// Our side of a measurement of fine-tuning, in a process of its own.
    #[command(hide = true)]
    TuneSubject {
        #[arg(long)]
        threads: usize,
        #[arg(long)]
        task: String,
    },
    /// Our side of a measurement, in a process of its own.
    #[command(hide = true)]
    Subject {
        #[arg(long)]
        model: PathBuf,
        #[arg(long)]
        threads: usize,
        #[arg(long)]
        task: String,
    },
}

#[derive(Args)]
struct Options {
    /// A GGUF file; may be given several times.
    #[arg(long = "model", required = true)]
    models: Vec<PathBuf>,
    /// llama.cpp's `llama-bench`.
    #[arg(long, env = "HEARTH_BENCH_LLAMA")]
    llama_bench: Option<PathBuf>,
    /// ik_llama.cpp's `llama-bench`.
    #[arg(long, env = "HEARTH_BENCH_IK")]
    ik_bench: Option<PathBuf>,
    /// llama.cpp's `llama-server`.
    #[arg(long, env = "HEARTH_BENCH_SERVER")]
    llama_server: Option<PathBuf>,
    /// Threads every side computes with; all cores unless given.
    #[arg(long)]
    threads: Option<usize>,
    /// Turns of each side.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Jobs in the table of jobs.
    #[arg(long, default_value_t = 16)]
    jobs: usize,
    /// Write everything, with each reading, to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[expect(clippy::print_stderr, reason = "a command-line tool")]
fn main() -> ExitCode {
    match perform(Arguments::parse().work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "a command-line tool")]
fn perform(work: Work) -> Result<(), BenchError> {
    use hearth_bench::Subcommand as Tables;
    let (which, options) = match work {
        Work::Subject { model, threads, task } => {
            println!("{}", hearth_bench::run_subject(&SubjectOptions { model, threads, task })?);
            return Ok(());
        }
        Work::Tune(plan) => return tune(&plan),
        Work::TuneSubject { threads, task } => {
            println!("{}", hearth_bench::run_tune_subject(&task, threads)?);
            return Ok(());
        }
        Work::Decode(options) => (Tables::Decode, options),
        Work::Prefill(options) => (Tables::Prefill, options),
        Work::Growth(options) => (Tables::Growth, options),
        Work::Load(options) => (Tables::Load, options),
        Work::Copy(options) => (Tables::Copy, options),
        Work::Jobs(options) => (Tables::Jobs, options),
        Work::Adapters(options) => (Tables::Adapters, options),
        Work::All(options) => (Tables::All, options),
    };
    measure(which, options)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]
fn measure(which: hearth_bench::Subcommand, options: Options) -> Result<(), BenchError> {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let plan = Plan {
        models: options.models,
        peers: Peers {
            llama_bench: options.llama_bench,
            ik_bench: options.ik_bench,
            llama_server: options.llama_server,
        },
        threads: options.threads.unwrap_or_else(cores),
        rounds: options.rounds.max(1),
        jobs: options.jobs,
    };
    let report = hearth_bench::run(which, &plan, &mut |line| eprintln!("{line}"), &mut |table| {
        println!("{}", table.text())
    })?;
    println!("{}", report.head());
    options.json.map_or(Ok(()), |path| write(&report, path))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]
fn tune(plan: &TunePlan) -> Result<(), BenchError> {
    let report = hearth_bench::run_tune(plan, &mut |line| eprintln!("{line}"), &mut |table| {
        println!("{}", table.text())
    })?;
    println!("{}", report.head());
    plan.json().map_or(Ok(()), |path| write(&report, path))
}

fn write(report: &Report, path: PathBuf) -> Result<(), BenchError> {
    let json = serde_json::to_vec_pretty(report)
        .map_err(|error| BenchError::Refused(format!("the report: {error}")))?;
    std::fs::write(&path, json).map_err(|source| BenchError::File { path, source })
}
