//! The thread that owns the model, and the handle to it.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Backend, EngineError, GenerateEvent, GenerateRequest, Generated, LanguageModel, LoadError,
    LoadOptions, MemoryEstimate, ModelInfo, Priority, Prompt,
};

/// Requests that may wait before new ones are refused.
const QUEUE_LIMIT: usize = 4096;
/// Events beside one a token: the start, and blocks of the prompt.
const OTHER_EVENTS: usize = 1024;
/// Events a slow reader may leave lying at most before generation waits for it.
const EVENT_LIMIT: usize = 1 << 18;

type Reply<T, E> = oneshot::Sender<Result<T, E>>;

enum Job {
    Inspect(PathBuf, LoadOptions, Reply<(ModelInfo, MemoryEstimate), LoadError>),
    Load(PathBuf, LoadOptions, mpsc::Sender<f32>, Arc<AtomicBool>, Reply<ModelInfo, LoadError>),
    Unload(oneshot::Sender<()>),
    Info(oneshot::Sender<Option<ModelInfo>>),
    CountTokens(Prompt, Reply<u32, EngineError>),
    Split(String, u32, Reply<Vec<String>, EngineError>),
    Generate {
        request: GenerateRequest,
        events: mpsc::Sender<GenerateEvent>,
        cancel: Arc<AtomicBool>,
        done: Reply<Generated, EngineError>,
    },
}

#[derive(Default)]
struct Queues {
    /// Everything but background generation, in order.
    foreground: VecDeque<Job>,
    /// Background generation.
    background: VecDeque<Job>,
    closed: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    wake: Condvar,
}

/// Ends the thread when the last handle is gone.
struct Owner {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        {
            let mut queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.closed = true;
            // Dropping the jobs drops their reply channels, which is how waiters learn of it.
            queues.foreground.clear();
            queues.background.clear();
        }
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the engine thread panicked");
        }
    }
}

/// Handle to the thread that owns the model. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    _owner: Arc<Owner>,
}

impl Engine {
    /// Starts the owner thread, with no model loaded.
    ///
    /// # Errors
    /// Where the system cannot start a thread.
    pub fn start(backend: impl Backend) -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { queues: Mutex::new(Queues::default()), wake: Condvar::new() });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("hearth-engine".into())
            .stack_size(16 << 20)
            .spawn(move || run(&backend, &for_thread))?;
        let owner = Arc::new(Owner { shared: Arc::clone(&shared), thread: Some(thread) });
        Ok(Self { shared, _owner: owner })
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
        self.push(Job::Inspect(path, options, reply), false);
        answer.await.unwrap_or(Err(LoadError::EngineGone))
    }

    /// Loads a model in place of the one that is there. Progress in 0..=1 goes to `progress`; set `cancel` to break off.
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
        self.push(Job::Load(path, options, progress, cancel, reply), false);
        answer.await.unwrap_or(Err(LoadError::EngineGone))
    }

    /// Drops the loaded model and its cache, ahead of everything that waits; what waits is answered as without a model.
    pub async fn unload(&self) {
        let (reply, answer) = oneshot::channel();
        {
            let mut queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
            if queues.closed {
                return;
            }
            queues.foreground.push_front(Job::Unload(reply));
        }
        self.shared.wake.notify_one();
        answer.await.ok();
    }

    /// The loaded model, if any.
    pub async fn info(&self) -> Option<ModelInfo> {
        let (reply, answer) = oneshot::channel();
        self.push(Job::Info(reply), false);
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
        self.push(Job::CountTokens(prompt, reply), priority == Priority::Background);
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
        self.push(Job::Split(text, max_tokens, reply), priority == Priority::Background);
        answer.await.unwrap_or(Err(EngineError::EngineGone))
    }

    /// Queues a request. Interactive requests go before background ones that wait.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] where the queue is full. Everything else is told by [`Generation::finish`].
    pub fn generate(&self, request: GenerateRequest) -> Result<Generation, EngineError> {
        let waiting = {
            let queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.foreground.len() + queues.background.len()
        };
        if waiting >= QUEUE_LIMIT {
            return Err(EngineError::Overloaded { waiting });
        }
        // Room for the whole answer, taken only as it comes: a reader that never reads holds up nobody.
        let room = (request.max_tokens as usize).saturating_add(OTHER_EVENTS).min(EVENT_LIMIT);
        let (events, event_receiver) = mpsc::channel(room);
        let (done, answer) = oneshot::channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let background = request.priority == Priority::Background;
        self.push(Job::Generate { request, events, cancel: Arc::clone(&cancel), done }, background);
        Ok(Generation { events: event_receiver, answer, cancel })
    }

    fn push(&self, job: Job, background: bool) {
        let mut queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.closed {
            // Dropping the job drops its reply channel, which is how the waiter learns of it.
            return;
        }
        if background {
            queues.background.push_back(job);
        } else {
            queues.foreground.push_back(job);
        }
        drop(queues);
        self.shared.wake.notify_one();
    }
}

