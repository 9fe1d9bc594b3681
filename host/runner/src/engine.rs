//! The one engine of the process, its ticker, and the loaded plugin.

use std::{
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use hearth_base::RunFault;
use wasmtime::{
    Engine,
    component::{Component, HasSelf, Linker},
};

use crate::{bindings::PluginPre, context::Context, engine_config::engine_config, faults};

/// How often a running guest is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(10);

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

/// The engine, made on first use.
fn engine() -> wasmtime::Result<&'static Engine> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let engine = ENGINE.get_or_init({
        let engine = Engine::new(&engine_config())?;
        move || engine
    });
    thread::Builder::new().name("ticker".into()).spawn(move || tick(engine))?;
    Ok(engine)
}

fn tick(engine: &Engine) {
    let mut next = Instant::now();
    loop {
        next += TICK;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        engine.increment_epoch();
    }
}
