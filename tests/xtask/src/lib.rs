//! Builds, runs and tests Hearth, for people and for CI. It prints each thing it does and each thing it installs, and
//! where something is missing it says how to get it.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bench;
mod ci;
mod guests;
mod nightly;
mod outcome;
mod run;
mod shell;
mod testing;
mod wasm_target;
mod workspace;

pub use bench::bench;
pub use ci::ci;
pub use guests::{build_plugins, pack_crate};
pub use nightly::nightly;
pub use outcome::TaskError;
pub use run::{RunOptions, build, run};
pub use testing::test;
pub use workspace::{Profile, Workspace};
