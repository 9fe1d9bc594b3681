//! Child processes: an empty environment, pipes for everything, and no survivor.

use std::{
    io::{self, Read},
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How much of what a child says on stderr is kept.
const MAX_STDERR_BYTES: usize = 4 << 10;
/// How long the last words of a child that is gone are waited for.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(200);
/// How often the end of a child is looked for.
const LOOK: Duration = Duration::from_millis(1);

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

    /// How it ended, if it does so in time.
    pub(crate) fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let since = Instant::now();
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if since.elapsed() < limit => thread::sleep(LOOK),
                _ => return None,
            }
        }
    }
}

/// Whether a process was ended for a system call it may not make.
pub(crate) fn broke_the_rules(status: ExitStatus) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        status.signal() == Some(rustix::process::Signal::SYS.as_raw())
    }
    #[cfg(not(unix))]
    {
        let ExitStatus { .. } = status;
        false
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
pub(crate) struct Stderr {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stderr {
    /// Reads it all on a thread of its own, so that the child never blocks on it, and keeps the beginning.
    pub(crate) fn capture(pipe: Option<ChildStderr>) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&kept);
        let reader = thread::Builder::new().name("plugin stderr".into()).spawn(move || {
            let Some(mut pipe) = pipe else { return };
            let mut chunk = [0; 1024];
            while let Ok(n @ 1..) = pipe.read(&mut chunk) {
                let mut bytes = keeping.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_STDERR_BYTES.saturating_sub(bytes.len());
                bytes.extend(chunk.iter().take(n.min(room)));
            }
        })?;
        Ok(Self { kept, reader })
    }

    /// What was said, in one line that is safe to show. Waits at most `limit` for the pipe to be closed: somebody else may
    /// hold it open.
    pub(crate) fn words_within(&self, limit: Duration) -> String {
        let since = Instant::now();
        while !self.reader.is_finished() && since.elapsed() < limit {
            thread::sleep(LOOK);
        }
        let bytes = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        text.trim().escape_debug().take(400).collect()
    }
}
