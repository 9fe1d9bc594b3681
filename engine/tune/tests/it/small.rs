//! What is quickly told: tokens, estimates, settings, files.

use std::fs;

use hearth_engine_api::{
    AdapterFile, AdapterFormat, Budget, ChatMessage, Example, MergeFormat, Role, TuneError,
    TuneJob, TuneOutcome, TuneSettings, Tuner,
};
use hearth_engine_tune::AdapterTuner;

use crate::data::{Owner, settings, stage, test_data};

#[test]
fn examples_come_to_the_tokens_that_training_reads() {
    let test = "examples_come_to_the_tokens_that_training_reads";
    let Some(base) = test_data(test, "models/stories656k") else { return };
    let examples = [
        Example::Text("Once upon a time there was a little dog.".into()),
        Example::Completion { prompt: "The cat ".into(), completion: "sat down.".into() },
        Example::Chat(vec![
            ChatMessage::new(Role::User, "Who sat?"),
            ChatMessage::new(Role::Assistant, "The cat."),
        ]),
    ];
    let tokens = AdapterTuner.tokens(&base, &examples, &settings()).unwrap();
    let learnt: Vec<String> = tokens
        .iter()
        .map(|tokens| tokens.pieces.iter().filter(|(_, l)| *l).map(|(t, _)| t.as_str()).collect())
        .collect();
    assert!(learnt[0].contains("Once upon a time there was a little dog."), "{learnt:?}");
    assert!(learnt[1].contains("sat down.") && !learnt[1].contains("cat"), "{learnt:?}");
    assert_eq!(learnt[2].trim(), "The cat.\nUser:");
    assert!(tokens.iter().all(|tokens| tokens.learnt <= tokens.tokens && tokens.learnt > 0));
    assert_eq!(tokens[0].learnt, tokens[0].tokens);
}

#[test]
fn jobs_that_cannot_be_are_refused() {
    let Some(stage) = stage("jobs_that_cannot_be_are_refused", 3) else { return };
    let job = |settings: TuneSettings, train: Vec<Example>| TuneJob {
        base: stage.base.clone(),
        train: train.into(),
        held_out: Vec::new().into(),
        settings,
        initial: None,
    };
    let refusal = |job: &TuneJob| AdapterTuner.tune(job, None, &mut Owner::default()).unwrap_err();
    let user = Example::Chat(vec![ChatMessage::new(Role::User, "Nobody answers.")]);
    let error = refusal(&job(settings(), vec![user]));
    assert!(matches!(error, TuneError::NothingToLearn), "{error}");
    for settings in [
        TuneSettings { learning_rate: f32::NAN, ..settings() },
        TuneSettings { budget: Budget::Steps(0), ..settings() },
        TuneSettings { budget: Budget::Epochs(-1.0), ..settings() },
        TuneSettings { sequence_tokens: 1, ..settings() },
        TuneSettings { accumulation: 0, ..settings() },
        TuneSettings { beta2: 1.0, ..settings() },
    ] {
        let error = refusal(&job(settings, stage.train.clone()));
        assert!(matches!(error, TuneError::Setting { .. }), "{error}");
    }
}

#[test]
fn an_estimate_counts_what_a_run_reads() {
    let Some(stage) = stage("an_estimate_counts_what_a_run_reads", 40) else { return };
    let job = TuneJob {
        base: stage.base,
        train: stage.train.into(),
        held_out: stage.held_out.into(),
        settings: TuneSettings { budget: Budget::Epochs(1.0), ..settings() },
        initial: None,
    };
    let estimate = AdapterTuner.estimate(&job, &mut Owner::default()).unwrap();
    assert!(estimate.tokens_per_sec > 0.0 && estimate.secs > 0.0);
    assert!(estimate.memory_bytes > 0 && estimate.weights_bytes > 1 << 20);
    let TuneOutcome::Finished(tuned) =
        AdapterTuner.tune(&job, None, &mut Owner::default()).unwrap()
    else {
        panic!("it was not interrupted")
    };
    assert_eq!((estimate.steps, estimate.tokens), (tuned.steps, tuned.tokens));
    assert!((estimate.epochs - 1.0).abs() < 0.2, "{}", estimate.epochs);
}

