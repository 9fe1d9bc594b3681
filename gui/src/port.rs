//! What the window needs of a session; tests and the gallery stand in for it with made-up views.

use std::sync::Arc;

use hearth_session::{Busy, Command, Event, Events, SessionHandle, Ticket, View};

/// The way to a session. No method may block.
pub trait Port {
    /// Hands a command over.
    ///
    /// # Errors
    /// [`Busy`] where too many commands wait.
    fn send(&mut self, command: Command) -> Result<Ticket, Busy>;

    /// The state to paint.
    fn view(&self) -> Arc<View>;

    /// The next thing that happened, if any.
    fn next_event(&mut self) -> Option<Event>;
}

/// A port to a running session.
pub struct SessionPort {
    handle: SessionHandle,
    events: Events,
}

impl SessionPort {
    /// Listens to a session from now on.
    pub fn new(handle: SessionHandle) -> Self {
        let events = handle.events();
        Self { handle, events }
    }
}

impl Port for SessionPort {
    fn send(&mut self, command: Command) -> Result<Ticket, Busy> {
        self.handle.send(command)
    }

    fn view(&self) -> Arc<View> {
        self.handle.view()
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.try_next()
    }
}
