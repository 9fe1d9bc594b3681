//! Datasets of real mail, real writing, and of a large mailbox.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which fail by panicking")]

mod real;

use std::path::PathBuf;

/// A folder of the outside test data, or a line that says it is not there.
#[expect(clippy::print_stdout, reason = "a test that is skipped must say so")]
pub(crate) fn test_data(test: &str, folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HEARTH_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("SKIPPED {test}: no test data at {}", path.display());
    None
}
