//! A vault, a model and a real plugin in the real runner, and all that could be learnt from what it does.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, atomic::AtomicBool},
    time::Duration,
};

use hearth_base::{
    Date, DocumentId, Focus, FolderId, HostCall, HostReply, Invocation, InvocationInfo, Label,
    LogLevel, Manifest, PluginId, SlotKind,
};
use hearth_broker::{
    Asker, Broker, Client, ModelFacts, ModelTrust, Observer, PanelKey, PanelNode, PanelView,
    PickAnswer, PickQuestion, PluginNotice, RunEnd, Start, ValueState, ValueView,
};
use hearth_engine_api::{Backend, Engine, LoadOptions};
use hearth_vault::{DocumentKind, DocumentQuery, PluginRecord, Vault};
use hearth_wasm::{Artefact, ArtefactStore, HostCalls, Runtime};

/// All that a plugin, or anybody watching its process, could learn from a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<(HostCall, HostReply)>,
    pub(crate) fuel: u64,
    pub(crate) memory_hash: [u8; 32],
    pub(crate) result: String,
}

struct Recorder {
    client: Client,
    calls: Vec<(HostCall, HostReply)>,
    /// Test of the test: tells the guest of an error when the slot is empty.
    leak: bool,
}

impl HostCalls for Recorder {
    fn call(&mut self, call: HostCall) -> HostReply {
        let mut reply = self.client.call(call.clone());
        if self.leak && matches!(call, HostCall::Granted { .. }) {
            reply = Err(hearth_base::GuestError::Invalid("nothing there".into()));
        }
        self.calls.push((call, reply.clone()));
        reply
    }
}

/// Hears that panels have changed, and nothing else.
#[derive(Default)]
struct Watcher {
    changes: Mutex<u64>,
    changed: Condvar,
}

impl Observer for Watcher {
    fn panels_changed(&self) {
        *self.changes.lock().unwrap() += 1;
        self.changed.notify_all();
    }
    fn progress(&self, _: &PluginId, _: Option<u8>, _: &str) {}
    fn notice(&self, _: PluginNotice) {}
    fn log(&self, _: &PluginId, _: LogLevel, _: &str) {}
    fn saved(&self, _: &PluginId, _: DocumentId) {}
    fn trouble(&self, _: &PluginId, _: &str) {}
}

impl Asker for Watcher {
    fn pick(&self, _: PickQuestion) -> PickAnswer {
        Box::pin(std::future::ready(None))
    }
}

/// What a vault holds. Its mails, notes and code lie in a folder each; what is not granted in one more.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    /// Subject and body.
    pub(crate) mails: Vec<(String, String)>,
    pub(crate) notes: Vec<String>,
    pub(crate) code: Vec<String>,
    pub(crate) not_granted: Vec<String>,
}

impl Contents {
    fn vault(&self) -> Vault {
        let vault = Vault::in_memory().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let import = |folder: &str, files: Vec<(String, String)>| {
            let dir = dir.path().join(folder);
            std::fs::create_dir(&dir).unwrap();
            for (name, text) in files {
                std::fs::write(dir.join(name), text).unwrap();
            }
            let mut go_on =
                |_: hearth_vault::ImportProgress<'_>| std::ops::ControlFlow::Continue(());
            vault.import(&dir, Some(folder), &mut go_on).unwrap();
        };
        let mail = |(n, (subject, body)): (usize, &(String, String))| {
            let mail = format!(
                "From: p{n}@example.org\nSubject: {subject}\nMessage-ID: <{n}@example.org>\n\
                 Date: Mon, 2 Mar 2026 10:00:00 +0000\n\n{body}\n"
            );
            (format!("{n}.eml"), mail)
        };
        let files = |texts: &[String], ending: &str| {
            let named = |(n, text): (usize, &String)| (format!("{n}.{ending}"), text.clone());
            texts.iter().enumerate().map(named).collect::<Vec<_>>()
        };
        import("mail", self.mails.iter().enumerate().map(mail).collect());
        import("notes", files(&self.notes, "md"));
        import("code", files(&self.code, "rs"));
        import(NOT_GRANTED, files(&self.not_granted, "md"));
        vault
    }
}

const NOT_GRANTED: &str = "secret";

/// All plugins of the repository, in a runtime folder.
pub(crate) fn all_plugins(runtime_dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(runtime_dir.join("plugins")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().contains("org.hearth."));
    files.sort();
    files
}

/// A plugin, ready to run.
pub(crate) struct Plugin {
    pub(crate) id: PluginId,
    pub(crate) manifest: Manifest,
    pub(crate) sealed: bool,
    component_hash: String,
    artefact: Artefact,
    _cache: tempfile::TempDir,
}

pub(crate) struct Stage {
    runtime: tokio::runtime::Runtime,
    programs: Runtime,
}

