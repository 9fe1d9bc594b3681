//! Waiting for another thread: look, then yield, then sleep.
use super::Sleeper;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// The pause between two operations of a pass over a model is shorter than this.
const LOOK: Duration = Duration::from_micros(60);
/// What lies between two passes (choosing a token, turning it to text) mostly is.
const YIELD: Duration = Duration::from_micros(400);

/// Returns once `ready` is true. Whoever makes it true calls [`Sleeper::wake`] on `own` afterwards. Both sides order their
/// store before their load (`SeqCst`), so that either this thread sees it ready or the other sees this one asleep.
pub(super) fn wait_until(own: &Sleeper, ready: impl Fn() -> bool) {
    for _ in 0..64 {
        if ready() {
            return;
        }
        std::hint::spin_loop();
    }
    let start = Instant::now();
    loop {
        if ready() {
            return;
        }
        let waited = start.elapsed();
        if waited < LOOK {
            for _ in 0..16 {
                std::hint::spin_loop();
            }
        } else if waited < YIELD {
            thread::yield_now();
        } else {
            break;
        }
    }
    *own.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
    own.asleep.store(true, Ordering::SeqCst);
    while !ready() {
        thread::park();
    }
    own.asleep.store(false, Ordering::SeqCst);
}

impl Sleeper {
    pub(super) fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner)
        {
            thread.unpark();
        }
    }
}
