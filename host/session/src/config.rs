//! What a session is started with.

use std::{ops::ControlFlow, path::PathBuf, sync::Arc, time::SystemTime};

use hearth_engine_api::Tuner;

use crate::GuestRuntime;

/// Tells the time; tests bring their own.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Tells how the machine fares; tests bring their own.
pub type Feel = Arc<dyn Fn() -> Power + Send + Sync>;

/// How the machine is powered, and how hot it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Power {
    /// Whether it runs on its battery.
    pub on_battery: bool,
    /// The hottest part of the processor, in degrees Celsius, where that is known.
    pub celsius: Option<f32>,
}

/// What a session needs to know of its surroundings.
pub struct Config {
    /// The vault's directory.
    pub vault_dir: PathBuf,
    /// Compiles and runs plugins.
    pub runtime: Arc<dyn GuestRuntime>,
    /// First-party components, installed at unlock through the same door as a stranger's.
    pub bundled_plugins: Vec<PathBuf>,
    /// The model that comes with Hearth.
    pub starter_model: Option<PathBuf>,
    /// Language tag that plugins are told, such as `en-GB`.
    pub locale: String,
    /// Tells the time.
    pub clock: Clock,
    /// Trains adapters.
    pub tuner: Arc<dyn Tuner>,
    /// Tells how the machine is powered and how hot it is.
    pub power: Feel,
    /// Keep the vault in memory: for tests.
    pub in_memory_vault: bool,
    /// Work factor of the passphrase's scrypt for new vaults, as its binary logarithm; `None` chooses one for this
    /// machine. For tests.
    pub scrypt_log_n: Option<u8>,
}

/// Breaks off where `cancel` is set.
pub(crate) fn unless(cancelled: bool) -> ControlFlow<()> {
    if cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
