//! A vault with two folders, one of them granted, a sample plugin in the real runner over it, and a model that answers by
//! rule.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, atomic::AtomicBool},
    time::Duration,
};

use hearth_base::{
    Date, DocumentId, FolderId, Grant, GuestFailure, HostCall, HostReply, Label, LogLevel,
    Manifest, PluginId,
};
use hearth_broker::{
    Asker, Broker, Client, ModelFacts, ModelTrust, Observer, PanelKey, PanelNode, PanelView,
    PersonalAdapter, PickAnswer, PickQuestion, PluginNotice, RunEnd, Start, ValueState, ValueView,
};
use hearth_engine_api::{AdapterFile, AdapterSlot, Engine, FakeBackend, LoadOptions, Prompt};
use hearth_tests::runtime_dir;
use hearth_vault::{DocumentQuery, PluginRecord, Vault};
use hearth_wasm::{Artefact, ArtefactStore, HostCalls, Runtime, inspect};

/// No test waits longer for what must happen.
const LONG: Duration = Duration::from_secs(120);

/// A plugin of this repository.
pub(crate) struct Sample {
    pub(crate) component: Vec<u8>,
    artefact: Artefact,
    programs: Runtime,
    pub(crate) manifest: Manifest,
    pub(crate) sealed: bool,
}

/// Reads and compiles a plugin; `None`, said aloud, where there is no runtime.
pub(crate) fn sample(test: &str, name: &str) -> Option<Sample> {
    let dir = runtime_dir(test)?;
    let path = dir.join("plugins").join(format!("org.hearth.{name}.wasm"));
    let component = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let inspection = inspect(&component).unwrap();
    let programs = Runtime::in_dir(&dir).unwrap();
    // Machine code is the same for all tests, and carries a MAC.
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sample-artefacts");
    std::fs::create_dir_all(&cache).unwrap();
    let store = ArtefactStore::new(cache, [1; 32].into());
    let artefact = store.load_or_compile(&programs, &component, &AtomicBool::new(false)).unwrap();
    let (manifest, sealed) = (inspection.manifest, inspection.sealed);
    Some(Sample { component, artefact, programs, manifest, sealed })
}

/// A file to import: its name and content.
pub(crate) type File = (String, String);

/// A mail as a file. The number is its minute.
pub(crate) fn mail(number: usize, subject: &str, body: &str) -> File {
    let (hour, minute) = (number / 60, number % 60);
    let text = format!(
        "From: Person {number} <p{number}@example.org>\r\nTo: me@example.org\r\nSubject: {subject}\r\n\
         Date: Mon, 2 Mar 2026 {hour:02}:{minute:02}:00 +0000\r\nMessage-ID: <{number}@example.org>\r\n\r\n{body}\r\n"
    );
    (format!("{number:04}.eml"), text)
}

/// What a world is made of.
pub(crate) struct Recipe {
    /// In the folder that is granted.
    pub(crate) granted: Vec<File>,
    /// In a folder that is not.
    pub(crate) other: Vec<File>,
    pub(crate) answer: fn(&str, &str) -> String,
    pub(crate) bits: u32,
    pub(crate) personal: bool,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            granted: vec![mail(1, "Rims", "tok1 kind=work answer=yes topic=work")],
            other: vec![mail(99, "Rims", "tok99 kind=work answer=yes topic=work")],
            answer: by_rule,
            bits: 0,
            personal: false,
        }
    }
}

/// Answers decisions by what the text says of itself, and everything else with what stood in the prompt: what it was asked
/// in two words, then all tokens `tok…`.
pub(crate) fn by_rule(system: &str, said: &str) -> String {
    let told = |key: &str| {
        let value = said.split_once(key).map(|(_, rest)| rest);
        value.and_then(|rest| rest.split_whitespace().next()).unwrap_or("no").to_owned()
    };
    if let Some(rest) = said.strip_prefix("Label this mail: ") {
        let labels = rest.split('?').next().unwrap_or_default();
        return told(if labels.ends_with("bill or urgent") { "kind=" } else { "topic=" });
    }
    if said.starts_with("Does this mail need an answer") {
        return told("answer=");
    }
    if said.starts_with("Does this document help") {
        return told("helps=");
    }
    let asked: Vec<&str> = system.split_whitespace().skip(1).take(2).collect();
    let mut seen = BTreeSet::new();
    let tokens: Vec<&str> = said
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.starts_with("tok") && seen.insert(*word))
        .collect();
    format!("{}: {}", asked.join(" "), tokens.join(" "))
}

