//! A vault, an engine that answers by rule, and a broker over them.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use hearth_base::{
    Capability, Date, DocumentId, FolderId, Grant, Invocation, Label, LogLevel, Manifest, Origin,
    PluginId, Source,
};
use hearth_broker::{
    Asker, Broker, Client, ModelFacts, ModelTrust, Observer, PanelNode, PanelView, PersonalAdapter,
    PickAnswer, PickQuestion, PluginNotice, Start, ValueState, ValueView,
};
use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterSlot, Backend, CacheScope, ChatMessage, Constraint, Engine,
    EngineError, FakeBackend, GenerateRequest, LanguageModel, LoadError, LoadOptions,
    MemoryEstimate, ModelInfo, Prompt, Report, RequestId,
};
use hearth_vault::{NewSaved, PluginRecord, Vault};

const WRITER: &str = "org.example.writer";

/// Asks for everything.
pub(crate) const MANIFEST: &str = r#"
    id = "org.example.subject"
    name = "Subject"
    version = "1.0.0"
    api = "0.1"
    commands = [{ id = "go", title = "Go" }, { id = "one", title = "One", focus = "document" }]
    panels = [{ id = "main", title = "Main" }, { id = "side", title = "Side" }]
    slots = [{ id = "inbox", kind = "any", why = "to read" }, { id = "empty", kind = "mail", why = "to wait" }]
    settings = [{ key = "newest", kind = "number", min = 1, max = 20, default = 5 }]
    capabilities = { model = true, personal-model = true, pick = true, search = true, save = true, storage-kib = 1 }
    declassify = { choice-bits-per-day = 1, text = true }
"#;

/// What a world is made of.
#[derive(Clone)]
pub(crate) struct Recipe {
    /// Title and body of each document of the slot `inbox`.
    pub(crate) documents: Vec<(String, String)>,
    pub(crate) engine: EngineKind,
    pub(crate) context_tokens: u32,
    pub(crate) trust: Option<ModelTrust>,
    /// What the user picks when asked; `None` is nobody there.
    pub(crate) picks: Option<usize>,
    /// What the user has chosen for personal weights. The engine has the slots 1 to 3.
    pub(crate) personal: Vec<PersonalAdapter>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            documents: numbered(3),
            engine: EngineKind::Echo,
            context_tokens: 4096,
            trust: Some(ModelTrust::Public),
            picks: Some(1),
            personal: Vec::new(),
        }
    }
}

