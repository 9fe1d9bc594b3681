//! Telling work under way to stop.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// Set once, seen by threads through the flag and by tasks through [`Cancel::cancelled`].
#[derive(Clone, Default)]
pub(crate) struct Cancel {
    flag: Arc<AtomicBool>,
    notify: Arc<Notify>,
}

impl Cancel {
    pub(crate) fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }

    /// Whether nobody else has it: the work is over.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.notify) == 1
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// The flag itself, for work below this floor that polls one.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    pub(crate) async fn cancelled(&self) {
        // Made before the flag is read, so that a cancel in between is not missed.
        let notified = self.notify.notified();
        if !self.is_cancelled() {
            notified.await;
        }
    }
}
