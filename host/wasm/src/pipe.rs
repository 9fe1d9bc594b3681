//! Frames to and from a runner: bounded, with a deadline, and taken in turns.
//!
//! A runner speaks once for each thing it is told, and never out of turn; one that does is not listening and is ended.
//! On a Unix the pipes are read and written by who asks; other systems cannot wait for a pipe with a deadline, so there
//! two threads stand between.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use hearth_base::FrameError;

#[cfg(unix)]
mod direct;
#[cfg(test)]
mod tests;
#[cfg(any(not(unix), test))]
mod threads;

#[cfg(unix)]
pub(crate) use direct::Pipe;
#[cfg(not(unix))]
pub(crate) use threads::Pipe;

/// Longest frame a runner may send. A guest's call carries 1 MiB at most; the rest is for its wrapping.
pub(crate) const MAX_FRAME_BYTES: u32 = (1 << 20) + (64 << 10);
/// How often cancellation is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Why no frame was sent or received. The pipe is of no use afterwards.
#[derive(Debug)]
pub(crate) enum PipeError {
    /// It broke, or what came over it was no frame.
    Frame(FrameError),
    /// The runner spoke before it was its turn.
    OutOfTurn,
    TimedOut,
    Cancelled,
}

impl From<FrameError> for PipeError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// The time a runner has left. Only waiting for it counts.
pub(crate) struct Clock {
    left: Duration,
}

impl Clock {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { left: limit }
    }
}

/// One wait for a runner, charged to its clock when it is over.
pub(crate) struct Wait<'a> {
    clock: &'a mut Clock,
    cancel: &'a AtomicBool,
    since: Instant,
}

impl<'a> Wait<'a> {
    pub(crate) fn begin(clock: &'a mut Clock, cancel: &'a AtomicBool) -> Self {
        Self { clock, cancel, since: Instant::now() }
    }

    /// How long to sleep before looking again.
    fn nap(&self) -> Result<Duration, PipeError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(PipeError::Cancelled);
        }
        let left = self.clock.left.saturating_sub(self.since.elapsed());
        if left.is_zero() { Err(PipeError::TimedOut) } else { Ok(left.min(LOOK)) }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.clock.left = self.clock.left.saturating_sub(self.since.elapsed());
    }
}
