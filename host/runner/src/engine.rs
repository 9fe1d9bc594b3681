//! The one engine of the process, its ticker, and the loaded plugin.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use hearth_base::RunFault;
use wasmtime::{
    Engine,
    component::{Component, HasSelf, Linker},
};

use crate::{bindings::PluginPre, context::Context, engine_config::engine_config, faults};

/// How often a running guest is looked at.
const TICK: Duration = Duration::from_millis(10);

/// A plugin ready to be instantiated.
pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) pre: PluginPre<Context>,
}

impl Loaded {
    /// Loads what `hearth-compiler` made and links the plugin interfaces to it, and nothing else.
    pub(crate) fn from_artefact(artefact: &[u8]) -> Result<Self, RunFault> {
        let engine = engine().map_err(|e| RunFault::BadArtefact(faults::words(&e)))?;
        let component =
            deserialize(engine, artefact).map_err(|e| RunFault::BadArtefact(faults::words(&e)))?;
        let link = |e: wasmtime::Error| RunFault::Link(faults::words(&e));
        let mut linker = Linker::<Context>::new(engine);
        crate::bindings::Plugin::add_to_linker::<_, HasSelf<Context>>(&mut linker, |c| c)
            .map_err(link)?;
        let pre = linker.instantiate_pre(&component).and_then(PluginPre::new).map_err(link)?;
        Ok(Self { engine: engine.clone(), pre })
    }
}

#[expect(unsafe_code, reason = "machine code cannot be checked; its maker can")]
fn deserialize(engine: &Engine, artefact: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the parent sends only bytes that hearth-compiler produced and that carried the host's MAC since.
    unsafe { Component::deserialize(engine, artefact) }
}

/// The engine and the thread that counts its epochs.
struct Process {
    engine: Engine,
    ticker: Thread,
}

static PROCESS: OnceLock<Process> = OnceLock::new();
/// A guest is running. The ticker sleeps otherwise: an idle plugin wakes no processor.
static RUNNING: AtomicBool = AtomicBool::new(false);

/// Epochs are counted while this lives.
pub(crate) struct Ticking;

impl Ticking {
    pub(crate) fn begin() -> Self {
        RUNNING.store(true, Ordering::Relaxed);
        if let Some(process) = PROCESS.get() {
            process.ticker.unpark();
        }
        Self
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        RUNNING.store(false, Ordering::Relaxed);
    }
}

/// The engine, made on first use.
fn engine() -> wasmtime::Result<&'static Engine> {
    if let Some(process) = PROCESS.get() {
        return Ok(&process.engine);
    }
    let engine = Engine::new(&engine_config())?;
    let ticked = engine.clone();
    let ticker = thread::Builder::new().name("ticker".into()).spawn(move || tick(&ticked))?;
    let process = Process { engine, ticker: ticker.thread().clone() };
    Ok(&PROCESS.get_or_init(|| process).engine)
}

fn tick(engine: &Engine) {
    loop {
        if RUNNING.load(Ordering::Relaxed) {
            thread::sleep(TICK);
            engine.increment_epoch();
        } else {
            thread::park();
        }
    }
}
