//! A folder to begin with: one of the example plugins under another name.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hearth_base::{IdError, PluginId};

use crate::{
    Language, WorldError,
    embedded::{C, JAVASCRIPT, PYTHON, RUST, SDK},
    interface_text,
    world::write,
};

/// What the examples are called, to be replaced.
const EXAMPLE_ID: &str = "org.example.hello";
const EXAMPLE_NAME: &str = "name = \"Hello\"";
const EXAMPLE_PACKAGE: &str = "plugin-hello";
/// Where the Rust example has the SDK, and where a new plugin has it.
const SDK_IN_REPOSITORY: &str = "../../plugins/sdk";
const SDK_COMMENT: &str =
    "# In your own repository: the path to, or the git address of, a Hearth checkout.\n";
/// The interface as the SDK names it inside the repository.
const WIT_IN_REPOSITORY: &str = "path: \"../../wit\"";

const GITIGNORE: &str = "/target\nnode_modules/\n.venv/\n__pycache__/\n*.key\n";
const README: &str = "\
# {name}

A plugin for Hearth.

    hearth plugin build     compile and pack it: target/{id}.wasm
    hearth plugin check     what an installation would say of it, and advice
    hearth plugin test      run the scenarios of `scenarios/` against an invented vault and a scripted model
    hearth plugin dev       build, install and build again whenever a file changes

The guide: `docs/plugins.md` in Hearth's repository.
";

const SDK_MANIFEST: &str = "\
# The SDK as it came with the Hearth that made this folder. Nothing here is yours to change.
[package]
name = \"hearth-plugin-sdk\"
version = \"0.1.0\"
edition = \"2024\"
publish = false

[dependencies]
wit-bindgen = { version = \"0.60\", default-features = false, features = [\"macros\", \"realloc\"] }
";

/// Why a plugin could not be begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewError {
    /// No id can be made of the name, or the one given is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Longer than a plugin's name may be, or with characters it may not have.
    #[error(
        "`{name}` cannot be a plugin's name: use 1 to 40 characters without quotes and line breaks"
    )]
    Name {
        /// The name, escaped.
        name: String,
    },
    /// There is something already.
    #[error("{} is there already and not empty; name another folder with --path", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file.
    #[error(transparent)]
    Write(#[from] WorldError),
    /// The folder cannot be looked into.
    #[error("{}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What to begin.
#[derive(Clone, Debug)]
pub struct NewPlugin {
    /// Name for people.
    pub name: String,
    /// Reverse-DNS id.
    pub id: PluginId,
    /// What it is written in.
    pub language: Language,
    /// The folder to make.
    pub dir: PathBuf,
}

impl NewPlugin {
    /// With an id made of the name: "Tea timer" becomes `org.example.tea-timer`.
    ///
    /// # Errors
    /// [`NewError`] where the name does not do.
    pub fn named(name: &str, language: Language, dir: PathBuf) -> Result<Self, NewError> {
        let id = PluginId::new(format!("org.example.{}", slug(name)))?;
        Self::with_id(name, id, language, dir)
    }

    /// With an id of one's own.
    ///
    /// # Errors
    /// [`NewError`] where the name does not do.
    pub fn with_id(
        name: &str,
        id: PluginId,
        language: Language,
        dir: PathBuf,
    ) -> Result<Self, NewError> {
        let fine = (1..=40).contains(&name.chars().count())
            && !name.contains(['"', '\\'])
            && !name.chars().any(char::is_control);
        if !fine {
            return Err(NewError::Name { name: name.escape_debug().take(80).collect() });
        }
        Ok(Self { name: name.to_owned(), id, language, dir })
    }

    /// The last part of the id: what the package is called.
    fn package(&self) -> &str {
        self.id.as_str().rsplit('.').next().unwrap_or("plugin")
    }
}

/// Lower case, with one `-` for each run of other characters.
pub(crate) fn slug(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join("-")
}

/// Writes a folder that builds, tests and installs as it is. Gives the files, in order.
///
/// # Errors
/// [`NewError`]; nothing that was there is overwritten.
pub fn create(new: &NewPlugin) -> Result<Vec<PathBuf>, NewError> {
    if is_taken(&new.dir)? {
        return Err(NewError::NotEmpty { path: new.dir.clone() });
    }
    let mut files = Vec::new();
    let mut put = |name: &str, text: &str| -> Result<(), NewError> {
        let path = new.dir.join(name);
        write(&path, text)?;
        files.push(path);
        Ok(())
    };
    let template = match new.language {
        Language::Rust => RUST,
        Language::C => C,
        Language::JavaScript => JAVASCRIPT,
        Language::Python => PYTHON,
    };
    for (name, text) in template {
        put(name, &renamed(text, new))?;
    }
    if new.language == Language::Rust {
        put("sdk/Cargo.toml", SDK_MANIFEST)?;
        for (name, text) in SDK {
            put(&format!("sdk/src/{name}"), &text.replace(WIT_IN_REPOSITORY, "path: \"wit\""))?;
        }
        for (name, text) in interface_text() {
            put(&format!("sdk/wit/{name}"), text)?;
        }
    }
    put(".gitignore", GITIGNORE)?;
    put("README.md", &README.replace("{name}", &new.name).replace("{id}", new.id.as_str()))?;
    Ok(files)
}

fn is_taken(dir: &Path) -> Result<bool, NewError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(NewError::Folder { path: dir.to_path_buf(), source }),
    }
}

fn renamed(text: &str, new: &NewPlugin) -> String {
    text.replace(EXAMPLE_ID, new.id.as_str())
        .replace(EXAMPLE_NAME, &format!("name = \"{}\"", new.name))
        .replace(SDK_COMMENT, "")
        .replace(SDK_IN_REPOSITORY, "sdk")
        .replace(EXAMPLE_PACKAGE, new.package())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Project;

    #[test]
    fn names_become_ids() {
        let dir = PathBuf::from("x");
        let id =
            |name| NewPlugin::named(name, Language::C, dir.clone()).map(|new| new.id.to_string());
        assert_eq!(id("Tea timer!").unwrap(), "org.example.tea-timer");
        assert!(matches!(id("…"), Err(NewError::Id(_))));
        assert!(matches!(id("a \"b\""), Err(NewError::Name { .. })));
        assert!(matches!(id(&"x".repeat(41)), Err(NewError::Name { .. })));
    }

    #[test]
    fn a_new_folder_is_a_project_in_each_language() {
        for language in Language::ALL {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("new");
            let new = NewPlugin::named("Tea timer", language, path.clone()).unwrap();
            let files = create(&new).unwrap();
            assert!(files.iter().all(|file| file.is_file()));
            for file in &files {
                let text = fs::read_to_string(file).unwrap();
                assert!(!text.contains(EXAMPLE_ID), "{}", file.display());
                assert!(!text.contains("../.."), "{}", file.display());
            }
            let project = Project::open(&path).unwrap();
            assert_eq!(project.language, language);
            assert_eq!(project.manifest.name, "Tea timer");
            assert_eq!(project.scenarios().len(), 1, "{language}");
            assert!(matches!(create(&new), Err(NewError::NotEmpty { .. })));
        }
    }
}
