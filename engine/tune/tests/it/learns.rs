//! What is learnt, and what is told of it.

use hearth_engine_api::{AdapterFile, Budget, TuneJob, TuneOutcome, TuneSettings, Tuned, Tuner};
use hearth_engine_tune::AdapterTuner;

use crate::data::{Owner, Stage, settings, stage};

fn finished(job: &TuneJob, owner: &mut Owner) -> Tuned {
    match AdapterTuner.tune(job, None, owner).unwrap() {
        TuneOutcome::Finished(tuned) => tuned,
        other => panic!("{other:?}"),
    }
}

fn job(stage: &Stage, settings: TuneSettings) -> TuneJob {
    TuneJob {
        base: stage.base.clone(),
        train: stage.train.clone().into(),
        held_out: stage.held_out.clone().into(),
        settings,
        initial: None,
    }
}

#[test]
fn a_short_run_lowers_the_loss_of_what_was_held_out() {
    let test = "a_short_run_lowers_the_loss_of_what_was_held_out";
    let Some(stage) = stage(test, 200) else { return };
    let settings = TuneSettings { budget: Budget::Steps(30), ..settings() };
    let job = job(&stage, settings);
    let tuned = finished(&job, &mut Owner::default());
    let (before, after) = (tuned.held_out_before.unwrap(), tuned.held_out_after.unwrap());
    println!("{test}: {before:.3} before, {after:.3} after {} tokens", tuned.tokens);
    assert!(after < before - 0.5, "{before} {after}");

    // The same figures come from evaluating the adapter as it was handed out, and the base alone.
    let mean = |adapter: Option<(&AdapterFile, f32)>| {
        let losses = AdapterTuner
            .evaluate(&job.base, adapter, &job.held_out, &job.settings, &mut Owner::default())
            .unwrap();
        assert_eq!(losses.len(), job.held_out.len());
        let tokens: u64 = losses.iter().map(|loss| loss.tokens).sum();
        (losses.iter().map(|loss| loss.loss).sum::<f64>() / tokens as f64) as f32
    };
    assert!((mean(Some((&tuned.adapter, 1.0))) - after).abs() < 1e-4);
    assert!((mean(Some((&tuned.adapter, 0.0))) - before).abs() < 1e-4);
    assert!((mean(None) - before).abs() < 1e-4);
    let half = mean(Some((&tuned.adapter, 0.5)));
    assert!(after < half && half < before, "{half}");
}

/// Held-out loss falls by a nat in two minutes on two cores, with the settings that are recommended.
#[test]
#[ignore = "takes two minutes"]
fn two_minutes_lower_the_loss_by_a_nat() {
    let test = "two_minutes_lower_the_loss_by_a_nat";
    let Some(stage) = stage(test, usize::MAX) else { return };
    let wishes = TuneSettings {
        budget: Budget::Minutes(1.9),
        sequence_tokens: 256,
        threads: Some(2),
        ..TuneSettings::default()
    };
    let settings = AdapterTuner.recommend(&stage.base, 500_000, &wishes).unwrap();
    let job = job(&stage, settings);
    let estimate = AdapterTuner.estimate(&job, &mut Owner::default()).unwrap();
    println!("{test}: {estimate:?}");
    let began = std::time::Instant::now();
    let mut owner = Owner::default();
    let tuned = finished(&job, &mut owner);
    for step in owner.steps.iter().filter(|step| step.held_out_loss.is_some()) {
        println!("{test}: step {} {:.3} {:?}", step.step, step.loss, step.held_out_loss);
    }
    println!(
        "{test}: {:.1} s, {} steps, {} tokens, {:?} before, {:?} after",
        began.elapsed().as_secs_f32(),
        tuned.steps,
        tuned.tokens,
        tuned.held_out_before,
        tuned.held_out_after
    );
    let (before, after) = (tuned.held_out_before.unwrap(), tuned.held_out_after.unwrap());
    assert!(after <= before - 1.0, "{before} {after}");
}
