//! The plugin compiler: a component on stdin, machine code for `hearth-runner` on stdout.
//!
//! A few kilobytes of hostile wasm can keep a code generator busy for minutes and fill gigabytes, so this is a process
//! of its own that limits its own processor time and memory, and shuts itself in, before it reads a byte. It opens no
//! file and reads no environment. Where the system does not shut it in as it must be, it compiles nothing.
#![deny(missing_docs)]

#[path = "../../runner/src/engine_config.rs"]
mod engine_config;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, IsTerminal, Read, Write},
    process::ExitCode,
};

use hearth_confine::{Limits, Work};
use wasmtime::{Config, Engine, OptLevel};

/// Longest component.
const MAX_COMPONENT_BYTES: u64 = 32 << 20;
/// What compiling may use.
const LIMITS: Limits =
    Limits { address_space_bytes: 2 << 30, data_bytes: 1 << 30, cpu_secs: Some(30) };
/// Above this a component holds a whole interpreter, and optimising it would use up the time that stops bombs.
const LARGE_BYTES: usize = 4 << 20;
/// Exit status where the system does not shut this process in.
const UNCONFINED: u8 = 77;

/// Why there is no artefact.
#[derive(Debug, thiserror::Error)]
enum CompileFailure {
    #[error("the component is over {MAX_COMPONENT_BYTES} bytes")]
    TooLong,
    #[error("the component does not compile: {}", chain(.0))]
    Component(wasmtime::Error),
    #[error("the code generator does not start: {}", chain(.0))]
    Engine(wasmtime::Error),
    #[error("this system lacks {}", .0.join(", "))]
    Unconfined(Vec<&'static str>),
    #[error("the pipe to the parent broke: {0}")]
    Pipe(#[from] io::Error),
}

#[expect(clippy::print_stderr, reason = "the parent reads the reason there")]
fn main() -> ExitCode {
    let outcome = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] if !io::stdin().is_terminal() => compile(),
        [flag] if flag == "--compatibility" => print_compatibility(),
        _ => {
            eprintln!("hearth-compiler compiles plugins for Hearth and is started by it");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            match failure {
                CompileFailure::Unconfined(_) => ExitCode::from(UNCONFINED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn compile() -> Result<(), CompileFailure> {
    let lacks = hearth_confine::enclose(LIMITS).seal(Work::Compile).lacks();
    if !lacks.is_empty() {
        return Err(CompileFailure::Unconfined(lacks));
    }
    let mut component = Vec::new();
    io::stdin().lock().take(MAX_COMPONENT_BYTES + 1).read_to_end(&mut component)?;
    if component.len() as u64 > MAX_COMPONENT_BYTES {
        return Err(CompileFailure::TooLong);
    }
    let level = match component.len() {
        ..=LARGE_BYTES => OptLevel::Speed,
        _ => OptLevel::None,
    };
    let artefact =
        engine(level)?.precompile_component(&component).map_err(CompileFailure::Component)?;
    let mut out = io::stdout().lock();
    out.write_all(&artefact)?;
    out.flush()?;
    Ok(())
}

/// One line that differs wherever an artefact of this compiler would not load.
fn print_compatibility() -> Result<(), CompileFailure> {
    let mut hasher = DefaultHasher::new();
    engine(OptLevel::Speed)?.precompile_compatibility_hash().hash(&mut hasher);
    let (version, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    writeln!(io::stdout(), "hearth {version} {arch} {:016x}", hasher.finish())?;
    Ok(())
}

/// How well it optimises is nothing that a runner has to know.
fn engine(level: OptLevel) -> Result<Engine, CompileFailure> {
    let mut config: Config = engine_config::engine_config();
    config.cranelift_opt_level(level);
    // The same bits for every NaN on every machine, so that a guest cannot tell machines apart.
    config.cranelift_nan_canonicalization(true);
    Engine::new(&config).map_err(CompileFailure::Engine)
}

/// An error and what caused it, in one line.
fn chain(error: &wasmtime::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ").replace('\n', " ")
}
