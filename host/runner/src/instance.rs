//! One call: a fresh store under all limits, the export, and what is left of it afterwards.

use hearth_base::{Event, Export, FromRunner, GuestFailure, Invocation};
use wasmtime::{AsContextMut, Store, UpdateDeadline, WasmCoreDump, component::Resource};

use crate::{
    bindings::{Plugin, guest},
    context::{Context, resource},
    engine::Loaded,
    faults,
    link::Link,
};

/// Most handles a guest may hold.
const MAX_HANDLES: usize = 4096;
/// Most bytes one call may carry out of the guest.
const MAX_CALL_BYTES: usize = 1 << 20;
/// How many ticks pass between two looks at the watchdog.
const LOOK_TICKS: u64 = 5;

/// Calls an export in a fresh instance. The link comes back with the frame that ends the call.
pub(crate) fn invoke(plugin: &Loaded, link: Link, invocation: Invocation) -> (Link, FromRunner) {
    let Invocation { export, info, fuel } = invocation;
    let mut store = Store::new(plugin.engine(), Context::new(link, info));
    let ticking = plugin.ticking();
    let outcome = call(&mut store, plugin, export, fuel);
    drop(ticking);
    let frame = match outcome {
        Ok(frame) => frame,
        Err(error) => FromRunner::Fault(faults::classify(&error, store.data().limits.hit)),
    };
    (store.into_data().link, frame)
}

fn call(
    store: &mut Store<Context>,
    plugin: &Loaded,
    export: Export,
    fuel: u64,
) -> wasmtime::Result<FromRunner> {
    store.limiter(|context| &mut context.limits);
    store.set_hostcall_fuel(MAX_CALL_BYTES);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_fuel(fuel)?;
    store.set_epoch_deadline(LOOK_TICKS);
    store.epoch_deadline_callback(|context| {
        Ok(if context.data().is_overdue() {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(LOOK_TICKS)
        })
    });
    let instance = plugin.pre.instantiate(&mut *store)?;
    let result = call_export(store, &instance, export)?;
    let burnt = fuel.saturating_sub(store.get_fuel()?);
    let memory_hash = memory_hash(store, &instance)?;
    Ok(FromRunner::Done { result, fuel: burnt, memory_hash })
}

fn call_export(
    store: &mut Store<Context>,
    instance: &Plugin,
    export: Export,
) -> wasmtime::Result<Result<(), GuestFailure>> {
    let guest = instance.hearth_plugin_guest();
    let result = match export {
        Export::Run { command, focus, input } => {
            guest.call_run(store, &command, focus.map(resource), input.map(resource))
        }
        Export::OnEvent { panel, event } => guest.call_on_event(store, &panel, &event.into()),
        Export::Migrate { from_version } => guest.call_migrate(store, &from_version),
    }?;
    Ok(result.map_err(GuestFailure::from))
}

/// Hashes every linear memory. A component exports none, so this calls once more without fuel: the guest traps before its
/// first instruction, and the dump of that trap names the memories.
fn memory_hash(store: &mut Store<Context>, instance: &Plugin) -> wasmtime::Result<[u8; 32]> {
    store.set_fuel(0)?;
    let trapped = instance.hearth_plugin_guest().call_migrate(&mut *store, "");
    let mut hasher = blake3::Hasher::new();
    if let Err(error) = trapped
        && let Some(dump) = error.downcast_ref::<WasmCoreDump>()
    {
        for memory in dump.memories() {
            let bytes = memory.data(store.as_context_mut());
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

impl From<Event> for guest::Event {
    fn from(event: Event) -> Self {
        match event {
            Event::Pressed(id) => Self::Pressed(id),
            Event::Entered(id, text) => Self::Entered((id, Resource::new_own(text.0))),
            Event::Picked(id, text) => Self::Picked((id, Resource::new_own(text.0))),
        }
    }
}

impl From<guest::Failure> for GuestFailure {
    fn from(failure: guest::Failure) -> Self {
        match failure {
            guest::Failure::Unsupported => Self::Unsupported,
            guest::Failure::BadInput(words) => Self::BadInput(words),
            guest::Failure::Internal(words) => Self::Internal(words),
        }
    }
}
