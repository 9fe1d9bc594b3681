//! How fast a run is, lately.

use std::collections::VecDeque;

/// Steps that "lately" means.
const STEPS: usize = 16;

/// Speed of the last steps, without what was done between them.
pub(super) struct Pace {
    /// Tokens and seconds of each.
    steps: VecDeque<(usize, f64)>,
    /// When the last thing was done.
    since_secs: f64,
    /// What the last look at the held-out examples took.
    look_secs: f64,
}

impl Pace {
    pub(super) const fn new(now_secs: f64) -> Self {
        Self { steps: VecDeque::new(), since_secs: now_secs, look_secs: 0.0 }
    }

    /// A step begins.
    pub(super) const fn go_on(&mut self, now_secs: f64) {
        self.since_secs = now_secs;
    }

    /// A step has ended.
    pub(super) fn stepped(&mut self, tokens: usize, now_secs: f64) {
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back((tokens, now_secs - self.since_secs));
        self.since_secs = now_secs;
    }

    /// The held-out examples were looked at.
    pub(super) const fn looked(&mut self, secs: f64) {
        self.look_secs = secs;
    }

    pub(super) fn tokens_per_sec(&self) -> f32 {
        let tokens: usize = self.steps.iter().map(|(tokens, _)| tokens).sum();
        (tokens as f64 / self.secs().max(f64::EPSILON)) as f32
    }

    /// What so many steps and looks take.
    pub(super) fn secs_left(&self, steps: u32, looks: u32) -> f32 {
        let step = self.secs() / self.steps.len().max(1) as f64;
        (step * f64::from(steps) + self.look_secs * f64::from(looks)) as f32
    }

    fn secs(&self) -> f64 {
        self.steps.iter().map(|(_, secs)| secs).sum()
    }
}
