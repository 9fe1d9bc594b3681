//! Our side: this program again, as a process of its own that measures one pass and prints it as JSON.

use std::{env, path::PathBuf, process::Command};

use hearth_engine_candle::inspect::{BenchOptions, bench};
use serde::{Deserialize, Serialize};

use crate::{
    BenchError,
    model::ModelFile,
    process,
    side::{Pass, Timed},
};

/// The hidden sub-command.
pub(crate) const SUBCOMMAND: &str = "subject";

/// What the process is told.
#[derive(Clone, Debug)]
pub struct SubjectOptions {
    /// The model.
    pub model: PathBuf,
    /// Threads to compute with.
    pub threads: usize,
    /// What to measure, as JSON.
    pub pass: String,
}

/// What it answers.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    prompt_secs: Vec<f64>,
    generate_secs: Vec<f64>,
}

/// Starts the process and waits for its answer.
pub(crate) fn measure(model: &ModelFile, pass: Pass, threads: usize) -> Result<Timed, BenchError> {
    let program = "hearth-bench";
    let unknown = |reason: String| BenchError::Answer { program: program.into(), reason };
    let this = env::current_exe()
        .map_err(|source| BenchError::Start { program: program.into(), source })?;
    let json = serde_json::to_string(&pass).map_err(|e| unknown(e.to_string()))?;
    let mut command = Command::new(this);
    command.arg(SUBCOMMAND).arg("--model").arg(&model.path);
    command.args(["--threads", &threads.to_string(), "--pass", &json]);
    let ran = process::run(&mut command)?;
    let answer: Answer = serde_json::from_str(&ran.stdout).map_err(|e| unknown(e.to_string()))?;
    Ok(Timed {
        prompt_secs: answer.prompt_secs,
        generate_secs: answer.generate_secs,
        wall_secs: ran.wall.as_secs_f64(),
        peak_bytes: ran.peak_bytes,
        version: Some(concat!("hearth-bench ", env!("CARGO_PKG_VERSION")).into()),
    })
}

/// Measures a pass in this process; the answer is JSON.
///
/// # Errors
/// [`BenchError`] where the model does not load or compute.
pub fn run(options: &SubjectOptions) -> Result<String, BenchError> {
    let refused = |e: serde_json::Error| BenchError::Refused(format!("--pass: {e}"));
    let pass: Pass = serde_json::from_str(&options.pass).map_err(refused)?;
    let bench_options = BenchOptions {
        prompt_tokens: pass.depth + pass.prompt,
        generate_tokens: pass.generate + 1,
        repeat: pass.repeat,
        threads: Some(options.threads),
    };
    let bench =
        bench(&options.model, &bench_options).map_err(|e| BenchError::Refused(e.to_string()))?;
    let mut answer = Answer::default();
    if pass.prompt > 0 {
        answer.prompt_secs =
            bench.prefill_tok_s.iter().map(|rate| pass.prompt as f64 / rate).collect();
    }
    if pass.generate > 0 {
        answer.generate_secs =
            bench.decode_tok_s.iter().map(|rate| pass.generate as f64 / rate).collect();
    }
    serde_json::to_string(&answer).map_err(refused)
}
