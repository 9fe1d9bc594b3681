//! The two programs that compile and run plugins.

use std::{
    env::consts::EXE_SUFFIX,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

/// Where the programs are, and how long they may take.
#[derive(Debug)]
pub struct Runtime {
    pub(crate) runner: PathBuf,
    pub(crate) compiler: PathBuf,
    pub(crate) compile_limit: Duration,
    pub(crate) call_limit: Duration,
    pub(crate) compatibility: OnceLock<String>,
}

/// A program is not where it should be.
#[derive(Debug, thiserror::Error)]
#[error("`{program}` is missing from {}; it belongs beside the hearth program (build everything with `cargo xtask build`)", dir.display())]
pub struct RuntimeMissing {
    /// Which.
    pub program: &'static str,
    /// Where it was looked for.
    pub dir: PathBuf,
}

impl Runtime {
    /// With the programs at these places.
    pub fn new(runner: PathBuf, compiler: PathBuf) -> Self {
        Self {
            runner,
            compiler,
            compile_limit: Duration::from_secs(120),
            call_limit: Duration::from_secs(30),
            compatibility: OnceLock::new(),
        }
    }

    /// With the programs `hearth-runner` and `hearth-compiler` of a folder.
    ///
    /// # Errors
    /// [`RuntimeMissing`] where one of them is not there.
    pub fn in_dir(dir: &Path) -> Result<Self, RuntimeMissing> {
        let find = |program: &'static str| {
            let path = dir.join(format!("{program}{EXE_SUFFIX}"));
            if path.is_file() {
                Ok(path)
            } else {
                Err(RuntimeMissing { program, dir: dir.to_path_buf() })
            }
        };
        Ok(Self::new(find("hearth-runner")?, find("hearth-compiler")?))
    }

    /// Another limit on the time a call may take, host calls not counted. 30 seconds unless set.
    #[must_use]
    pub fn with_call_limit(mut self, limit: Duration) -> Self {
        self.call_limit = limit;
        self
    }

    /// Another limit on the time compiling may take. 120 seconds unless set: the compiler gives itself 30 of the processor's,
    /// and a busy machine needs longer for those.
    #[must_use]
    pub fn with_compile_limit(mut self, limit: Duration) -> Self {
        self.compile_limit = limit;
        self
    }
}
