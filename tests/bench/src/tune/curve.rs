//! The same run by peft and by us, from the same first adapter: how far apart are the losses?

use std::path::{Path, PathBuf};

use hearth_engine_api::{
    Budget, LoraSettings, Precision, TuneJob, TuneOutcome, TuneSettings, Tuner,
};
use hearth_engine_candle::{Checkpoint, lora::Adapter};
use hearth_engine_tune::AdapterTuner;
use serde::{Deserialize, Serialize};

use super::{
    Bench, data, peers,
    subject::{self, Task},
};
use crate::{
    BenchError,
    report::{Cell, Table},
};

const STEPS: u32 = 200;
const SEED: u64 = 11;
/// Examples of the play that are held out.
const HELD_OUT: usize = 40;

/// A run in 32-bit floats, written down for peft too.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) data: PathBuf,
    pub(super) folder: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Losses {
    held_out_before: f32,
    train: Vec<f32>,
    held_out_after: f32,
}

impl Run {
    pub(super) fn perform(&self, threads: usize) -> Result<Losses, BenchError> {
        let job = self.job(threads)?;
        AdapterTuner.export_job(&job, &self.folder)?;
        let mut watcher = data::Watcher::default();
        let TuneOutcome::Finished(tuned) = AdapterTuner.tune(&job, None, &mut watcher)? else {
            return Err(BenchError::Refused("the run was broken off".into()));
        };
        Ok(Losses {
            held_out_before: tuned.held_out_before.unwrap_or(f32::NAN),
            train: watcher
                .steps
                .iter()
                .filter(|step| step.step > 0)
                .map(|step| step.loss)
                .collect(),
            held_out_after: tuned.held_out_after.unwrap_or(f32::NAN),
        })
    }

    fn job(&self, threads: usize) -> Result<TuneJob, BenchError> {
        let settings = TuneSettings {
            lora: LoraSettings { rank: 8, alpha: 16.0, ..TuneSettings::default().lora },
            budget: Budget::Steps(STEPS),
            sequence_tokens: 128,
            batch_tokens: 512,
            learning_rate: 5e-3,
            precision: Precision::F32,
            evaluations: 0,
            threads: Some(threads),
            seed: SEED,
            ..TuneSettings::default()
        };
        let base = base(&self.data);
        let checkpoint = Checkpoint::open(&base)?;
        let initial = Adapter::zeros(checkpoint.config(), &settings.lora)?.random_a(SEED);
        let mut split = data::play(&self.data)?;
        split.held_out.truncate(HELD_OUT);
        Ok(TuneJob {
            base,
            train: split.train.into(),
            held_out: split.held_out.into(),
            settings,
            initial: Some(initial.to_peft("stories656k", None)?),
        })
    }
}

/// The small model of stories.
pub(super) fn base(data: &Path) -> PathBuf {
    data.join("models/stories656k")
}

pub(super) fn tables(bench: &mut Bench<'_>) -> Result<Vec<Table>, BenchError> {
    let plan = bench.plan;
    let (Some(data), Some(python)) = (&plan.data, &plan.peft) else { return Ok(Vec::new()) };
    let folder = std::env::temp_dir().join(format!("hearth-bench-job-{}", std::process::id()));
    let task = Task::Curve(Run { data: data.clone(), folder: folder.clone() });
    let (ours, ran): (Losses, _) = subject::ask(&task, plan.threads())?;
    bench.tell(&format!("Hearth: {:.1} s", ran.wall.as_secs_f64()));
    let theirs = peers::peft_job(python, &folder, &base(data));
    std::fs::remove_dir_all(&folder).ok();
    let (theirs, their_run) = theirs?;
    bench.tell(&format!("peft: {:.1} s", their_run.wall.as_secs_f64()));
    let theirs: Losses = serde_json::from_str(&theirs).map_err(|error| BenchError::Answer {
        program: "peft".into(),
        reason: error.to_string(),
    })?;
    let apart = ours.train.iter().zip(&theirs.train).map(|(a, b)| (a / b - 1.0).abs());
    let apart = apart.fold(0.0, f32::max);
    let mut table = Table::new(
        format!(
            "The same losses: stories656k learns a play, {STEPS} steps in F32 from one first adapter"
        ),
        &["side", "first loss", "last", "held out before", "after", "whole process s"],
    );
    for (name, losses, ran) in [("Hearth", &ours, &ran), ("PEFT F32", &theirs, &their_run)] {
        let number = |value: Option<&f32>| Cell::number(value.map(|value| f64::from(*value)), 4);
        table.rows.push(vec![
            name.into(),
            number(losses.train.first()),
            number(losses.train.last()),
            number(Some(&losses.held_out_before)),
            number(Some(&losses.held_out_after)),
            Cell::number(Some(ran.wall.as_secs_f64()), 1),
        ]);
    }
    let steps = ours.train.len().min(theirs.train.len());
    table.notes.push(format!("at most {apart:.1e} of the loss apart in any of {steps} steps"));
    Ok(vec![table])
}
