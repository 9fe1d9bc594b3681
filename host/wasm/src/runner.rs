//! A running `hearth-runner`, and calls into the plugin it holds.

use std::{
    io::{self, BufReader, BufWriter},
    process::{ChildStdin, ChildStdout},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use hearth_base::{
    FrameError, FromRunner, GuestFailure, HostCall, HostReply, Invocation, RunFault, ToRunner,
    read_frame, write_frame,
};

use crate::{
    Artefact, Runtime,
    child::{Guarded, Stderr},
};

/// Longest frame a runner may send. A guest's call carries 1 MiB at most; the rest is for its wrapping.
const MAX_FRAME_BYTES: u32 = (1 << 20) + (64 << 10);
/// Most host calls in one invocation, whatever the quotas behind [`HostCalls`] say: a refused call is a call too.
const MAX_CALLS: u32 = 1_000_000;
/// How often cancellation is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What answers a guest's calls.
pub trait HostCalls {
    /// Answers one call. It may take as long as it needs; its time is not the guest's.
    fn call(&mut self, call: HostCall) -> HostReply;
}

/// An export has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What the guest says.
    pub result: Result<(), GuestFailure>,
    /// Fuel burnt: deterministic.
    pub fuel: u64,
    /// Hash of the guest's memory at the end.
    pub memory_hash: [u8; 32],
}

