//! Builds a plugin's folder with its language's tools, and packs the result.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::{MetadataCommand, Package, TargetKind};
use hearth_wasm::Inspection;
use wit_bindgen_core::Files;

use crate::{
    Language, PackError, Project, ProjectError, WorldError,
    embedded::{BUILD_JS, C_RUNTIME},
    pack_component, tools,
    world::{read_world, write},
    write_wit,
};

/// Target of guests in Rust: no WASI, so that a guest imports nothing it did not ask for.
const RUST_TARGET: &str = "wasm32-unknown-unknown";
/// Environment that speaks of other programs and must not reach a guest's build.
const HOST_ONLY: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
];
/// Guests are built small whatever their own profiles say.
const GUEST_PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
];

const GET_CARGO: &str = "install Rust: https://rustup.rs";
const GET_CLANG: &str = "Debian, Ubuntu: apt install clang lld; Fedora: dnf install clang lld; macOS: brew install llvm lld";
const GET_NODE: &str = "install Node.js 20 or later: https://nodejs.org";
const GET_COMPONENTIZE_PY: &str = "in the plugin's folder: python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1";

/// Has a cargo build guests: small, and by no settings that are meant for the host's programs.
pub fn for_guests(cargo: &mut Command) {
    for variable in HOST_ONLY {
        cargo.env_remove(variable);
    }
    cargo.envs(GUEST_PROFILE);
}

/// Why a plugin could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Not a plugin's folder.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A program that is not there.
    #[error("`{tool}` is missing; {get_it}")]
    MissingTool {
        /// Which.
        tool: String,
        /// How to get it.
        get_it: &'static str,
    },
    /// Rust cannot build guests.
    #[error(
        "this Rust cannot build for {RUST_TARGET}, which plugins are built for; run:\n    \
         rustup target add {RUST_TARGET}\n\
         (on Debian or Ubuntu without rustup: apt install libstd-rust-dev-wasm32)"
    )]
    MissingTarget,
    /// What the package file asks for is not there.
    #[error("componentize-js is not installed here; run in {}:\n    npm install", dir.display())]
    MissingModules {
        /// The plugin's folder.
        dir: PathBuf,
    },
    /// A program that does not start.
    #[error("`{tool}` does not start: {source}")]
    Start {
        /// Which.
        tool: String,
        /// Why.
        source: io::Error,
    },
    /// A program that failed. It has said why.
    #[error("failed: {command}")]
    Failed {
        /// The command.
        command: String,
    },
    /// `cargo metadata` failed.
    #[error("cargo cannot read Cargo.toml: {0}")]
    Cargo(#[from] cargo_metadata::Error),
    /// The crate is no plugin's.
    #[error("{}: {reason}", path.display())]
    NotAGuest {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
    /// The interface could not be written down for a tool.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Bindings could not be made.
    #[error("bindings cannot be made: {reason}")]
    Bindings {
        /// The generator's words.
        reason: String,
    },
    /// What was built is no plugin.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A plugin that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its file.
    pub path: PathBuf,
    /// What it is.
    pub inspection: Inspection,
}

/// Builds and packs a plugin into `target/<id>.wasm`. What the tools say goes to stderr.
///
/// # Errors
/// [`BuildError`]; where a tool is missing, with the command that gets it.
pub fn build(project: &Project) -> Result<Built, BuildError> {
    let module = match project.language {
        Language::Rust => build_rust(project)?,
        Language::C => build_c(project)?,
        Language::JavaScript => build_javascript(project)?,
        Language::Python => build_python(project)?,
    };
    let bytes = fs::read(&module).map_err(file_error(&module))?;
    let (component, inspection) = pack_component(&bytes, &project.manifest_text)?;
    let path = project.component_path();
    write(&path, &component)?;
    Ok(Built { path, inspection })
}

fn build_rust(project: &Project) -> Result<PathBuf, BuildError> {
    let dir = &project.dir;
    if !has_rust_target(dir) {
        // Without a compiler at all, that is the better advice.
        tools::run(cargo(dir).args(["--version", "--quiet"]), GET_CARGO)?;
        return Err(BuildError::MissingTarget);
    }
    let package = package_in(dir)?;
    let library = package
        .targets
        .iter()
        .find(|target| target.kind.contains(&TargetKind::CDyLib))
        .map(|target| target.name.replace('-', "_"))
        .ok_or_else(|| BuildError::NotAGuest {
            path: dir.clone(),
            reason: "Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]",
        })?;
    let target = project.target_dir();
    let mut command = cargo(dir);
    command.args(["build", "--release", "--lib", "--target", RUST_TARGET, "--package"]);
    command.arg(package.name.as_str()).arg("--target-dir").arg(&target);
    for_guests(&mut command);
    tools::run(&mut command, GET_CARGO)?;
    Ok(target.join(RUST_TARGET).join("release").join(format!("{library}.wasm")))
}

fn cargo(dir: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(dir);
    cargo
}

fn has_rust_target(dir: &Path) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", RUST_TARGET]).current_dir(dir);
    tools::read(&mut rustc).is_some_and(|libdir| Path::new(&libdir).is_dir())
}

