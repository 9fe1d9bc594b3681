//! What the whole-program tests share: a session on a throwaway vault with real plugins in real processes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use hearth_session::{
    Backend, Command, Config, Event, FakeTuner, Passphrase, Power, Reply, Session, SessionHandle,
    UserError, WasmGuests,
};

/// Passphrase of every test's vault.
pub const PASSPHRASE: &str = "seven bright kettles sang";

/// Where `cargo xtask test` has put the runner, the compiler and the plugins; `None`, said aloud, under a plain
/// `cargo test`.
pub fn runtime_dir(test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("HEARTH_RUNTIME_DIR").map(PathBuf::from);
    if dir.is_none() {
        say(&format!("SKIPPED {test}: no plugin runtime; run `cargo xtask test`"));
    }
    dir
}

#[expect(clippy::print_stdout, reason = "a test that does not run must say so")]
fn say(line: &str) {
    println!("{line}");
}

/// The bundled plugins of a runtime folder.
pub fn bundled_plugins(runtime_dir: &Path) -> Vec<PathBuf> {
    ["org.hearth.mail-summariser", "org.hearth.code-helper"]
        .map(|id| runtime_dir.join("plugins").join(format!("{id}.wasm")))
        .into()
}

/// The demonstration data of the repository.
pub fn demo_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo")
}

/// Starts a session on a vault in `dir`, with real plugins and the model given.
///
/// # Errors
/// Where the session does not start.
pub fn start(dir: &Path, runtime_dir: &Path, backend: impl Backend) -> Result<Session, UserError> {
    let config = Config {
        vault_dir: dir.to_path_buf(),
        runtime: WasmGuests::in_dir(runtime_dir),
        bundled_plugins: bundled_plugins(runtime_dir),
        // The fake model loads any path.
        starter_model: Some(PathBuf::from("starter")),
        locale: "en-GB".into(),
        clock: Arc::new(SystemTime::now),
        tuner: Arc::new(FakeTuner::default()),
        power: Arc::new(Power::default),
        in_memory_vault: false,
        // The least work that the format allows: these tests are not about guessing passphrases.
        scrypt_log_n: Some(1),
    };
    Session::start(config, backend, Arc::new(|| {}))
}

/// The passphrase, to send.
pub fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE.to_owned())
}

/// Sends a command, waits for its end and passes over what comes between.
///
/// # Errors
/// What the command failed with.
pub fn run(handle: &SessionHandle, command: Command) -> Result<Reply, UserError> {
    handle.run(command, &mut |_: &Event| {})
}

/// Waits until the view is as wished, for at most a minute.
///
/// # Panics
/// Where it does not come about; `what` says what was waited for.
pub fn wait_until(
    handle: &SessionHandle,
    what: &str,
    wished: impl Fn(&hearth_session::View) -> bool,
) {
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !wished(&handle.view()) {
        assert!(std::time::Instant::now() < give_up, "never came about: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
