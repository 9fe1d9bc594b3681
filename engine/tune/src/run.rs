//! The loop: steps, looks at the held-out examples, checkpoints.
//!
//! Between two steps everything that the rest of the run follows from is in a checkpoint. A step that is broken off has
//! changed nothing, so a pause within it falls back to its beginning.
//!
//! What comes of a run is the adapter as it was when the held-out examples cost least: where reading on made it worse,
//! that is not its last step.

mod checkpoint;
mod pace;
#[cfg(test)]
mod tests;
mod watch;

use std::ops::ControlFlow;

use hearth_engine_api::{Checkpoint, Directive, StepReport, TuneError, TuneSettings};
use hearth_engine_candle::lora::Adapter;
use serde::{Deserialize, Serialize};

use crate::{
    data::{Course, Piece, batch, batches_in_order},
    learner::{Dropout, Learner, mix},
    optimizer::{AdamW, clip},
    schedule::rate,
};

pub(crate) use checkpoint::checkpoint_bytes;
use checkpoint::{Best, Standing, restore, restore_best};
use pace::Pace;
pub(crate) use watch::Watch;

/// What is settled when a run begins, and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Steps of the optimiser.
    pub(crate) steps: u32,
    /// Looks at the held-out examples on the way.
    pub(crate) evaluations: u32,
    /// Held-out pieces that are looked at, the first ones.
    pub(crate) held_out: usize,
}

impl Plan {
    /// Whether the held-out examples are looked at after step `step`.
    fn looks_after(&self, step: u32) -> bool {
        if step >= self.steps {
            return true;
        }
        self.looks_due(step) > self.looks_due(step.saturating_sub(1))
    }

    /// Looks after steps from `step` on, itself not included.
    fn looks_left(&self, step: u32) -> u32 {
        self.looks_due(self.steps).saturating_sub(self.looks_due(step)).min(self.steps - step)
    }

    /// Looks that belong to the first `step` steps: each comes after the step that reaches its share of the way.
    fn looks_due(&self, step: u32) -> u32 {
        let looks = u64::from(self.evaluations) + 1;
        (u64::from(step) * looks / u64::from(self.steps.max(1))) as u32
    }

    /// Looks that the run takes, that at its beginning included.
    pub(crate) fn looks(&self) -> u32 {
        self.looks_left(0) + 1
    }
}

/// Everything that is read.
pub(crate) struct Material<'a> {
    pub(crate) train: &'a [Piece],
    pub(crate) held_out: &'a [Piece],
    pub(crate) settings: &'a TuneSettings,
    /// Tells this job from others.
    pub(crate) job: &'a str,
    /// What is read in which step.
    pub(crate) course: Course<'a>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Finished(Figures),
    Paused,
    Cancelled,
}

/// What a finished run comes to, besides the learner's adapter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) steps: u32,
    pub(crate) tokens: u64,
    pub(crate) secs: f64,
    pub(crate) held_out_before: Option<f32>,
    pub(crate) held_out_after: Option<f32>,
    /// The step after which the adapter was as it is given.
    pub(crate) best_step: u32,
}

/// The plan of the run that `checkpoint` is of.
pub(crate) fn plan_of(checkpoint: &Checkpoint, job: &str) -> Result<Plan, TuneError> {
    Standing::read(checkpoint, job).map(|standing| standing.plan)
}

/// Trains `learner`'s adapter to the end of `plan`, from `resume` on if given.
pub(crate) fn train(
    learner: &mut dyn Learner,
    material: Material<'_>,
    plan: Plan,
    resume: Option<&Checkpoint>,
    watch: &mut Watch<'_>,
) -> Result<End, TuneError> {
    let mut optimizer = AdamW::new(learner.adapter());
    let (standing, best) = match resume {
        Some(checkpoint) => {
            restore(checkpoint, learner.adapter_mut(), &mut optimizer)?;
            let standing = Standing::read(checkpoint, material.job)?;
            let best = standing.has_best().then(|| restore_best(checkpoint, learner.adapter()));
            (standing, best.transpose()?)
        }
        None => (Standing::new(material.job, plan), None),
    };
    let gradients = learner.adapter().zeros_like();
    let pace = Pace::new(watch.worked_secs());
    let secs_before = standing.secs;
    let mut run =
        Run { learner, material, standing, best, optimizer, gradients, pace, watch, secs_before };
    match run.go_on_to_the_end(resume.is_none()) {
        Ok(()) => Ok(End::Finished(run.finished())),
        Err(TuneError::Cancelled) => match run.watch.directive() {
            Directive::Pause => {
                run.keep()?;
                Ok(End::Paused)
            }
            Directive::Cancel | Directive::GoOn => Ok(End::Cancelled),
        },
        Err(error) => Err(error),
    }
}