/// Documents whose bodies name them: `tok1`, `tok2` and so on.
pub(crate) fn numbered(count: usize) -> Vec<(String, String)> {
    (1..=count).map(|n| (format!("title{n} tok{n}"), format!("body of tok{n}"))).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineKind {
    /// Says back all it was told.
    Echo,
    /// The same, word by word with a pause.
    Slow,
    /// Fails on every prompt.
    Failing,
    /// Answers each request only when [`World::release`] has been called for it.
    Gated,
    /// Answers only when it has got as many requests as there are documents.
    Crowd,
}

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) vault: Arc<Vault>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) plugin: PluginId,
    /// Documents of the slot.
    pub(crate) documents: Vec<DocumentId>,
    personal: Vec<PersonalAdapter>,
    gate: Arc<Gate>,
    // Last: everything above may still need it.
    _runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn new(recipe: &Recipe) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let vault = Arc::new(Vault::in_memory().unwrap());
        let (documents, folder) = fill(&vault, &recipe.documents);
        let plugin = install(&vault, MANIFEST, folder);
        let gate = Arc::new(Gate::default());
        let engine = runtime.block_on(engine(recipe, &gate));
        let seen = Arc::new(Seen::default());
        let picks = recipe.picks.map(|n| documents.iter().take(n).copied().collect());
        let broker = Broker::new(
            Arc::clone(&vault),
            engine,
            Arc::clone(&seen) as Arc<dyn Observer>,
            Arc::new(Picks(picks)),
            runtime.handle().clone(),
        );
        let context_tokens = recipe.context_tokens;
        broker.set_model(recipe.trust.clone().map(|trust| ModelFacts { trust, context_tokens }));
        let personal = recipe.personal.clone();
        Self { broker, vault, seen, plugin, documents, personal, gate, _runtime: runtime }
    }

    pub(crate) fn begin(&self, start: Start) -> (Client, Invocation) {
        let today = Date { year: 2026, month: 1, day: 31 };
        let personal = self.personal.clone();
        self.broker.begin_with(&self.plugin, start, today, "en-GB", personal).unwrap()
    }

    pub(crate) fn go(&self) -> Client {
        self.begin(Start::Command { id: "go".into(), focus: None, input: None }).0
    }

    /// Changes what the plugin may do.
    pub(crate) fn regrant(&self, change: impl FnOnce(&mut Grant)) {
        let mut grant = self.vault.grant(&self.plugin).unwrap();
        change(&mut grant);
        self.vault.set_grant(&self.plugin, &grant).unwrap();
    }

    /// Lets a gated engine answer so many requests.
    pub(crate) fn release(&self, requests: usize) {
        *self.gate.open.lock().unwrap() += requests;
        self.gate.changed.notify_all();
    }

    /// Waits until a gated engine has got so many requests in all.
    pub(crate) fn await_requests(&self, requests: usize) {
        let arrived = self.gate.arrived.lock().unwrap();
        let waited = self.gate.changed.wait_timeout_while(arrived, LONG, |n| *n < requests);
        assert!(!waited.unwrap().1.timed_out(), "the engine was not asked");
    }

    /// Waits until every value shown is there or has failed, and gives the panels.
    pub(crate) fn settled(&self) -> Vec<PanelView> {
        self.seen.wait(|_| !values(&self.broker.panels()).iter().any(is_open));
        let panels = self.broker.panels();
        assert!(!unfinished_lists(&panels));
        panels
    }

    /// What of each request so far the engine may keep.
    pub(crate) fn shared(&self) -> Vec<CacheScope> {
        self.gate.shared.lock().unwrap().clone()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self._runtime.block_on(future)
    }
}

impl Drop for World {
    /// The engine's thread must not wait for a test that has ended.
    fn drop(&mut self) {
        self.release(1 << 20);
    }
}

/// No test waits longer for what must happen.
const LONG: Duration = Duration::from_secs(30);

fn is_open(value: &Option<ValueView>) -> bool {
    value.as_ref().is_none_or(|v| matches!(v.state, ValueState::Waiting | ValueState::Streaming))
}

fn unfinished_lists(panels: &[PanelView]) -> bool {
    values(panels).iter().any(Option::is_none)
}

/// All values of some panels; `None` for a list that is not there yet.
pub(crate) fn values(panels: &[PanelView]) -> Vec<Option<ValueView>> {
    let mut all = Vec::new();
    for node in panels.iter().flat_map(|panel| &panel.nodes) {
        match node {
            PanelNode::Value(value) => all.push(Some(value.clone())),
            PanelNode::Items(list) | PanelNode::Picker { items: list, .. } => match list {
                Some(items) => all.extend(items.iter().cloned().map(Some)),
                None => all.push(None),
            },
            _ => {}
        }
    }
    all
}

/// The same, where all lists are there.
pub(crate) fn shown(panels: &[PanelView]) -> Vec<ValueView> {
    values(panels).into_iter().map(Option::unwrap).collect()
}

/// Stores documents as another plugin's results, in the words of a stranger.
fn fill(vault: &Vault, documents: &[(String, String)]) -> (Vec<DocumentId>, FolderId) {
    let writer = PluginId::new(WRITER).unwrap();
    let save = |title: &str, body: &str| {
        let label = Label { origins: [Origin::External].into(), ..Label::public() };
        let (plugin, title, body) = (writer.clone(), title.to_owned(), body.to_owned());
        vault.save_document(&NewSaved { plugin, title, body, label }).unwrap()
    };
    // So that the folder is there even where nothing is in it.
    let first = save("", "");
    let folder = vault.folders().unwrap()[0].id;
    vault.delete_document(first).unwrap();
    (documents.iter().map(|(title, body)| save(title, body)).collect(), folder)
}

