//! Puts the plugin interface, the SDK and the example plugins into the crate as text, so that a plugin can be begun and
//! built where there is no Hearth repository.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// Name of the table, the folder it is made of, and what is left out of it.
const TABLES: [(&str, &str); 6] = [
    ("WIT", "wit"),
    ("SDK", "plugins/sdk/src"),
    ("RUST", "examples/plugin-hello"),
    ("C", "examples/plugin-hello-c"),
    ("JAVASCRIPT", "examples/plugin-hello-js"),
    ("PYTHON", "examples/plugin-hello-python"),
];
/// What builds leave behind.
const LEFT_OUT: [&str; 7] = [
    "target",
    "node_modules",
    ".venv",
    "__pycache__",
    "Cargo.lock",
    "package-lock.json",
    "README.md",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..");
    let root = root.canonicalize()?;
    let mut code = String::new();
    for (name, folder) in TABLES {
        let dir = root.join(folder);
        println!("cargo::rerun-if-changed={}", dir.display());
        let mut files = Vec::new();
        walk(&dir, &mut files)?;
        files.sort();
        writeln!(code, "pub(crate) const {name}: &[(&str, &str)] = &[")
            .map_err(io::Error::other)?;
        for file in files {
            let inner = file.strip_prefix(&dir).map_err(io::Error::other)?;
            let inner = inner.to_string_lossy().replace('\\', "/");
            writeln!(code, "    ({inner:?}, include_str!({:?})),", file.display().to_string())
                .map_err(io::Error::other)?;
        }
        code.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("embedded.rs"), code)
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if LEFT_OUT.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
