//! A vault, an engine that answers by rule, and a broker over them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use hearth_base::{
    Capability, Date, DocumentId, FolderId, Grant, Invocation, Label, LogLevel, Manifest, Origin,
    PluginId, Source,
};
use hearth_broker::{
    Asker, BeginError, Broker, Client, ModelFacts, ModelTrust, Observer, PanelNode, PanelView,
    PersonalAdapter, PickAnswer, PickQuestion, PluginNotice, RevealAnswer, RevealQuestion, Start,
    ValueState, ValueView,
};
use hearth_engine_api::{AdapterSlot, CacheScope, Engine, Priority, Prompt};
use hearth_vault::{NewSaved, PluginRecord, StoreError, Vault};

use super::{
    clock::Clock,
    engine::{Gate, engine},
};

pub(crate) use super::engine::EngineKind;

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
    /// Their labels, in turn; none for the words of a stranger.
    pub(crate) labels: Vec<Label>,
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
            labels: Vec::new(),
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

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) vault: Arc<Vault>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) user: Arc<User>,
    pub(crate) plugin: PluginId,
    /// A stranger to it, which asks for the same and has it.
    pub(crate) other: PluginId,
    /// Documents of the slot.
    pub(crate) documents: Vec<DocumentId>,
    personal: Vec<PersonalAdapter>,
    gate: Arc<Gate>,
    engine: Engine,
    // Last: everything above may still need it.
    pub(crate) clock: Clock,
}

impl World {
    pub(crate) fn new(recipe: &Recipe) -> Self {
        let clock = match recipe.engine {
            EngineKind::Moody(_) => Clock::standing(),
            _ => Clock::real(),
        };
        let vault = Arc::new(Vault::in_memory().unwrap());
        let (documents, folder) = fill(&vault, recipe);
        let plugin = install(&vault, MANIFEST, folder);
        let other = install(&vault, &MANIFEST.replace("example.subject", "example.other"), folder);
        let gate = Arc::new(Gate::default());
        let engine = clock.block_on(engine(recipe, &gate, clock.handle().clone()));
        let seen = Arc::new(Seen::default());
        let picked = recipe.picks.map(|n| documents.iter().take(n).copied().collect());
        let user = Arc::new(User { picked, reveals: Mutex::new(Box::new(|_| false)) });
        let broker = Broker::new(
            Arc::clone(&vault),
            engine.clone(),
            Arc::clone(&seen) as Arc<dyn Observer>,
            Arc::clone(&user) as Arc<dyn Asker>,
            clock.handle().clone(),
        );
        let context_tokens = recipe.context_tokens;
        broker.set_model(recipe.trust.clone().map(|trust| ModelFacts { trust, context_tokens }));
        let personal = recipe.personal.clone();
        Self { broker, vault, seen, user, plugin, other, documents, personal, gate, engine, clock }
    }

    pub(crate) fn begin(&self, start: Start) -> (Client, Invocation) {
        self.try_begin(start).unwrap()
    }

    pub(crate) fn try_begin(&self, start: Start) -> Result<(Client, Invocation), BeginError> {
        self.try_begin_as(&self.plugin, start)
    }

    pub(crate) fn try_begin_as(
        &self,
        plugin: &PluginId,
        start: Start,
    ) -> Result<(Client, Invocation), BeginError> {
        let today = Date { year: 2026, month: 1, day: 31 };
        let personal = self.personal.clone();
        self.broker.begin_with(plugin, start, today, "en-GB", personal)
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
        self.clock.flowing(|| {
            self.seen.wait(|_| !values(&self.broker.panels()).iter().any(is_open));
        });
        let panels = self.broker.panels();
        assert!(!unfinished_lists(&panels));
        panels
    }

    /// Lets time pass on a standing clock, bit by bit, so that the engine's thread keeps up with it.
    pub(crate) fn pass(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let bit = left.min(Duration::from_millis(500));
            self.clock.pass(bit);
            left -= bit;
            for _ in 0..3 {
                self.gate.changed.notify_all();
                let count =
                    self.engine.count_tokens(Prompt::Text("x".into()), Priority::Background);
                self.clock.block_on(count).unwrap();
            }
        }
    }

    /// What of each request so far the engine may keep.
    pub(crate) fn shared(&self) -> Vec<CacheScope> {
        self.gate.shared.lock().unwrap().clone()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.clock.block_on(future)
    }
}

impl Drop for World {
    /// The engine's thread must not wait for a test that has ended.
    fn drop(&mut self) {
        self.release(1 << 20);
    }
}

/// No test waits longer for what must happen.
pub(crate) const LONG: Duration = Duration::from_secs(30);

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

/// Stores documents as another plugin's results.
fn fill(vault: &Vault, recipe: &Recipe) -> (Vec<DocumentId>, FolderId) {
    // So that the folder is there even where nothing is in it.
    let first = save(vault, (String::new(), String::new()), Label::public()).unwrap();
    let folder = vault.folders().unwrap()[0].id;
    vault.delete_document(first).unwrap();
    let stranger = || Label { origins: [Origin::External].into(), ..Label::public() };
    let mut labels = recipe.labels.iter().cycle().cloned();
    let documents = recipe.documents.iter().cloned();
    let fill = |text| save(vault, text, labels.next().unwrap_or_else(stranger)).unwrap();
    (documents.map(fill).collect(), folder)
}

pub(crate) fn save(
    vault: &Vault,
    (title, body): (String, String),
    label: Label,
) -> Result<DocumentId, StoreError> {
    let plugin = PluginId::new(WRITER).unwrap();
    vault.save_document(&NewSaved { plugin, title, body, label })
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

/// Answers what plugins ask the user.
pub(crate) struct User {
    picked: Option<Vec<DocumentId>>,
    /// What they say to a text that is to be revealed; no, unless told otherwise.
    reveals: Mutex<Reveals>,
}

type Reveals = Box<dyn FnMut(&RevealQuestion) -> bool + Send>;

impl User {
    pub(crate) fn answers(&self, reveals: impl FnMut(&RevealQuestion) -> bool + Send + 'static) {
        *self.reveals.lock().unwrap() = Box::new(reveals);
    }
}

impl Asker for User {
    fn pick(&self, _question: PickQuestion) -> PickAnswer {
        let picked = self.picked.clone();
        Box::pin(async move { picked })
    }

    fn reveal(&self, question: RevealQuestion) -> RevealAnswer {
        let allowed = (self.reveals.lock().unwrap())(&question);
        Box::pin(std::future::ready(allowed))
    }
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
