//! The host's side of plugins: what a component is allowed to be, how it becomes machine code, and the processes that
//! run it.
//!
//! 1. [`inspect`] reads an untrusted component and says what it is, or why Hearth will not have it. No code runs.
//! 2. [`ArtefactStore::load_or_compile`] has `hearth-compiler` make machine code of it, once, and keeps the result under
//!    a keyed MAC. An [`Artefact`] comes from nowhere else, so nothing else can be loaded.
//! 3. [`Runtime::start`] starts a `hearth-runner` with it, and [`RunnerProcess::invoke`] calls an export. What the guest
//!    asks for comes to the caller's [`HostCalls`].
//!
//! Both programs are processes of their own with an empty environment that shut themselves in, and where the system does not
//! hold them as it must, they get no plugin. Everything they write is treated as hostile: frames are bounded and come in
//! turns, waiting ends, and a child that misbehaves is killed. This crate holds no private value and knows
//! no vault, no model and no wasm engine. Calls block; run them on a thread that may.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod artefact;
mod child;
mod compile;
mod inspect;
mod lookalike;
mod pipe;
mod runner;
mod runtime;
mod signature;

pub use artefact::{Artefact, ArtefactStore};
pub use compile::CompileError;
pub use inspect::{InspectError, Inspection, MAX_COMPONENT_BYTES, component_hash, inspect};
pub use lookalike::{is_of_one_script, looks_like};
pub use runner::{Finished, HostCalls, RunError, RunnerProcess};
pub use runtime::{Runtime, RuntimeMissing};
pub use signature::{
    MAX_SIGNATURE_BYTES, PublisherKey, Rotation, SIGNATURE_SUFFIX, SignatureError, Signed,
    verify_component, verify_rotation,
};
