//! Runners killed and runners that lie, with a real broker and a real vault behind them. What a plugin stored is there as
//! after the last call that returned, or as after this one, and never in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicBool},
};

use hearth_base::{
    Date, DocumentId, FromRunner, Grant, HostCall, HostReply, Invocation, LogLevel, Manifest,
    PluginId, read_frame,
};
use hearth_broker::{
    Asker, Broker, Client, Observer, PickAnswer, PickQuestion, PluginNotice, RunEnd, Start,
};
use hearth_engine_api::{Engine, FakeBackend};
use hearth_vault::{PluginRecord, Vault};
use hearth_wasm::{Artefact, HostCalls, RunError, Runtime};

use crate::{
    calls::kill,
    guest::Guest,
    programs::{compile, runtime},
};

static NEVER: AtomicBool = AtomicBool::new(false);

const MANIFEST: &str = r#"
    id = "org.example.test"
    name = "Test"
    version = "1.0.0"
    api = "0.1"
    commands = [{ id = "one", title = "One" }, { id = "three", title = "Three" }]
    capabilities = { storage-kib = 64 }
"#;

/// How many keys the guest writes.
const KEYS: u8 = 8;

/// Writes the keys a, b, c…, each with the length of its command, and deletes one before it writes it again.
const WRITES: Guest = Guest {
    imports: r#"(import "hearth:plugin/storage@0.1.0" "set"
            (func $set (param i32 i32 i32 i32 i32)))
        (import "hearth:plugin/storage@0.1.0" "delete" (func $delete (param i32 i32 i32)))"#,
    functions: "(global $key (mut i32) (i32.const 97))",
    pages: 1,
    run: "(i32.store8 (i32.const 64) (local.get 1))
          (i32.store8 (i32.const 65) (i32.const 97))
          (call $delete (i32.const 65) (i32.const 1) (i32.const 80))
          (loop $on
            (i32.store8 (i32.const 65) (global.get $key))
            (call $set (i32.const 65) (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 80))
            (global.set $key (i32.add (global.get $key) (i32.const 1)))
            (br_if $on (i32.lt_u (global.get $key) (i32.const 105))))",
};

struct Nobody;

impl Observer for Nobody {
    fn panels_changed(&self) {}
    fn progress(&self, _: &PluginId, _: Option<u8>, _: &str) {}
    fn notice(&self, _: PluginNotice) {}
    fn log(&self, _: &PluginId, _: LogLevel, _: &str) {}
    fn saved(&self, _: &PluginId, _: DocumentId) {}
    fn trouble(&self, _: &PluginId, _: &str) {}
}

impl Asker for Nobody {
    fn pick(&self, _: PickQuestion) -> PickAnswer {
        Box::pin(std::future::ready(None))
    }
}

/// When to kill: at which call, and whether before or after it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    call: u32,
    answered: bool,
}

/// Answers with the broker, and kills the runner at its moment.
struct Kills {
    client: Client,
    process: u32,
    at: Option<Moment>,
    calls: u32,
}

impl HostCalls for Kills {
    fn call(&mut self, call: HostCall) -> HostReply {
        let now = |answered| Some(Moment { call: self.calls, answered }) == self.at;
        if now(false) {
            kill(self.process);
        }
        let reply = self.client.call(call);
        if now(true) {
            kill(self.process);
        }
        self.calls += 1;
        reply
    }
}

struct Stage {
    tokio: tokio::runtime::Runtime,
    programs: Runtime,
    artefact: Artefact,
    vault: Arc<Vault>,
    broker: Broker,
    plugin: PluginId,
}

impl Stage {
    fn new(programs: Runtime) -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let artefact = compile(&programs, &WRITES.component());
        let vault = Arc::new(Vault::in_memory().unwrap());
        let plugin = install(&vault);
        let engine = Engine::start(FakeBackend::default()).unwrap();
        let nobody = Arc::new(Nobody);
        let asker = Arc::clone(&nobody) as Arc<dyn Asker>;
        let handle = tokio.handle().clone();
        let broker = Broker::new(Arc::clone(&vault), engine, nobody, asker, handle);
        Self { tokio, programs, artefact, vault, broker, plugin }
    }

    fn begin(&self, command: &str) -> (Client, Invocation) {
        let start = Start::Command { id: command.into(), focus: None, input: None };
        let today = Date { year: 2026, month: 3, day: 9 };
        self.broker.begin(&self.plugin, start, today, "en-GB").unwrap()
    }

    /// Runs a command, and says how many calls it made and how it ended.
    fn run(&self, command: &str, at: Option<Moment>) -> (u32, Result<(), RunError>) {
        let (client, invocation) = self.begin(command);
        let mut runner = self.programs.start(&self.artefact).unwrap();
        let process = runner.process_id().unwrap();
        let mut host = Kills { client, process, at, calls: 0 };
        let outcome = runner.invoke(invocation, &mut host, &NEVER);
        host.client.finish(match &outcome {
            Ok(finished) => RunEnd::Returned(finished.result.clone()),
            Err(error) => RunEnd::Aborted(error.to_string()),
        });
        (host.calls, outcome.map(|finished| finished.result.unwrap()))
    }

    fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        self.vault.storage(&self.plugin).unwrap()
    }
}

