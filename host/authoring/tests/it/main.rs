//! Plugins built as a newcomer would, then tried against their scenarios in the real runner.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod freeze;
mod guests;
mod scenarios;
mod signatures;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_wasm::Runtime;

/// The runner and the compiler, where `cargo xtask test` has built them; `None`, said aloud, under a plain `cargo test`.
fn runtime(test: &str) -> Option<Runtime> {
    let dir = std::env::var_os("HEARTH_RUNTIME_DIR").map(PathBuf::from);
    let Some(dir) = dir else {
        skip(test, "no plugin runtime; run `cargo xtask test`");
        return None;
    };
    // A machine that builds other things meanwhile takes long; the limit on processor time stands.
    Some(Runtime::in_dir(&dir).unwrap().with_compile_limit(Duration::from_secs(600)))
}

/// The example in Rust, as `cargo xtask test` has built it.
fn hello(test: &str) -> Option<Vec<u8>> {
    let dir = std::env::var_os("HEARTH_RUNTIME_DIR").map(PathBuf::from)?;
    let file = dir.join("example-plugins/org.example.hello.wasm");
    match fs::read(&file) {
        Ok(bytes) => Some(bytes),
        Err(_) => {
            skip(test, "no example plugin; run `cargo xtask test`");
            None
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test that does not run must say so")]
fn skip(test: &str, why: &str) {
    println!("SKIPPED {test}: {why}");
}

/// A folder of the repository's examples.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// The scenario that all examples share.
fn haiku() -> String {
    fs::read_to_string(example("plugin-hello").join("scenarios/haiku.toml")).unwrap()
}
