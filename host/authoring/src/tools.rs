//! Running a language's own tools.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use crate::BuildError;

/// Runs a tool in full view of the author: what it says goes to stderr, for stdout is the program's own.
pub(crate) fn run(command: &mut Command, get_it: &'static str) -> Result<(), BuildError> {
    let line = line_of(command);
    let status = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .map_err(|source| start_error(command, source, get_it))?;
    if status.success() { Ok(()) } else { Err(BuildError::Failed { command: line }) }
}

/// What a tool prints, if it is there and succeeds.
pub(crate) fn read(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn start_error(command: &Command, source: io::Error, get_it: &'static str) -> BuildError {
    let tool = command.get_program().to_string_lossy().into_owned();
    if source.kind() == io::ErrorKind::NotFound {
        BuildError::MissingTool { tool, get_it }
    } else {
        BuildError::Start { tool, source }
    }
}

/// The command as one would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
