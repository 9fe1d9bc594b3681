//! What all parts of the broker share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hearth_base::{PluginId, Weights};
use hearth_engine_api::{AdapterSlot, Engine};
use hearth_gate::within_the_hour;
use hearth_vault::Vault;
use tokio::{
    runtime::Handle as Runtime,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::Instant,
};

use crate::{
    Asker, Limits, ModelFacts, Observer, PanelKey,
    loaded::Loaded,
    panel::OpenPanel,
    permit::{Operation, Permit},
    scope::Scope,
    spent::Ledger,
    values::{Fault, Kind, Node, Op},
};

/// Reads and writes of the vault under way at once.
const VAULT_SLOTS: u32 = 4;
/// Promises whose texts are copied for the model at once: some more than it works on, so that the next are ready.
pub(crate) const MODEL_SLOTS: u32 = 24;
/// Slots that the longest texts take, so that few of them are copied at once.
const MOST_SLOTS: u32 = MODEL_SLOTS / 2;
/// Text that goes with one slot.
const SLOT_BYTES: usize = 64 << 10;
/// Shortest time between two notices that panels have changed.
const NOTICE_INTERVAL: Duration = Duration::from_millis(33);

/// Leave to copy texts for the model. It lasts for as long as any of those copies waits in the engine's queue.
pub(crate) type ModelSlot = Arc<OwnedSemaphorePermit>;

pub(crate) struct Inner {
    /// `None` once the vault is locked.
    vault: RwLock<Option<Arc<Vault>>>,
    pub(crate) engine: Engine,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) asker: Arc<dyn Asker>,
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    model: RwLock<Loaded>,
    next_node: AtomicU64,
    vault_slots: Arc<Semaphore>,
    pub(crate) model_slots: Arc<Semaphore>,
    /// Held while a kept value is written: one after the other.
    pub(crate) keeping: tokio::sync::Mutex<()>,
    pub(crate) spent: Arc<Ledger>,
    panels: Mutex<BTreeMap<PanelKey, OpenPanel>>,
    work: Mutex<BTreeMap<PluginId, Work>>,
    /// When each plugin asked for texts, as far as that came to looking at one.
    texts: Mutex<BTreeMap<PluginId, Vec<Instant>>>,
    changed: Arc<Notify>,
    notifier: AbortHandle,
    #[cfg(test)]
    pub(crate) planted: Mutex<Option<crate::client::planted::Leak>>,
}

/// What goes on for one plugin.
#[derive(Default)]
pub(crate) struct Work {
    /// The run whose guest is executing, if any.
    pub(crate) live: Option<Arc<Scope>>,
    /// Runs whose promises may still be kept.
    pub(crate) scopes: Vec<std::sync::Weak<Scope>>,
    /// Saves and the like, some of which may have ended.
    pub(crate) tasks: Vec<AbortHandle>,
    /// How many of them have not.
    pub(crate) under_way: usize,
    /// Values kept under a name that are not in the vault yet.
    pub(crate) kept: BTreeMap<String, Arc<Node>>,
    /// Counts the values kept.
    pub(crate) keeps: u64,
    /// Which of them, by that count, is in the vault. A later one may be ready before an earlier one.
    pub(crate) newest_kept: BTreeMap<String, u64>,
}

impl Work {
    pub(crate) fn begin(&mut self, scope: &Arc<Scope>) {
        self.scopes.retain(|scope| scope.strong_count() > 0);
        self.scopes.push(Arc::downgrade(scope));
        self.live = Some(Arc::clone(scope));
    }

    /// Ends all of it and gives the tasks to abort, which is for after the lock. A guest that is still running stays in
    /// place until it ends.
    #[must_use]
    fn stop(&mut self) -> Vec<AbortHandle> {
        for scope in self.scopes.drain(..).filter_map(|scope| scope.upgrade()) {
            scope.stop();
        }
        self.kept.clear();
        std::mem::take(&mut self.tasks)
    }
}

/// The parts of [`Inner`] that come from outside.
pub(crate) struct Outside {
    pub(crate) vault: Arc<Vault>,
    pub(crate) engine: Engine,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) asker: Arc<dyn Asker>,
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
}

impl Inner {
    pub(crate) fn new(outside: Outside) -> Arc<Self> {
        let Outside { vault, engine, observer, asker, runtime, limits } = outside;
        let changed = Arc::new(Notify::new());
        let notifier =
            runtime.spawn(notify(Arc::clone(&changed), Arc::clone(&observer))).abort_handle();
        Arc::new(Self {
            vault: RwLock::new(Some(vault)),
            engine,
            observer,
            asker,
            runtime,
            limits,
            model: RwLock::default(),
            next_node: AtomicU64::new(1),
            vault_slots: Arc::new(Semaphore::new(VAULT_SLOTS as usize)),
            model_slots: Arc::new(Semaphore::new(MODEL_SLOTS as usize)),
            keeping: tokio::sync::Mutex::default(),
            spent: Arc::default(),
            panels: Mutex::default(),
            work: Mutex::default(),
            texts: Mutex::default(),
            changed,
            notifier,
            #[cfg(test)]
            planted: Mutex::default(),
        })
    }

    pub(crate) fn node(&self, scope: &Arc<Scope>, kind: Kind, op: Op) -> Arc<Node> {
        Node::new(self.next_node.fetch_add(1, Ordering::Relaxed), scope, kind, op)
    }

