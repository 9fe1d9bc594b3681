//! Events on their way to shells: a bounded queue for each subscriber.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::Notify;

use crate::Event;

/// Events a subscriber may leave lying. Beyond that a slow one loses progress reports, which the view holds anyway.
const QUEUE_LIMIT: usize = 4096;

struct Queue {
    items: Mutex<VecDeque<Event>>,
    arrived: Notify,
    left: Notify,
    /// Whoever streams waits for this subscriber rather than drop anything.
    lossless: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends; `false` where there is no room for a mere report of progress.
    fn push(&self, event: Event) -> bool {
        let mut items = self.lock();
        if items.len() >= QUEUE_LIMIT {
            if is_progress(&event) {
                return false;
            }
            // An end is worth more than the oldest report; only a reader that never reads gets here.
            items.pop_front();
        }
        items.push_back(event);
        drop(items);
        self.arrived.notify_one();
        true
    }
}

/// Whether an event only reports progress, as opposed to the end of a command.
fn is_progress(event: &Event) -> bool {
    !matches!(event, Event::Done { .. } | Event::Failed { .. })
}

/// Everybody who listens.
#[derive(Clone, Default)]
pub(crate) struct Hub {
    queues: Arc<Mutex<Vec<Weak<Queue>>>>,
}

impl Hub {
    pub(crate) fn subscribe(&self, lossless: bool) -> Events {
        let queue = Arc::new(Queue {
            items: Mutex::default(),
            arrived: Notify::new(),
            left: Notify::new(),
            lossless,
        });
        self.lock().push(Arc::downgrade(&queue));
        Events { queue }
    }

    /// Tells everybody, at once.
    pub(crate) fn emit(&self, event: &Event) {
        for queue in self.live() {
            queue.push(event.clone());
        }
    }

    /// Tells everybody, waiting for lossless subscribers that are behind.
    pub(crate) async fn stream(&self, event: &Event) {
        for queue in self.live() {
            loop {
                // Made before the push is tried, so that room made in between is not missed.
                let left = queue.left.notified();
                if queue.push(event.clone()) || !queue.lossless {
                    break;
                }
                left.await;
            }
        }
    }

    /// Drops every report not yet read: they may hold private text.
    pub(crate) fn forget_progress(&self) {
        for queue in self.live() {
            queue.lock().retain(|event| !is_progress(event));
            queue.left.notify_waiters();
        }
    }

    fn live(&self) -> Vec<Arc<Queue>> {
        let mut queues = self.lock();
        queues.retain(|queue| queue.strong_count() > 0);
        queues.iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One subscriber's events, in order.
///
/// The queue is bounded: one that is not read loses reports of progress (never the ends of commands), so a shell that
/// paints takes the state from [`crate::SessionHandle::view`].
pub struct Events {
    queue: Arc<Queue>,
}

impl Events {
    /// The next event; waits for one.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.try_next() {
                return event;
            }
            self.queue.arrived.notified().await;
        }
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        let event = self.queue.lock().pop_front()?;
        self.queue.left.notify_waiters();
        Some(event)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // Whoever waits for room must not wait for a reader that is gone.
        self.queue.lock().clear();
        self.queue.left.notify_waiters();
    }
}
