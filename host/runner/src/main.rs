//! The plugin runner: a process that runs one plugin and can reach nothing.
//!
//! It speaks to its parent alone, in frames on stdin and stdout: a compiled component comes in, then calls into it; each
//! thing the guest asks for goes out as a `HostCall` and waits for its reply. It opens no file and no socket, reads no
//! environment and holds no key. No private value ever comes here: the guest's handles are numbers of the host's.
//! Each call runs in a fresh store, so nothing a guest remembers outlives it.
//!
//! The runner must be built without a code generator; what compiles components is `hearth-compiler`.
#![deny(missing_docs)]

mod bindings;
mod context;
mod engine;
mod engine_config;
mod faults;
mod imports;
mod instance;
mod link;

use std::{
    io::{IsTerminal, stdin},
    process::ExitCode,
};

use hearth_base::{FrameError, FromRunner, ToRunner};

use crate::{engine::Loaded, link::Link};

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 || stdin().is_terminal() {
        usage();
        return ExitCode::from(2);
    }
    match serve(Link::over_stdio()) {
        Ok(()) | Err(FrameError::Closed) => ExitCode::SUCCESS,
        Err(_broken) => ExitCode::FAILURE,
    }
}

#[expect(clippy::print_stderr, reason = "somebody started this by hand")]
fn usage() {
    eprintln!("hearth-runner runs plugins for Hearth and is started by it; start `hearth` instead");
}

/// Answers the parent until it hangs up.
fn serve(mut link: Link) -> Result<(), FrameError> {
    let mut loaded: Option<Loaded> = None;
    loop {
        match link.receive()? {
            ToRunner::Load(artefact) => {
                let answer = match Loaded::from_artefact(&artefact) {
                    Ok(plugin) => {
                        loaded = Some(plugin);
                        FromRunner::Loaded
                    }
                    Err(fault) => FromRunner::Fault(fault),
                };
                link.send(&answer)?;
            }
            ToRunner::Invoke(invocation) => {
                let plugin = loaded.as_ref().ok_or(FrameError::Malformed)?;
                let (back, outcome) = instance::invoke(plugin, link, invocation);
                link = back;
                link.send(&outcome)?;
            }
            // A reply that nobody waits for: the parent has lost its place.
            ToRunner::Reply(_) => return Err(FrameError::Malformed),
        }
    }
}
