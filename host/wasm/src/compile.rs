//! Has a component compiled, in a process that limits itself.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitStatus,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    MAX_COMPONENT_BYTES, Runtime,
    child::{Guarded, LAST_WORDS, Stderr},
};

/// Longest machine code: what fits a frame to the runner.
const MAX_ARTEFACT_BYTES: u64 = (hearth_base::MAX_FRAME_BYTES - 1024) as u64;
/// Exit status of a compiler that the system does not shut in.
const UNCONFINED: i32 = 77;
/// How often cancellation is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Over the limit for components.
    #[error("the plugin is {got_bytes} bytes; at most {limit_bytes} are allowed")]
    TooLarge {
        /// Its length.
        got_bytes: usize,
        /// Longest allowed.
        limit_bytes: usize,
    },
    /// The compiler does not start.
    #[error("the plugin compiler does not start: {source}")]
    Start {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This system does not shut the compiler in as it must be. It read nothing.
    #[error("this system cannot compile plugins safely; {reason}")]
    Unconfined {
        /// Its words.
        reason: String,
    },
    /// The compiler says the component is no good.
    #[error("the plugin does not compile: {reason}")]
    Refused {
        /// Its words.
        reason: String,
    },
    /// The compiler ran out of the time or memory it allows itself.
    #[error("compiling the plugin takes too much time or memory; it may be made to do so")]
    OverLimits,
    /// More machine code than a runner takes.
    #[error("the compiled plugin is over {limit_bytes} bytes")]
    ArtefactTooLarge {
        /// Longest allowed.
        limit_bytes: u64,
    },
    /// The caller changed its mind.
    #[error("compiling was cancelled")]
    Cancelled,
    /// The pipe to the compiler broke, or the artefact could not be kept.
    #[error("compiling failed: {0}")]
    Io(#[from] io::Error),
}

impl Runtime {
    /// Compiles a component. Slow: up to two minutes for a large or hostile one. `cancel` is looked at all along.
    pub(crate) fn compile(
        &self,
        component: &[u8],
        cancel: &AtomicBool,
    ) -> Result<Vec<u8>, CompileError> {
        if component.len() > MAX_COMPONENT_BYTES {
            return Err(CompileError::TooLarge {
                got_bytes: component.len(),
                limit_bytes: MAX_COMPONENT_BYTES,
            });
        }
        self.run_compiler(&[], component.to_vec(), cancel)
    }

    /// A line that changes wherever artefacts of this compiler would not load; asked once.
    pub(crate) fn compatibility(&self, cancel: &AtomicBool) -> Result<&str, CompileError> {
        if let Some(line) = self.compatibility.get() {
            return Ok(line);
        }
        let line = self.run_compiler(&["--compatibility"], Vec::new(), cancel)?;
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        Ok(self.compatibility.get_or_init(|| line))
    }

    fn run_compiler(
        &self,
        args: &[&str],
        input: Vec<u8>,
        cancel: &AtomicBool,
    ) -> Result<Vec<u8>, CompileError> {
        let mut child = Guarded::spawn(&self.compiler, args)
            .map_err(|source| CompileError::Start { path: self.compiler.clone(), source })?;
        let (stdin, stdout) = (child.0.stdin.take(), child.0.stdout.take());
        let said = Stderr::capture(child.0.stderr.take())?;
        thread::Builder::new().name("plugin to compile".into()).spawn(move || {
            // A compiler that refuses early closes its end; what it says then is the error.
            stdin.and_then(|mut pipe| pipe.write_all(&input).ok());
        })?;
        let (send, output) = mpsc::sync_channel(1);
        thread::Builder::new().name("compiled plugin".into()).spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.map(|pipe| pipe.take(MAX_ARTEFACT_BYTES + 1).read_to_end(&mut bytes));
            send.send(read.unwrap_or(Ok(0)).map(|_| bytes)).ok();
        })?;
        let deadline = Instant::now() + self.compile_limit;
        let bytes = wait_for(cancel, deadline, || match output.recv_timeout(LOOK) {
            Ok(output) => Some(output),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(io::ErrorKind::BrokenPipe.into())),
        })??;
        if bytes.len() as u64 > MAX_ARTEFACT_BYTES {
            return Err(CompileError::ArtefactTooLarge { limit_bytes: MAX_ARTEFACT_BYTES });
        }
        // One that has written all it will may still not end.
        let status = wait_for(cancel, deadline, || child.ended_within(LOOK))?;
        if status.success() {
            return Ok(bytes);
        }
        Err(failure(status, said.words_within(LAST_WORDS)))
    }
}

/// Asks again and again, each time for [`LOOK`], until there is an answer.
fn wait_for<T>(
    cancel: &AtomicBool,
    deadline: Instant,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, CompileError> {
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if cancel.load(Ordering::Relaxed) {
            return Err(CompileError::Cancelled);
        }
        if Instant::now() > deadline {
            return Err(CompileError::OverLimits);
        }
    }
}

/// A compiler that says why has refused; one that a signal ended ran into its limits.
fn failure(status: ExitStatus, words: String) -> CompileError {
    if status.code() == Some(UNCONFINED) {
        CompileError::Unconfined { reason: words }
    } else if status.code().is_some() && !words.is_empty() {
        CompileError::Refused { reason: words }
    } else {
        CompileError::OverLimits
    }
}