impl Stage {
    pub(crate) fn new(dir: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        Self { runtime, programs: Runtime::in_dir(dir).unwrap() }
    }

    pub(crate) fn plugin(&self, file: &Path) -> Plugin {
        let component =
            std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let inspection = hearth_wasm::inspect(&component).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let store = ArtefactStore::new(cache.path().to_path_buf(), [1; 32].into());
        let artefact =
            store.load_or_compile(&self.programs, &component, &AtomicBool::new(false)).unwrap();
        Plugin {
            id: inspection.manifest.id.clone(),
            manifest: inspection.manifest,
            sealed: inspection.sealed,
            component_hash: inspection.component_hash,
            artefact,
            _cache: cache,
        }
    }

    /// The plugin over these documents, with everything granted but one folder.
    pub(crate) fn scene<'a>(
        &'a self,
        plugin: &'a Plugin,
        contents: &Contents,
        (backend, model): (impl Backend, &Path),
    ) -> Scene<'a> {
        let vault = Arc::new(contents.vault());
        install(&vault, plugin);
        let engine = Engine::start(backend).unwrap();
        let (progress, _progress) = tokio::sync::mpsc::channel(4);
        let options = LoadOptions::default();
        let loaded = engine.load(model.to_path_buf(), options, progress, Arc::default());
        let context_tokens = self.runtime.block_on(loaded).unwrap().context_tokens;
        let watcher = Arc::new(Watcher::default());
        let broker = Broker::new(
            Arc::clone(&vault),
            engine,
            Arc::clone(&watcher) as Arc<dyn Observer>,
            Arc::clone(&watcher) as Arc<dyn Asker>,
            self.runtime.handle().clone(),
        );
        broker.set_model(Some(ModelFacts { trust: ModelTrust::Public, context_tokens }));
        Scene { stage: self, plugin, vault, broker, watcher, leak: false }
    }
}

fn install(vault: &Vault, plugin: &Plugin) {
    let manifest = &plugin.manifest;
    let record = PluginRecord {
        id: manifest.id.clone(),
        version: manifest.version.clone(),
        manifest: toml::to_string(manifest).unwrap(),
        component_hash: plugin.component_hash.clone(),
        sealed: plugin.sealed,
        bundled: true,
        enabled: true,
        suspended: None,
        installed_secs: 0,
    };
    vault.put_plugin(&record).unwrap();
    let folders: BTreeSet<FolderId> =
        vault.folders().unwrap().iter().filter(|f| f.name != NOT_GRANTED).map(|f| f.id).collect();
    let grant = hearth_base::Grant {
        capabilities: manifest.requested(),
        slots: manifest.slots.iter().map(|s| (s.id.clone(), folders.clone())).collect(),
        choice_bits_per_day: 0,
        epoch: 0,
    };
    vault.set_grant(&manifest.id, &grant).unwrap();
}

pub(crate) struct Scene<'a> {
    stage: &'a Stage,
    plugin: &'a Plugin,
    pub(crate) vault: Arc<Vault>,
    broker: Broker,
    watcher: Arc<Watcher>,
    /// See [`Recorder::leak`].
    pub(crate) leak: bool,
}

/// What came of a whole play.
pub(crate) struct Played {
    pub(crate) traces: Vec<Trace>,
    /// The panels after each run, without their values' texts.
    pub(crate) structures: Vec<Vec<String>>,
    /// Labels of all values shown.
    pub(crate) labels: Vec<Label>,
    /// Texts of all values shown.
    pub(crate) texts: Vec<String>,
}