/// Installs a plugin and grants it all it asks for.
pub(crate) fn install(vault: &Vault, manifest: &str, folder: FolderId) -> PluginId {
    let parsed = Manifest::parse(manifest.as_bytes()).unwrap();
    let record = PluginRecord {
        id: parsed.id.clone(),
        version: parsed.version.clone(),
        manifest: manifest.to_owned(),
        component_hash: "00".into(),
        sealed: false,
        bundled: false,
        enabled: true,
        suspended: None,
        installed_secs: 0,
    };
    vault.put_plugin(&record).unwrap();
    let slots = BTreeMap::from([("inbox".to_owned(), BTreeSet::from([folder]))]);
    let capabilities: BTreeSet<Capability> = parsed.requested();
    vault
        .set_grant(&parsed.id, &Grant { capabilities, slots, choice_bits_per_day: 0, epoch: 0 })
        .unwrap();
    parsed.id
}

/// What the observer heard.
#[derive(Default)]
pub(crate) struct Seen {
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) panel_changes: usize,
    pub(crate) notices: Vec<PluginNotice>,
    pub(crate) log: Vec<(LogLevel, String)>,
    pub(crate) progress: Vec<(Option<u8>, String)>,
    pub(crate) saved: Vec<DocumentId>,
    pub(crate) troubles: Vec<String>,
}

impl Seen {
    /// Waits until something has been heard.
    pub(crate) fn wait(&self, until: impl Fn(&Heard) -> bool) -> Heard {
        let heard = self.heard.lock().unwrap();
        let (heard, waited) =
            self.changed.wait_timeout_while(heard, LONG, |heard| !until(heard)).unwrap();
        assert!(!waited.timed_out(), "it never happened; heard {heard:?}");
        heard.clone()
    }

    pub(crate) fn now(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }

    fn hear(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard.lock().unwrap());
        self.changed.notify_all();
    }
}

impl Observer for Seen {
    fn panels_changed(&self) {
        self.hear(|heard| heard.panel_changes += 1);
    }
    fn progress(&self, _plugin: &PluginId, percent: Option<u8>, message: &str) {
        self.hear(|heard| heard.progress.push((percent, message.to_owned())));
    }
    fn notice(&self, notice: PluginNotice) {
        self.hear(|heard| heard.notices.push(notice));
    }
    fn log(&self, _plugin: &PluginId, level: LogLevel, message: &str) {
        self.hear(|heard| heard.log.push((level, message.to_owned())));
    }
    fn saved(&self, _plugin: &PluginId, document: DocumentId) {
        self.hear(|heard| heard.saved.push(document));
    }
    fn trouble(&self, _plugin: &PluginId, message: &str) {
        self.hear(|heard| heard.troubles.push(message.to_owned()));
    }
}

struct Picks(Option<Vec<DocumentId>>);

impl Asker for Picks {
    fn pick(&self, _question: PickQuestion) -> PickAnswer {
        let picked = self.0.clone();
        Box::pin(async move { picked })
    }
}

async fn engine(recipe: &Recipe, gate: &Arc<Gate>) -> Engine {
    let fake = FakeBackend::new(echo).with_context(recipe.context_tokens);
    let slow = fake.clone().with_token_delay(Duration::from_micros(200));
    let (fake, hook) = match recipe.engine {
        EngineKind::Echo => (fake, Hook::Answer),
        EngineKind::Slow => (slow, Hook::Answer),
        EngineKind::Failing => (fake, Hook::Fail),
        EngineKind::Gated => (fake, Hook::Wait(Arc::clone(gate))),
        EngineKind::Crowd => (fake, Hook::Gather(recipe.documents.len())),
    };
    let engine = Engine::start(Hooked { fake, hook, gate: Arc::clone(gate) }).unwrap();
    let (progress, _receiver) = tokio::sync::mpsc::channel(4);
    engine.load("fake".into(), LoadOptions::default(), progress, Arc::default()).await.unwrap();
    for slot in 1..4 {
        let file = AdapterFile { config: "{}".into(), weights: [1].into() };
        engine.add_adapter(AdapterSlot(slot), file).await.unwrap();
    }
    engine
}

/// In every answer that an adapter has a part in.
pub(crate) const ADAPTER_MARK: &str = "adapter";

