//! Looks at a packed plugin as an installation does, and with an eye to what its author may have overlooked.

use std::{collections::BTreeSet, path::PathBuf, sync::atomic::AtomicBool};

use hearth_base::{Focus, Manifest};
use hearth_wasm::{ArtefactStore, CompileError, InspectError, Inspection, Runtime};
use serde::Serialize;
use wasmparser::{Parser, Payload};

/// Past this a plugin takes seconds to install.
const LARGE_BYTES: u64 = 8 << 20;

/// Why an installation would refuse a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// What it is.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// It does not compile within the limits.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// No room for what compiling makes.
    #[error("no folder for compiling: {source}")]
    Room {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Something that an author may want to change. Nothing of it keeps a plugin from being installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What it is about, in one word.
    pub about: &'static str,
    /// What is odd, and what to do.
    pub words: String,
}

/// A plugin that an installation takes.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it is.
    pub inspection: Inspection,
    /// What its author may want to change.
    pub advice: Vec<Advice>,
}

/// Checks a packed plugin: everything an installation refuses is refused here, compiling included where `runtime` is
/// given.
///
/// # Errors
/// [`CheckError`] says what an installation would.
pub fn check(component: &[u8], runtime: Option<&Runtime>) -> Result<Checked, CheckError> {
    let inspection = hearth_wasm::inspect(component)?;
    if let Some(runtime) = runtime {
        compiles(component, runtime)?;
    }
    let mut advice = advice_on(&inspection);
    if has_debug_info(component) {
        advice.push(Advice {
            about: "debug",
            words: "it carries debug information, which nobody reads: strip it".into(),
        });
    }
    Ok(Checked { inspection, advice })
}

fn compiles(component: &[u8], runtime: &Runtime) -> Result<(), CheckError> {
    let room = |source| CheckError::Room { path: std::env::temp_dir(), source };
    let dir = tempfile::tempdir().map_err(room)?;
    // What is compiled here is never run: any key will do.
    let store = ArtefactStore::new(dir.path().to_path_buf(), [0; 32].into());
    store.load_or_compile(runtime, component, &AtomicBool::new(false))?;
    Ok(())
}

/// What a manifest and its binary leave to be wished.
fn advice_on(found: &Inspection) -> Vec<Advice> {
    let mut all = Vec::new();
    let mut say = |about, words: String| all.push(Advice { about, words });
    let manifest = &found.manifest;
    if manifest.description.is_empty() {
        say("description", "it has no description: users read it before they install".into());
    }
    if manifest.publisher.is_empty() {
        say(
            "publisher",
            "it names no publisher: unsigned plugins install in developer mode alone (see `hearth plugin keygen`)"
                .into(),
        );
    }
    if manifest.commands.is_empty() {
        say("commands", "it has no commands: nobody can start it".into());
    }
    for (interface, use_of_it) in asked_and_unused(manifest, &found.interfaces) {
        say(
            "unused",
            format!(
                "its manifest has {use_of_it}, and its code never calls `{interface}`: ask for less"
            ),
        );
    }
    for (interface, missing) in used_and_unasked(manifest, &found.interfaces) {
        say(
            "undeclared",
            format!(
                "its code imports `{interface}`, and its manifest has no {missing}: every such call is refused"
            ),
        );
    }
    if !manifest.slots.is_empty()
        && !has_command_without_focus(manifest)
        && !manifest.capabilities.search
    {
        say("slots", "it has slots, and all its commands work on one document".into());
    }
    for command in &manifest.commands {
        if command.tool.is_empty() && command.focus == Focus::None {
            say(
                "tool",
                format!("command `{}` has no `tool` words: the chat cannot offer it", command.id),
            );
        }
    }
    if found.size_bytes > LARGE_BYTES {
        let mib = found.size_bytes >> 20;
        say("size", format!("it is {mib} MiB: installing it takes seconds, so does its first run"));
    }
    all
}

/// Interfaces that the manifest has a use for and the binary does not import.
fn asked_and_unused(
    manifest: &Manifest,
    imported: &BTreeSet<String>,
) -> Vec<(&'static str, &'static str)> {
    uses(manifest)
        .into_iter()
        .filter(|(interface, _, asked)| *asked && !imported.contains(*interface))
        .map(|(interface, words, _)| (interface, words))
        .collect()
}

/// Interfaces that the binary imports and the manifest has no use for.
fn used_and_unasked(
    manifest: &Manifest,
    imported: &BTreeSet<String>,
) -> Vec<(&'static str, &'static str)> {
    uses(manifest)
        .into_iter()
        .filter(|(interface, _, asked)| !*asked && imported.contains(*interface))
        .map(|(interface, words, _)| (interface, words))
        .collect()
}

/// Interfaces, what of a manifest asks for each, and whether this one does.
fn uses(manifest: &Manifest) -> [(&'static str, &'static str, bool); 5] {
    let powers = &manifest.capabilities;
    [
        ("model", "`model` among its capabilities", powers.model || powers.personal_model),
        ("panel", "`panels`", !manifest.panels.is_empty()),
        ("storage", "`storage-kib` among its capabilities", powers.storage_kib > 0),
        ("settings", "`settings`", !manifest.settings.is_empty()),
        ("declassify", "`declassify`", !manifest.claims_sealed()),
    ]
}

fn has_command_without_focus(manifest: &Manifest) -> bool {
    manifest.commands.iter().any(|command| command.focus == Focus::None)
}

fn has_debug_info(component: &[u8]) -> bool {
    Parser::new(0).parse_all(component).map_while(Result::ok).any(|payload| {
        matches!(&payload, Payload::CustomSection(section) if section.name().starts_with(".debug_"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspection(manifest: &str, interfaces: &[&str]) -> Inspection {
        let text = format!(
            "id = \"org.example.a\"\nname = \"A\"\nversion = \"1.0.0\"\napi = \"0.1\"\n{manifest}"
        );
        Inspection {
            manifest: Manifest::parse(text.as_bytes()).unwrap(),
            imports: Vec::new(),
            interfaces: interfaces.iter().map(|&name| name.to_owned()).collect(),
            sealed: !interfaces.contains(&"declassify"),
            component_hash: String::new(),
            size_bytes: 9 << 20,
        }
    }

    fn about(found: &Inspection) -> Vec<&'static str> {
        advice_on(found).into_iter().map(|advice| advice.about).collect()
    }

    #[test]
    fn what_is_missing_is_named() {
        let bare = inspection("", &[]);
        assert_eq!(about(&bare), ["description", "publisher", "commands", "size"]);
    }

    #[test]
    fn manifest_and_binary_are_held_against_each_other() {
        let found = inspection(
            "description = \"D\"\npublisher = \"RW\"\n\
             commands = [{ id = \"go\", title = \"Go\", tool = \"Goes\" }]\n\
             panels = [{ id = \"p\", title = \"P\" }]\n\
             capabilities = { storage-kib = 4 }\n",
            &["model", "panel"],
        );
        let words: Vec<String> = advice_on(&found).into_iter().map(|a| a.words).collect();
        assert!(words.iter().any(|w| w.contains("never calls `storage`")), "{words:?}");
        assert!(words.iter().any(|w| w.contains("imports `model`")), "{words:?}");
        assert!(!words.iter().any(|w| w.contains("`panel`")), "{words:?}");
    }
}
