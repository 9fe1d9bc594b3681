//! What can go wrong.

use std::{io, path::PathBuf};

use hearth_authoring::PackError;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A program that is not there, or did not start.
    #[error("`{program}` does not start: {source}{hint}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
        /// How to get it; empty or starting with a line break.
        hint: &'static str,
    },
    /// A program that failed. It has said why.
    #[error("failed: {command}")]
    Failed {
        /// The command.
        command: String,
    },
    /// `cargo metadata` failed.
    #[error("cargo cannot read the workspace: {0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a plugin crate.
    #[error("{} is no plugin crate: {reason}", path.display())]
    NotAPlugin {
        /// Where.
        path: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
    /// A plugin that does not fit.
    #[error("{}: {source}", path.display())]
    Pack {
        /// Which crate.
        path: PathBuf,
        /// Why.
        source: PackError,
    },
    /// No way to build for WebAssembly.
    #[error("{0}")]
    NoWasm(String),
    /// Something the system lacks.
    #[error("{0}")]
    Missing(String),
}
