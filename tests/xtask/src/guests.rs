//! Builds plugin crates.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cargo_metadata::{MetadataCommand, Package, TargetKind};
use hearth_authoring::{for_guests, pack_component};

use crate::{
    Profile, TaskError, Workspace,
    shell::{self, say},
    wasm_target::{TARGET, WasmBuild},
};

/// Builds the first-party plugins and puts them beside a profile's programs, each named by its id.
///
/// # Errors
/// [`TaskError`].
pub fn build_plugins(workspace: &Workspace, profile: Profile) -> Result<(), TaskError> {
    let wasm = WasmBuild::find(&workspace.root)?;
    let into = workspace.programs(profile).join("plugins");
    for dir in plugin_crates(&workspace.root.join("plugins"))? {
        build(workspace, &wasm, &dir, |id| into.join(format!("{id}.wasm")))?;
    }
    Ok(())
}

/// Builds the example plugin, as a stranger's crate would be built, so that it never rots.
pub(crate) fn build_example(workspace: &Workspace, profile: Profile) -> Result<(), TaskError> {
    let file = workspace.programs(profile).join("example-plugins/org.example.hello.wasm");
    pack_crate(workspace, &workspace.root.join("examples/plugin-hello"), Some(&file)).map(drop)
}

/// Builds one plugin crate, of this workspace or any other, and says where the file is.
///
/// # Errors
/// [`TaskError`].
pub fn pack_crate(
    workspace: &Workspace,
    dir: &Path,
    out: Option<&Path>,
) -> Result<PathBuf, TaskError> {
    let wasm = WasmBuild::find(&workspace.root)?;
    build(workspace, &wasm, dir, |id| match out {
        Some(file) => file.to_path_buf(),
        None => dir.join("target").join(format!("{id}.wasm")),
    })
}

/// The folders that hold a plugin, sorted.
fn plugin_crates(dir: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let entries = fs::read_dir(dir).map_err(|source| file_error(dir, source))?;
    let mut dirs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join("plugin.toml").is_file())
        .collect();
    dirs.sort();
    Ok(dirs)
}

fn build(
    workspace: &Workspace,
    wasm: &WasmBuild,
    dir: &Path,
    name: impl FnOnce(&str) -> PathBuf,
) -> Result<PathBuf, TaskError> {
    let manifest_path = dir.join("plugin.toml");
    let manifest = fs::read_to_string(&manifest_path).map_err(|e| file_error(&manifest_path, e))?;
    let package = package_in(dir)?;
    let library = library_of(&package).ok_or_else(|| TaskError::NotAPlugin {
        path: dir.to_path_buf(),
        reason: "it needs a library with crate-type = [\"cdylib\", \"rlib\"]",
    })?;
    let guests = workspace.target.join("guests");
    let mut cargo = shell::cargo(dir);
    cargo.args(["build", "--release", "--lib", "--package", &package.name]);
    cargo.arg("--target-dir").arg(&guests);
    for_guests(&mut cargo);
    wasm.apply(&mut cargo);
    shell::run(&mut cargo)?;

    let module_path = guests.join(TARGET).join("release").join(format!("{library}.wasm"));
    let module = fs::read(&module_path).map_err(|source| file_error(&module_path, source))?;
    let (component, inspection) = pack_component(&module, &manifest)
        .map_err(|source| TaskError::Pack { path: dir.to_path_buf(), source })?;
    let file = name(inspection.manifest.id.as_str());
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(|source| file_error(parent, source))?;
    }
    fs::write(&file, &component).map_err(|source| file_error(&file, source))?;
    let kind = if inspection.sealed { "sealed" } else { "not sealed" };
    say(&format!("{} ({} bytes, {kind})", file.display(), component.len()));
    Ok(file)
}

/// The package whose folder this is.
fn package_in(dir: &Path) -> Result<Package, TaskError> {
    let missing = |reason| TaskError::NotAPlugin { path: dir.to_path_buf(), reason };
    let path = dir.join("Cargo.toml").canonicalize().map_err(|e| file_error(dir, e))?;
    let metadata = MetadataCommand::new().manifest_path(&path).no_deps().exec()?;
    metadata
        .packages
        .into_iter()
        .find(|package| package.manifest_path.as_std_path() == path)
        .ok_or_else(|| missing("its Cargo.toml has no [package]"))
}

/// The file name of its library.
fn library_of(package: &Package) -> Option<String> {
    let target = package.targets.iter().find(|t| t.kind.contains(&TargetKind::CDyLib))?;
    Some(target.name.replace('-', "_"))
}

fn file_error(path: &Path, source: io::Error) -> TaskError {
    TaskError::File { path: path.to_path_buf(), source }
}