/// A request under way. Dropping it cancels the work at the next token.
pub struct Generation {
    events: mpsc::Receiver<GenerateEvent>,
    answer: oneshot::Receiver<Result<Generated, EngineError>>,
    cancel: Arc<AtomicBool>,
}

impl Generation {
    /// The next step; `None` when the work has ended and [`Generation::finish`] will answer at once.
    pub async fn next(&mut self) -> Option<GenerateEvent> {
        self.events.recv().await
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

fn next_job(shared: &Shared) -> Option<Job> {
    let mut queues = shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if queues.closed {
            return None;
        }
        if let Some(job) = queues.foreground.pop_front().or_else(|| queues.background.pop_front()) {
            return Some(job);
        }
        queues = shared.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Closes the queues however the thread ends, so that nobody waits for an answer that never comes.
struct CloseOnExit<'a>(&'a Shared);

impl Drop for CloseOnExit<'_> {
    fn drop(&mut self) {
        let mut queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.closed = true;
        queues.foreground.clear();
        queues.background.clear();
    }
}

fn run(backend: &dyn Backend, shared: &Shared) {
    let _close = CloseOnExit(shared);
    let mut model: Option<Box<dyn LanguageModel>> = None;
    while let Some(job) = next_job(shared) {
        // Model files are hostile input to the libraries that read and run them. A panic costs the job, whose waiter is
        // told so by its dropped channel, and the model, whose state nobody vouches for; never the thread.
        let done = catch_unwind(AssertUnwindSafe(|| perform(backend, &mut model, job)));
        if done.is_err() {
            tracing::error!("a model panicked and was unloaded");
            model = None;
        }
    }
}

/// A closed reply channel means nobody waits any more, which is no error: hence `.ok()` on the sends.
fn perform(backend: &dyn Backend, model: &mut Option<Box<dyn LanguageModel>>, job: Job) {
    match job {
        Job::Inspect(path, options, reply) => {
            reply.send(backend.inspect(&path, &options)).ok();
        }
        Job::Load(_, _, _, _, reply) if reply.is_closed() => {}
        Job::Load(path, options, progress, cancel, reply) => {
            let loaded = backend.load(&path, &options, &mut |share| {
                progress.try_send(share).ok();
                stop_if(&cancel)
            });
            reply
                .send(loaded.map(|new| {
                    let info = new.info().clone();
                    *model = Some(new);
                    info
                }))
                .ok();
        }
        Job::Unload(reply) => {
            *model = None;
            reply.send(()).ok();
        }
        Job::Info(reply) => {
            reply.send(model.as_ref().map(|m| m.info().clone())).ok();
        }
        // Counting and splitting cannot be broken off, so as loads those that nobody waits for are not begun.
        Job::CountTokens(_, reply) if reply.is_closed() => {}
        Job::CountTokens(prompt, reply) => {
            reply.send(with(model.as_deref(), |m| m.count_tokens(&prompt))).ok();
        }
        Job::Split(_, _, reply) if reply.is_closed() => {}
        Job::Split(text, max_tokens, reply) => {
            reply.send(with(model.as_deref(), |m| m.split(&text, max_tokens))).ok();
        }
        Job::Generate { request, events, cancel, done } => {
            let result = match model.as_mut() {
                None => Err(EngineError::NoModel),
                // Withdrawn while it waited: its prompt is not even read.
                Some(_) if cancel.load(Ordering::Relaxed) => Ok(Generated::cancelled()),
                Some(model) => model.generate(&request, &mut |event| {
                    if events.blocking_send(event).is_err() {
                        return ControlFlow::Break(());
                    }
                    stop_if(&cancel)
                }),
            };
            done.send(result).ok();
        }
    }
}

fn stop_if(flag: &AtomicBool) -> ControlFlow<()> {
    if flag.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn with<T>(
    model: Option<&dyn LanguageModel>,
    f: impl FnOnce(&dyn LanguageModel) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    model.map_or(Err(EngineError::NoModel), f)
}
