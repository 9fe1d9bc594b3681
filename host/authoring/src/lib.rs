//! Making a plugin, from an empty folder to a signed file: what `hearth plugin new`, `build`, `pack`, `check`, `test`,
//! `keygen` and `sign` do.
//!
//! Everything it needs of the repository (the interface in WIT, the SDK, the examples to begin with) it carries as text,
//! so it works wherever the program is. It must never
//! - install a tool or fetch anything by itself: where something is missing it says which command gets it;
//! - hold a publisher's secret key longer than a signature takes, or write one without a passphrase around it;
//! - judge a plugin by other rules than an installation does: the checks are those of `hearth-wasm`.
//!
//! ```
//! use hearth_authoring::{Language, NewPlugin, create};
//! let dir = tempfile::tempdir()?;
//! let begin = NewPlugin::named("Tea timer", Language::Rust, dir.path().join("tea-timer"))?;
//! let files = create(&begin)?;
//! assert!(files.iter().any(|file| file.ends_with("plugin.toml")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod building;
mod checking;
mod embedded;
mod pack;
mod project;
#[cfg(feature = "scenarios")]
mod scenario;
mod signing;
mod template;
mod tools;
mod world;

// Beginning.
pub use project::{Language, Project, ProjectError};
pub use template::{NewError, NewPlugin, create};

// Building.
pub use building::{BuildError, Built, build, for_guests};
pub use pack::{PackError, pack_component};
pub use world::{WorldError, imports_of, interface_text, write_wit};

// Checking.
pub use checking::{Advice, CheckError, Checked, check};

// Trying.
#[cfg(feature = "scenarios")]
pub use scenario::{
    Call, Scenario, ScenarioError, ScenarioReport, Shown, StepReport, TestError, run_scenario,
};

// Where plugins run.
pub use hearth_wasm::Runtime;

// Signing.
pub use signing::{NewKey, SignError, keygen, sign, signature_path};
