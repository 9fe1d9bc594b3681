//! `cargo xtask`: see `cargo xtask help`.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use hearth_xtask::{Profile, RunOptions, TaskError, Workspace};

/// Builds, runs and tests Hearth.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything optimised and open the window, or do the main job on the command line without a display.
    Run {
        /// On the command line: `hearth demo` in a throwaway vault. Chosen by itself where there is no display.
        #[arg(long)]
        headless: bool,
        /// Handed to the program.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build everything into one folder, without starting it.
    Build {
        /// Optimised.
        #[arg(long)]
        release: bool,
    },
    /// Build what tests need, then run all of them.
    Test {
        /// Handed to `cargo test`, such as `-p hearth-wasm`. All packages unless given.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Formatting, lints as errors, tests.
    Ci,
    /// What takes too long for every change: the ignored tests.
    Nightly,
    /// Measure the engine beside other engines: `cargo xtask bench help`.
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to the bench.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build the first-party plugins into `target/<profile>/plugins`.
    Plugins {
        /// Beside the optimised programs rather than those for development.
        #[arg(long)]
        release: bool,
    },
    /// Build any plugin crate into one `.wasm` file.
    Pack {
        /// The crate's folder: `Cargo.toml` and `plugin.toml`.
        path: PathBuf,
        /// The file to write; `target/<id>.wasm` in the crate's folder unless given.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

#[expect(clippy::print_stderr, reason = "a command-line tool")]
fn main() -> ExitCode {
    match perform(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<(), TaskError> {
    let workspace = Workspace::find()?;
    match task {
        Task::Run { headless, args } => {
            hearth_xtask::run(&workspace, &RunOptions { headless, args })
        }
        Task::Build { release } => hearth_xtask::build(&workspace, profile(release), true),
        Task::Test { args } => hearth_xtask::test(&workspace, &args),
        Task::Bench { args } => hearth_xtask::bench(&workspace, &args),
        Task::Ci => hearth_xtask::ci(&workspace),
        Task::Nightly => hearth_xtask::nightly(&workspace),
        Task::Plugins { release } => hearth_xtask::build_plugins(&workspace, profile(release)),
        Task::Pack { path, out } => {
            hearth_xtask::pack_crate(&workspace, &path, out.as_deref()).map(drop)
        }
    }
}

fn profile(release: bool) -> Profile {
    if release { Profile::Release } else { Profile::Dev }
}
