//! Running other programs, visibly.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::TaskError;

/// Says what is done.
#[expect(clippy::print_stderr, reason = "a command-line tool")]
pub(crate) fn say(words: &str) {
    eprintln!("xtask: {words}");
}

/// The cargo that runs this.
pub(crate) fn cargo(dir: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(dir);
    cargo
}

/// Runs a command in full view.
pub(crate) fn run(command: &mut Command) -> Result<(), TaskError> {
    let line = line_of(command);
    say(&line);
    let status = command.status().map_err(|source| start_error(command, source))?;
    if status.success() { Ok(()) } else { Err(TaskError::Failed { command: line }) }
}

/// What a command prints, if it succeeds.
pub(crate) fn read(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) fn start_error(command: &Command, source: std::io::Error) -> TaskError {
    TaskError::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
        hint: "",
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
