//! What work beside the event loop has in hand.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use hearth_base::{Label, ModelId, PluginId, Source};
use hearth_broker::{Broker, ModelFacts, ModelTrust};
use hearth_engine_api::{Engine, Tuner};
use hearth_vault::{AuditRow, Vault, VaultDir};
use tokio::sync::{mpsc, watch};

use crate::{
    Config, Event, Ticket, UserError,
    cancel::Cancel,
    events::Hub,
    msg::{Change, Epoch, Msg, Stamp},
    plugins::LastFetched,
    tuning::{AtHand, Fingerprints},
};

/// What lives as long as the session.
pub(crate) struct Ctx {
    pub(crate) config: Config,
    pub(crate) dir: VaultDir,
    pub(crate) engine: Engine,
    pub(crate) hub: Hub,
    pub(crate) post: mpsc::Sender<Msg>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) tickets: AtomicU64,
    stamps: AtomicU64,
    /// Held while a vault is being opened or closed.
    pub(crate) door: tokio::sync::Mutex<()>,
    /// Load the default model when it is first needed rather than at unlock.
    pub(crate) model_when_asked: AtomicBool,
    /// Held while a model is being loaded, dropped or marked.
    pub(crate) model_door: tokio::sync::Mutex<()>,
    /// Held while a plugin is put in place, granted or removed: a grant is for the one whose manifest was read.
    plugin_door: Mutex<()>,
    /// The plugin that was last fetched to be looked at.
    pub(crate) last_fetched: LastFetched,
    /// How many loads of a model are under way.
    loads: watch::Sender<usize>,
    /// Trains adapters.
    pub(crate) tuner: Arc<dyn Tuner>,
    /// What tells model files apart.
    pub(crate) fingerprints: Fingerprints,
}

impl Ctx {
    pub(crate) fn new(
        config: Config,
        engine: Engine,
        hub: Hub,
        post: mpsc::Sender<Msg>,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        Self {
            dir: VaultDir::new(&config.vault_dir),
            tuner: Arc::clone(&config.tuner),
            fingerprints: Fingerprints::default(),
            config,
            engine,
            hub,
            post,
            runtime,
            tickets: AtomicU64::new(1),
            stamps: AtomicU64::new(1),
            door: tokio::sync::Mutex::default(),
            model_door: tokio::sync::Mutex::default(),
            plugin_door: Mutex::default(),
            last_fetched: LastFetched::default(),
            model_when_asked: AtomicBool::new(false),
            loads: watch::Sender::new(0),
        }
    }

    /// For threads that may block.
    pub(crate) fn plugin_door(&self) -> MutexGuard<'_, ()> {
        self.plugin_door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a load until what it gives back is dropped.
    pub(crate) fn begin_load(self: &Arc<Self>) -> LoadMark {
        self.loads.send_modify(|loads| *loads += 1);
        LoadMark(Arc::clone(self))
    }

    /// Waits until no model is being loaded, so that a question asked meanwhile finds one.
    pub(crate) async fn loads_done(&self) {
        // It fails only where the sender is gone, which lives in `self`.
        self.loads.subscribe().wait_for(|loads| *loads == 0).await.ok();
    }

    /// Whether the shell came for one command, and so nothing is begun that it did not ask for.
    pub(crate) fn for_one_command(&self) -> bool {
        self.model_when_asked.load(Ordering::SeqCst)
    }

    pub(crate) fn next_ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.stamps.fetch_add(1, Ordering::SeqCst))
    }

    pub(crate) fn now_secs(&self) -> i64 {
        let since = (self.config.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// Tells the event loop. It is only gone when the whole session is.
    pub(crate) async fn tell(&self, msg: Msg) {
        self.post.send(msg).await.ok();
    }

    /// The same from a thread that may block.
    pub(crate) fn tell_blocking(&self, msg: Msg) {
        self.post.blocking_send(msg).ok();
    }
}

/// A load under way.
pub(crate) struct LoadMark(Arc<Ctx>);

impl Drop for LoadMark {
    fn drop(&mut self) {
        self.0.loads.send_modify(|loads| *loads -= 1);
    }
}

/// What lives as long as the vault is open. Every clone is dropped at lock.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) epoch: Epoch,
    pub(crate) vault: Arc<Vault>,
    pub(crate) broker: Broker,
    /// What the broker was told of the loaded model.
    told: Arc<Mutex<Option<Told>>>,
    /// Adapters of the loaded model, and runs.
    pub(crate) at_hand: AtHand,
}

