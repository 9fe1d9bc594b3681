//! The other sides: PyTorch with peft, and QVAC.

use std::{fs, path::Path, process::Command};

use hearth_engine_candle::{Checkpoint, models::DecoderConfig};
use serde::Deserialize;
use serde_json::json;

use super::subject::Steps;
use crate::{
    BenchError,
    process::{self, Ran},
};

const PEFT_STEPS: &str = include_str!("../../peft_lora.py");
const QVAC: &str = include_str!("../../qvac_lora.js");
/// What QVAC learns from in each step: one sample.
pub(super) const QVAC_TOKENS: usize = 128;

#[derive(Debug, Deserialize)]
pub(super) struct PeftStepped {
    pub(super) secs: Vec<f64>,
    pub(super) version: String,
}

/// The same steps by peft in `dtype`, on a model of the same shape.
pub(super) fn peft_steps(
    python: &Path,
    steps: &Steps,
    dtype: &str,
    threads: usize,
) -> Result<(PeftStepped, Ran), BenchError> {
    let checkpoint = Checkpoint::open(&steps.model)?;
    let targets: Vec<&str> = steps.targets.iter().map(|target| target.name()).collect();
    let task = json!({
        "shape": shape(checkpoint.config()), "dtype": dtype, "rank": steps.rank, "targets": targets,
        "samples": steps.samples, "tokens": steps.tokens, "steps": steps.steps, "threads": threads,
    });
    let mut command = Command::new(python);
    command.args(["-c", PEFT_STEPS, &task.to_string()]);
    let ran = process::run(&mut command)?;
    let answer = last_line(&ran.stdout);
    let stepped = serde_json::from_str(answer).map_err(|error| unknown("peft", &error))?;
    Ok((stepped, ran))
}

fn shape(config: &DecoderConfig) -> serde_json::Value {
    json!({
        "family": config.architecture.to_string(), "width": config.hidden, "layers": config.layers,
        "heads": config.heads, "kv_heads": config.kv_heads, "head_dim": config.head_dim,
        "ffn": config.ffn, "vocabulary": config.vocab, "tied": config.tied_embeddings,
    })
}

/// Runs a job that was written down, and gives the folder's `losses.json`.
pub(super) fn peft_job(
    python: &Path,
    folder: &Path,
    base: &Path,
) -> Result<(String, Ran), BenchError> {
    let mut command = Command::new(python);
    command.arg(folder.join("finetune.py")).arg("--base").arg(base);
    command.args(["--dtype", "float32"]);
    let ran = process::run(&mut command)?;
    let path = folder.join("losses.json");
    let losses = fs::read_to_string(&path).map_err(|source| BenchError::File { path, source })?;
    Ok((losses, ran))
}

#[derive(Debug, Deserialize)]
pub(super) struct QvacStepped {
    pub(super) batches: usize,
    pub(super) secs: f64,
}

/// QVAC's LoRA on the processor, on a text of some batches, in `scratch`.
pub(super) fn qvac_steps(
    folder: &Path,
    model: &Path,
    text: &str,
    scratch: &Path,
    threads: usize,
) -> Result<QvacStepped, BenchError> {
    let (program, words) = (folder.join("hearth_qvac_lora.js"), scratch.join("text.txt"));
    write(&program, QVAC)?;
    write(&words, text)?;
    let mut command = Command::new(folder.join("node_modules/.bin/bare"));
    command.current_dir(scratch).arg(&program).arg(model).arg(&words).arg(threads.to_string());
    let ran = process::run(&mut command)?;
    serde_json::from_str(last_line(&ran.stdout)).map_err(|error| unknown("QVAC", &error))
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(|source| BenchError::File { path: path.into(), source })
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default()
}

fn unknown(program: &str, error: &serde_json::Error) -> BenchError {
    BenchError::Answer { program: program.into(), reason: error.to_string() }
}
