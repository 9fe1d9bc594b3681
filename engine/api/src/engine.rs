//! The thread that owns the model, and the handle to it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    AdapterError, AdapterFile, AdapterSlot, Backend, EngineError, GenerateEvent, GenerateRequest,
    Generated, LoadError, LoadOptions, MemoryEstimate, ModelInfo, Priority, Prompt,
};

mod queue;
#[cfg(test)]
mod tests;
mod thread;

use queue::{Asked, Job, Queue};

/// Requests that may wait before new ones are refused.
const QUEUE_LIMIT: usize = 4096;
/// Events beside one a token: the start, and blocks of the prompt.
const OTHER_EVENTS: usize = 1024;
/// Events a slow reader may leave lying at most before generation waits for it.
const EVENT_LIMIT: usize = 1 << 18;

/// Ends the thread when the last handle is gone.
struct Owner {
    queue: Arc<Queue>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the engine thread panicked");
        }
    }
}

/// Handle to the thread that owns the model. Cheap to clone; the thread ends with the last clone.
///
/// Requests run side by side. One that is interactive waits at most for the step under way before its own turn comes;
/// background ones wait for one another in order, as many running at once as the model finds useful.
#[derive(Clone)]
pub struct Engine {
    queue: Arc<Queue>,
    /// Interactive generations that somebody still waits for.
    answering: Arc<AtomicUsize>,
    _owner: Arc<Owner>,
}

impl Engine {
    /// Starts the owner thread, with no model loaded.
    ///
    /// # Errors
    /// Where the system cannot start a thread.
    pub fn start(backend: impl Backend) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let for_thread = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("hearth-engine".into())
            .stack_size(16 << 20)
            .spawn(move || thread::run(&backend, &for_thread))?;
        let owner = Arc::new(Owner { queue: Arc::clone(&queue), thread: Some(thread) });
        Ok(Self { queue, answering: Arc::default(), _owner: owner })
    }

    /// Reads a model file's headers.
    ///
    /// # Errors
    /// [`LoadError`] where the file is absent, damaged or unsupported.
    pub async fn inspect(
        &self,
        path: PathBuf,
        options: LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError> {
        let (reply, answer) = oneshot::channel();
        self.push(Job::Inspect(path, options, reply));
        answer.await.unwrap_or(Err(LoadError::EngineGone))
    }

    /// Loads a model in place of the one that is there, once what runs has ended. Progress in 0..=1 goes to `progress`; set `cancel` to break off.
    ///
    /// # Errors
    /// [`LoadError`]; the former model stays where the new one fails.
    pub async fn load(
        &self,
        path: PathBuf,
        options: LoadOptions,
        progress: mpsc::Sender<f32>,
        cancel: Arc<AtomicBool>,
    ) -> Result<ModelInfo, LoadError> {
        let (reply, answer) = oneshot::channel();
        self.push(Job::Load(path, options, progress, cancel, reply));
        answer.await.unwrap_or(Err(LoadError::EngineGone))
    }

    /// Drops the loaded model and its cache, ahead of everything that waits; what waits is answered as without a model,
    /// and what runs ends first.
    pub async fn unload(&self) {
        let (reply, answer) = oneshot::channel();
        self.queue.push_first(Job::Unload(reply));
        answer.await.ok();
    }

    /// Makes an adapter ready for the loaded model's requests, in place of one that `slot` may hold. Another model that is
    /// loaded has none.
    ///
    /// # Errors
    /// [`AdapterError`], `NoModel` where none is loaded; the slot is as it was then.
    pub async fn add_adapter(
        &self,
        slot: AdapterSlot,
        file: AdapterFile,
    ) -> Result<(), AdapterError> {
        let (reply, answer) = oneshot::channel();
        self.push(Job::AddAdapter(slot, file, reply));
        answer.await.unwrap_or(Err(AdapterError::EngineGone))
    }

    /// Forgets an adapter. Requests that run with it run on with it; those that still wait are refused.
    pub async fn remove_adapter(&self, slot: AdapterSlot) {
        let (reply, answer) = oneshot::channel();
        self.push(Job::RemoveAdapter(slot, reply));
        answer.await.ok();
    }

    /// The loaded model, if any.
    pub async fn info(&self) -> Option<ModelInfo> {
        let (reply, answer) = oneshot::channel();
        self.push(Job::Info(reply));
        answer.await.ok().flatten()
    }

    /// Length of a prompt in the loaded model's tokens.
    ///
    /// # Errors
    /// [`EngineError::NoModel`], or the template's refusal.
    pub async fn count_tokens(
        &self,
        prompt: Prompt,
        priority: Priority,
    ) -> Result<u32, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job::CountTokens(prompt, reply), priority);
        answer.await.unwrap_or(Err(EngineError::EngineGone))
    }

    /// See [`LanguageModel::split`].
    ///
    /// # Errors
    /// [`EngineError::NoModel`], or `Invalid` where `max_tokens` is 0.
    pub async fn split(
        &self,
        text: String,
        max_tokens: u32,
        priority: Priority,
    ) -> Result<Vec<String>, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job::Split(text, max_tokens, reply), priority);
        answer.await.unwrap_or(Err(EngineError::EngineGone))
    }

    /// Queues a request.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] where the queue is full. Everything else is told by [`Generation::finish`].
    pub fn generate(&self, request: GenerateRequest) -> Result<Generation, EngineError> {
        let waiting = self.queue.waiting();
        if waiting >= QUEUE_LIMIT {
            return Err(EngineError::Overloaded { waiting });
        }
        // Room for the whole answer, taken only as it comes: a reader that never reads holds up nobody.
        let room = (request.max_tokens as usize).saturating_add(OTHER_EVENTS).min(EVENT_LIMIT);
        let (events, event_receiver) = mpsc::channel(room);
        let (done, answer) = oneshot::channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let priority = request.priority;
        let asked = Asked { request, events, cancel: Arc::clone(&cancel), done };
        self.queue.push(Job::Generate(Box::new(asked)), priority);
        let answering =
            (priority == Priority::Interactive).then(|| Answering::new(&self.answering));
        Ok(Generation { events: event_receiver, answer, cancel, _answering: answering })
    }

    /// Whether an interactive request waits or runs: other heavy work had better wait.
    pub fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed) > 0
    }

    fn push(&self, job: Job) {
        self.queue.push(job, Priority::Interactive);
    }
}

/// A request under way. Dropping it cancels the work at the next token.
pub struct Generation {
    events: mpsc::Receiver<GenerateEvent>,
    answer: oneshot::Receiver<Result<Generated, EngineError>>,
    cancel: Arc<AtomicBool>,
    _answering: Option<Answering>,
}

/// Counts an interactive generation for as long as it is held.
struct Answering(Arc<AtomicUsize>);

impl Answering {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Generation {
    /// The next step; `None` when the work has ended and [`Generation::finish`] will answer at once.
    pub async fn next(&mut self) -> Option<GenerateEvent> {
        self.events.recv().await
    }

    /// [`Generation::next`], for waiting for several at once.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<GenerateEvent>> {
        self.events.poll_recv(context)
    }

    /// Setting this ends the work at the next token, as `Cancelled`.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// Waits for the end, passing over events not yet read.
    ///
    /// # Errors
    /// Whatever stopped the request; see [`EngineError`].
    pub async fn finish(mut self) -> Result<Generated, EngineError> {
        while self.events.recv().await.is_some() {}
        (&mut self.answer).await.unwrap_or(Err(EngineError::EngineGone))
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}
