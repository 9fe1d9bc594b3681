//! Assembly: joins the session to the real engine, the real plugin runtime and the places where things lie.
//!
//! Here and nowhere else the environment is read: `HEARTH_VAULT` (the vault's directory), `HEARTH_RUNTIME_DIR` (the
//! folder of runner, compiler, bundled plugins and starter model; by default that of the running program) and
//! `HEARTH_LOG` (`error` to `trace`; off by default). It must never decide anything that a user could notice in
//! another shell: behaviour belongs to the session.
#![forbid(unsafe_code)]

pub mod inspection;
mod logging;
mod panics;
mod paths;
mod power;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use hearth_engine_candle::CandleBackend;
use hearth_engine_tune::AdapterTuner;
use hearth_session::{Config, Session, UserError, Waker, WasmGuests};

pub use logging::log_to_stderr;
pub use panics::hush_panics;
pub use paths::{demo_dir, program_dir, vault_dir};

/// What a shell may choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The vault's directory; by default `HEARTH_VAULT`, else the user's data directory.
    pub vault_dir: Option<PathBuf>,
}

/// Starts a session on a locked vault, and hushes panics. `waker` is called, from any thread, after each change of the
/// view.
///
/// # Errors
/// Where no place for the vault is known, or the system starts no thread.
pub fn open(options: Options, waker: Waker) -> Result<Session, UserError> {
    hush_panics();
    let program_dir = program_dir();
    let config = Config {
        vault_dir: vault_dir(options.vault_dir)?,
        runtime: WasmGuests::in_dir(&program_dir),
        bundled_plugins: paths::bundled_plugins(&program_dir),
        starter_model: paths::starter_model(&program_dir),
        locale: paths::locale(),
        clock: Arc::new(SystemTime::now),
        tuner: Arc::new(AdapterTuner),
        power: Arc::new(power::feel),
        in_memory_vault: false,
        scrypt_log_n: None,
    };
    Session::start(config, CandleBackend, waker)
}