    /// Tells the observer, soon.
    pub(crate) fn panels_changed(&self) {
        self.changed.notify_one();
    }

    pub(crate) fn panels(&self) -> MutexGuard<'_, BTreeMap<PanelKey, OpenPanel>> {
        self.panels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn work(&self) -> MutexGuard<'_, BTreeMap<PluginId, Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often a plugin has lately asked for a text that was then looked at: a public fact, for it is counted whatever
    /// came of it.
    pub(crate) fn texts_within_the_hour(&self, plugin: &PluginId) -> u32 {
        let _in_its_time = self.runtime.enter();
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = texts.get(plugin).into_iter().flatten();
        within_the_hour(asked.map(|at| at.elapsed().as_secs()))
    }

    /// Notes that it has.
    pub(crate) fn note_text(&self, plugin: &PluginId) {
        let _in_its_time = self.runtime.enter();
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_plugin = texts.entry(plugin.clone()).or_default();
        of_plugin.retain(|at| within_the_hour(std::iter::once(at.elapsed().as_secs())) > 0);
        of_plugin.push(Instant::now());
    }

    pub(crate) fn model(&self) -> Option<ModelFacts> {
        self.loaded(|loaded| loaded.facts().cloned())
    }

    pub(crate) fn loaded<T>(&self, f: impl FnOnce(&Loaded) -> T) -> T {
        f(&self.model.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_model(&self, facts: Option<ModelFacts>) {
        self.model.write().unwrap_or_else(PoisonError::into_inner).set(facts);
    }

    /// Waits for leave to copy texts of `bytes` for the model. Whoever holds it must not wait for another promise.
    pub(crate) async fn model_slot(&self, bytes: usize) -> Result<ModelSlot, Fault> {
        let slots = u32::try_from(bytes / SLOT_BYTES).unwrap_or(u32::MAX);
        let slots = slots.saturating_add(1).min(MOST_SLOTS);
        let slot = Arc::clone(&self.model_slots).acquire_many_owned(slots).await;
        slot.map(Arc::new).map_err(|_closed| Fault::Stopped)
    }

    pub(crate) fn vault(&self) -> Option<Arc<Vault>> {
        self.vault.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads or writes the vault on a thread where that may block.
    pub(crate) async fn with_vault<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Vault) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let slots = Arc::clone(&self.vault_slots);
        let Ok(slot) = slots.acquire_owned().await else { return Err(Fault::Locked) };
        let vault = self.vault().ok_or(Fault::Locked)?;
        let done = tokio::task::spawn_blocking(move || {
            // The slot is given back after the vault is let go of: whoever holds all slots holds the vault alone.
            let result = f(&vault);
            drop(vault);
            drop(slot);
            result
        });
        done.await.unwrap_or(Err(Fault::Stopped))
    }

    /// Asks for a permit and does something blocking with it.
    pub(crate) async fn permitted<O, T>(
        &self,
        scope: &Arc<Scope>,
        operation: O,
        f: impl FnOnce(&Vault, Permit<O>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault>
    where
        O: Operation + Send + 'static,
        T: Send + 'static,
    {
        let scope = Arc::clone(scope);
        #[cfg(test)]
        if crate::client::planted::is_blind(self) {
            return self.with_vault(move |vault| f(vault, Permit::forged(&scope, operation))).await;
        }
        self.with_vault(move |vault| f(vault, Permit::mint(vault, &scope, operation)?)).await
    }

    /// Ends the work of a plugin, or of all of them. What panels show stays.
    pub(crate) fn stop(&self, plugin: Option<&PluginId>) {
        let tasks: Vec<AbortHandle> = self
            .work()
            .iter_mut()
            .filter(|(id, _)| plugin.is_none_or(|plugin| *id == plugin))
            .flat_map(|(_, work)| work.stop())
            .collect();
        for task in tasks {
            task.abort();
        }
        self.halt_panels(plugin);
    }

    /// Plugins with runs that may still use an adapter.
    pub(crate) fn users_of(&self, slot: AdapterSlot) -> Vec<PluginId> {
        let uses = |scope: Arc<Scope>| {
            scope.adapters(Weights::Personal).iter().any(|adapter| adapter.slot == slot)
        };
        let work = self.work();
        let users = work
            .iter()
            .filter(|(_, work)| work.scopes.iter().filter_map(std::sync::Weak::upgrade).any(uses));
        users.map(|(plugin, _)| plugin.clone()).collect()
    }

    /// Lets go of the vault, once all that uses it has ended.
    pub(crate) async fn let_go(&self) {
        self.notifier.abort();
        // Closed only by this function, so a failure means that it has run before.
        if let Ok(all) = self.vault_slots.acquire_many(VAULT_SLOTS).await {
            *self.vault.write().unwrap_or_else(PoisonError::into_inner) = None;
            drop(all);
            self.vault_slots.close();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.notifier.abort();
    }
}

/// Passes changes on, at most so often, and never loses the last: a change during the pause is remembered.
async fn notify(changed: Arc<Notify>, observer: Arc<dyn Observer>) {
    loop {
        changed.notified().await;
        observer.panels_changed();
        tokio::time::sleep(NOTICE_INTERVAL).await;
    }
}
