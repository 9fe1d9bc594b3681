//! Compiling and running components, away from vault and model.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use hearth_base::{GuestFailure, HostCall, HostReply, Invocation};
use hearth_wasm::{ArtefactStore, CompileError, HostCalls, Inspection, RunError, Runtime};

use crate::UserError;

/// What to do where the system does not hold plugin processes.
const CONFINE: &str =
    "Plugins need a newer system kernel; SECURITY.md says which. All else works without them.";

/// Answers a guest's calls.
pub type Answerer<'a> = &'a mut (dyn FnMut(HostCall) -> HostReply + Send);

/// A component that was inspected and recorded.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    /// Its bytes.
    pub component: &'a [u8],
    /// Where machine code is kept.
    pub artefacts: &'a Path,
    /// MAC key of machine code.
    pub key: &'a [u8; 32],
}

/// How a call into a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestEnd {
    /// The export returned, with the guest's own verdict.
    Returned(Result<(), GuestFailure>),
    /// It was stopped or crashed; why, in the user's words.
    Aborted(String),
}

/// Reads, compiles and runs components. Calls block. Tests bring a scripted one.
pub trait GuestRuntime: Send + Sync + 'static {
    /// Says what a component is, or why Hearth will not have it. No code runs.
    ///
    /// # Errors
    /// Where the bytes are not a component Hearth runs.
    fn inspect(&self, component: &[u8]) -> Result<Inspection, UserError>;

    /// Makes machine code, unless it is there already.
    ///
    /// # Errors
    /// Where it does not compile within the limits.
    fn prepare(&self, guest: Guest<'_>, cancel: &AtomicBool) -> Result<(), UserError>;

    /// Calls an export in a fresh instance. Setting `cancel` ends it.
    ///
    /// # Errors
    /// Where the guest does not even start; its own ends are a [`GuestEnd`].
    fn invoke(
        &self,
        guest: Guest<'_>,
        invocation: Invocation,
        answer: Answerer<'_>,
        cancel: &AtomicBool,
    ) -> Result<GuestEnd, UserError>;
}

/// Components in processes of their own. Without its two programs it still inspects.
pub struct WasmGuests(Result<Runtime, UserError>);

impl WasmGuests {
    /// With the programs in `dir`.
    pub fn in_dir(dir: &Path) -> Arc<Self> {
        let missing = |error: hearth_wasm::RuntimeMissing| {
            let program = error.program;
            UserError::user(
                format!("`{program}` is missing from {}.", error.dir.display()),
                "It belongs beside the hearth program; build everything with `cargo xtask build`, \
                 or set HEARTH_RUNTIME_DIR.",
            )
        };
        Arc::new(Self(Runtime::in_dir(dir).map_err(missing)))
    }

    fn programs(&self) -> Result<&Runtime, UserError> {
        self.0.as_ref().map_err(Clone::clone)
    }
}

impl GuestRuntime for WasmGuests {
    fn inspect(&self, component: &[u8]) -> Result<Inspection, UserError> {
        hearth_wasm::inspect(component).map_err(|error| {
            UserError::input(
                crate::errors::sentence(&error.to_string()),
                "Ask the plugin's publisher for a version that fits this Hearth.",
            )
        })
    }

    fn prepare(&self, guest: Guest<'_>, cancel: &AtomicBool) -> Result<(), UserError> {
        store(guest).load_or_compile(self.programs()?, guest.component, cancel)?;
        Ok(())
    }

    fn invoke(
        &self,
        guest: Guest<'_>,
        invocation: Invocation,
        answer: Answerer<'_>,
        cancel: &AtomicBool,
    ) -> Result<GuestEnd, UserError> {
        let runtime = self.programs()?;
        let artefact = store(guest).load_or_compile(runtime, guest.component, cancel)?;
        let mut runner = match runtime.start(&artefact) {
            Ok(runner) => runner,
            Err(RunError::Start(source)) => {
                return Err(UserError::system(
                    format!("The plugin runner does not start: {source}."),
                    "Check that the programs beside hearth are whole.",
                ));
            }
            // Not the plugin's doing, so it is not suspended for it.
            Err(error @ RunError::Unconfined { .. }) => {
                return Err(UserError::system(
                    crate::errors::sentence(&error.to_string()),
                    CONFINE,
                ));
            }
            Err(error) => return Ok(GuestEnd::Aborted(error.to_string())),
        };
        Ok(match runner.invoke(invocation, &mut Answers(answer), cancel) {
            Ok(finished) => GuestEnd::Returned(finished.result),
            Err(error) => GuestEnd::Aborted(error.to_string()),
        })
    }
}

struct Answers<'a>(Answerer<'a>);

impl HostCalls for Answers<'_> {
    fn call(&mut self, call: HostCall) -> HostReply {
        (self.0)(call)
    }
}

fn store(guest: Guest<'_>) -> ArtefactStore {
    ArtefactStore::new(guest.artefacts.to_path_buf(), (*guest.key).into())
}

impl From<CompileError> for UserError {
    fn from(error: CompileError) -> Self {
        let message = crate::errors::sentence(&error.to_string());
        match error {
            CompileError::Cancelled => Self::cancelled("Compiling was stopped."),
            CompileError::Start { .. } => Self::system(
                message,
                "Check that `hearth-compiler` lies beside the hearth program.",
            ),
            CompileError::Unconfined { .. } => Self::system(message, CONFINE),
            CompileError::Io(_) => Self::system(message, "Check the free space on the disk."),
            _ => Self::input(message, "Do not use this plugin; tell its publisher."),
        }
    }
}
