//! The two-vault harness: a guest must hear the same, whatever the vault holds and however the engine fares.
//!
//! A guest is any function of its [`Guest`]; the trace is every reply in order. Traces over different worlds are
//! compared exactly.

use hearth_base::{Answer, Export, GuestError, Handle, HostCall, HostReply, PluginId};
use hearth_broker::{BeginError, Client, RunEnd, Start};

use super::world::{EngineKind, Recipe, World, adapter, numbered};

/// A guest's end of a run, which writes down all it hears.
pub(crate) struct Guest<'a> {
    world: &'a World,
    client: &'a mut Client,
    pub(crate) trace: Vec<HostReply>,
    /// The handle that came with the gesture, if one did.
    pub(crate) given: Option<Handle>,
    fate: Fate<'a>,
}

/// What befalls a run on its way. A call is named by how many came before it.
pub(crate) struct Fate<'a> {
    /// Done before each call, unseen by the guest.
    pub(crate) meanwhile: &'a dyn Fn(usize),
    /// The call before which it is killed, or after its last one.
    pub(crate) killed: Option<usize>,
}

impl Default for Fate<'_> {
    fn default() -> Self {
        Self { meanwhile: &|_| {}, killed: None }
    }
}

impl Guest<'_> {
    pub(crate) fn call(&mut self, call: HostCall) -> HostReply {
        let before = self.trace.len();
        if self.is_dead() {
            return Err(GuestError::Refused);
        }
        (self.fate.meanwhile)(before);
        // Only these wait for the model, and while they do, time passes.
        let waits = matches!(
            call,
            HostCall::CompletionNext(_) | HostCall::RevealChoice(_) | HostCall::RevealText { .. }
        );
        let reveals = matches!(call, HostCall::RevealChoice(_) | HostCall::RevealText { .. });
        if reveals && self.fate.killed.is_some() {
            // What it is charged stays charged, and so a later run can see how far this one came.
            return Err(GuestError::Refused);
        }
        let client = &mut *self.client;
        let reply =
            if waits { self.world.clock.flowing(|| client.call(call)) } else { client.call(call) };
        self.trace.push(reply.clone());
        reply
    }

    fn is_dead(&self) -> bool {
        self.fate.killed.is_some_and(|killed| self.trace.len() >= killed)
    }

    /// The handle of a call that gave one; a number that names nothing where it was refused.
    pub(crate) fn handle(&mut self, call: HostCall) -> Handle {
        match self.call(call) {
            Ok(Answer::Handle(handle) | Answer::MaybeHandle(Some(handle))) => handle,
            _ => Handle(u32::MAX),
        }
    }

    pub(crate) fn handles(&mut self, call: HostCall) -> Vec<Handle> {
        match self.call(call) {
            Ok(Answer::Handles(handles)) => handles,
            _ => Vec::new(),
        }
    }
}

/// Runs a guest and gives all it heard, what came with the gesture included.
pub(crate) fn run(world: &World, start: Start, guest: &dyn Fn(&mut Guest<'_>)) -> String {
    live(world, start, guest, Fate::default()).unwrap()
}

/// The same, with all that befalls the run.
pub(crate) fn live(
    world: &World,
    start: Start,
    guest: &dyn Fn(&mut Guest<'_>),
    fate: Fate<'_>,
) -> Result<String, BeginError> {
    live_as(world, &world.plugin, start, guest, fate)
}

/// The same of any plugin.
pub(crate) fn live_as(
    world: &World,
    plugin: &PluginId,
    start: Start,
    guest: &dyn Fn(&mut Guest<'_>),
    fate: Fate<'_>,
) -> Result<String, BeginError> {
    let (mut client, invocation) = world.try_begin_as(plugin, start)?;
    let given = match &invocation.export {
        Export::Run { focus, .. } => *focus,
        Export::OnEvent { event, .. } => match event {
            hearth_base::Event::Entered(_, handle) | hearth_base::Event::Picked(_, handle) => {
                Some(*handle)
            }
            hearth_base::Event::Pressed(_) => None,
        },
        Export::Migrate { .. } => None,
    };
    let mut guest_end = Guest { world, client: &mut client, trace: Vec::new(), given, fate };
    guest(&mut guest_end);
    let killed = guest_end.fate.killed.is_some();
    let trace = guest_end.trace;
    client.finish(if killed {
        RunEnd::Aborted("it was killed".into())
    } else {
        RunEnd::Returned(Ok(()))
    });
    // The seed is a keyed function of plugin and run number; keys differ between vaults, and that is all it tells.
    Ok(format!("{:?} {:?} {trace:?}", invocation.export, invocation.fuel))
}

/// Vaults that differ in everything private, and engines that fare differently.
pub(crate) fn worlds() -> Vec<(String, Recipe)> {
    let huge = vec![
        ("x".repeat(4000), "word ".repeat(20_000)),
        (String::new(), "a".repeat(1 << 20)),
        ("Re: \u{202e}".into(), "\0\u{1b}[2J".into()),
    ];
    let contents = [
        ("no documents", Vec::new()),
        ("one document", numbered(1)),
        ("fifty documents", numbered(50)),
        ("empty documents", vec![(String::new(), String::new()); 5]),
        ("huge documents", huge),
    ];
    let mut worlds = Vec::new();
    for (name, documents) in contents {
        worlds.push((name.to_owned(), Recipe { documents, ..Recipe::default() }));
    }
    for engine in [EngineKind::Failing, EngineKind::Slow] {
        let recipe = Recipe { engine, ..Recipe::default() };
        worlds.push((format!("{engine:?} engine"), recipe));
    }
    let tiny = Recipe { context_tokens: 24, ..Recipe::default() };
    worlds.push(("a tiny context".into(), tiny));
    let alone = Recipe { picks: None, ..Recipe::default() };
    worlds.push(("nobody to ask".into(), alone));
    for (name, personal) in [
        ("an adapter", vec![adapter(1, &[1, 2])]),
        ("two adapters", vec![adapter(2, &[7]), adapter(3, &[])]),
        ("an adapter that is not there", vec![adapter(9, &[1])]),
    ] {
        worlds.push((name.into(), Recipe { personal, ..Recipe::default() }));
    }
    worlds
}

/// The worlds in which the guest heard something else than in the first, by name.
pub(crate) fn differences(
    worlds: &[(String, World)],
    heard: impl Fn(&World) -> Vec<String>,
) -> Vec<String> {
    let mut first: Option<Vec<String>> = None;
    let mut different = Vec::new();
    for (name, world) in worlds {
        let trace = heard(world);
        match &first {
            None => first = Some(trace),
            Some(first) if *first == trace => {}
            Some(_) => different.push(name.clone()),
        }
    }
    different
}
