//! How long a run takes and how much memory, by a few steps of it on this machine.

use std::ops::Range;

use hearth_engine_api::{Budget, TuneError, TuneSettings};

use crate::{
    data::{Course, Piece, batch},
    learner::{Batch, Learner},
    optimizer::AdamW,
    run::{Plan, Watch},
};

/// Tokens of the first, short batches, which say roughly how fast it is.
const FIRST_TOKENS: usize = 64;
/// What is spent on measured batches, about.
const MEASURE_SECS: f64 = 6.0;
/// Measured batches, of which the middle one counts.
const MEASURED: usize = 3;
/// Most of a budget of time that is spent on held-out examples.
const LOOKS_SHARE: f64 = 0.15;
/// However much time there is, no example is read more often: what follows is learning by heart.
const MAX_EPOCHS: f32 = 4.0;

/// How fast a learner is with a job's examples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    /// Tokens a second, there and back.
    pub(crate) train: f64,
    /// Tokens a second, there alone.
    pub(crate) look: f64,
    /// What the optimiser takes in each step.
    pub(crate) optimizer_secs: f64,
}

impl Speed {
    /// Runs a few batches of `train` without a change to the adapter.
    ///
    /// # Errors
    /// [`TuneError::Cancelled`] where the watch breaks off, and whatever the learner fails with.
    pub(crate) fn measure(
        learner: &mut dyn Learner,
        train: &[Piece],
        settings: &TuneSettings,
        watch: &mut Watch<'_>,
    ) -> Result<Self, TuneError> {
        let mut gradients = learner.adapter().zeros_like();
        let mut time = |learner: &mut dyn Learner, batch: &Batch| {
            let began = watch.worked_secs();
            learner.backward(batch, None, &mut gradients, &mut || watch.breathe())?;
            Ok::<f64, TuneError>(watch.worked_secs() - began)
        };
        let mut course = Course::endless(train, settings);
        let mut next =
            || batch(course.next_step().iter().take(1).flatten().map(|p| &train[*p]), 1.0);
        let share = learnt_share(train);
        let first = shortened(&next(), FIRST_TOKENS, share);
        // Pages of the weights come into memory; that is not what the other steps take.
        time(learner, &first)?;
        let roughly = first.ids.len() as f64 / time(learner, &first)?;
        let affordable = (roughly * MEASURE_SECS) as usize;
        let mut measured = Vec::with_capacity(MEASURED);
        let mut spent = 0.0;
        let mut last = first;
        while measured.len() < MEASURED && (measured.is_empty() || spent < MEASURE_SECS) {
            let whole = next();
            last = if whole.ids.len() <= affordable.max(FIRST_TOKENS) {
                whole
            } else {
                shortened(&whole, affordable.max(FIRST_TOKENS), share)
            };
            if measured.is_empty() {
                // Memory for batches of this length is set aside.
                spent += time(learner, &last)?;
            }
            let secs = time(learner, &last)?;
            spent += secs;
            measured.push(last.ids.len() as f64 / secs);
        }
        measured.sort_by(f64::total_cmp);
        let train = measured[measured.len() / 2];
        let began = watch.worked_secs();
        learner.losses(&last, 1.0, &mut || watch.breathe())?;
        let look = last.ids.len() as f64 / (watch.worked_secs() - began);
        let mut trial = learner.adapter().clone();
        let began = watch.worked_secs();
        AdamW::new(&trial).step(&mut trial, &gradients, 0.0, (1, 0.0), settings);
        Ok(Self { train, look, optimizer_secs: watch.worked_secs() - began })
    }
}

/// What a budget comes to, and what is read then. A budget of time needs the speed, and the seconds that are spent already.
pub(crate) fn settle<'a>(
    (train, held_out): (&'a [Piece], &[Piece]),
    settings: &'a TuneSettings,
    speed: Option<&Speed>,
    spent_secs: f64,
) -> (Plan, Course<'a>) {
    let plan = |steps| Plan { steps, evaluations: settings.evaluations, held_out: held_out.len() };
    match (settings.budget, speed) {
        (Budget::Minutes(minutes), Some(speed)) => {
            let left = f64::from(minutes) * 60.0 - spent_secs;
            let (looks, most) = (
                looks(held_out, settings, speed, left),
                Course::epochs(train, settings, MAX_EPOCHS),
            );
            let mut plan = Plan { steps: most.steps().unwrap_or(1), ..looks };
            let step_secs = step_tokens(train, settings) / speed.train + speed.optimizer_secs;
            let left = left - looks_secs(&looks, held_out, speed);
            plan.steps = plan.steps.min((left / step_secs) as u32).max(1);
            (plan, Course::endless(train, settings))
        }
        // The plan is the one that was kept; what is read goes on as long as it does. Without that, which does not happen,
        // one epoch is a modest answer.
        (Budget::Minutes(_), None) => {
            let (plan, _) = by_epochs(train, settings, 1.0, plan);
            (plan, Course::endless(train, settings))
        }
        (Budget::Epochs(epochs), _) => by_epochs(train, settings, epochs, plan),
        (Budget::Steps(steps), _) => (plan(steps), Course::endless(train, settings)),
    }
}

