//! The rules of the house, checked against the house: who may depend on whom, what may stand where, and that
//! ARCHITECTURE.md says what is so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/sources.rs"]
mod sources;

use std::path::PathBuf;

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}