struct Run<'a, 'w> {
    learner: &'a mut dyn Learner,
    material: Material<'a>,
    standing: Standing,
    /// The adapter as it was when the held-out examples cost least, while there are steps to come.
    best: Option<Adapter>,
    optimizer: AdamW,
    gradients: Adapter,
    pace: Pace,
    watch: &'a mut Watch<'w>,
    /// Seconds of work before this program took the run up.
    secs_before: f64,
}

impl Run<'_, '_> {
    /// `Cancelled` where the watch breaks off; the standing is that of the last whole step then.
    fn go_on_to_the_end(&mut self, fresh: bool) -> Result<(), TuneError> {
        if fresh {
            // What is settled must not be settled again.
            self.keep()?;
        }
        if self.standing.held_out_before.is_none() {
            self.standing.held_out_before = self.held_out_loss(0.0)?;
        }
        for _ in 0..self.standing.step {
            self.material.course.next_step();
        }
        let mut kept_secs = self.watch.worked_secs();
        self.pace.go_on(self.watch.worked_secs());
        self.finish_step()?;
        while self.standing.step < self.standing.plan.steps {
            self.step()?;
            self.finish_step()?;
            let secs = self.watch.worked_secs();
            if secs - kept_secs >= f64::from(self.material.settings.checkpoint_secs) {
                self.keep()?;
                kept_secs = secs;
                self.pace.go_on(self.watch.worked_secs());
            }
        }
        self.keep()
    }

    /// One step of the optimiser.
    fn step(&mut self) -> Result<(), TuneError> {
        let settings = self.material.settings;
        let (done, steps) = (self.standing.step, self.standing.plan.steps);
        if self.watch.breathe().is_break() {
            return Err(TuneError::Cancelled);
        }
        let batches = self.material.course.next_step();
        let pieces = |batch: &[usize]| -> Vec<&Piece> {
            batch.iter().map(|place| &self.material.train[*place]).collect()
        };
        let batches: Vec<Vec<&Piece>> = batches.iter().map(|batch| pieces(batch)).collect();
        let learnt: usize = batches.iter().flatten().map(|piece| piece.learnt_tokens()).sum();
        let tokens: usize = batches.iter().flatten().map(|piece| piece.tokens()).sum();
        self.gradients.parameters_mut().for_each(|numbers| numbers.fill(0.0));
        let mut loss = 0.0;
        for (place, pieces) in batches.into_iter().enumerate() {
            let batch = batch(pieces, 1.0 / learnt as f32);
            let dropout = (settings.lora.dropout > 0.0).then(|| Dropout {
                share: settings.lora.dropout,
                seed: mix(settings.seed ^ mix((u64::from(done) << 32) | place as u64)),
            });
            let breathe = &mut || self.watch.breathe();
            loss += self.learner.backward(&batch, dropout, &mut self.gradients, breathe)?;
        }
        let (gradient_norm, shorten) = clip(&self.gradients, settings);
        if !loss.is_finite() || !gradient_norm.is_finite() {
            return Err(TuneError::Diverged { step: done + 1 });
        }
        let rate = rate(settings, done, steps);
        let at = (done + 1, rate);
        self.optimizer.step(self.learner.adapter_mut(), &self.gradients, shorten, at, settings);
        self.standing.step += 1;
        self.standing.tokens += tokens as u64;
        self.pace.stepped(tokens, self.watch.worked_secs());
        self.standing.untold = Some(StepReport {
            step: done + 1,
            steps,
            loss: loss as f32,
            held_out_loss: None,
            learning_rate: rate as f32,
            gradient_norm,
            tokens: self.standing.tokens,
            tokens_per_sec: self.pace.tokens_per_sec(),
            secs_left: 0.0,
        });
        Ok(())
    }

