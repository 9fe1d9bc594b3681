//! The same run with Hugging Face's peft: same first adapter, same order of examples, same losses.

use std::{env, path::Path};

use hearth_engine_api::{
    Budget, LoraSettings, Precision, TuneJob, TuneOutcome, TuneSettings, Tuner,
};
use hearth_engine_candle::{Checkpoint, lora::Adapter};
use hearth_engine_tune::AdapterTuner;
use serde::Deserialize;

use crate::data::{Owner, Stage, stage};

/// `testdata/peft.sh` says how they were made.
#[derive(Deserialize)]
struct Losses {
    held_out_before: f32,
    train: Vec<f32>,
    held_out_after: f32,
}

const STEPS: u32 = 200;

/// 200 steps over the first scenes, in 32-bit floats, from a first adapter that both read from a file.
fn job(stage: &Stage) -> TuneJob {
    let settings = TuneSettings {
        lora: LoraSettings { rank: 8, alpha: 16.0, ..TuneSettings::default().lora },
        budget: Budget::Steps(STEPS),
        sequence_tokens: 128,
        batch_tokens: 512,
        learning_rate: 5e-3,
        precision: Precision::F32,
        evaluations: 0,
        seed: 11,
        ..TuneSettings::default()
    };
    let checkpoint = Checkpoint::open(&stage.base).unwrap();
    let initial = Adapter::zeros(checkpoint.config(), &settings.lora).unwrap().random_a(11);
    TuneJob {
        base: stage.base.clone(),
        train: stage.train.clone().into(),
        held_out: stage.held_out.clone().into(),
        settings,
        initial: Some(initial.to_peft("stories656k", None).unwrap()),
    }
}

#[test]
fn two_hundred_steps_have_the_losses_of_peft() {
    compare("two_hundred_steps_have_the_losses_of_peft", Precision::F32, 1e-4);
}

/// Products of rounded numbers, which is how training is done by default.
#[test]
fn two_hundred_rounded_steps_have_the_losses_of_peft() {
    compare("two_hundred_rounded_steps_have_the_losses_of_peft", Precision::Bf16, 0.01);
}

fn compare(test: &str, precision: Precision, most: f32) {
    let Some(stage) = stage(test, 400) else { return };
    let expected: Losses = serde_json::from_str(include_str!("../../testdata/peft.json")).unwrap();
    let mut job = job(&stage);
    job.settings.precision = precision;
    let mut owner = Owner::default();
    let TuneOutcome::Finished(tuned) = AdapterTuner.tune(&job, None, &mut owner).unwrap() else {
        panic!("it was not interrupted")
    };
    // Before the first step only held-out text was looked at.
    let steps: Vec<_> = owner.steps.iter().filter(|step| step.step > 0).collect();
    assert_eq!((expected.train.len(), steps.len()), (STEPS as usize, STEPS as usize));
    let mut worst = 0.0f32;
    for (step, expected) in steps.iter().zip(&expected.train) {
        let difference = (step.loss / expected - 1.0).abs();
        worst = worst.max(difference);
        assert!(difference < most, "step {}: {}, not {expected}", step.step, step.loss);
    }
    let (before, after) = (tuned.held_out_before.unwrap(), tuned.held_out_after.unwrap());
    println!(
        "{test}: {} to {}, held out {before} to {after}, peft {} to {}; at most {:.4} % apart",
        steps[0].loss,
        steps[199].loss,
        expected.held_out_before,
        expected.held_out_after,
        100.0 * worst
    );
    assert!((before / expected.held_out_before - 1.0).abs() < 1e-3);
    assert!((after / expected.held_out_after - 1.0).abs() < most);
    assert!(after < before - 0.8, "{before} {after}");
}

/// Writes the job to the folder `HEARTH_PEFT_JOB`, for `testdata/peft.sh`.
#[test]
#[ignore = "writes the job that the expected losses are made from"]
fn the_job_for_peft_is_written() {
    let Some(folder) = env::var_os("HEARTH_PEFT_JOB") else { return };
    let Some(stage) = stage("the_job_for_peft_is_written", 400) else { return };
    AdapterTuner.export_job(&job(&stage), Path::new(&folder)).unwrap();
}
