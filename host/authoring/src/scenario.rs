//! Plays a scenario against a packed plugin: the plugin runs in the real runner behind the real broker; the vault, the
//! model and the user are invented. What the plugin asked for, what the user saw and what came of each expectation is
//! reported.

mod expect;
mod format;
mod model;
mod report;
mod stage;
mod trace;
mod vault;

use std::{io, path::Path, sync::atomic::AtomicBool, time::Duration};

use hearth_broker::BeginError;
use hearth_vault::{ImportError, StoreError};
use hearth_wasm::{ArtefactStore, CompileError, RunError, Runtime};

use crate::checking::CheckError;

pub use format::{Scenario, ScenarioError};
pub use report::{Call, ScenarioReport, Shown, StepReport};

/// How long the values of one step may take: the model answers at once, so what takes longer never comes.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Why a scenario could not be played. What a plugin does wrong is in the report instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The plugin would not be installed.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The runner does not start.
    #[error(transparent)]
    Run(RunError),
    /// The scenario names something that is not there.
    #[error("line {line}: {reason}")]
    Scenario {
        /// Where.
        line: usize,
        /// What.
        reason: String,
    },
    /// A document cannot be put into the vault.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The vault in memory fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A step cannot be taken for a reason that is not the plugin's.
    #[error(transparent)]
    Begin(BeginError),
    /// Values that never come.
    #[error("after {} seconds values are still being made", SETTLE_LIMIT.as_secs())]
    Unsettled,
    /// The system gives no threads or no room.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Plays a scenario from its beginning to its end. Every step is taken, whatever came of those before it. `artefacts` is a
/// folder for machine code, to be thrown away after the last scenario: whoever can write there can run code.
///
/// # Errors
/// [`TestError`] where it could not be played.
pub fn run_scenario(
    component: &[u8],
    scenario: &Scenario,
    runtime: &Runtime,
    artefacts: &Path,
) -> Result<ScenarioReport, TestError> {
    let found = crate::checking::check(component, None)?.inspection;
    // A key of its own would guard nothing: the folder is this process's.
    let store = ArtefactStore::new(artefacts.to_path_buf(), [0; 32].into());
    let artefact = store.load_or_compile(runtime, component, &AtomicBool::new(false))?;
    let mut stage = stage::Stage::new(&found, scenario, runtime, artefact)?;
    let mut steps = Vec::new();
    for step in &scenario.steps {
        steps.push(stage.take(step)?);
    }
    let passed = steps.iter().all(|step| step.failures.is_empty());
    Ok(ScenarioReport {
        plugin: found.manifest.id.to_string(),
        sealed: found.sealed,
        passed,
        steps,
    })
}
