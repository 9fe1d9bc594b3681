//! The one engine of the process, its ticker, and the loaded plugin.

use std::{
    sync::{
        Arc, Barrier,
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
    machine: Machine,
    pub(crate) pre: PluginPre<Context>,
}

impl Loaded {
    /// Loads what `hearth-compiler` made and links the plugin interfaces to it, and nothing else.
    pub(crate) fn from_artefact(machine: &Machine, artefact: &[u8]) -> Result<Self, RunFault> {
        let engine = &machine.engine;
        let component =
            deserialize(engine, artefact).map_err(|e| RunFault::BadArtefact(faults::words(&e)))?;
        let link = |e: wasmtime::Error| RunFault::Link(faults::words(&e));
        let mut linker = Linker::<Context>::new(engine);
        crate::bindings::Plugin::add_to_linker::<_, HasSelf<Context>>(&mut linker, |c| c)
            .map_err(link)?;
        let pre = linker.instantiate_pre(&component).and_then(PluginPre::new).map_err(link)?;
        Ok(Self { machine: machine.clone(), pre })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.machine.engine
    }

    /// Counts epochs while what it returns lives.
    pub(crate) fn ticking(&self) -> Ticking {
        Ticking::begin(&self.machine)
    }
}

#[expect(unsafe_code, reason = "machine code cannot be checked; its maker can")]
fn deserialize(engine: &Engine, artefact: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the parent sends only bytes that hearth-compiler produced and that carried the host's MAC since.
    unsafe { Component::deserialize(engine, artefact) }
}

/// The one engine of this process, and the thread that counts its epochs.
#[derive(Clone)]
pub(crate) struct Machine {
    engine: Engine,
    ticker: Thread,
}

impl Machine {
    /// Starts both. Returns once the thread has run: afterwards no thread can be started.
    pub(crate) fn start() -> wasmtime::Result<Self> {
        let engine = Engine::new(&engine_config())?;
        let ticked = engine.clone();
        let runs = Arc::new(Barrier::new(2));
        let running = Arc::clone(&runs);
        let ticker = thread::Builder::new().name("ticker".into()).spawn(move || {
            running.wait();
            tick(&ticked);
        })?;
        runs.wait();
        Ok(Self { engine, ticker: ticker.thread().clone() })
    }
}

/// A guest is running. The ticker sleeps otherwise: an idle plugin wakes no processor.
static RUNNING: AtomicBool = AtomicBool::new(false);

/// Epochs are counted while this lives.
pub(crate) struct Ticking;

impl Ticking {
    fn begin(machine: &Machine) -> Self {
        RUNNING.store(true, Ordering::Relaxed);
        machine.ticker.unpark();
        Self
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        RUNNING.store(false, Ordering::Relaxed);
    }
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
