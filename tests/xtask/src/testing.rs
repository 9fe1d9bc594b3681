//! All tests, with what they need built first.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::{
    Profile, TaskError, Workspace, build_plugins,
    guests::build_example,
    run::{check_tools, copy_starter},
    shell::{self, say},
};

/// Builds runner, compiler and plugins, then runs `cargo test` over all packages, or as `args` say. Tells how many tests
/// were skipped for want of data.
///
/// # Errors
/// [`TaskError`].
pub fn test(workspace: &Workspace, args: &[String]) -> Result<(), TaskError> {
    check_tools()?;
    workspace.build_runtime(Profile::Dev)?;
    build_plugins(workspace, Profile::Dev)?;
    build_example(workspace, Profile::Dev)?;
    copy_starter(workspace, Profile::Dev)?;

    let mut cargo = shell::cargo(&workspace.root);
    cargo.env("HEARTH_RUNTIME_DIR", workspace.programs(Profile::Dev)).arg("test");
    if args.is_empty() {
        // Every failure at once, and each skipped test's own line.
        cargo.args(["--workspace", "--no-fail-fast", "--", "--show-output"]);
    } else {
        cargo.args(args);
    }
    let line = shell::line_of(&cargo);
    say(&line);
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| shell::start_error(&cargo, source))?;
    let mut counts = Counts::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line);
            counts.take(&line);
            show(&line);
        }
    }
    let status = child.wait().map_err(|source| shell::start_error(&cargo, source))?;
    say(&counts.words());
    if status.success() { Ok(()) } else { Err(TaskError::Failed { command: line }) }
}

#[expect(clippy::print_stdout, reason = "what the tests say")]
fn show(line: &str) {
    println!("{line}");
}

/// What was counted in the output of the tests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
    skipped: u32,
}

impl Counts {
    fn take(&mut self, line: &str) {
        if line.trim_start().starts_with("SKIPPED ") {
            self.skipped += 1;
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(count) = count.parse::<u32>() else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }

    fn words(&self) -> String {
        let Self { passed, failed, ignored, skipped } = self;
        format!(
            "{passed} tests passed, {failed} failed, {ignored} ignored; \
             {skipped} of those passed were skipped for want of data (their lines begin with SKIPPED)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut counts = Counts::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s",
            "SKIPPED mails: no test data at ../shared/data",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            counts.take(line);
        }
        assert_eq!(counts, Counts { passed: 15, failed: 2, ignored: 1, skipped: 1 });
    }
}
