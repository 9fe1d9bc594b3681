//! Child processes: an empty environment, pipes for everything, and no survivor.

use std::{
    io::{self, Read},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// How much of what a child says on stderr is kept.
const MAX_STDERR_BYTES: u64 = 4 << 10;

/// A child that is killed and reaped when this is dropped.
pub(crate) struct Guarded(pub(crate) Child);

impl Guarded {
    /// Starts a program with pipes for stdin, stdout and stderr.
    pub(crate) fn spawn(program: &Path, args: &[&str]) -> io::Result<Self> {
        Command::new(program)
            .args(args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map(Self)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only where the child is gone already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The beginning of what a child says on stderr.
#[derive(Clone, Default)]
pub(crate) struct Stderr(Arc<Mutex<Vec<u8>>>);

impl Stderr {
    /// Reads it all on a thread of its own, so that the child never blocks on it, and keeps the beginning.
    pub(crate) fn capture(pipe: Option<ChildStderr>) -> io::Result<(Self, thread::JoinHandle<()>)> {
        let said = Self::default();
        let kept = said.clone();
        let thread = thread::Builder::new().name("plugin stderr".into()).spawn(move || {
            let Some(mut pipe) = pipe else { return };
            let mut chunk = [0; 1024];
            while let Ok(n @ 1..) = pipe.read(&mut chunk) {
                let mut bytes = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
                let room = (MAX_STDERR_BYTES as usize).saturating_sub(bytes.len());
                bytes.extend(chunk.iter().take(n.min(room)));
            }
        })?;
        Ok((said, thread))
    }

    /// What was said so far, in one line that is safe to show.
    pub(crate) fn words(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        text.trim().escape_debug().take(400).collect()
    }
}