/// A world with a plugin in it that is granted all it asks for, its slots being the folder `granted`.
pub(crate) struct World<'a> {
    sample: &'a Sample,
    pub(crate) broker: Broker,
    pub(crate) vault: Arc<Vault>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) plugin: PluginId,
    /// All calls of all runs so far, with the answers.
    pub(crate) calls: Vec<(HostCall, HostReply)>,
    personal: Vec<PersonalAdapter>,
    folder: FolderId,
    runtime: tokio::runtime::Runtime,
}

impl<'a> World<'a> {
    pub(crate) fn new(sample: &'a Sample, recipe: &Recipe) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let vault = Arc::new(Vault::in_memory().unwrap());
        import(&vault, "granted", &recipe.granted);
        import(&vault, "other", &recipe.other);
        let folder = vault.folders().unwrap().iter().find(|f| f.name == "granted").unwrap().id;
        let plugin = install(&vault, sample);
        let engine = runtime.block_on(engine(recipe.answer));
        let seen = Arc::new(Seen::default());
        let broker = Broker::new(
            Arc::clone(&vault),
            engine,
            Arc::clone(&seen) as Arc<dyn Observer>,
            Arc::new(Nobody),
            runtime.handle().clone(),
        );
        broker.set_model(Some(ModelFacts { trust: ModelTrust::Public, context_tokens: 4096 }));
        let personal = if recipe.personal { vec![adapter()] } else { Vec::new() };
        let calls = Vec::new();
        let world = Self { sample, broker, vault, seen, plugin, calls, personal, folder, runtime };
        world.grant(|grant| grant.choice_bits_per_day = recipe.bits);
        world
    }

    /// Grants all that is asked for, then what `change` makes of it.
    pub(crate) fn grant(&self, change: impl FnOnce(&mut Grant)) {
        let manifest = &self.sample.manifest;
        let folders = BTreeSet::from([self.folder]);
        let mut grant = Grant {
            capabilities: manifest.requested(),
            slots: manifest.slots.iter().map(|s| (s.id.clone(), folders.clone())).collect(),
            choice_bits_per_day: 0,
            epoch: 0,
        };
        change(&mut grant);
        self.vault.set_grant(&self.plugin, &grant).unwrap();
    }

    pub(crate) fn set(&self, key: &str, value: hearth_base::SettingValue) {
        self.vault.set_setting(&self.plugin, key, &value).unwrap();
    }

    /// Documents of the granted folder, the oldest first.
    pub(crate) fn granted(&self) -> Vec<DocumentId> {
        self.documents("granted")
    }

    pub(crate) fn documents(&self, folder: &str) -> Vec<DocumentId> {
        let folder = self.vault.folders().unwrap().iter().find(|f| f.name == folder).unwrap().id;
        let query = DocumentQuery {
            folders: Some(vec![folder]),
            order: hearth_vault::Order::Oldest,
            limit: 10_000,
            ..Default::default()
        };
        self.vault.documents(&query).unwrap().heads.iter().map(|head| head.id).collect()
    }

    pub(crate) fn command(
        &mut self,
        id: &str,
        focus: Option<DocumentId>,
        input: Option<&str>,
    ) -> Result<(), GuestFailure> {
        let input = input.map(str::to_owned);
        self.run(Start::Command { id: id.to_owned(), focus, input })
    }

    pub(crate) fn press(&mut self, panel: &str, button: &str) -> Result<(), GuestFailure> {
        let panel = PanelKey { plugin: self.plugin.clone(), panel: panel.to_owned() };
        self.run(Start::Pressed { panel, button: button.to_owned() })
    }

    pub(crate) fn enter(
        &mut self,
        panel: &str,
        input: &str,
        text: &str,
    ) -> Result<(), GuestFailure> {
        let panel = PanelKey { plugin: self.plugin.clone(), panel: panel.to_owned() };
        self.run(Start::Entered { panel, input: input.to_owned(), text: text.to_owned() })
    }

