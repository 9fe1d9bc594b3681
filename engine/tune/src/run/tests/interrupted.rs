//! However a run is interrupted, it comes to the same end.

use super::*;

/// Everything that must not depend on interruptions.
fn result(end: End, adapter: &Adapter) -> (Vec<u32>, u32, u64, Option<u32>, Option<u32>) {
    let End::Finished(figures) = end else { panic!("{end:?}") };
    let bits = adapter.parameters().flatten().map(|number| number.to_bits()).collect();
    let Figures { steps, tokens, held_out_before, held_out_after, .. } = figures;
    (bits, steps, tokens, held_out_before.map(f32::to_bits), held_out_after.map(f32::to_bits))
}

fn told(step: &StepReport) -> (u32, u32, Option<u32>, u32, u64) {
    let held_out = step.held_out_loss.map(f32::to_bits);
    (step.step, step.loss.to_bits(), held_out, step.gradient_norm.to_bits(), step.tokens)
}

#[test]
fn a_pause_at_any_breath_changes_nothing() {
    let settings = settings();
    let mut whole = Owner::default();
    let (end, adapter) = run(&settings, None, &mut whole).unwrap();
    let expected = result(end, &adapter);
    let steps: Vec<_> = whole.steps.iter().map(told).collect();
    assert!(whole.breaths > 200);
    for breath in 1..=whole.breaths {
        let mut first = Owner { stop: Some((breath, Directive::Pause)), ..Owner::default() };
        let (end, _) = run(&settings, None, &mut first).unwrap();
        assert_eq!(end, End::Paused, "{breath}");
        let checkpoint = first.checkpoints.pop().unwrap();
        let mut second = Owner::default();
        let (end, adapter) = run(&settings, Some(&checkpoint), &mut second).unwrap();
        assert!(result(end, &adapter) == expected, "paused at {breath}");
        let both: Vec<_> = first.steps.iter().chain(&second.steps).map(told).collect();
        assert_eq!(both, steps, "paused at {breath}");
    }
}

#[test]
fn a_run_goes_on_from_every_checkpoint_it_ever_kept() {
    let settings = TuneSettings { checkpoint_secs: 0.0, ..settings() };
    let mut whole = Owner::default();
    let (end, adapter) = run(&settings, None, &mut whole).unwrap();
    let expected = result(end, &adapter);
    assert_eq!(whole.checkpoints.len(), 11);
    for checkpoint in &whole.checkpoints {
        let mut owner = Owner::default();
        let (end, adapter) = run(&settings, Some(checkpoint), &mut owner).unwrap();
        assert!(result(end, &adapter) == expected, "killed after step {}", checkpoint.step);
        let start = u32::from(checkpoint.step == 0);
        assert_eq!(owner.steps.len() as u32, 9 - checkpoint.step + start);
    }
}

#[test]
fn a_run_paused_over_and_over_comes_to_the_same_end() {
    let settings = settings();
    let (end, adapter) = run(&settings, None, &mut Owner::default()).unwrap();
    let expected = result(end, &adapter);
    let mut checkpoint = None;
    for pauses in 0..1000 {
        // Long enough for a step, and of another length each time.
        let stop = Some((40 + pauses * 7 % 20, Directive::Pause));
        let mut owner = Owner { stop, ..Owner::default() };
        let (end, adapter) = run(&settings, checkpoint.as_ref(), &mut owner).unwrap();
        if matches!(end, End::Finished(_)) {
            assert!(pauses > 3, "{pauses}");
            return assert!(result(end, &adapter) == expected);
        }
        checkpoint = owner.checkpoints.pop();
    }
    panic!("it never ends");
}

#[test]
fn a_cancelled_run_ends_at_once() {
    let mut owner = Owner { stop: Some((100, Directive::Cancel)), ..Owner::default() };
    let (end, _) = run(&settings(), None, &mut owner).unwrap();
    assert_eq!((end, owner.breaths), (End::Cancelled, 100));
}

#[test]
fn other_runs_checkpoints_are_refused() {
    let mut owner = Owner { stop: Some((100, Directive::Pause)), ..Owner::default() };
    run(&settings(), None, &mut owner).unwrap();
    let checkpoint = owner.checkpoints.pop().unwrap();
    assert!(Standing::read(&checkpoint, JOB).is_ok());
    let refused = |checkpoint: &Checkpoint, job: &str| {
        let error = Standing::read(checkpoint, job).unwrap_err();
        assert!(matches!(error, TuneError::Checkpoint { .. }), "{error}");
    };
    refused(&checkpoint, "another job");
    for bytes in [0, 7, 100, checkpoint.bytes.len() - 1] {
        refused(&Checkpoint { step: 0, bytes: checkpoint.bytes[..bytes].to_vec() }, JOB);
    }
    let other = LoraSettings { rank: 2, ..settings().lora };
    let mut learner = Bigrams::new(&other);
    let mut optimizer = AdamW::new(learner.adapter());
    let error = restore(&checkpoint, learner.adapter_mut(), &mut optimizer).unwrap_err();
    assert!(matches!(error, TuneError::Checkpoint { .. }), "{error}");
}
