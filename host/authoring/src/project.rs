//! A plugin's folder: which language it is in and where its parts are.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use hearth_base::{Manifest, ManifestError};
use serde::{Deserialize, Serialize};

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust: a crate that is a `cdylib`.
    Rust,
    /// C: what lies in `src/*.c`.
    C,
    /// JavaScript: `src/plugin.js`, with the tool of `package.json`.
    JavaScript,
    /// Python: `app.py`.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::C, Self::JavaScript, Self::Python];

    /// The file that gives it away.
    fn sign(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::C => "src/plugin.c",
            Self::JavaScript => "package.json",
            Self::Python => "app.py",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        })
    }
}

impl FromStr for Language {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "rust" | "rs" => Ok(Self::Rust),
            "c" => Ok(Self::C),
            "javascript" | "js" => Ok(Self::JavaScript),
            "python" | "py" => Ok(Self::Python),
            _ => Err("one of rust, c, javascript, python".into()),
        }
    }
}

/// Why a folder is no plugin's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// No manifest.
    #[error("{} has no plugin.toml; begin a plugin with `hearth plugin new`", path.display())]
    NoManifest {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is refused.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// None of the languages.
    #[error(
        "{} holds neither Cargo.toml (Rust), package.json (JavaScript), app.py (Python) nor src/plugin.c (C)",
        path.display()
    )]
    NoLanguage {
        /// The folder.
        path: PathBuf,
    },
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A plugin's folder.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder.
    pub dir: PathBuf,
    /// What it is written in.
    pub language: Language,
    /// Its manifest, read.
    pub manifest: Manifest,
    /// Its manifest as it is written: what goes into the file.
    pub manifest_text: String,
}

impl Project {
    /// Looks at a folder.
    ///
    /// # Errors
    /// [`ProjectError`] says what it lacks.
    pub fn open(dir: &Path) -> Result<Self, ProjectError> {
        let path = dir.join("plugin.toml");
        if !path.is_file() {
            return Err(ProjectError::NoManifest { path: dir.to_path_buf() });
        }
        let failed = |path: &Path, source| ProjectError::File { path: path.to_path_buf(), source };
        let manifest_text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
        let manifest = Manifest::parse(manifest_text.as_bytes())
            .map_err(|source| ProjectError::Manifest { path, source })?;
        let language = Language::ALL
            .into_iter()
            .find(|language| dir.join(language.sign()).is_file())
            .ok_or_else(|| ProjectError::NoLanguage { path: dir.to_path_buf() })?;
        let dir = dir.canonicalize().map_err(|error| failed(dir, error))?;
        Ok(Self { dir, language, manifest, manifest_text })
    }

    /// Where what is built goes.
    pub fn target_dir(&self) -> PathBuf {
        self.dir.join("target")
    }

    /// The plugin's file, once it is built.
    pub fn component_path(&self) -> PathBuf {
        self.target_dir().join(format!("{}.wasm", self.manifest.id))
    }

    /// Its scenarios, sorted: `scenarios/*.toml`.
    pub fn scenarios(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.dir.join("scenarios")) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .collect();
        files.sort();
        files
    }

    /// The files whose change means that it must be built anew: everything but what builds leave behind.
    pub fn sources(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.dir, &mut files);
        files.sort();
        files
    }
}

/// Folders that builds and tools fill.
const NOT_SOURCES: [&str; 5] = ["target", "node_modules", ".venv", "__pycache__", ".git"];

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if NOT_SOURCES.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if kind.is_dir() {
            collect(&path, files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
}