/// Seconds that a plan takes.
pub(crate) fn secs(
    plan: &Plan,
    (train, held_out): (&[Piece], &[Piece]),
    settings: &TuneSettings,
    speed: &Speed,
) -> f64 {
    let step_secs = step_tokens(train, settings) / speed.train + speed.optimizer_secs;
    f64::from(plan.steps) * step_secs
        + f64::from(plan.looks()) * tokens(&held_out[..plan.held_out]) as f64 / speed.look
}

/// Times that a plan reads each example.
pub(crate) fn epochs(plan: &Plan, train: &[Piece], settings: &TuneSettings) -> f32 {
    let read = f64::from(plan.steps) * step_tokens(train, settings);
    (read / tokens(train).max(1) as f64) as f32
}

/// Tokens of `pieces`.
pub(crate) fn tokens(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.tokens() as u64).sum()
}

fn by_epochs<'a>(
    train: &'a [Piece],
    settings: &'a TuneSettings,
    epochs: f32,
    plan: impl Fn(u32) -> Plan,
) -> (Plan, Course<'a>) {
    let course = Course::epochs(train, settings, epochs);
    (plan(course.steps().unwrap_or(1)), course)
}

/// How often the held-out examples are looked at, and how many of them, within their share of a budget of time.
fn looks(held_out: &[Piece], settings: &TuneSettings, speed: &Speed, budget_secs: f64) -> Plan {
    let budget = (budget_secs * LOOKS_SHARE).max(0.0);
    let look_secs = tokens(held_out) as f64 / speed.look;
    let affordable = budget / look_secs.max(f64::EPSILON);
    if affordable >= 2.0 {
        let evaluations = settings.evaluations.min((affordable - 2.0) as u32);
        return Plan { steps: 0, evaluations, held_out: held_out.len() };
    }
    // One at the start and one at the end, of some of them.
    let mut room = budget / 2.0 * speed.look;
    let count = held_out.iter().take_while(|piece| {
        room -= piece.tokens() as f64;
        room >= 0.0
    });
    let held_out = count.count().max(1).min(held_out.len());
    Plan { steps: 0, evaluations: 0, held_out }
}

fn looks_secs(looks: &Plan, held_out: &[Piece], speed: &Speed) -> f64 {
    let look_secs = tokens(&held_out[..looks.held_out]) as f64 / speed.look;
    f64::from(looks.evaluations + 2) * look_secs
}

/// Tokens of a step, on average.
fn step_tokens(train: &[Piece], settings: &TuneSettings) -> f64 {
    let mut course = Course::epochs(train, settings, 1.0);
    let mut batches = 0;
    loop {
        let step = course.next_step();
        if step.is_empty() {
            break;
        }
        batches += step.len();
    }
    let step = f64::from(settings.accumulation.max(1));
    tokens(train) as f64 / f64::from(u32::try_from(batches.max(1)).unwrap_or(u32::MAX)) * step
}

/// Share of the tokens that are learnt.
fn learnt_share(pieces: &[Piece]) -> f64 {
    let learnt: usize = pieces.iter().map(Piece::learnt_tokens).sum();
    learnt as f64 / tokens(pieces).max(1) as f64
}

/// The first `tokens` tokens of a batch, of which `share` are learnt.
fn shortened(batch: &Batch, tokens: usize, share: f64) -> Batch {
    let tokens = tokens.min(batch.ids.len());
    let cut = |sample: &Range<usize>| sample.start..sample.end.min(tokens);
    let samples: Vec<_> =
        batch.samples.iter().map(cut).filter(|sample| !sample.is_empty()).collect();
    let passed = |token: usize| (token as f64 * share) as usize;
    let learnt = |token: usize| passed(token + 1) > passed(token) || token + 1 == tokens;
    Batch {
        ids: batch.ids[..tokens].to_vec(),
        targets: batch.targets[..tokens].to_vec(),
        weights: (0..tokens).map(|token| if learnt(token) { 1.0 } else { 0.0 }).collect(),
        samples,
    }
}

#[cfg(test)]
mod tests;