#[test]
fn adapters_go_to_files_and_come_back() {
    let Some(stage) = stage("adapters_go_to_files_and_come_back", 10) else { return };
    let base = stage.base.join("gguf/stories656k-f32.gguf");
    let job = TuneJob {
        base: base.clone(),
        train: stage.train.into(),
        held_out: Vec::new().into(),
        settings: TuneSettings { budget: Budget::Steps(2), ..settings() },
        initial: None,
    };
    let TuneOutcome::Finished(tuned) =
        AdapterTuner.tune(&job, None, &mut Owner::default()).unwrap()
    else {
        panic!("it was not interrupted")
    };
    let folder = tempfile::tempdir().unwrap();
    let losses = |adapter: Option<(&AdapterFile, f32)>| {
        let examples = &job.train[..2];
        let owner = &mut Owner::default();
        AdapterTuner.evaluate(&base, adapter, examples, &job.settings, owner).unwrap()
    };
    let expected = losses(Some((&tuned.adapter, 1.0)));
    for (format, name) in [(AdapterFormat::Peft, "peft"), (AdapterFormat::Gguf, "lora.gguf")] {
        let path = folder.path().join(name);
        AdapterTuner.write_adapter(&base, &tuned.adapter, format, &path).unwrap();
        let back = AdapterTuner.read_adapter(&base, &path).unwrap();
        for (one, other) in losses(Some((&back, 1.0))).iter().zip(&expected) {
            assert!((one.loss - other.loss).abs() < 1e-3, "{format:?}");
        }
    }
    let merged = folder.path().join("merged.gguf");
    let mut go_on = |_share: f32| std::ops::ControlFlow::Continue(());
    AdapterTuner
        .merge(&base, &tuned.adapter, (1.0, MergeFormat::Same), &merged, &mut go_on)
        .unwrap();
    let owner = &mut Owner::default();
    let losses = AdapterTuner.evaluate(&merged, None, &job.train[..2], &job.settings, owner);
    for (one, other) in losses.unwrap().iter().zip(&expected) {
        assert!((one.loss - other.loss).abs() < 1e-2 * other.loss, "{} {}", one.loss, other.loss);
    }
    let print = AdapterTuner.fingerprint(&base).unwrap();
    assert_ne!(print.base, AdapterTuner.fingerprint(&merged).unwrap().base);
}

#[test]
fn a_job_is_written_for_peft() {
    let Some(stage) = stage("a_job_is_written_for_peft", 10) else { return };
    let job = TuneJob {
        base: stage.base,
        train: stage.train.into(),
        held_out: stage.held_out.into(),
        settings: TuneSettings { budget: Budget::Epochs(2.0), ..settings() },
        initial: None,
    };
    let folder = tempfile::tempdir().unwrap();
    AdapterTuner.export_job(&job, folder.path()).unwrap();
    let lines = |name: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (train, steps) = (lines("train.jsonl"), lines("steps.jsonl"));
    let mut read = vec![0; train.len()];
    for place in steps.iter().flat_map(|step| step.as_array().unwrap()) {
        read[place.as_u64().unwrap() as usize] += 1;
    }
    assert!(read.iter().all(|times| *times == 2), "{read:?}");
    for piece in &train {
        let (ids, learnt) = (piece["ids"].as_array().unwrap(), piece["learnt"].as_array().unwrap());
        assert_eq!(ids.len(), learnt.len() + 1);
    }
    assert_eq!(lines("held_out.jsonl").len(), 1);
    let settings: TuneSettings = serde_json::from_value(lines("settings.json").remove(0)).unwrap();
    assert_eq!(settings.sequence_tokens, job.settings.sequence_tokens);
    let program = fs::read_to_string(folder.path().join("finetune.py")).unwrap();
    assert!(program.contains("LoraConfig"));
}

/// Rounding to 4 bits takes a part of what the adapter gives; to 8 bits, next to nothing.
#[test]
fn a_merged_model_keeps_what_its_adapter_gives() {
    let Some(stage) = stage("a_merged_model_keeps_what_its_adapter_gives", 60) else { return };
    let base = stage.base.join("gguf/stories656k-q4_0.gguf");
    let job = TuneJob {
        base: base.clone(),
        train: stage.train.into(),
        held_out: Vec::new().into(),
        settings: TuneSettings { budget: Budget::Steps(12), ..settings() },
        initial: None,
    };
    let TuneOutcome::Finished(tuned) =
        AdapterTuner.tune(&job, None, &mut Owner::default()).unwrap()
    else {
        panic!("it was not interrupted")
    };
    let loss = |base: &std::path::Path, adapter: Option<(&AdapterFile, f32)>| {
        let owner = &mut Owner::default();
        let losses =
            AdapterTuner.evaluate(base, adapter, &stage.held_out, &job.settings, owner).unwrap();
        let sum: f64 = losses.iter().map(|example| example.loss).sum();
        sum / losses.iter().map(|example| example.tokens).sum::<u64>() as f64
    };
    let (without, with) = (loss(&base, None), loss(&base, Some((&tuned.adapter, 1.0))));
    let gain = without - with;
    assert!(gain > 0.2, "{without} {with}");
    let folder = tempfile::tempdir().unwrap();
    let merged = |format: MergeFormat| {
        let path = folder.path().join("merged.gguf");
        let mut go_on = |_share: f32| std::ops::ControlFlow::Continue(());
        let done =
            AdapterTuner.merge(&base, &tuned.adapter, (1.0, format), &path, &mut go_on).unwrap();
        assert_eq!(done.bytes, path.metadata().unwrap().len());
        ((loss(&path, None) - with) / gain, done.lost)
    };
    let all = [MergeFormat::Same, MergeFormat::Fine, MergeFormat::Q8, MergeFormat::F16].map(merged);
    println!("of a gain of {gain:.3} nats, lost by format, and rounding: {all:.4?}");
    let [same, fine, q8, f16] = all;
    assert_eq!(fine, q8);
    assert!(fine.0.abs() < 0.02 && f16.0.abs() < 0.02, "{all:?}");
    assert!(fine.0.abs() < same.0.abs(), "{all:?}");
    assert!(f16.1 < fine.1 && 4.0 * fine.1 < same.1, "{all:?}");
}
