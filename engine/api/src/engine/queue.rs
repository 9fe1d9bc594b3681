//! What waits for the engine's thread, and what it takes up next.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    AdapterError, AdapterFile, AdapterSlot, EngineError, GenerateEvent, GenerateRequest, Generated,
    LoadError, LoadOptions, MemoryEstimate, ModelInfo, Priority, Prompt,
};

pub(super) type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// Text that background jobs may have counted or cut between two steps of running requests.
const BETWEEN_STEPS_BYTES: usize = 64 << 10;

pub(super) enum Job {
    Inspect(PathBuf, LoadOptions, Reply<(ModelInfo, MemoryEstimate), LoadError>),
    Load(PathBuf, LoadOptions, mpsc::Sender<f32>, Arc<AtomicBool>, Reply<ModelInfo, LoadError>),
    Unload(oneshot::Sender<()>),
    Info(oneshot::Sender<Option<ModelInfo>>),
    AddAdapter(AdapterSlot, AdapterFile, Reply<(), AdapterError>),
    RemoveAdapter(AdapterSlot, oneshot::Sender<()>),
    CountTokens(Prompt, Reply<u32, EngineError>),
    Split(String, u32, Reply<Vec<String>, EngineError>),
    Generate(Box<Asked>),
}

/// A request and those who wait for its answer.
pub(super) struct Asked {
    pub(super) request: GenerateRequest,
    pub(super) events: mpsc::Sender<GenerateEvent>,
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) done: Reply<Generated, EngineError>,
}

impl Job {
    /// Whether the model must have come to rest before it.
    const fn exchanges_model(&self) -> bool {
        matches!(self, Self::Load(..) | Self::Unload(_))
    }

    /// Text it has counted or cut.
    fn text_bytes(&self) -> usize {
        match self {
            Self::CountTokens(Prompt::Chat(messages), _) => {
                messages.iter().map(|message| message.content.len()).sum()
            }
            Self::CountTokens(Prompt::Text(text), _) | Self::Split(text, _, _) => text.len(),
            _ => 0,
        }
    }
}

#[derive(Default)]
struct Queues {
    /// Everything but what is done in the background, in order.
    foreground: VecDeque<Job>,
    /// Counting and cutting in the background.
    short: VecDeque<Job>,
    /// Generation in the background.
    background: VecDeque<Asked>,
    closed: bool,
}

impl Queues {
    fn close(&mut self) {
        self.closed = true;
        // Dropping the jobs drops their reply channels, which is how waiters learn of it.
        self.foreground.clear();
        self.short.clear();
        self.background.clear();
    }
}

/// Jobs on their way to the thread.
#[derive(Default)]
pub(super) struct Queue {
    queues: Mutex<Queues>,
    wake: Condvar,
}

/// What the thread does next.
pub(super) enum Turn {
    Perform(Job),
    /// Let the running requests go on.
    Step,
    /// Nothing more will come.
    Over,
}

/// What the thread has taken up.
#[derive(Default)]
pub(super) struct Load {
    /// Requests that run.
    pub(super) running: usize,
    /// Of these, those in the background.
    pub(super) background: usize,
    /// Requests in the background that may run at once.
    pub(super) most_background: usize,
    /// Text counted and cut since the last step.
    pub(super) text_bytes: usize,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests and everything else that waits.
    pub(super) fn waiting(&self) -> usize {
        let queues = self.lock();
        queues.foreground.len() + queues.short.len() + queues.background.len()
    }

    pub(super) fn push(&self, job: Job, priority: Priority) {
        self.put(|queues| match (job, priority) {
            (job, Priority::Interactive) => queues.foreground.push_back(job),
            (Job::Generate(asked), Priority::Background) => queues.background.push_back(*asked),
            (job, Priority::Background) => queues.short.push_back(job),
        });
    }

    /// Ahead of everything that waits.
    pub(super) fn push_first(&self, job: Job) {
        self.put(|queues| queues.foreground.push_front(job));
    }

    /// Where the thread has ended the job is dropped, and with it its reply channel.
    fn put(&self, put: impl FnOnce(&mut Queues)) {
        let mut queues = self.lock();
        if !queues.closed {
            put(&mut queues);
        }
        drop(queues);
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().close();
        self.wake.notify_all();
    }

    /// What to do next; waits where there is nothing.
    pub(super) fn next(&self, load: &Load) -> Turn {
        let mut queues = self.lock();
        loop {
            let idle = load.running == 0;
            match queues.foreground.front() {
                // Nothing new is begun meanwhile.
                Some(job) if job.exchanges_model() && !idle => return Turn::Step,
                Some(_) => {
                    if let Some(job) = queues.foreground.pop_front() {
                        return Turn::Perform(job);
                    }
                }
                None => {}
            }
            let room = |job: &Job| {
                idle || load.text_bytes == 0
                    || load.text_bytes.saturating_add(job.text_bytes()) <= BETWEEN_STEPS_BYTES
            };
            if queues.short.front().is_some_and(room)
                && let Some(job) = queues.short.pop_front()
            {
                return Turn::Perform(job);
            }
            if (idle || load.background < load.most_background)
                && let Some(asked) = queues.background.pop_front()
            {
                return Turn::Perform(Job::Generate(Box::new(asked)));
            }
            if !idle {
                return Turn::Step;
            }
            if queues.closed {
                return Turn::Over;
            }
            queues = self.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Load {
    /// Counts what a job has counted or cut.
    pub(super) fn note(&mut self, job: &Job) {
        self.text_bytes = self.text_bytes.saturating_add(job.text_bytes());
    }
}
