//! Files are short, documented, and finished.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::root;

/// Longest Rust file; past this it is several rooms.
const MAX_LINES: usize = 800;

fn rust_files() -> Vec<(PathBuf, String)> {
    let root = root();
    let files: Vec<(PathBuf, String)> = WalkDir::new(&root)
        .into_iter()
        .filter_entry(|e| {
            let name = e.file_name().to_string_lossy();
            name != "target" && (e.depth() == 0 || !name.starts_with('.'))
        })
        .map(Result::unwrap)
        .filter(|e| e.path().extension().is_some_and(|x| x == "rs"))
        // The demonstration's code folder is data to be explained, not part of the house.
        .filter(|e| !e.path().starts_with(root.join("examples/demo")))
        .map(|e| {
            let text = std::fs::read_to_string(e.path()).unwrap();
            (e.path().strip_prefix(&root).unwrap().to_path_buf(), text)
        })
        .collect();
    assert!(files.len() > 80, "only {} files seen", files.len());
    files
}

fn offenders(breaks: impl Fn(&Path, &str) -> bool) -> Vec<PathBuf> {
    rust_files().into_iter().filter(|(p, text)| breaks(p, text)).map(|(p, _)| p).collect()
}

#[test]
fn no_file_is_several_rooms() {
    let long = offenders(|_, text| text.lines().count() > MAX_LINES);
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent = offenders(|path, text| {
        path.file_name().is_none_or(|n| n != "tests.rs") && !text.starts_with("//!")
    });
    assert!(silent.is_empty(), "no `//!` at the top: {silent:?}");
}

#[test]
fn modules_are_named_after_their_content() {
    let poor = offenders(|path, _| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        matches!(&*stem, "utils" | "util" | "helpers" | "common" | "misc" | "manager")
            || (stem == "mod" && !path.components().any(|c| c.as_os_str() == "tests"))
    });
    assert!(poor.is_empty(), "{poor:?}");
}

#[test]
fn nothing_is_left_undone() {
    let words =
        [["to", "do!("].concat(), ["unimplemen", "ted!("].concat(), ["#[ig", "nore]"].concat()];
    let undone = offenders(|_, text| words.iter().any(|w| text.contains(w.as_str())));
    assert!(undone.is_empty(), "{undone:?}");
}

#[test]
fn unsafe_code_stands_in_its_rooms_alone() {
    let marker = ["#[expect(unsafe", "_code"].concat();
    let found = offenders(|_, text| text.contains(&marker));
    let rooms = ["host/confine/", "host/runner/", "engine/kernels/"];
    let strays: Vec<_> =
        found.iter().filter(|p| !rooms.iter().any(|room| p.starts_with(room))).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn sockets_stand_in_the_registry_alone() {
    let words = [
        ["std::", "net"].concat(),
        ["tokio::", "net"].concat(),
        ["Tcp", "Stream"].concat(),
        ["Udp", "Socket"].concat(),
        ["Unix", "Stream"].concat(),
    ];
    let strays = offenders(|path, text| {
        // Tests attack, and measurements ask other engines on this machine.
        let beside = path.components().any(|part| part.as_os_str() == "tests");
        let registry = path.starts_with("host/registry");
        !beside && !registry && words.iter().any(|word| text.contains(word.as_str()))
    });
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn the_gui_knows_the_assembly_in_main_alone() {
    let word = ["hearth", "_app"].concat();
    let strays = offenders(|path, text| {
        path.starts_with("gui/src") && !path.ends_with("main.rs") && text.contains(&word)
    });
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn architecture_fits_two_pages() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let words = text.split_whitespace().count();
    assert!(text.lines().count() <= 120 && words <= 1300, "{words} words");
}
