//! The interface as text, and the world of one plugin: what its manifest gives it a use for, and nothing else. Script
//! languages import every interface of their world whether they call it or not, so a smaller world is a smaller import
//! list.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use hearth_base::Manifest;
use wit_parser::{Resolve, WorldId};

use crate::embedded::WIT;

/// Name of the generated world.
pub(crate) const WORLD: &str = "plugin";
/// Version of the interface, as imports spell it.
const VERSION: &str = "0.1.0";

/// Why a world could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text does not parse.
    #[error("the interface does not parse: {reason}")]
    Malformed {
        /// The parser's words.
        reason: String,
    },
}

/// The files of the interface `hearth:plugin`, by name. Former versions, which lie in folders, are not among them.
pub fn interface_text() -> impl Iterator<Item = (&'static str, &'static str)> {
    WIT.iter().copied().filter(|(name, _)| name.ends_with(".wit") && !name.contains('/'))
}

/// The interfaces that a plugin of this manifest has a use for. `types`, `values`, `documents` and `host` are always among
/// them: what a plugin offers speaks of the first three, and anybody may write a log line.
pub fn imports_of(manifest: &Manifest) -> Vec<&'static str> {
    let powers = &manifest.capabilities;
    [
        ("types", true),
        ("values", true),
        ("documents", true),
        ("model", powers.model || powers.personal_model),
        ("panel", !manifest.panels.is_empty()),
        ("storage", powers.storage_kib > 0),
        ("settings", !manifest.settings.is_empty()),
        ("host", true),
        ("declassify", !manifest.claims_sealed()),
    ]
    .into_iter()
    .filter_map(|(interface, used)| used.then_some(interface))
    .collect()
}

/// Writes the interface and the plugin's own world into a folder, in the layout that tools of all languages read: the
/// world at the top, the interface under `deps`. Gives the world's name.
///
/// # Errors
/// Where a file cannot be written.
pub fn write_wit(manifest: &Manifest, dir: &Path) -> Result<&'static str, WorldError> {
    write(&dir.join("world.wit"), world_of(manifest))?;
    for (name, text) in interface_text() {
        write(&dir.join("deps/hearth-plugin").join(name), text)?;
    }
    Ok(WORLD)
}

/// The plugin's own world, as text.
fn world_of(manifest: &Manifest) -> String {
    let mut text = String::from("package local:guest;\n\nworld plugin {\n");
    for interface in imports_of(manifest) {
        text.push_str(&format!("  import hearth:plugin/{interface}@{VERSION};\n"));
    }
    text.push_str(&format!("  export hearth:plugin/guest@{VERSION};\n}}\n"));
    text
}

/// The world in a folder that [`write_wit`] has written: for generators of bindings.
pub(crate) fn read_world(dir: &Path) -> Result<(Resolve, WorldId), WorldError> {
    let bad = |error: &dyn fmt::Display| WorldError::Malformed { reason: error.to_string() };
    let mut resolve = Resolve::default();
    let (package, _files) = resolve.push_dir(dir).map_err(|error| bad(&error))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| bad(&error))?;
    Ok((resolve, world))
}

/// Writes a file, its folders first.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), WorldError> {
    let failed = |source| WorldError::File { path: path.to_path_buf(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(more: &str) -> Manifest {
        let text =
            format!("id = \"a.b\"\nname = \"A\"\nversion = \"1.0.0\"\napi = \"0.1\"\n{more}");
        Manifest::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_world_holds_what_the_manifest_has_a_use_for() {
        assert_eq!(imports_of(&manifest("")), ["types", "values", "documents", "host"]);
        let all = manifest(
            "panels = [{ id = \"p\", title = \"P\" }]\n\
             settings = [{ key = \"k\", kind = \"flag\", default = true }]\n\
             capabilities = { personal-model = true, storage-kib = 1 }\n\
             declassify = { text = true }\n",
        );
        assert_eq!(imports_of(&all).len(), 9);
        for manifest in [manifest(""), all] {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(write_wit(&manifest, dir.path()).unwrap(), WORLD);
            let (resolve, world) = read_world(dir.path()).unwrap();
            assert_eq!(resolve.worlds[world].imports.len(), imports_of(&manifest).len());
            assert_eq!(resolve.worlds[world].exports.len(), 1);
        }
    }

    #[test]
    fn every_interface_is_carried_along() {
        let names: Vec<&str> = interface_text().map(|(name, _)| name).collect();
        for interface in [
            "types",
            "values",
            "documents",
            "model",
            "panel",
            "storage",
            "settings",
            "host",
            "declassify",
            "guest",
        ] {
            assert!(names.contains(&format!("{interface}.wit").as_str()), "{interface}: {names:?}");
        }
    }
}
