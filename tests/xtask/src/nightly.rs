//! What takes too long for every change.

use crate::{TaskError, Workspace, testing::test};

/// One set of tests each, as arguments of `cargo test`. They are ignored otherwise, with the reason
/// `for the night: cargo xtask nightly`.
const SETS: [&[&str]; 2] = [
    // A thousand pairs of vaults, each a sequence of runs with mishaps; a hundred thousand documents.
    &["--package", "hearth-broker", "--test", "it", "--", "--ignored", "--show-output"],
    // Three hundred pairs of vaults with a real model; every collected injection for every plugin.
    &["--package", "hearth-tests", "--test", "it", "--", "--ignored", "--show-output"],
];

/// Runs all of them, even after one that fails. `HEARTH_PAIRS` says how many pairs of vaults are played.
///
/// # Errors
/// The first of them that failed.
pub fn nightly(workspace: &Workspace) -> Result<(), TaskError> {
    let run = |set: &&[&str]| {
        let arguments: Vec<String> = set.iter().map(|&argument| argument.to_owned()).collect();
        test(workspace, &arguments)
    };
    let results: Vec<Result<(), TaskError>> = SETS.iter().map(run).collect();
    results.into_iter().collect()
}