impl Scene<'_> {
    /// One run.
    pub(crate) fn run(&self, start: Start) -> Trace {
        let today = Date { year: 2026, month: 3, day: 9 };
        let (client, invocation) =
            self.broker.begin(&self.plugin.id, start, today, "en-GB").unwrap();
        // The PRF key differs between vaults by design and says nothing of their content.
        let invocation =
            Invocation { info: InvocationInfo { seed: 7, ..invocation.info }, ..invocation };
        let mut recorder = Recorder { client, calls: Vec::new(), leak: self.leak };
        let mut runner = self.stage.programs.start(&self.plugin.artefact).unwrap();
        let finished = runner.invoke(invocation, &mut recorder, &AtomicBool::new(false)).unwrap();
        recorder.client.finish(RunEnd::Returned(finished.result.clone()));
        Trace {
            calls: recorder.calls,
            fuel: finished.fuel,
            memory_hash: finished.memory_hash,
            result: format!("{:?}", finished.result),
        }
    }

    /// Every command, then every button that its panels show, then the first command again.
    pub(crate) fn play(&self) -> Played {
        let mut played = Played {
            traces: Vec::new(),
            structures: Vec::new(),
            labels: Vec::new(),
            texts: Vec::new(),
        };
        let commands = &self.plugin.manifest.commands;
        for command in commands.iter().chain(commands.first()) {
            let focus = (command.focus == Focus::Document).then(|| self.first(command.kind));
            let input = (!command.input.is_empty()).then(|| "what of the budget".to_owned());
            self.go(Start::Command { id: command.id.clone(), focus, input }, &mut played);
            for (panel, button) in self.buttons() {
                // One button may have taken the next one away.
                if self.buttons().contains(&(panel.clone(), button.clone())) {
                    self.go(Start::Pressed { panel, button }, &mut played);
                }
            }
        }
        played
    }

    fn go(&self, start: Start, played: &mut Played) {
        played.traces.push(self.run(start));
        let panels = self.settled();
        played.structures.push(panels.iter().flat_map(structure).collect());
        for value in panels.iter().flat_map(|panel| &panel.nodes).flat_map(values) {
            played.labels.extend(self.broker.value_label(value.id));
            played.texts.push(value.text.clone());
        }
    }

    fn first(&self, kind: SlotKind) -> DocumentId {
        let kind = match kind {
            SlotKind::Mail | SlotKind::Any => DocumentKind::Mail,
            SlotKind::Note => DocumentKind::Note,
            SlotKind::Code => DocumentKind::Code,
        };
        let folders = self.vault.folders().unwrap();
        let folders = folders.iter().filter(|f| f.name != NOT_GRANTED).map(|f| f.id).collect();
        let (kind, folders) = (Some(kind), Some(folders));
        let query = DocumentQuery { kind, folders, limit: 1, ..DocumentQuery::default() };
        self.vault.documents(&query).unwrap().heads[0].id
    }

    fn buttons(&self) -> Vec<(PanelKey, String)> {
        let of = |panel: &PanelView| {
            let key = panel.key.clone();
            let buttons = panel.nodes.iter().filter_map(|node| match node {
                PanelNode::Button(button) if button.enabled => Some(button.id.clone()),
                _ => None,
            });
            buttons.map(|button| (key.clone(), button)).collect::<Vec<_>>()
        };
        self.broker.panels().iter().flat_map(of).collect()
    }

    /// The panels, once all values are there or have failed and nothing is being saved any more.
    fn settled(&self) -> Vec<PanelView> {
        let is_open = |panels: &[PanelView]| {
            let nodes = panels.iter().flat_map(|panel| &panel.nodes);
            let waits = |value: &&ValueView| {
                matches!(value.state, ValueState::Waiting | ValueState::Streaming)
            };
            nodes.clone().any(|node| {
                matches!(node, PanelNode::Items(None) | PanelNode::Picker { items: None, .. })
            }) || nodes.flat_map(values).any(|value| waits(&value))
        };
        let changes = self.watcher.changes.lock().unwrap();
        let busy =
            |_: &mut u64| is_open(&self.broker.panels()) || self.broker.is_working(&self.plugin.id);
        let most = Duration::from_secs(120);
        let (_changes, waited) =
            self.watcher.changed.wait_timeout_while(changes, most, busy).unwrap();
        assert!(!waited.timed_out(), "the values never came");
        self.broker.panels()
    }

    /// What the audit trail tells was done, each thing once, without the numbers of documents.
    pub(crate) fn deeds(&self) -> BTreeSet<String> {
        let rows = self.vault.audit_rows(Some(&self.plugin.id), 100_000).unwrap();
        let words =
            |what: &str| what.split(|c: char| c.is_ascii_digit()).next().unwrap().to_owned();
        rows.iter().map(|row| format!("{} {}", words(&row.what), row.allowed)).collect()
    }

    /// Documents that nobody granted.
    pub(crate) fn not_granted(&self) -> BTreeSet<DocumentId> {
        let folders = self.vault.folders().unwrap();
        let folders = folders.iter().filter(|f| f.name == NOT_GRANTED).map(|f| f.id).collect();
        let query = DocumentQuery { folders: Some(folders), limit: 1000, ..Default::default() };
        self.vault.documents(&query).unwrap().heads.iter().map(|head| head.id).collect()
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        self.stage.runtime.block_on(self.broker.shutdown());
    }
}

fn values(node: &PanelNode) -> &[ValueView] {
    match node {
        PanelNode::Value(value) => std::slice::from_ref(value),
        PanelNode::Items(Some(items)) | PanelNode::Picker { items: Some(items), .. } => items,
        _ => &[],
    }
}

/// A panel without what is private in it: values, and how many of them there are.
fn structure(panel: &PanelView) -> Vec<String> {
    let heads = [format!("{:?} {} {}", panel.key, panel.plugin_name, panel.title)];
    let nodes = panel.nodes.iter().map(|node| match node {
        PanelNode::Value(_) => "a value".into(),
        PanelNode::Items(_) => "items".into(),
        PanelNode::Picker { id, .. } => format!("{id} to pick"),
        plain => format!("{plain:?}"),
    });
    heads.into_iter().chain(nodes).collect()
}
