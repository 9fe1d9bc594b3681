//! Ctrl-C: the first stops the running command, the second the program.

use std::sync::{Mutex, OnceLock, PoisonError};

use hearth_session::{Command, SessionHandle, Ticket};

use crate::render;

/// What the next Ctrl-C stops.
static RUNNING: Mutex<Option<(SessionHandle, Ticket)>> = Mutex::new(None);
static WATCH: OnceLock<()> = OnceLock::new();

/// Stops this command at the next Ctrl-C, until dropped.
pub(crate) struct Guard;

impl Guard {
    pub(crate) fn new(handle: &SessionHandle, ticket: Ticket) -> Self {
        WATCH.get_or_init(watch);
        set(Some((handle.clone(), ticket)));
        Self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        set(None);
    }
}

fn set(running: Option<(SessionHandle, Ticket)>) {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = running;
}

fn take() -> Option<(SessionHandle, Ticket)> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Starts listening. Where the system does not let us, Ctrl-C ends the program as it does any other.
fn watch() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let listen = move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                match take() {
                    Some((handle, ticket)) if handle.send(Command::Cancel(ticket)).is_ok() => {
                        render::note("Stopping; press Ctrl-C again to quit at once.");
                    }
                    _ => std::process::exit(1),
                }
            }
        });
    };
    std::thread::Builder::new().name("hearth-interrupt".into()).spawn(listen).ok();
}
