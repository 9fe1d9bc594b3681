//! Where things lie.

use std::{
    env,
    path::{Path, PathBuf},
};

use hearth_session::{ErrorKind, UserError};

/// The bundled model's file.
const STARTER: &str = "hearth-starter.gguf";

/// The vault's directory: what was asked for, else `HEARTH_VAULT`, else the user's data directory.
///
/// # Errors
/// Where the system knows no data directory.
pub fn vault_dir(asked: Option<PathBuf>) -> Result<PathBuf, UserError> {
    let named = asked.or_else(|| env_path("HEARTH_VAULT"));
    let standard = || {
        directories::ProjectDirs::from("org", "", "hearth")
            .map(|dirs| dirs.data_dir().join("vault"))
    };
    named.or_else(standard).ok_or_else(|| UserError {
        kind: ErrorKind::User,
        message: "This system names no directory for your data.".into(),
        hint: "Name one with --vault DIR or HEARTH_VAULT.".into(),
    })
}

/// The folder of runner, compiler, bundled plugins and starter model.
pub fn program_dir() -> PathBuf {
    env_path("HEARTH_RUNTIME_DIR").unwrap_or_else(|| {
        let exe = env::current_exe().unwrap_or_default();
        exe.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
    })
}

/// The demonstration data: `demo` beside the program, else `examples/demo` above it or above the current directory.
pub fn demo_dir() -> Option<PathBuf> {
    let beside = program_dir().join("demo");
    if beside.is_dir() {
        return Some(beside);
    }
    let exe = env::current_exe().ok();
    let here = env::current_dir().ok();
    let starts = [exe.as_deref(), here.as_deref()];
    starts
        .into_iter()
        .flatten()
        .flat_map(Path::ancestors)
        .map(|dir| dir.join("examples").join("demo"))
        .find(|dir| dir.is_dir())
}

/// `plugins/*.wasm`, in order.
pub(crate) fn bundled_plugins(program_dir: &Path) -> Vec<PathBuf> {
    // No folder, no plugins: Hearth works without.
    let Ok(entries) = std::fs::read_dir(program_dir.join("plugins")) else { return Vec::new() };
    let mut plugins: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    plugins.sort();
    plugins
}

pub(crate) fn starter_model(program_dir: &Path) -> Option<PathBuf> {
    Some(program_dir.join(STARTER)).filter(|path| path.is_file())
}

/// The user's language as a tag, `en` where it is not told.
pub(crate) fn locale() -> String {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .and_then(|value| tag(&value))
        .unwrap_or_else(|| "en".to_owned())
}

/// `de_CH.UTF-8` as `de-CH`.
fn tag(posix: &str) -> Option<String> {
    let name = posix.split(['.', '@']).next()?.replace('_', "-");
    let fine = (2..=16).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && name != "POSIX";
    fine.then_some(name)
}

fn env_path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_comes_first() {
        assert_eq!(vault_dir(Some("here".into())).unwrap(), PathBuf::from("here"));
        assert!(vault_dir(None).is_ok());
    }

    #[test]
    fn language_tags() {
        assert_eq!(tag("de_CH.UTF-8").as_deref(), Some("de-CH"));
        assert_eq!(tag("en").as_deref(), Some("en"));
        for odd in ["C", "POSIX", "", "../etc_passwd"] {
            assert_eq!(tag(odd), None, "{odd}");
        }
    }

    #[test]
    fn only_components_beside_the_program_are_bundled() {
        let dir = tempfile::tempdir().unwrap();
        assert!(bundled_plugins(dir.path()).is_empty());
        std::fs::create_dir(dir.path().join("plugins")).unwrap();
        for name in ["b.wasm", "a.wasm", "notes.txt"] {
            std::fs::write(dir.path().join("plugins").join(name), "").unwrap();
        }
        let names: Vec<_> = bundled_plugins(dir.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.wasm", "b.wasm"]);
        assert_eq!(starter_model(dir.path()), None);
    }
}
