//! Shuts a plugin process in. The process does it to itself, in two steps, before it reads a byte that a plugin had a
//! hand in; what is shut cannot be opened again.
//!
//! 1. [`enclose`], first thing in `main`: inherited files are closed, limits set, Landlock entered.
//! 2. [`Enclosed::seal`], once every thread runs: from here on system calls off a short list are refused or end the
//!    process. It tells what is in force; nothing that this system lacks is passed over in silence.
//!
//! [`forbid_new_code`] then takes away the right to make memory executable, once the plugin is loaded.
//!
//! What a system lacks is told and not an error here: the host decides what it runs plugins under. Linux has all of it.
//! Elsewhere the process has limits where the system is a Unix, and nothing more.
//!
//! This crate must never loosen anything, nor need a thread, a file or the environment.
#![deny(missing_docs)]

#[cfg(target_os = "linux")]
mod calls;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod limits;
#[cfg(target_os = "linux")]
mod linux;

use hearth_base::Confinement;

pub use limits::Limits;

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use linux as system;

/// A process after the first step.
#[must_use = "only the second step shuts the door"]
pub struct Enclosed {
    confinement: Confinement,
}

/// What a process goes on to do, and so which system calls it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Read from stdin, compute, write to stdout and stderr. It may load machine code until [`forbid_new_code`].
    Run,
    /// The same, and never machine code of its own.
    Compile,
}

/// The first step. To be called before anything else, with no other thread running.
pub fn enclose(limits: Limits) -> Enclosed {
    Enclosed { confinement: system::enclose(&limits) }
}

impl Enclosed {
    /// The second step, for all threads at once. No thread can be started afterwards, and one that is still being set up
    /// would not survive: wait until it has run.
    pub fn seal(self, work: Work) -> Confinement {
        system::seal(self.confinement, work)
    }
}

/// From here on no memory becomes executable. Says whether that is in force.
pub fn forbid_new_code() -> bool {
    system::forbid_new_code()
}
