//! Held-out loss before and after, with the settings that are recommended.

use std::path::PathBuf;

use hearth_engine_api::{Budget, Example, TuneJob, TuneOutcome, TuneSettings, Tuned, Tuner};
use hearth_engine_tune::AdapterTuner;
use serde::{Deserialize, Serialize};

use super::{
    Bench, curve, data,
    subject::{self, Task},
};
use crate::{
    BenchError,
    report::{Cell, Table},
};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) data: PathBuf,
    pub(super) minutes: f32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Learnt {
    before: f32,
    after: f32,
    steps: u32,
    tokens: u64,
    secs: f32,
}

impl Run {
    pub(super) fn perform(&self, threads: usize) -> Result<Learnt, BenchError> {
        let split = data::play(&self.data)?;
        let tuned = tune(&curve::base(&self.data), split, self.minutes, threads)?;
        Ok(Learnt {
            before: tuned.held_out_before.unwrap_or(f32::NAN),
            after: tuned.held_out_after.unwrap_or(f32::NAN),
            steps: tuned.steps,
            tokens: tuned.tokens,
            secs: tuned.secs,
        })
    }
}

/// A run as the program would do it when asked for so many minutes.
pub(super) fn tune(
    base: &std::path::Path,
    split: data::Split,
    minutes: f32,
    threads: usize,
) -> Result<Tuned, BenchError> {
    let settings = recommended(base, &split.train, minutes, threads)?;
    let (train, held_out) = (split.train.into(), split.held_out.into());
    let job = TuneJob { base: base.into(), train, held_out, settings, initial: None };
    match AdapterTuner.tune(&job, None, &mut data::Watcher::default())? {
        TuneOutcome::Finished(tuned) => Ok(tuned),
        _ => Err(BenchError::Refused("the run was broken off".into())),
    }
}

pub(super) fn recommended(
    base: &std::path::Path,
    train: &[Example],
    minutes: f32,
    threads: usize,
) -> Result<TuneSettings, BenchError> {
    let wishes = TuneSettings {
        budget: Budget::Minutes(minutes),
        sequence_tokens: 256,
        evaluations: 0,
        threads: Some(threads),
        ..TuneSettings::default()
    };
    let tokens = AdapterTuner.tokens(base, train, &wishes)?;
    let learnt = tokens.iter().map(|tokens| u64::from(tokens.learnt)).sum();
    Ok(AdapterTuner.recommend(base, learnt, &wishes)?)
}

pub(super) fn tables(bench: &mut Bench<'_>) -> Result<Vec<Table>, BenchError> {
    let plan = bench.plan;
    let Some(data) = &plan.data else { return Ok(Vec::new()) };
    let task = Task::Learns(Run { data: data.clone(), minutes: plan.minutes });
    let (learnt, ran): (Learnt, _) = subject::ask(&task, plan.threads())?;
    bench.tell(&format!("{learnt:?}"));
    let mut table = Table::new(
        format!("Learning: stories656k and a play, {} minutes asked for", plan.minutes),
        &["held out before", "after", "fall", "steps", "tokens", "run s", "whole process s"],
    );
    table.rows.push(vec![
        Cell::number(Some(learnt.before.into()), 3),
        Cell::number(Some(learnt.after.into()), 3),
        Cell::number(Some((learnt.before - learnt.after).into()), 3),
        Cell::number(Some(learnt.steps.into()), 0),
        Cell::number(Some(learnt.tokens as f64), 0),
        Cell::number(Some(learnt.secs.into()), 1),
        Cell::number(Some(ran.wall.as_secs_f64()), 1),
    ]);
    table.notes.push("the last tenth of the play is held out".into());
    Ok(vec![table])
}