    /// One call into the plugin, to the end of all that its panels show.
    pub(crate) fn run(&mut self, start: Start) -> Result<(), GuestFailure> {
        let today = Date { year: 2026, month: 3, day: 9 };
        let (client, invocation) = self
            .broker
            .begin_with(&self.plugin, start, today, "en-GB", self.personal.clone())
            .unwrap();
        let mut recorder = Recorder { client, calls: Vec::new() };
        let mut runner = self.sample.programs.start(&self.sample.artefact).unwrap();
        let finished = runner.invoke(invocation, &mut recorder, &AtomicBool::new(false)).unwrap();
        recorder.client.finish(RunEnd::Returned(finished.result.clone()));
        self.calls.extend(recorder.calls);
        self.settle();
        finished.result
    }

    fn settle(&self) {
        let settled = || {
            let panels = self.broker.panels();
            let lists_there = panels.iter().flat_map(|panel| &panel.nodes).all(|node| {
                !matches!(node, PanelNode::Items(None) | PanelNode::Picker { items: None, .. })
            });
            let whole = |value: &ValueView| {
                !matches!(value.state, ValueState::Waiting | ValueState::Streaming)
            };
            lists_there
                && panels.iter().flat_map(values).all(whole)
                && !self.broker.is_working(&self.plugin)
        };
        self.seen.wait_until(settled);
    }

    /// A panel that must be there.
    pub(crate) fn panel(&self, id: &str) -> PanelView {
        let panels = self.broker.panels();
        panels.into_iter().find(|panel| panel.key.panel == id).expect("the panel is shown")
    }

    /// What a panel shows under a heading, up to the next one, texts alone.
    pub(crate) fn under(&self, panel: &str, heading: &str) -> Vec<String> {
        let panel = self.panel(panel);
        let mut nodes = panel.nodes.iter();
        nodes
            .find(|node| matches!(node, PanelNode::Heading(words) if words == heading))
            .unwrap_or_else(|| panic!("no heading {heading:?} in {panel:?}"));
        nodes
            .take_while(|node| !matches!(node, PanelNode::Heading(_)))
            .flat_map(values_of)
            .map(|value| value.text.clone())
            .collect()
    }

    /// The documents that each value of a panel depends on, in the panel's order.
    pub(crate) fn sources(&self, panel: &str) -> Vec<BTreeSet<DocumentId>> {
        self.labels(panel).iter().map(|label| label.documents().collect()).collect()
    }

    pub(crate) fn labels(&self, panel: &str) -> Vec<Label> {
        let panel = self.panel(panel);
        values(&panel)
            .filter(|value| value.state == ValueState::Done)
            .map(|value| self.broker.value_label(value.id).unwrap())
            .collect()
    }

    /// Documents that the plugin saved: title and body.
    pub(crate) fn saved(&self) -> Vec<(String, String)> {
        let folder = self.vault.folders().unwrap().into_iter().find(|f| f.plugin.is_some());
        let Some(folder) = folder else { return Vec::new() };
        let ids = self.documents(&folder.name);
        let read = |id| {
            let document = self.vault.document(id).unwrap().unwrap();
            (document.head.title, document.body)
        };
        ids.into_iter().map(read).collect()
    }

    /// What was asked of the host, without private numbers: the name of each call.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |call: &HostCall| {
            let words = format!("{call:?}");
            words.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
        };
        self.calls.iter().map(|(call, _)| name(call)).collect()
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.runtime.block_on(self.broker.shutdown());
    }
}

fn import(vault: &Vault, folder: &str, files: &[File]) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    if files.is_empty() {
        // So that there is a folder.
        std::fs::write(dir.path().join("empty.md"), "x").unwrap();
    }
    let mut go_on = |_: hearth_vault::ImportProgress<'_>| std::ops::ControlFlow::Continue(());
    vault.import(dir.path(), Some(folder), &mut go_on).unwrap();
}

fn install(vault: &Vault, sample: &Sample) -> PluginId {
    let manifest = &sample.manifest;
    let record = PluginRecord {
        id: manifest.id.clone(),
        version: manifest.version.clone(),
        manifest: toml::to_string(manifest).unwrap(),
        component_hash: inspect(&sample.component).unwrap().component_hash,
        sealed: sample.sealed,
        bundled: true,
        enabled: true,
        suspended: None,
        installed_secs: 0,
    };
    vault.put_plugin(&record).unwrap();
    manifest.id.clone()
}

