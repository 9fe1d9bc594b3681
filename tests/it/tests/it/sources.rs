//! What no test of behaviour can see, because nothing does it: looked for in the sources.

use std::path::{Path, PathBuf};

fn files_under(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_under(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// Files of the host's own code that call one of these.
fn callers(of: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in std::fs::read_dir(root.join("host")).unwrap() {
        files_under(&folder.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 100, "{}", files.len());
    files.retain(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        !file.ends_with("tests.rs") && of.iter().any(|call| text.contains(call))
    });
    let name =
        |file: &PathBuf| file.strip_prefix(&root).unwrap().display().to_string().replace('\\', "/");
    let mut names: Vec<String> = files.iter().map(name).collect();
    names.sort();
    names
}

/// No export, no synchronisation and no tool of the chat carries it away.
#[test]
fn a_plugins_storage_is_read_where_it_runs_and_where_its_user_looks() {
    let expected = ["host/broker/src/ops/storage.rs", "host/session/src/plugins/install.rs"];
    assert_eq!(callers(&["vault.storage(", ".vault().storage("]), expected);
}
