//! The bench, built optimised.

use crate::{TaskError, Workspace, shell};

/// Builds the bench and runs it with `args`, in the folder this was called in: its arguments are paths.
///
/// # Errors
/// [`TaskError`].
pub fn bench(workspace: &Workspace, args: &[String]) -> Result<(), TaskError> {
    let here =
        std::env::current_dir().map_err(|source| TaskError::File { path: ".".into(), source })?;
    let mut cargo = shell::cargo(&here);
    cargo.args(["run", "--quiet", "--release", "--package", "hearth-bench", "--manifest-path"]);
    cargo.arg(workspace.root.join("Cargo.toml")).arg("--").args(args);
    shell::run(&mut cargo)
}
