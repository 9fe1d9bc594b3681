//! Finds a way to build Rust for `wasm32-unknown-unknown`.

use std::{path::Path, process::Command};

use crate::{
    TaskError,
    shell::{self, say},
};

/// The target of guests: no WASI, so that a guest imports nothing it did not ask for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// How guests are built here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WasmBuild {
    /// The compiler has the target's standard library.
    Installed,
    /// The standard library is built from the compiler's own sources.
    FromSource {
        /// Another compiler than the default one, where only that has its sources.
        rustc: Option<&'static str>,
    },
}

impl WasmBuild {
    /// Picks a way, installing the target by rustup where that is needed and possible.
    pub(crate) fn find(dir: &Path) -> Result<Self, TaskError> {
        if has_target(dir) {
            return Ok(Self::Installed);
        }
        say("the Rust target for plugins is missing; installing it");
        let added =
            shell::run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(dir));
        if added.is_ok() && has_target(dir) {
            return Ok(Self::Installed);
        }
        for rustc in [None, Some("/usr/bin/rustc")] {
            if has_sources(dir, rustc) {
                say("rustup cannot install it; building the standard library from source instead");
                return Ok(Self::FromSource { rustc });
            }
        }
        Err(TaskError::NoWasm(format!(
            "plugins are built for {TARGET}, and this Rust has no standard library for it.\n\
             With rustup:            rustup target add {TARGET}\n\
             or, to build it here:   rustup component add rust-src\n\
             On Debian or Ubuntu:    apt install rustc-web rust-web-src lld\n\
             Then run this again."
        )))
    }

    /// Sets up a `cargo build` for it.
    pub(crate) fn apply(&self, cargo: &mut Command) {
        cargo.args(["--target", TARGET]);
        if let Self::FromSource { rustc } = self {
            // The flag is unstable; nothing else of the unstable is used.
            cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
            if let Some(rustc) = rustc {
                cargo.env("RUSTC", rustc).arg("--ignore-rust-version");
            }
        }
    }
}

fn has_target(dir: &Path) -> bool {
    shell::read(
        Command::new("rustc")
            .args(["--print", "target-libdir", "--target", TARGET])
            .current_dir(dir),
    )
    .is_some_and(|libdir| Path::new(&libdir).is_dir())
}

fn has_sources(dir: &Path, rustc: Option<&str>) -> bool {
    let mut command = Command::new(rustc.unwrap_or("rustc"));
    shell::read(command.args(["--print", "sysroot"]).current_dir(dir)).is_some_and(|sysroot| {
        Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
    })
}
