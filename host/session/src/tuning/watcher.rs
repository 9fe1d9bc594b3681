//! The session's side of a run: lets others go first, keeps what must not be lost, shows how it goes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_engine_api::{Checkpoint, Directive, StepReport, TuneObserver};
use hearth_vault::TuneStep;

use super::{RunState, RunView, TuneRules, Wait};
use crate::{Event, Power, msg::Change, task::Task};

/// How long a run that waits sleeps before it looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often battery and heat are looked at: the system's word costs a few reads of small files.
const FEEL_EVERY: Duration = Duration::from_secs(5);
/// How often a run that goes well is painted, and its steps are written down.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// Watches one run, on its thread.
pub(super) struct Watcher<'a> {
    task: &'a Task,
    rules: TuneRules,
    shown: RunView,
    painted: Instant,
    felt: Option<(Instant, Power)>,
    /// Steps that are not written down yet.
    fresh: Vec<TuneStep>,
    /// Seconds of work in earlier sittings, and when this one began.
    worked: (f32, Instant),
    /// Of this sitting, seconds spent waiting.
    waited: Duration,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(task: &'a Task, rules: TuneRules, shown: RunView) -> Self {
        let secs = shown.steps.last().map_or(0.0, |step| step.secs);
        Self {
            task,
            rules,
            shown,
            painted: Instant::now(),
            felt: None,
            fresh: Vec::new(),
            worked: (secs, Instant::now()),
            waited: Duration::ZERO,
        }
    }

    /// Paints the run as being in `state`.
    pub(super) fn show(&mut self, state: RunState) {
        self.shown.state = state;
        self.painted = Instant::now();
        let done = self.shown.steps.last().map_or(0, |step| step.step);
        let share = self.shown.total_steps.map(|total| done as f32 / total.max(1) as f32);
        let stamp = self.task.ctx.stamp();
        self.task.show(stamp, Change::Job(self.task.ticket, share, String::new()));
        self.task.show(stamp, Change::Run(self.shown.clone()));
    }

    /// The run as it was last.
    pub(super) fn into_view(self) -> RunView {
        self.shown
    }

    /// Writes down the steps that are not written down yet.
    pub(super) fn flush(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        // The plot would have a gap; the run itself is not harmed.
        if let Err(error) = self.task.vault().add_steps(self.shown.id, &self.fresh) {
            tracing::warn!(%error, "steps of a run could not be written down");
        }
        self.fresh.clear();
    }

    fn reason_to_wait(&mut self) -> Option<Wait> {
        if self.task.ctx.engine.is_answering() {
            return Some(Wait::Chat);
        }
        if self.rules.on_battery && self.rules.hottest_celsius.is_none() {
            return None;
        }
        let power = match self.felt {
            Some((at, power)) if at.elapsed() < FEEL_EVERY => power,
            _ => {
                let power = (self.task.ctx.config.power)();
                self.felt = Some((Instant::now(), power));
                power
            }
        };
        if power.on_battery && !self.rules.on_battery {
            return Some(Wait::Battery);
        }
        let limit = self.rules.hottest_celsius?;
        power.celsius.is_some_and(|celsius| celsius > limit).then_some(Wait::Heat)
    }
}

impl TuneObserver for Watcher<'_> {
    fn breathe(&mut self) -> Directive {
        loop {
            if self.task.cancel.is_cancelled() {
                return Directive::Pause;
            }
            let Some(wait) = self.reason_to_wait() else {
                if matches!(self.shown.state, RunState::Waiting(_) | RunState::Preparing) {
                    self.show(RunState::Running);
                }
                return Directive::GoOn;
            };
            if self.shown.state != RunState::Waiting(wait) {
                self.show(RunState::Waiting(wait));
            }
            std::thread::sleep(LOOK_EVERY);
            self.waited += LOOK_EVERY;
        }
    }

    fn on_step(&mut self, report: &StepReport) {
        let (before, since) = self.worked;
        let step = TuneStep {
            step: report.step,
            loss: report.loss,
            held_out_loss: report.held_out_loss,
            learning_rate: report.learning_rate,
            gradient_norm: report.gradient_norm,
            tokens: report.tokens,
            tokens_per_sec: report.tokens_per_sec,
            secs: before + since.elapsed().saturating_sub(self.waited).as_secs_f32(),
        };
        let steps = Arc::make_mut(&mut self.shown.steps);
        // What is done again after an interruption is shown once.
        steps.truncate(steps.partition_point(|known| known.step < step.step));
        steps.push(step);
        self.shown.total_steps = Some(report.steps);
        self.shown.secs_left = Some(report.secs_left);
        self.fresh.push(step);
        if self.painted.elapsed() >= SHOW_EVERY || step.held_out_loss.is_some() {
            self.flush();
            self.show(RunState::Running);
            self.task.report(&Event::Trained {
                ticket: self.task.ticket,
                run: self.shown.id,
                step,
                total_steps: report.steps,
                secs_left: report.secs_left,
            });
        }
    }

    fn on_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), String> {
        self.flush();
        self.task
            .vault()
            .put_checkpoint(self.shown.id, checkpoint.step, &checkpoint.bytes)
            .map_err(|error| error.to_string())
    }
}

/// Heeds nothing but cancelling: for work that is no run.
pub(super) struct Bystander<'a>(pub(super) &'a Task);

impl TuneObserver for Bystander<'_> {
    fn breathe(&mut self) -> Directive {
        loop {
            if self.0.cancel.is_cancelled() {
                return Directive::Cancel;
            }
            if !self.0.ctx.engine.is_answering() {
                return Directive::GoOn;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn on_step(&mut self, _step: &StepReport) {}

    fn on_checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<(), String> {
        Ok(())
    }
}
