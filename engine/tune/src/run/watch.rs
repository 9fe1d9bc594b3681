//! The run's owner, as the arithmetic sees them, and the time that is theirs and not the run's.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use hearth_engine_api::{Checkpoint, Directive, StepReport, TuneError, TuneObserver};

/// Asks the observer and keeps the time.
pub(crate) struct Watch<'a> {
    observer: &'a mut dyn TuneObserver,
    /// What was asked for last; anything but `GoOn` stays.
    directive: Directive,
    began: Instant,
    /// Time in which the observer held the work up.
    held_up: Duration,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(observer: &'a mut dyn TuneObserver) -> Self {
        Self {
            observer,
            directive: Directive::GoOn,
            began: Instant::now(),
            held_up: Duration::ZERO,
        }
    }

    /// Whether to go on.
    pub(crate) fn breathe(&mut self) -> ControlFlow<()> {
        if self.directive == Directive::GoOn {
            let asked = Instant::now();
            self.directive = self.observer.breathe();
            self.held_up += asked.elapsed();
        }
        match self.directive {
            Directive::GoOn => ControlFlow::Continue(()),
            Directive::Pause | Directive::Cancel => ControlFlow::Break(()),
        }
    }

    /// What was asked for last.
    pub(crate) const fn directive(&self) -> Directive {
        self.directive
    }

    /// Seconds of work since the watch was made.
    pub(crate) fn worked_secs(&self) -> f64 {
        self.began.elapsed().saturating_sub(self.held_up).as_secs_f64()
    }

    pub(crate) fn tell(&mut self, step: &StepReport) {
        let asked = Instant::now();
        self.observer.on_step(step);
        self.held_up += asked.elapsed();
    }

    pub(crate) fn keep(&mut self, checkpoint: &Checkpoint) -> Result<(), TuneError> {
        self.observer.on_checkpoint(checkpoint).map_err(|reason| TuneError::Keeping { reason })
    }
}
