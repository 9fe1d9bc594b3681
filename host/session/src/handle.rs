//! Starting a session, and the handle shells hold.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hearth_engine_api::{Backend, Engine};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Command, Config, Event, Events, Reply, Ticket, UserError, VaultState, View,
    event_loop::EventLoop, events::Hub, msg::Msg, task::Ctx,
};

/// Commands and reports that may wait for the event loop.
const MESSAGE_LIMIT: usize = 512;
/// Blocking vault and plugin work at once.
const BLOCKING_THREADS: usize = 24;

/// Called after each change of the view, from any thread. Must not block.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// The session takes no more commands for the moment; ask again shortly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Hearth is busy")]
pub struct Busy;

/// A running session: owns the runtime, the event loop and the engine. Dropping it locks the vault and joins them.
pub struct Session {
    handle: SessionHandle,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Session {
    /// Starts a session with a locked vault.
    ///
    /// # Errors
    /// Where the system cannot start threads.
    pub fn start(config: Config, backend: impl Backend, waker: Waker) -> Result<Self, UserError> {
        let threads = |error: std::io::Error| {
            UserError::system(format!("Cannot start threads: {error}."), "Close other programs.")
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("hearth-session")
            .enable_time()
            .build()
            .map_err(threads)?;
        let engine = Engine::start(backend).map_err(threads)?;
        let (post, messages) = mpsc::channel(MESSAGE_LIMIT);
        let hub = Hub::default();
        let ctx =
            Arc::new(Ctx::new(config, engine, hub.clone(), post.clone(), runtime.handle().clone()));
        let first = View {
            vault: if !ctx.config.in_memory_vault && ctx.dir.exists() {
                VaultState::Locked
            } else {
                VaultState::Absent
            },
            vault_path: ctx.config.vault_dir.clone(),
            ..View::default()
        };
        let view = Arc::new(ArcSwap::from_pointee(first.clone()));
        let event_loop = EventLoop::new(Arc::clone(&ctx), first, Arc::clone(&view), waker);
        runtime.spawn(event_loop.run(messages));
        let handle = SessionHandle { ctx, view };
        Ok(Self { handle, runtime: Some(runtime) })
    }

    /// A handle; cheap to clone.
    pub fn handle(&self) -> SessionHandle {
        self.handle.clone()
    }

    /// Locks the vault, stops all work and joins every thread.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let (done, ended) = oneshot::channel();
        if self.handle.ctx.post.blocking_send(Msg::Shutdown(done)).is_ok() {
            // The sender is dropped, not used, when all is locked.
            ended.blocking_recv().ok();
        }
        drop(runtime);
    }
}

/// Sends commands, reads the view, hears events.
#[derive(Clone)]
pub struct SessionHandle {
    ctx: Arc<Ctx>,
    view: Arc<ArcSwap<View>>,
}

impl SessionHandle {
    /// Sends a command. Never blocks. Its end comes as [`Event::Done`] or [`Event::Failed`] with the ticket returned.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub fn send(&self, command: Command) -> Result<Ticket, Busy> {
        let ticket = self.ctx.next_ticket();
        self.ctx.post.try_send(Msg::Command(ticket, command)).map(|()| ticket).map_err(|_full| Busy)
    }

    /// From the next unlocking on, the default model is loaded when it is first needed rather than at once: for shells
    /// that come for one command.
    pub fn load_model_when_asked(&self) {
        self.ctx.model_when_asked.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    /// Everything there is to show, as of now.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Events from now on.
    pub fn events(&self) -> Events {
        self.ctx.hub.subscribe(false)
    }

    /// Sends a command and keeps every event from then on, for shells without a window. May wait for room in the
    /// queue; must not be called from a task.
    ///
    /// # Errors
    /// Where the session has ended.
    pub fn start(&self, command: Command) -> Result<Pending, UserError> {
        let events = self.ctx.hub.subscribe(true);
        let ticket = self.ctx.next_ticket();
        self.ctx
            .post
            .blocking_send(Msg::Command(ticket, command))
            .map_err(|_closed| UserError::internal("The session has ended."))?;
        Ok(Pending { ticket, events, runtime: self.ctx.runtime.clone() })
    }

    /// Sends a command and waits for its end, telling `on_event` everything in between.
    ///
    /// # Errors
    /// What the command failed with.
    pub fn run(
        &self,
        command: Command,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Reply, UserError> {
        self.start(command)?.wait(on_event)
    }
}

/// A command under way, of which nothing is missed.
pub struct Pending {
    ticket: Ticket,
    events: Events,
    runtime: tokio::runtime::Handle,
}

impl Pending {
    /// For cancelling it.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Waits for its end, telling `on_event` everything in between. Must not be called from a task.
    ///
    /// # Errors
    /// What the command failed with.
    pub fn wait(mut self, on_event: &mut dyn FnMut(&Event)) -> Result<Reply, UserError> {
        loop {
            match self.runtime.block_on(self.events.next()) {
                Event::Done { ticket, reply } if ticket == self.ticket => return Ok(reply),
                Event::Failed { ticket, error } if ticket == self.ticket => return Err(error),
                event => on_event(&event),
            }
        }
    }
}
