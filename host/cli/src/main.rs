//! `hearth`: everything the window does, on the command line, and tools to look into models and mail.
//!
//! Results go to stdout, everything else to stderr. It must never take a passphrase as an argument or from the
//! environment, and never print one, but for that of a demonstration the user asked to keep.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod interrupt;
mod passphrase;
mod render;
mod shell;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    hearth_app::hush_panics();
    let args = args::Args::parse();
    hearth_app::log_to_stderr();
    let out = render::Out::new(args.json);
    match commands::run(args, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure);
            failure.exit_code()
        }
    }
}