async fn engine(answer: fn(&str, &str) -> String) -> Engine {
    let script = move |prompt: &Prompt| match prompt {
        Prompt::Chat(messages) => {
            let said = messages.last().map_or("", |message| message.content.as_str());
            let system = if messages.len() > 1 { messages[0].content.as_str() } else { "" };
            answer(system, said)
        }
        _ => String::new(),
    };
    let engine = Engine::start(FakeBackend::new(script)).unwrap();
    let (progress, _progress) = tokio::sync::mpsc::channel(4);
    engine.load("fake".into(), LoadOptions::default(), progress, Arc::default()).await.unwrap();
    let file = AdapterFile { config: "{}".into(), weights: [1].into() };
    engine.add_adapter(AdapterSlot(1), file).await.unwrap();
    engine
}

/// What the adapter has learnt from.
pub(crate) const LEARNT: i64 = 4711;

fn adapter() -> PersonalAdapter {
    let sources = [hearth_base::Source::Document(DocumentId(LEARNT))].into();
    let label = Label { sources, origins: [hearth_base::Origin::User].into() };
    PersonalAdapter { slot: AdapterSlot(1), strength: 0.5, name: "my letters".into(), label }
}

pub(crate) fn values(panel: &PanelView) -> impl Iterator<Item = &ValueView> {
    panel.nodes.iter().flat_map(values_of)
}

fn values_of(node: &PanelNode) -> &[ValueView] {
    match node {
        PanelNode::Value(value) => std::slice::from_ref(value),
        PanelNode::Items(Some(items)) | PanelNode::Picker { items: Some(items), .. } => items,
        _ => &[],
    }
}

struct Recorder {
    client: Client,
    calls: Vec<(HostCall, HostReply)>,
}

impl HostCalls for Recorder {
    fn call(&mut self, call: HostCall) -> HostReply {
        let reply = self.client.call(call.clone());
        self.calls.push((call, reply.clone()));
        reply
    }
}

struct Nobody;

impl Asker for Nobody {
    fn pick(&self, _: PickQuestion) -> PickAnswer {
        Box::pin(std::future::ready(None))
    }
}

/// What the observer heard.
#[derive(Default)]
pub(crate) struct Seen {
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Default)]
struct Heard {
    notices: Vec<String>,
    troubles: Vec<String>,
}

impl Seen {
    fn hear(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard.lock().unwrap());
        self.changed.notify_all();
    }

    /// The words of all notices so far.
    pub(crate) fn notices(&self) -> Vec<String> {
        self.heard.lock().unwrap().notices.clone()
    }

    /// What could not be done.
    pub(crate) fn troubles(&self) -> Vec<String> {
        self.heard.lock().unwrap().troubles.clone()
    }

    fn wait_until(&self, wished: impl Fn() -> bool) {
        // The condition reads the broker, whose observer this is: it is looked at without the lock.
        let give_up = std::time::Instant::now() + LONG;
        while !wished() {
            assert!(std::time::Instant::now() < give_up, "the panels never settled");
            let heard = self.heard.lock().unwrap();
            drop(self.changed.wait_timeout(heard, Duration::from_millis(20)).unwrap());
        }
    }
}

impl Observer for Seen {
    fn panels_changed(&self) {
        self.hear(|_| {});
    }
    fn progress(&self, _: &PluginId, _: Option<u8>, _: &str) {}
    fn notice(&self, notice: PluginNotice) {
        self.hear(|heard| heard.notices.push(notice.message));
    }
    fn log(&self, _: &PluginId, _: LogLevel, _: &str) {}
    fn saved(&self, _: &PluginId, _: DocumentId) {
        self.hear(|_| {});
    }
    fn trouble(&self, _: &PluginId, message: &str) {
        self.hear(|heard| heard.troubles.push(message.to_owned()));
    }
}

/// The test data's folder of injected instructions, or `None`, said aloud.
#[expect(clippy::print_stdout, reason = "a test that does not run must say so")]
pub(crate) fn injections(test: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("HEARTH_TEST_DATA") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let path = root.join("prompt-injection/bipia");
    if path.is_dir() {
        return Some(path);
    }
    println!("SKIPPED {test}: no test data at {}", path.display());
    None
}
