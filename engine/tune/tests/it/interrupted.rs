//! Pauses, with a real model and a real adapter at the end.

use hearth_engine_api::{
    AdapterFile, Budget, Checkpoint, LoraSettings, TuneError, TuneJob, TuneOutcome, TuneSettings,
    Tuner,
};
use hearth_engine_tune::AdapterTuner;

use crate::data::{Owner, settings, stage};

fn adapter(outcome: TuneOutcome) -> Option<AdapterFile> {
    match outcome {
        TuneOutcome::Finished(tuned) => Some(tuned.adapter),
        TuneOutcome::Paused => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_paused_over_and_over_gives_the_same_file() {
    let Some(stage) = stage("a_run_paused_over_and_over_gives_the_same_file", 40) else { return };
    let job = TuneJob {
        base: stage.base.join("gguf/stories656k-q8_0.gguf"),
        train: stage.train.into(),
        held_out: stage.held_out.into(),
        settings: TuneSettings {
            lora: LoraSettings { dropout: 0.1, ..TuneSettings::default().lora },
            budget: Budget::Steps(6),
            evaluations: 1,
            accumulation: 2,
            batch_tokens: 512,
            ..settings()
        },
        initial: None,
    };
    let mut whole = Owner::default();
    let expected = adapter(AdapterTuner.tune(&job, None, &mut whole).unwrap()).unwrap();
    let mut checkpoint: Option<Checkpoint> = None;
    let mut pauses = 0;
    let paused = loop {
        // Another number of threads and activations made anew: neither may change a bit.
        let settings = TuneSettings {
            threads: Some(1 + pauses as usize % 2),
            recompute: Some(pauses % 3 == 1),
            ..job.settings.clone()
        };
        let job = TuneJob { settings, ..job.clone() };
        let mut owner = Owner { pause_at: Some(whole.breaths / 4 + pauses), ..Owner::default() };
        let outcome = AdapterTuner.tune(&job, checkpoint.as_ref(), &mut owner).unwrap();
        checkpoint = owner.checkpoint;
        if let Some(adapter) = adapter(outcome) {
            break adapter;
        }
        pauses += 1;
        assert!(pauses < 50, "it never ends");
    };
    assert!(pauses >= 3, "{pauses}");
    assert!(paused.weights == expected.weights);

    let other =
        TuneJob { settings: TuneSettings { learning_rate: 1e-3, ..job.settings.clone() }, ..job };
    let error = AdapterTuner.tune(&other, checkpoint.as_ref(), &mut Owner::default()).unwrap_err();
    assert!(matches!(error, TuneError::Checkpoint { .. }), "{error}");
}
