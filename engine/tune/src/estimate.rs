//! How long a run takes and how much memory, by a few steps of it on this machine.

mod speed;

use hearth_engine_api::{Budget, TuneSettings};

use crate::{
    data::{Course, Piece},
    run::Plan,
};

pub(crate) use speed::Speed;

/// Most of a budget of time that is spent on held-out examples.
const LOOKS_SHARE: f64 = 0.15;
/// However much time there is, no example is read more often: what follows is learning by heart.
const MAX_EPOCHS: f32 = 4.0;
/// Steps whose tokens are counted one by one; more of them are like these.
const COUNTED_STEPS: u32 = 4096;

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
            let left = left
                - looks_secs(&looks, held_out, speed)
                - keeps(left, settings) * speed.keep_secs;
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

/// Seconds that a plan takes: steps, looks at the held-out examples, and keeping what must not be lost.
pub(crate) fn secs(
    plan: &Plan,
    course: &Course<'_>,
    (train, held_out): (&[Piece], &[Piece]),
    settings: &TuneSettings,
    speed: &Speed,
) -> f64 {
    let steps = read_tokens(plan, course, train) / speed.train
        + f64::from(plan.steps) * speed.optimizer_secs;
    let looks = f64::from(plan.looks()) * tokens(&held_out[..plan.held_out]) as f64 / speed.look;
    steps + looks + keeps(steps + looks, settings) * speed.keep_secs
}

/// Tokens that the steps of a plan read.
fn read_tokens(plan: &Plan, course: &Course<'_>, train: &[Piece]) -> f64 {
    let mut course = course.clone();
    let counted = plan.steps.min(COUNTED_STEPS);
    let step = |batches: Vec<Vec<usize>>| -> usize {
        batches.iter().flatten().map(|place| train[*place].tokens()).sum()
    };
    let read: usize = (0..counted).map(|_| step(course.next_step())).sum();
    read as f64 * f64::from(plan.steps) / f64::from(counted.max(1))
}

/// How often a run of so many seconds is kept: when it begins, on the way, and when it ends.
fn keeps(secs: f64, settings: &TuneSettings) -> f64 {
    2.0 + (secs / f64::from(settings.checkpoint_secs).max(1.0)).floor()
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

#[cfg(test)]
mod tests;
