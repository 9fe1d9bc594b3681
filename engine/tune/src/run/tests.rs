use std::collections::BTreeSet;

use hearth_engine_api::{LoraSettings, Target, TuneObserver};
use hearth_engine_candle::models::DecoderConfig;

use super::*;
use crate::{
    data::tests::piece,
    learner::{Batch, Breathe},
};

mod bigrams;
mod interrupted;

use bigrams::Bigrams;

const JOB: &str = "a job";

fn settings() -> TuneSettings {
    TuneSettings {
        lora: LoraSettings {
            rank: 3,
            alpha: 6.0,
            rslora: false,
            dropout: 0.2,
            targets: BTreeSet::from([Target::Q]),
        },
        sequence_tokens: 6,
        batch_tokens: 12,
        accumulation: 2,
        learning_rate: 0.1,
        evaluations: 2,
        checkpoint_secs: 1e9,
        seed: 5,
        ..TuneSettings::default()
    }
}

/// Sentences of a language in which each token follows from the one before.
fn sentences(count: usize, first: u32) -> Vec<Piece> {
    let sentence = |i: usize| {
        let mut ids = vec![(first + i as u32 * 3) % bigrams::VOCAB];
        for _ in 0..3 + i % 3 {
            ids.push((ids[ids.len() - 1] * 3 + 1) % bigrams::VOCAB);
        }
        piece(i, &ids)
    };
    (0..count).map(sentence).collect()
}

/// Writes down what it is told and does as it was told.
#[derive(Default)]
struct Owner {
    breaths: u32,
    /// The breath at which it wants something else than to go on.
    stop: Option<(u32, Directive)>,
    steps: Vec<StepReport>,
    checkpoints: Vec<Checkpoint>,
    full: bool,
}

impl TuneObserver for Owner {
    fn breathe(&mut self) -> Directive {
        self.breaths += 1;
        match self.stop {
            Some((at, directive)) if self.breaths >= at => directive,
            _ => Directive::GoOn,
        }
    }

    fn on_step(&mut self, step: &StepReport) {
        self.steps.push(*step);
    }

    fn on_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), String> {
        self.checkpoints.push(checkpoint.clone());
        if self.full { Err("the disk is full".into()) } else { Ok(()) }
    }
}

/// Runs to the end that `owner` gives it; the adapter as it is then.
fn run(
    settings: &TuneSettings,
    resume: Option<&Checkpoint>,
    owner: &mut Owner,
) -> Result<(End, Adapter), TuneError> {
    let (pieces, held_out) = (sentences(20, 0), sentences(7, 1));
    let plan = Plan { steps: 9, evaluations: settings.evaluations, held_out: 7 };
    let course = Course::endless(&pieces, settings);
    let material = Material { train: &pieces, held_out: &held_out, settings, job: JOB, course };
    let mut learner = Bigrams::new(&settings.lora);
    let end = train(&mut learner, material, plan, resume, &mut Watch::new(owner))?;
    Ok((end, learner.adapter().clone()))
}

#[test]
fn losses_fall_and_are_told() {
    let mut owner = Owner::default();
    let (end, _) = run(&settings(), None, &mut owner).unwrap();
    let End::Finished(figures) = end else { panic!("{end:?}") };
    let (before, after) = (figures.held_out_before.unwrap(), figures.held_out_after.unwrap());
    assert!((before - (bigrams::VOCAB as f32).ln()).abs() < 1e-5, "{before}");
    assert!(after < before - 0.3, "{before} {after}");
    assert_eq!(figures.steps, 9);
    let steps: Vec<u32> = owner.steps.iter().map(|step| step.step).collect();
    assert_eq!(steps, (0..=9).collect::<Vec<_>>());
    let looked: Vec<u32> = owner
        .steps
        .iter()
        .filter(|step| step.held_out_loss.is_some())
        .map(|step| step.step)
        .collect();
    assert_eq!(looked, [0, 3, 6, 9]);
    assert_eq!(owner.steps[0].held_out_loss, Some(before));
    assert_eq!((owner.steps[0].loss, owner.steps[0].tokens), (owner.steps[1].loss, 0));
    assert_eq!(owner.steps[9].held_out_loss, Some(after));
    assert_eq!(owner.steps[9].tokens, figures.tokens);
    assert_eq!(owner.steps[9].secs_left, 0.0);
    assert_eq!(figures.best_step, 9);
    assert_eq!(owner.checkpoints.iter().map(|c| c.step).collect::<Vec<_>>(), [0, 9]);
}

/// Sentences in which about every second token does not follow: being sure of the others costs more and more.
fn muddled(count: usize) -> Vec<Piece> {
    let muddle = |piece_of: &Piece| {
        let mut ids = piece_of.parts().0.to_vec();
        ids[2] = (ids[2] + 1) % bigrams::VOCAB;
        piece(piece_of.example, &ids)
    };
    sentences(count, 0).iter().map(muddle).collect()
}

