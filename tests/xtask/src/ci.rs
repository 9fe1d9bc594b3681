//! What every change must pass.

use crate::{TaskError, Workspace, shell, testing::test};

/// Formatting, lints as errors, tests.
///
/// # Errors
/// The first of them that fails.
pub fn ci(workspace: &Workspace) -> Result<(), TaskError> {
    shell::run(shell::cargo(&workspace.root).args(["fmt", "--all", "--check"]))?;
    let mut clippy = shell::cargo(&workspace.root);
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
    shell::run(&mut clippy)?;
    test(workspace, &[])
}