    /// Looks at the held-out examples where it is time for that, and tells of the step.
    fn finish_step(&mut self) -> Result<(), TuneError> {
        let Some(mut report) = self.standing.untold else { return Ok(()) };
        let plan = self.standing.plan;
        if plan.looks_after(report.step) {
            report.held_out_loss = self.held_out_loss(1.0)?;
            self.remember(report.held_out_loss);
            self.pace.go_on(self.watch.worked_secs());
        }
        if report.step == 1
            && let Some(loss) = self.standing.held_out_before
        {
            self.watch.tell(&start(&report, loss));
        }
        let steps_left = plan.steps - report.step;
        report.secs_left = self.pace.secs_left(steps_left, plan.looks_left(report.step));
        self.standing.untold = None;
        self.watch.tell(&report);
        Ok(())
    }

    /// Takes note of a look after the last step. Of two that are equal the first is the better one: it took less.
    fn remember(&mut self, loss: Option<f32>) {
        let (Some(loss), step) = (loss, self.standing.step) else { return };
        if self.standing.best.is_some_and(|best| best.loss <= loss) {
            return;
        }
        self.standing.best = Some(Best { step, loss });
        if !self.standing.has_best() {
            self.best = None;
            return;
        }
        let adapter = self.learner.adapter();
        let best = self.best.get_or_insert_with(|| adapter.zeros_like());
        copy(adapter, best);
    }

    /// Mean loss of the held-out examples' learnt tokens; `None` where there are none.
    fn held_out_loss(&mut self, strength: f32) -> Result<Option<f32>, TuneError> {
        let pieces = &self.material.held_out[..self.standing.plan.held_out];
        let began = self.watch.worked_secs();
        let mut losses = 0.0;
        let mut tokens = 0usize;
        let breathe = &mut || self.watch.breathe();
        each_loss(
            self.learner,
            pieces,
            self.material.settings,
            strength,
            breathe,
            &mut |_, loss| {
                losses += f64::from(loss);
                tokens += 1;
            },
        )?;
        self.pace.looked(self.watch.worked_secs() - began);
        Ok((tokens > 0).then(|| (losses / tokens as f64) as f32))
    }

    fn keep(&mut self) -> Result<(), TuneError> {
        self.standing.secs = self.secs_before + self.watch.worked_secs();
        let adapter = self.learner.adapter();
        let checkpoint = self.standing.write(adapter, &self.optimizer, self.best.as_ref())?;
        self.watch.keep(&checkpoint)
    }

    /// The learner has the best adapter from then on.
    fn finished(self) -> Figures {
        if let Some(best) = &self.best {
            copy(best, self.learner.adapter_mut());
        }
        let Standing { step, tokens, secs, held_out_before, best, .. } = self.standing;
        Figures {
            steps: step,
            tokens,
            secs,
            held_out_before,
            held_out_after: best.map(|best| best.loss),
            best_step: best.map_or(step, |best| best.step),
        }
    }
}

/// What there is to tell of the time before the first step: its batch was read before anything was learnt.
const fn start(first: &StepReport, held_out_loss: f32) -> StepReport {
    StepReport {
        step: 0,
        held_out_loss: Some(held_out_loss),
        learning_rate: 0.0,
        gradient_norm: 0.0,
        tokens: 0,
        ..*first
    }
}

fn copy(from: &Adapter, to: &mut Adapter) {
    from.parameters().zip(to.parameters_mut()).for_each(|(from, to)| to.copy_from_slice(from));
}

/// Tells `on_loss` each learnt token's piece and loss, in order.
pub(crate) fn each_loss(
    learner: &mut dyn Learner,
    pieces: &[Piece],
    settings: &TuneSettings,
    strength: f32,
    breathe: &mut dyn FnMut() -> ControlFlow<()>,
    on_loss: &mut dyn FnMut(&Piece, f32),
) -> Result<(), TuneError> {
    for places in batches_in_order(pieces, settings) {
        if breathe().is_break() {
            return Err(TuneError::Cancelled);
        }
        let batch = batch(places.iter().map(|place| &pieces[*place]), 1.0);
        let losses = learner.losses(&batch, strength, breathe)?;
        let owners = places.iter().map(|place| &pieces[*place]);
        let owners = owners.flat_map(|piece| std::iter::repeat_n(piece, piece.learnt_tokens()));
        owners.zip(losses).for_each(|(piece, loss)| on_loss(piece, loss));
    }
    Ok(())
}