/// Why a runner did not start, or a call did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The process does not start.
    #[error("the plugin runner does not start: {0}")]
    Start(#[source] io::Error),
    /// The guest was ended. The runner is fine and takes further calls.
    #[error(transparent)]
    Fault(RunFault),
    /// The caller changed its mind. The runner is gone.
    #[error("the plugin was stopped")]
    Cancelled,
    /// The runner took too long, host calls not counted. It is gone.
    #[error("the plugin ran too long")]
    TimedOut,
    /// The runner sent what makes no sense. It is gone.
    #[error("the plugin runner misbehaved: {0}")]
    Protocol(&'static str),
    /// The runner ended by itself, or was ended before.
    #[error("the plugin runner ended unexpectedly{}{said}", if said.is_empty() { "" } else { ": " })]
    Died {
        /// What it said on stderr.
        said: String,
    },
}

/// A runner with a plugin loaded. Dropping it kills the process.
pub struct RunnerProcess {
    /// `None` once it is gone.
    live: Option<Live>,
    said: Stderr,
    call_limit: Duration,
}

struct Live {
    _child: Guarded,
    to: SyncSender<ToRunner>,
    from: Receiver<Result<FromRunner, FrameError>>,
}

impl Runtime {
    /// Starts a runner and loads a plugin into it.
    ///
    /// # Errors
    /// [`RunError`]: `Fault` where the plugin does not load.
    pub fn start(&self, artefact: &Artefact) -> Result<RunnerProcess, RunError> {
        let mut child = Guarded::spawn(&self.runner, &[]).map_err(RunError::Start)?;
        let (said, _saying) = Stderr::capture(child.0.stderr.take()).map_err(RunError::Start)?;
        let to = writer(child.0.stdin.take()).map_err(RunError::Start)?;
        let from = reader(child.0.stdout.take()).map_err(RunError::Start)?;
        let live = Some(Live { _child: child, to, from });
        let mut runner = RunnerProcess { live, said, call_limit: self.call_limit };
        runner.send(ToRunner::Load(artefact.code.clone()))?;
        let mut clock = Clock::new(runner.call_limit);
        match runner.receive(&mut clock, &AtomicBool::new(false))? {
            FromRunner::Loaded => Ok(runner),
            FromRunner::Fault(fault) => Err(RunError::Fault(fault)),
            _ => Err(runner.end(RunError::Protocol("an answer to a question not asked"))),
        }
    }
}

impl RunnerProcess {
    /// Calls an export in a fresh instance and answers what it asks, until it returns. Setting `cancel` ends the call and
    /// the runner within some 20 ms, or when the host call in progress returns.
    ///
    /// # Errors
    /// [`RunError`]. After anything but `Fault` the runner is gone and every further call is `Died`.
    pub fn invoke(
        &mut self,
        invocation: Invocation,
        host: &mut dyn HostCalls,
        cancel: &AtomicBool,
    ) -> Result<Finished, RunError> {
        let mut clock = Clock::new(self.call_limit);
        self.send(ToRunner::Invoke(invocation))?;
        for _ in 0..MAX_CALLS {
            match self.receive(&mut clock, cancel)? {
                FromRunner::Call(call) => self.send(ToRunner::Reply(host.call(call)))?,
                FromRunner::Done { result, fuel, memory_hash } => {
                    return Ok(Finished { result, fuel, memory_hash });
                }
                FromRunner::Fault(fault) => return Err(RunError::Fault(fault)),
                FromRunner::Loaded => {
                    return Err(self.end(RunError::Protocol("an answer to a question not asked")));
                }
            }
        }
        Err(self.end(RunError::Protocol("calls without end")))
    }

    /// Whether it takes calls.
    pub fn is_alive(&self) -> bool {
        self.live.is_some()
    }

    fn send(&mut self, message: ToRunner) -> Result<(), RunError> {
        let Some(live) = &self.live else { return Err(self.died()) };
        // A message only ever follows an answer to the one before, so there is room, unless the runner speaks again and
        // again without listening.
        match live.to.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                Err(self.end(RunError::Protocol("answers to questions not asked")))
            }
            Err(TrySendError::Disconnected(_)) => {
                let died = self.died();
                Err(self.end(died))
            }
        }
    }

    fn receive(&mut self, clock: &mut Clock, cancel: &AtomicBool) -> Result<FromRunner, RunError> {
        let Some(live) = &self.live else { return Err(self.died()) };
        let waiting = Instant::now();
        let outcome = loop {
            if cancel.load(Ordering::Relaxed) {
                break Err(RunError::Cancelled);
            }
            match live.from.recv_timeout(LOOK) {
                Ok(Ok(frame)) => break Ok(frame),
                Ok(Err(FrameError::TooLong { .. })) => {
                    break Err(RunError::Protocol("a frame over the limit"));
                }
                Ok(Err(FrameError::Malformed)) => {
                    break Err(RunError::Protocol("a frame that is no message"));
                }
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => break Err(self.died()),
                Err(RecvTimeoutError::Timeout) if clock.is_over(waiting) => {
                    break Err(RunError::TimedOut);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        clock.spend(waiting);
        match outcome {
            Ok(_) if clock.is_over(Instant::now()) => Err(self.end(RunError::TimedOut)),
            Ok(frame) => Ok(frame),
            Err(error) => Err(self.end(error)),
        }
    }

    fn died(&self) -> RunError {
        RunError::Died { said: self.said.words() }
    }

    /// Kills the process.
    fn end(&mut self, why: RunError) -> RunError {
        self.live = None;
        why
    }
}

/// The time a runner has left. Only waiting for it counts.
struct Clock {
    left: Duration,
}

impl Clock {
    fn new(limit: Duration) -> Self {
        Self { left: limit }
    }

    fn spend(&mut self, since: Instant) {
        self.left = self.left.saturating_sub(since.elapsed());
    }

    fn is_over(&self, since: Instant) -> bool {
        since.elapsed() >= self.left
    }
}

/// Frames to the child, written by a thread of their own: a child that does not read blocks nobody.
fn writer(pipe: Option<ChildStdin>) -> io::Result<SyncSender<ToRunner>> {
    // One being written and one behind it: an answer may come before the thread here has taken up what it answers.
    let (send, messages) = mpsc::sync_channel::<ToRunner>(2);
    thread::Builder::new().name("to plugin runner".into()).spawn(move || {
        let Some(pipe) = pipe else { return };
        let mut pipe = BufWriter::new(pipe);
        for message in messages {
            // A broken pipe shows at the reading end.
            if write_frame(&mut pipe, &message).is_err() {
                return;
            }
        }
    })?;
    Ok(send)
}

/// Frames from the child, at most one ahead of who takes them.
fn reader(pipe: Option<ChildStdout>) -> io::Result<Receiver<Result<FromRunner, FrameError>>> {
    let (send, frames) = mpsc::sync_channel(1);
    thread::Builder::new().name("from plugin runner".into()).spawn(move || {
        let Some(pipe) = pipe else { return };
        let mut pipe = BufReader::new(pipe);
        loop {
            let frame = read_frame::<FromRunner>(&mut pipe, MAX_FRAME_BYTES);
            let last = frame.is_err();
            if send.send(frame).is_err() || last {
                return;
            }
        }
    })?;
    Ok(frames)
}