#[test]
fn what_made_it_worse_is_not_given() {
    let settings = settings();
    let (pieces, held_out) = (sentences(20, 0), muddled(7));
    let run = |steps, evaluations, resume: Option<&Checkpoint>, owner: &mut Owner| {
        let plan = Plan { steps, evaluations, held_out: 7 };
        let course = Course::endless(&pieces, &settings);
        let material =
            Material { train: &pieces, held_out: &held_out, settings: &settings, job: JOB, course };
        let mut learner = Bigrams::new(&settings.lora);
        let end = train(&mut learner, material, plan, resume, &mut Watch::new(owner)).unwrap();
        (end, learner.adapter().clone())
    };
    let mut whole = Owner::default();
    let (end, adapter) = run(30, 29, None, &mut whole);
    let End::Finished(figures) = end else { panic!("{end:?}") };
    let looks: Vec<f32> = whole.steps[1..].iter().filter_map(|step| step.held_out_loss).collect();
    let lowest = looks.iter().copied().fold(f32::INFINITY, f32::min);
    let best = looks.iter().position(|loss| *loss == lowest).unwrap() as u32 + 1;
    assert!((2..25).contains(&best), "{looks:?}");
    assert_eq!((figures.best_step, figures.held_out_after), (best, Some(lowest)));
    // The last numbers are those of the run; what it gives are the best ones.
    let last = whole.checkpoints.last().unwrap();
    let mut again = Owner::default();
    let (end, resumed) = run(30, 29, Some(last), &mut again);
    assert_eq!(end, End::Finished(Figures { secs: secs(&end), ..figures }));
    let bits = |adapter: &Adapter| -> Vec<u32> {
        adapter.parameters().flatten().map(|number| number.to_bits()).collect()
    };
    assert!(bits(&resumed) == bits(&adapter));
    let mut stopped =
        Owner { stop: Some((whole.breaths - 5, Directive::Pause)), ..Owner::default() };
    let (end, _) = run(30, 29, None, &mut stopped);
    assert_eq!(end, End::Paused);
    let (_, resumed) = run(30, 29, stopped.checkpoints.last(), &mut Owner::default());
    assert!(bits(&resumed) == bits(&adapter));
}

fn secs(end: &End) -> f64 {
    let End::Finished(figures) = end else { panic!("{end:?}") };
    figures.secs
}

#[test]
fn looks_are_spread_over_the_run() {
    let plan = |steps, evaluations| Plan { steps, evaluations, held_out: 1 };
    let looks = |plan: Plan| (1..=plan.steps).filter(|s| plan.looks_after(*s)).collect::<Vec<_>>();
    assert_eq!(looks(plan(10, 0)), [10]);
    assert_eq!(looks(plan(100, 3)), [25, 50, 75, 100]);
    assert_eq!(looks(plan(2, 10)), [1, 2]);
    for (steps, evaluations) in [(10, 0), (100, 3), (2, 10), (7, 2), (1, 1), (13, 12)] {
        let plan = plan(steps, evaluations);
        for step in 0..=steps {
            let left = looks(plan).into_iter().filter(|look| *look > step).count();
            assert_eq!(plan.looks_left(step) as usize, left, "{steps} {evaluations} {step}");
        }
    }
}

/// The gradient is of the mean over all learnt tokens of a step, however these are divided among batches.
#[test]
fn accumulation_does_not_change_what_a_step_is() {
    let whole = TuneSettings {
        lora: LoraSettings { dropout: 0.0, ..settings().lora },
        sequence_tokens: 5,
        batch_tokens: 10,
        accumulation: 1,
        shuffle: false,
        pack: false,
        ..settings()
    };
    let parts = TuneSettings { batch_tokens: 5, accumulation: 2, ..whole.clone() };
    let pieces = vec![piece(0, &[1, 2, 3, 4, 5, 6]), piece(1, &[3, 4, 0]), piece(2, &[5, 1, 1])];
    let losses = |settings: &TuneSettings| {
        let course = Course::epochs(&pieces, settings, 1.0);
        let material = Material { train: &pieces, held_out: &[], settings, job: JOB, course };
        let plan = Plan { steps: 1, evaluations: 0, held_out: 0 };
        let mut learner = Bigrams::new(&settings.lora);
        let mut owner = Owner::default();
        train(&mut learner, material, plan, None, &mut Watch::new(&mut owner)).unwrap();
        (owner.steps[0], learner.adapter().clone())
    };
    let ((one, first), (two, second)) = (losses(&whole), losses(&parts));
    assert_eq!((one.tokens, two.tokens), (9, 9));
    assert!((one.loss - two.loss).abs() < 1e-6);
    assert!((one.gradient_norm - two.gradient_norm).abs() < 1e-6);
    for (a, b) in first.parameters().flatten().zip(second.parameters().flatten()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn nothing_held_out_is_no_loss() {
    let (settings, pieces) = (settings(), sentences(4, 0));
    let course = Course::endless(&pieces, &settings);
    let material =
        Material { train: &pieces, held_out: &[], settings: &settings, job: JOB, course };
    let plan = Plan { steps: 2, evaluations: 5, held_out: 0 };
    let mut owner = Owner::default();
    let mut learner = Bigrams::new(&settings.lora);
    let end = train(&mut learner, material, plan, None, &mut Watch::new(&mut owner)).unwrap();
    let End::Finished(figures) = end else { panic!("{end:?}") };
    assert_eq!((figures.held_out_before, figures.held_out_after), (None, None));
}

#[test]
fn a_loss_that_is_no_number_ends_the_run() {
    let settings = TuneSettings { learning_rate: f32::MAX, clip_norm: 0.0, ..settings() };
    let error = run(&settings, None, &mut Owner::default()).unwrap_err();
    assert!(matches!(error, TuneError::Diverged { step: 2.. }), "{error}");
}

#[test]
fn a_state_that_cannot_be_kept_ends_the_run() {
    let error = run(&settings(), None, &mut Owner { full: true, ..Owner::default() }).unwrap_err();
    assert_eq!(error.to_string(), "the run's state could not be saved: the disk is full");
}
