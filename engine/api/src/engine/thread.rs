//! The thread that owns the model.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::queue::{Asked, Job, Load, Queue, Reply, Turn};
use crate::{
    AdapterError, Backend, EngineError, GenerateEvent, Generated, LanguageModel, Priority, Report,
    RequestId,
};

/// Closes the queue however the thread ends, so that nobody waits for an answer that never comes.
struct CloseOnExit<'a>(&'a Queue);

impl Drop for CloseOnExit<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

pub(super) fn run(backend: &dyn Backend, queue: &Queue) {
    let _close = CloseOnExit(queue);
    let mut owner =
        Owner { backend, model: None, running: BTreeMap::new(), next_id: 0, load: Load::default() };
    loop {
        let turn = queue.next(&owner.load);
        if matches!(turn, Turn::Over) {
            return;
        }
        // Model files are hostile input to the libraries that read and run them. A panic costs the job and all that
        // runs, whose waiters are told so by their dropped channels, and the model, whose state nobody vouches for;
        // never the thread.
        let done = catch_unwind(AssertUnwindSafe(|| match turn {
            Turn::Perform(job) => owner.perform(job),
            Turn::Step => owner.step(),
            Turn::Over => {}
        }));
        if done.is_err() {
            tracing::error!("a model panicked and was unloaded");
            owner.model = None;
            owner.running.clear();
        }
        owner.count();
    }
}

/// Those who wait for a running request.
struct Waiter {
    events: mpsc::Sender<GenerateEvent>,
    cancel: std::sync::Arc<AtomicBool>,
    done: Reply<Generated, EngineError>,
    background: bool,
}

impl Waiter {
    fn tell(&self, event: GenerateEvent) -> ControlFlow<()> {
        let gone = match self.events.try_send(event) {
            Ok(()) => false,
            // How far the reading is matters only while somebody looks.
            Err(TrySendError::Full(GenerateEvent::Prefill { .. })) => false,
            Err(TrySendError::Full(event)) => self.events.blocking_send(event).is_err(),
            Err(TrySendError::Closed(_)) => true,
        };
        if gone { ControlFlow::Break(()) } else { stop_if(&self.cancel) }
    }
}

struct Owner<'a> {
    backend: &'a dyn Backend,
    model: Option<Box<dyn LanguageModel>>,
    running: BTreeMap<RequestId, Waiter>,
    next_id: u64,
    load: Load,
}

impl Owner<'_> {
    /// A closed reply channel means nobody waits any more, which is no error: hence `.ok()` on the sends.
    fn perform(&mut self, job: Job) {
        self.load.note(&job);
        let model = &mut self.model;
        match job {
            Job::Inspect(path, options, reply) => {
                reply.send(self.backend.inspect(&path, &options)).ok();
            }
            Job::Load(_, _, _, _, reply) if reply.is_closed() => {}
            Job::Load(path, options, progress, cancel, reply) => {
                let loaded = self.backend.load(&path, &options, &mut |share| {
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
            Job::AddAdapter(_, _, reply) if reply.is_closed() => {}
            Job::AddAdapter(slot, file, reply) => {
                let added = match model {
                    Some(model) => model.add_adapter(slot, &file),
                    None => Err(AdapterError::NoModel),
                };
                reply.send(added).ok();
            }
            Job::RemoveAdapter(slot, reply) => {
                if let Some(model) = model {
                    model.remove_adapter(slot);
                }
                reply.send(()).ok();
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
            Job::Generate(asked) => self.begin(*asked),
        }
    }

    fn begin(&mut self, asked: Asked) {
        let Asked { request, events, cancel, done } = asked;
        let Some(model) = &mut self.model else {
            done.send(Err(EngineError::NoModel)).ok();
            return;
        };
        // Withdrawn while it waited: its prompt is not even read.
        if cancel.load(Ordering::Relaxed) {
            done.send(Ok(Generated::cancelled())).ok();
            return;
        }
        let background = request.priority == Priority::Background;
        let id = RequestId(self.next_id);
        self.next_id += 1;
        match model.begin(id, request) {
            Ok(()) => {
                self.running.insert(id, Waiter { events, cancel, done, background });
            }
            Err(error) => {
                done.send(Err(error)).ok();
            }
        }
    }

    fn step(&mut self) {
        let Some(model) = &mut self.model else { return };
        let running = &mut self.running;
        for (id, waiter) in running.iter() {
            if waiter.cancel.load(Ordering::Relaxed) {
                model.cancel(*id);
            }
        }
        model.step(&mut |id, report| match report {
            Report::Event(event) => {
                running.get(&id).map_or(ControlFlow::Break(()), |waiter| waiter.tell(event))
            }
            Report::Ended(result) => {
                if let Some(waiter) = running.remove(&id) {
                    waiter.done.send(result).ok();
                }
                ControlFlow::Continue(())
            }
        });
        self.load.text_bytes = 0;
    }

    fn count(&mut self) {
        self.load.running = self.running.len();
        self.load.background = self.running.values().filter(|waiter| waiter.background).count();
        self.load.most_background = self.model.as_ref().map_or(1, |model| model.most_running());
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
