//! Where things are.

use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

use crate::{TaskError, shell};

/// The repository and its build folder.
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

/// How programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For development.
    Dev,
    /// Optimised.
    Release,
}

impl Profile {
    /// Its folder under the build folder.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

impl Workspace {
    /// The workspace this program belongs to.
    ///
    /// # Errors
    /// Where `cargo metadata` fails.
    pub fn find() -> Result<Self, TaskError> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec()?;
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
        })
    }

    /// Where a profile's programs are.
    pub(crate) fn programs(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.folder())
    }

    /// Builds the plugin runner and the plugin compiler. Apart, so that cargo does not join their features: the runner
    /// holds no code generator.
    pub(crate) fn build_runtime(&self, profile: Profile) -> Result<(), TaskError> {
        for package in ["hearth-runner", "hearth-compiler"] {
            self.build(profile, &["--package", package])?;
        }
        Ok(())
    }

    /// `cargo build` with these arguments.
    pub(crate) fn build(&self, profile: Profile, args: &[&str]) -> Result<(), TaskError> {
        let mut cargo = shell::cargo(&self.root);
        cargo.arg("build").args(args);
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        shell::run(&mut cargo)
    }
}