/// The package whose folder this is.
fn package_in(dir: &Path) -> Result<Package, BuildError> {
    let path = dir.join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(&path).no_deps().exec()?;
    metadata
        .packages
        .into_iter()
        .find(|package| package.manifest_path.as_std_path() == path)
        .ok_or_else(|| BuildError::NotAGuest {
            path: dir.to_path_buf(),
            reason: "Cargo.toml has no [package]",
        })
}

fn build_c(project: &Project) -> Result<PathBuf, BuildError> {
    let target = project.target_dir();
    let (wit, bindings, runtime) =
        (target.join("wit"), target.join("bindings"), target.join("runtime"));
    write_wit(&project.manifest, &wit)?;
    for (name, bytes) in c_bindings(&wit)? {
        write(&bindings.join(name), bytes)?;
    }
    for (name, text) in C_RUNTIME {
        write(&runtime.join(name), text)?;
    }
    let src = project.dir.join("src");
    let mut sources: Vec<PathBuf> = fs::read_dir(&src)
        .map_err(file_error(&src))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    sources.sort();
    let module = target.join("plugin.core.wasm");
    let mut clang = Command::new("clang");
    clang.current_dir(&project.dir);
    clang.args(["--target=wasm32-unknown-unknown", "-std=c17", "-Os", "-flto", "-Wall", "-Wextra"]);
    clang.args(["-ffreestanding", "-fno-builtin", "-nostdlib", "-mbulk-memory"]);
    clang.args(["-Wl,--no-entry", "-Wl,--strip-debug", "-Wl,-z,stack-size=65536"]);
    clang.arg("-isystem").arg(&runtime).arg("-isystem").arg(&bindings);
    clang.args(&sources);
    // What is generated is not the author's to warn about.
    clang.arg("-w").arg(bindings.join("plugin.c")).arg(runtime.join("runtime.c"));
    clang.arg(bindings.join("plugin_component_type.o")).arg("-o").arg(&module);
    tools::run(&mut clang, GET_CLANG)?;
    Ok(module)
}

fn c_bindings(wit: &Path) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
    let (mut resolve, world) = read_world(wit)?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, world, &mut files)
        .map_err(|error| BuildError::Bindings { reason: format!("{error:#}") })?;
    Ok(files.iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect())
}

fn build_javascript(project: &Project) -> Result<PathBuf, BuildError> {
    let dir = &project.dir;
    if !dir.join("node_modules/@bytecodealliance/componentize-js").is_dir() {
        return Err(BuildError::MissingModules { dir: dir.clone() });
    }
    let target = project.target_dir();
    let world = write_wit(&project.manifest, &target.join("wit"))?;
    let script = target.join("build.mjs");
    write(&script, BUILD_JS)?;
    let component = target.join("plugin.component.wasm");
    let mut node = Command::new("node");
    node.current_dir(dir).arg(&script).arg("src/plugin.js").arg(target.join("wit"));
    tools::run(node.arg(world).arg(&component), GET_NODE)?;
    Ok(component)
}

fn build_python(project: &Project) -> Result<PathBuf, BuildError> {
    let dir = &project.dir;
    let target = project.target_dir();
    let world = write_wit(&project.manifest, &target.join("wit"))?;
    let component = target.join("plugin.component.wasm");
    let own = dir.join(".venv/bin/componentize-py");
    let program = if own.is_file() { own } else { "componentize-py".into() };
    let mut tool = Command::new(program);
    tool.current_dir(dir).arg("-d").arg(target.join("wit")).args(["-w", world, "componentize"]);
    tool.args(["--stub-wasi", "app", "-o"]).arg(&component);
    tools::run(&mut tool, GET_COMPONENTIZE_PY)?;
    Ok(component)
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_path_buf();
    move |source| BuildError::File { path, source }
}
