//! A running `hearth-runner`, and calls into the plugin it holds.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{ChildStdin, ChildStdout},
    sync::atomic::AtomicBool,
    time::Duration,
};

use hearth_base::{
    FrameError, FromRunner, GuestFailure, HostCall, HostReply, Invocation, RunFault, ToRunner,
};

use crate::{
    Artefact, Runtime,
    child::{Guarded, LAST_WORDS, Stderr, broke_the_rules},
    pipe::{Clock, Pipe, PipeError, Wait},
};

/// Most host calls in one invocation, whatever the quotas behind [`HostCalls`] say: a refused call is a call too.
const MAX_CALLS: u32 = 1_000_000;

#[cfg(unix)]
type RunnerPipe = Pipe<ChildStdin, ChildStdout>;
#[cfg(not(unix))]
type RunnerPipe = Pipe;

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
    /// This system does not shut the runner in as it must be. It was not given the plugin.
    #[error("this system cannot hold plugins safely; it lacks {}", lacks.join(", "))]
    Unconfined {
        /// What is not in force.
        lacks: Vec<&'static str>,
    },
    /// The runner tried what it may not, as no honest one does, and the system ended it.
    #[error("the plugin tried to leave its process and was ended")]
    Intruded,
    /// Answering a call failed on this side. The runner is gone.
    #[error("answering the plugin failed")]
    Host,
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
    child: Guarded,
    pipe: RunnerPipe,
}

impl Runtime {
    /// Starts a runner and loads a plugin into it. The runner ends with the thread that started it.
    ///
    /// # Errors
    /// [`RunError`]: `Unconfined` where the system does not hold the runner, `Fault` where the plugin does not load.
    pub fn start(&self, artefact: &Artefact) -> Result<RunnerProcess, RunError> {
        let never = AtomicBool::new(false);
        let mut clock = Clock::new(self.call_limit);
        let mut runner = self.spawn_runner().map_err(RunError::Start)?;
        let FromRunner::Ready(confinement) = runner.receive(&mut clock, &never)? else {
            return Err(runner.end(NOT_ASKED));
        };
        let lacks = confinement.lacks();
        if !lacks.is_empty() {
            return Err(runner.end(RunError::Unconfined { lacks }));
        }
        runner.send(ToRunner::Load(artefact.code.clone()), &mut clock, &never)?;
        match runner.receive(&mut clock, &never)? {
            FromRunner::Loaded => Ok(runner),
            FromRunner::Fault(fault) => Err(RunError::Fault(fault)),
            _ => Err(runner.end(NOT_ASKED)),
        }
    }

    fn spawn_runner(&self) -> io::Result<RunnerProcess> {
        let mut child = Guarded::spawn(&self.runner, &[])?;
        let said = Stderr::capture(child.0.stderr.take())?;
        let (Some(to), Some(from)) = (child.0.stdin.take(), child.0.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let live = Some(Live { child, pipe: Pipe::new(to, from)? });
        Ok(RunnerProcess { live, said, call_limit: self.call_limit })
    }
}

const NOT_ASKED: RunError = RunError::Protocol("an answer to a question not asked");

impl RunnerProcess {
    /// Calls an export in a fresh instance and answers what it asks, until it returns. Setting `cancel` ends the call and
    /// the runner within some 20 ms, or when the host call in progress returns. A panic while answering ends the runner
    /// and goes no further.
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
        self.send(ToRunner::Invoke(invocation), &mut clock, cancel)?;
        for _ in 0..MAX_CALLS {
            match self.receive(&mut clock, cancel)? {
                FromRunner::Call(call) => {
                    let Ok(reply) = catch_unwind(AssertUnwindSafe(|| host.call(call))) else {
                        return Err(self.end(RunError::Host));
                    };
                    self.send(ToRunner::Reply(reply), &mut clock, cancel)?;
                }
                FromRunner::Done { result, fuel, memory_hash } => {
                    return Ok(Finished { result, fuel, memory_hash });
                }
                FromRunner::Fault(fault) => return Err(RunError::Fault(fault)),
                FromRunner::Loaded | FromRunner::Ready(_) => return Err(self.end(NOT_ASKED)),
            }
        }
        Err(self.end(RunError::Protocol("calls without end")))
    }

    /// Whether it takes calls.
    pub fn is_alive(&self) -> bool {
        self.live.is_some()
    }

    /// The number the system knows it by, while it lives.
    pub fn process_id(&self) -> Option<u32> {
        self.live.as_ref().map(|live| live.child.0.id())
    }

    fn send(
        &mut self,
        message: ToRunner,
        clock: &mut Clock,
        cancel: &AtomicBool,
    ) -> Result<(), RunError> {
        self.over_pipe(|pipe| pipe.send(message, &Wait::begin(clock, cancel)))
    }

    fn receive(&mut self, clock: &mut Clock, cancel: &AtomicBool) -> Result<FromRunner, RunError> {
        self.over_pipe(|pipe| pipe.receive(&Wait::begin(clock, cancel)))
    }

    fn over_pipe<T>(
        &mut self,
        turn: impl FnOnce(&mut RunnerPipe) -> Result<T, PipeError>,
    ) -> Result<T, RunError> {
        let Some(live) = &mut self.live else { return Err(self.died()) };
        turn(&mut live.pipe).map_err(|error| {
            let why = match error {
                PipeError::Cancelled => RunError::Cancelled,
                PipeError::TimedOut => RunError::TimedOut,
                PipeError::OutOfTurn => RunError::Protocol("words out of turn"),
                PipeError::Frame(FrameError::TooLong { .. }) => {
                    RunError::Protocol("a frame over the limit")
                }
                PipeError::Frame(FrameError::Malformed) => {
                    RunError::Protocol("a frame that is no message")
                }
                PipeError::Frame(_) => self.post_mortem(),
            };
            self.end(why)
        })
    }

    /// Why the pipe broke.
    fn post_mortem(&mut self) -> RunError {
        match self.live.as_mut().and_then(|live| live.child.ended_within(LAST_WORDS)) {
            Some(status) if broke_the_rules(status) => RunError::Intruded,
            _ => self.died(),
        }
    }

    fn died(&self) -> RunError {
        RunError::Died { said: self.said.words_within(LAST_WORDS) }
    }

    /// Kills the process.
    fn end(&mut self, why: RunError) -> RunError {
        self.live = None;
        why
    }
}