fn install(vault: &Vault) -> PluginId {
    let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
    vault
        .put_plugin(&PluginRecord {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            manifest: MANIFEST.into(),
            component_hash: String::new(),
            sealed: true,
            bundled: false,
            enabled: true,
            suspended: None,
            installed_secs: 0,
        })
        .unwrap();
    let grant = Grant {
        capabilities: manifest.requested(),
        slots: BTreeMap::new(),
        choice_bits_per_day: 0,
        epoch: 0,
    };
    vault.set_grant(&manifest.id, &grant).unwrap();
    manifest.id
}

/// Every key with this value.
fn all(value: u8) -> BTreeMap<String, Vec<u8>> {
    (0..KEYS).map(|n| (char::from(b'a' + n).to_string(), vec![value])).collect()
}

#[test]
fn a_killed_runner_leaves_no_half_written_storage() {
    let test = "a_killed_runner_leaves_no_half_written_storage";
    let Some(programs) = runtime(test) else { return };
    let stage = Stage::new(programs);
    assert_eq!(stage.stored(), BTreeMap::new());
    let (calls, outcome) = stage.run("one", None);
    outcome.unwrap();
    assert_eq!(calls, u32::from(KEYS) + 1);
    assert_eq!(stage.stored(), all(3));

    for call in 0..calls {
        for answered in [false, true] {
            let moment = Moment { call, answered };
            let (_, outcome) = stage.run("three", Some(moment));
            assert!(matches!(outcome, Err(RunError::Died { .. })), "{moment:?}: {outcome:?}");
            assert_eq!(stage.stored(), all(3), "{moment:?}");
            let suspended = stage.vault.plugin(&stage.plugin).unwrap().unwrap().suspended;
            assert!(suspended.is_some(), "{moment:?}");
            stage.vault.resume_plugin(&stage.plugin).unwrap();
        }
    }
    let (_, outcome) = stage.run("three", None);
    outcome.unwrap();
    assert_eq!(stage.stored(), all(5));
    stage.tokio.block_on(stage.broker.shutdown());
}

/// Frames of a runner that is not bound by the rules of its guest: calls of every kind with whatever in them, handles that
/// were never given among it.
fn frames(count: usize) -> impl Iterator<Item = HostCall> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Small numbers, so that lengths and kinds make sense now and then.
        (state >> 32) as u8 % 48
    };
    let mut frame = move || {
        let length = byte();
        let mut frame = vec![length + 1, 0, 0, 0, 1];
        frame.extend((0..length).map(|_| byte()));
        frame
    };
    std::iter::repeat_with(move || read_frame::<FromRunner>(&mut frame().as_slice(), 1024))
        .filter_map(|frame| match frame {
            Ok(FromRunner::Call(call)) => Some(call),
            _ => None,
        })
        .take(count)
}

#[test]
fn calls_that_no_guest_could_make_harm_nobody() {
    let test = "calls_that_no_guest_could_make_harm_nobody";
    let Some(programs) = runtime(test) else { return };
    let stage = Stage::new(programs);
    stage.run("one", None).1.unwrap();
    let (mut client, _invocation) = stage.begin("three");
    let (mut refused, mut kinds) = (0, BTreeSet::new());
    for call in frames(3_000) {
        kinds.insert(format!("{call:?}").split(['(', ' ']).next().map(str::to_owned));
        refused += u32::from(client.call(call).is_err());
    }
    assert!(kinds.len() > 15, "only {kinds:?} were made up");
    assert!(refused > 1_000, "{refused} of 3,000 refused");
    client.finish(RunEnd::Aborted("the runner lied".into()));
    assert_eq!(stage.stored(), all(3));
    stage.vault.resume_plugin(&stage.plugin).unwrap();
    stage.run("three", None).1.unwrap();
    assert_eq!(stage.stored(), all(5));
    stage.tokio.block_on(stage.broker.shutdown());
}