/// An adapter that learnt from these documents.
pub(crate) fn adapter(slot: u64, documents: &[i64]) -> PersonalAdapter {
    let sources = documents.iter().map(|id| Source::Document(DocumentId(*id))).collect();
    let label = Label { sources, origins: [Origin::User].into() };
    PersonalAdapter {
        slot: AdapterSlot(slot),
        strength: 0.5,
        name: format!("manner {slot}"),
        label,
    }
}

/// In every answer of the model.
pub(crate) const MODEL_MARK: &str = "modeltok";

/// Everything in the prompt, in order: whatever went in can be found in what comes out.
fn echo(prompt: &Prompt) -> String {
    let told = match prompt {
        Prompt::Chat(messages) => {
            messages.iter().map(|m: &ChatMessage| m.content.as_str()).collect::<Vec<_>>().join(" ")
        }
        Prompt::Text(text) => text.clone(),
        Prompt::Tokens(ids) => format!("{ids:?}"),
    };
    format!("{MODEL_MARK} {told}")
}

#[derive(Default)]
struct Gate {
    /// What of each request the engine may keep.
    shared: Mutex<Vec<CacheScope>>,
    open: Mutex<usize>,
    arrived: Mutex<usize>,
    changed: Condvar,
}

#[derive(Clone)]
enum Hook {
    Answer,
    Fail,
    Wait(Arc<Gate>),
    /// Lets no answer go on before so many are asked for.
    Gather(usize),
}

/// A fake backend with something before each answer.
struct Hooked {
    fake: FakeBackend,
    hook: Hook,
    gate: Arc<Gate>,
}

impl Backend for Hooked {
    fn inspect(
        &self,
        path: &Path,
        options: &LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError> {
        self.fake.inspect(path, options)
    }

    fn load(
        &self,
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError> {
        let model = self.fake.load(path, options, on_progress)?;
        let (hook, gate) = (self.hook.clone(), Arc::clone(&self.gate));
        Ok(Box::new(HookedModel { model, hook, gate, since: Instant::now() }))
    }
}

struct HookedModel {
    model: Box<dyn LanguageModel>,
    hook: Hook,
    gate: Arc<Gate>,
    since: Instant,
}

impl LanguageModel for HookedModel {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    fn count_tokens(&self, prompt: &Prompt) -> Result<u32, EngineError> {
        self.model.count_tokens(prompt)
    }

    fn split(&self, text: &str, max_tokens: u32) -> Result<Vec<String>, EngineError> {
        self.model.split(text, max_tokens)
    }

    fn most_running(&self) -> usize {
        self.model.most_running()
    }

    fn add_adapter(&mut self, slot: AdapterSlot, file: &AdapterFile) -> Result<(), AdapterError> {
        self.model.add_adapter(slot, file)
    }

    fn remove_adapter(&mut self, slot: AdapterSlot) {
        self.model.remove_adapter(slot);
    }

    fn begin(&mut self, id: RequestId, mut request: GenerateRequest) -> Result<(), EngineError> {
        self.gate.shared.lock().unwrap().push(request.cache.clone());
        match &self.hook {
            Hook::Answer | Hook::Gather(_) => {}
            Hook::Fail => {
                return Err(EngineError::Compute { op: "test", reason: "planned".into() });
            }
            Hook::Wait(gate) => {
                *gate.arrived.lock().unwrap() += 1;
                gate.changed.notify_all();
                let open = gate.open.lock().unwrap();
                let mut open =
                    gate.changed.wait_timeout_while(open, LONG, |open| *open == 0).unwrap().0;
                *open = open.saturating_sub(1);
            }
        }
        if let Some(Constraint::OneOf(options)) = &mut request.constraint {
            // Which one depends on every byte of the prompt.
            let mut hasher = DefaultHasher::new();
            echo(&request.prompt).hash(&mut hasher);
            let chosen = hasher.finish() as usize % options.len();
            *options = vec![options.swap_remove(chosen)];
        }
        self.model.begin(id, request)
    }

    fn step(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>) {
        if let Hook::Gather(requests) = self.hook
            && self.gate.shared.lock().unwrap().len() < requests
            && self.since.elapsed() < LONG
        {
            std::thread::yield_now();
            return;
        }
        self.model.step(sink);
    }

    fn cancel(&mut self, id: RequestId) {
        self.model.cancel(id);
    }
}