/// What the broker was told of a model.
#[derive(Clone)]
pub(crate) struct Told {
    /// `None` for the bundled one.
    pub(crate) id: Option<ModelId>,
    pub(crate) facts: ModelFacts,
}

impl Room {
    pub(crate) fn new(epoch: Epoch, vault: Arc<Vault>, broker: Broker) -> Self {
        Self { epoch, vault, broker, told: Arc::default(), at_hand: AtHand::default() }
    }

    /// Tells the broker that there is no model, or which; gives what it was told before.
    pub(crate) fn tell_model(&self, now: Option<Told>) -> Option<Told> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.broker.set_model(now.as_ref().map(|now| now.facts.clone()));
        std::mem::replace(&mut told, now)
    }

    /// What the broker was told of the loaded model.
    pub(crate) fn model_facts(&self) -> Option<ModelFacts> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.as_ref().map(|told| told.facts.clone())
    }

    /// What the loaded model's words depend on, where its weights are private.
    pub(crate) fn model_label(&self) -> Label {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut label = Label::public();
        if let Some(Told { facts: ModelFacts { trust: ModelTrust::Private(name), .. }, .. }) =
            &*told
        {
            label.sources.insert(Source::PrivateModel(name.clone()));
        }
        label
    }

    /// Corrects what the broker was told, if there is a model.
    pub(crate) fn retell_model(&self, correct: impl FnOnce(&mut Told)) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = told.as_mut() {
            correct(told);
            self.broker.set_model(Some(told.facts.clone()));
        }
    }
}

/// One command's work.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) ctx: Arc<Ctx>,
    pub(crate) room: Room,
    pub(crate) ticket: Ticket,
    pub(crate) cancel: Cancel,
    /// Taken when the command arrived.
    pub(crate) stamp: Stamp,
}

impl Task {
    pub(crate) fn vault(&self) -> &Vault {
        &self.room.vault
    }

    /// Changes the view, from a thread that may block. `stamp` is from before what it shows was read.
    pub(crate) fn show(&self, stamp: Stamp, change: Change) {
        self.ctx.tell_blocking(Msg::Change(self.room.epoch, stamp, change));
    }

    /// The same from a task.
    pub(crate) async fn show_async(&self, change: Change) {
        self.ctx.tell(Msg::Change(self.room.epoch, self.ctx.stamp(), change)).await;
    }

    /// Reports progress, from a thread that may block.
    pub(crate) fn report(&self, event: &Event) {
        if !self.cancel.is_cancelled() {
            self.ctx.runtime.block_on(self.ctx.hub.stream(event));
        }
    }

    /// Runs vault work on a thread of its own.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, UserError> + Send + 'static,
    ) -> Result<T, UserError> {
        let task = self.clone();
        match tokio::task::spawn_blocking(move || work(&task)).await {
            Ok(result) => result,
            Err(_) => Err(UserError::internal("Work on the vault broke off.")),
        }
    }

    /// Notes what was done, for the activity list. A log that cannot be written is no reason to undo what it tells of.
    pub(crate) fn audit(&self, plugin: Option<&PluginId>, what: &str, allowed: bool) {
        let row = AuditRow {
            at_secs: self.ctx.now_secs(),
            plugin: plugin.cloned(),
            run: None,
            what: what.to_owned(),
            allowed,
        };
        if let Err(error) = self.vault().audit(&row) {
            tracing::warn!(%error, "an activity row could not be written");
        }
    }

    /// Shows how much of a download is there.
    pub(crate) fn fetched(&self, done_bytes: u64, total_bytes: u64) {
        let share = (total_bytes > 0).then(|| done_bytes as f32 / total_bytes as f32);
        let detail = format!("{} of {} KiB", done_bytes >> 10, total_bytes >> 10);
        self.show(self.ctx.stamp(), Change::Job(self.ticket, share, detail));
    }

    /// Where the files of installed components lie.
    pub(crate) fn component_path(&self, hash: &str) -> PathBuf {
        self.ctx.dir.plugins_dir().join(format!("{hash}.wasm"))
    }
}
