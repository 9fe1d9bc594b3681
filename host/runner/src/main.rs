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

use hearth_base::{FrameError, FromRunner, RunFault, ToRunner};
use hearth_confine::{Enclosed, Limits, Work};

use crate::{
    engine::{Loaded, Machine},
    link::Link,
};

/// A plugin's machine code of 256 MiB is here three times while it is loaded; beside it stand four memories of 64 MiB.
const LIMITS: Limits =
    Limits { address_space_bytes: 2 << 30, data_bytes: 1280 << 20, cpu_secs: None };

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 || stdin().is_terminal() {
        say("hearth-runner runs plugins for Hearth and is started by it; start `hearth` instead");
        return ExitCode::from(2);
    }
    let enclosed = hearth_confine::enclose(LIMITS);
    let machine = match Machine::start() {
        Ok(machine) => machine,
        Err(error) => {
            say(&format!("the wasm engine does not start: {}", faults::words(&error)));
            return ExitCode::FAILURE;
        }
    };
    match serve(&machine, enclosed, Link::over_stdio()) {
        Ok(()) | Err(FrameError::Closed) => ExitCode::SUCCESS,
        Err(_broken) => ExitCode::FAILURE,
    }
}

#[expect(clippy::print_stderr, reason = "the parent, or who started this by hand, reads it there")]
fn say(words: &str) {
    eprintln!("{words}");
}

/// Shuts the door, tells the parent what holds, and answers it until it hangs up.
fn serve(machine: &Machine, enclosed: Enclosed, mut link: Link) -> Result<(), FrameError> {
    let confinement = enclosed.seal(Work::Run);
    link.send(&FromRunner::Ready(confinement))?;
    let ToRunner::Load(artefact) = link.receive()? else { return Err(FrameError::Malformed) };
    let loaded = load(machine, &artefact, confinement.calls_filtered);
    drop(artefact);
    let plugin = match loaded {
        Ok(plugin) => plugin,
        Err(fault) => return link.send(&FromRunner::Fault(fault)),
    };
    link.send(&FromRunner::Loaded)?;
    loop {
        // Another plugin, or a reply that nobody waits for: the parent has lost its place.
        let ToRunner::Invoke(invocation) = link.receive()? else {
            return Err(FrameError::Malformed);
        };
        let (back, outcome) = instance::invoke(&plugin, link, invocation);
        link = back;
        link.send(&outcome)?;
    }
}

/// Loads the one plugin of this process. Afterwards nothing here becomes machine code any more.
fn load(machine: &Machine, artefact: &[u8], filtered: bool) -> Result<Loaded, RunFault> {
    let plugin = Loaded::from_artefact(machine, artefact)?;
    if filtered && !hearth_confine::forbid_new_code() {
        return Err(RunFault::BadArtefact("the system does not lock its machine code".into()));
    }
    Ok(plugin)
}
