//! What was published of the interface stays: later text may only add to it.
//!
//! A published version lies under `wit/published/<version>/` as the files it was published as. While there is none, nothing
//! is frozen, and this only proves that the guard would bite.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use wit_component::semver_check;
use wit_parser::Resolve;

/// Both worlds that plugins are built against.
const WORLDS: [&str; 2] = ["sealed", "plugin"];
/// What stands before the version in each file.
const PACKAGE: &str = "package hearth:plugin@";

/// Files by name.
type Text = BTreeMap<String, String>;

fn wit_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

fn text_in(dir: &Path) -> Text {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wit"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The version that all files of a package name.
fn version_of(text: &Text) -> String {
    let of = |file: &String| {
        let version = file.lines().find_map(|line| line.strip_prefix(PACKAGE)).unwrap();
        version.trim_end_matches(';').to_owned()
    };
    let versions: Vec<String> = text.values().map(of).collect();
    assert!(versions.windows(2).all(|pair| pair[0] == pair[1]), "{versions:?}");
    versions[0].clone()
}

/// Whether `new` keeps what `old` has promised.
fn keeps(old: &Text, new: &Text) -> Result<(), String> {
    let (was, is) = (version_of(old), version_of(new));
    if was == is {
        let other = format!("{was} was published with another text");
        return if old == new { Ok(()) } else { Err(other) };
    }
    let dir = tempfile::tempdir().unwrap();
    for world in WORLDS {
        let mut resolve = Resolve::default();
        let mut worlds = Vec::new();
        for (name, text) in [("old", old), ("new", new)] {
            let folder = dir.path().join(world).join(name);
            fs::create_dir_all(&folder).unwrap();
            for (file, content) in text {
                fs::write(folder.join(file), content).unwrap();
            }
            let (package, _files) = resolve.push_dir(&folder).unwrap();
            worlds.push(resolve.select_world(&[package], Some(world)).unwrap());
        }
        semver_check(resolve, worlds[0], worlds[1]).map_err(|error| format!("{error:#}"))?;
    }
    Ok(())
}

#[test]
fn what_was_published_is_kept() {
    let now = text_in(&wit_dir());
    let Ok(published) = fs::read_dir(wit_dir().join("published")) else {
        let readme = fs::read_to_string(wit_dir().join("README.md")).unwrap();
        assert!(readme.contains("Nothing is frozen yet."), "wit/published is missing");
        return;
    };
    for version in published {
        let dir = version.unwrap().path();
        keeps(&text_in(&dir), &now).unwrap_or_else(|why| panic!("{}: {why}", dir.display()));
    }
}

#[test]
fn the_guard_lets_additions_pass_and_nothing_else() {
    let old = text_in(&wit_dir());
    let raised = |text: &String| text.replace("@0.1.0;", "@0.1.1;");
    let next: Text = old.iter().map(|(name, text)| (name.clone(), raised(text))).collect();
    assert_eq!(keeps(&old, &old), Ok(()));
    assert_eq!(keeps(&old, &next), Ok(()));
    let changed = |file: &str, from: &str, to: &str| {
        let mut text = next.clone();
        let body = text.get_mut(file).unwrap();
        assert!(body.contains(from), "{file}: {from}");
        *body = body.replacen(from, to, 1);
        text
    };
    let more = "@since(version = 0.1.1)\n  size: func() -> u32;\n  use types.{error};";
    let with_more = changed("storage.wit", "use types.{error};", more);
    assert_eq!(keeps(&old, &with_more), Ok(()));
    for (file, from, to) in [
        ("declassify.wit", "remaining: func() -> u32;", "remaining: func() -> u64;"),
        ("declassify.wit", "remaining: func() -> u32;", ""),
        ("host.wit", "locale: string,", "locale: string, zone: string,"),
        ("types.wit", "unsupported,", "unsupported, later,"),
    ] {
        assert!(keeps(&old, &changed(file, from, to)).is_err(), "{file}: {to}");
    }
    // The same version with another text.
    let mut other = old.clone();
    other.get_mut("host.wit").unwrap().push_str("\n// more\n");
    assert!(keeps(&old, &other).is_err());
}
