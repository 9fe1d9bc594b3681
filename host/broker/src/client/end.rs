//! The end of a run: what it leaves behind, and what becomes of the plugin.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use hearth_base::PluginId;
use hearth_vault::Vault;

use super::Client;
use crate::{
    PanelKey, RunEnd,
    inner::Inner,
    ops::{
        documents::{self, SaveDocument},
        storage::{self, CommitStorage, KeepValue, ReserveName},
    },
    permit::Permit,
    scope::Scope,
    values::{Fault, Flow, Node, Value},
};

/// What a body without a title is saved as.
const UNTITLED: &str = "Untitled";

/// Something to save once the run has returned in order.
pub(super) enum SaveOrder {
    One { title: Arc<Node>, body: Arc<Node> },
    Each { titles: Arc<Node>, bodies: Arc<Node> },
}

/// A value to keep under a name.
struct KeepOrder {
    name: String,
    node: Arc<Node>,
    /// How many this plugin had kept by then.
    count: u64,
}

impl Client {
    pub(super) fn end(&mut self, end: RunEnd) {
        self.ended = true;
        let broken = self.broken.take();
        let stopped = self.scope.is_stopped().then(|| "it was stopped".to_owned());
        let outcome = match (end, broken.or(stopped)) {
            (RunEnd::Aborted(why), _) | (RunEnd::Returned(_), Some(why)) => Err(why),
            (RunEnd::Returned(result), None) => Ok(result),
        };
        match outcome {
            Ok(Ok(())) => match self.commit() {
                Ok(()) => self.record("returned".into(), true),
                // Whether there is room may depend on all that the vault holds, and the next run would see what is
                // missing. So it is as if it had not returned.
                Err(fault) => {
                    let why = format!("what it wanted to remember could not be stored: {fault}");
                    self.inner.observer.trouble(&self.scope.plugin, &why);
                    self.abort(&why);
                }
            },
            // The words of the failure are the plugin's; whoever ran it has them.
            Ok(Err(_)) => self.record("returned with a failure of its own".into(), true),
            Err(why) => self.abort(&why),
        }
        self.record_dropped();
        self.write_rows();
        self.give_turn_back();
    }

    /// Ends a run whose guest was never called: nothing happened, and nobody is to blame.
    pub(crate) fn abandon(mut self) {
        self.ended = true;
        self.give_turn_back();
    }

    fn give_turn_back(&self) {
        if let Some(work) = self.inner.work().get_mut(&self.scope.plugin) {
            work.live = None;
        }
    }

    fn abort(&mut self, why: &str) {
        self.record("ended abnormally and was suspended".into(), false);
        #[cfg(test)]
        if super::planted::outlives(&self.inner, &self.scope)
            && let Some(vault) = self.inner.vault()
        {
            self.commit_state(&vault).ok();
        }
        self.scope.stop();
        for panel in std::mem::take(&mut self.panels) {
            self.inner.close(&PanelKey { plugin: self.scope.plugin.clone(), panel });
        }
        let Some(vault) = self.inner.vault() else { return };
        // The words may be those of a runner that a guest has taken over.
        let why = self.inner.limits.own_words(why);
        if let Err(error) = vault.suspend_plugin(&self.scope.plugin, Some(&why)) {
            tracing::warn!(%error, "a plugin could not be marked as suspended");
        }
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let Some(vault) = self.inner.vault() else { return Ok(()) };
        self.commit_state(&vault)?;
        for order in std::mem::take(&mut self.saves) {
            let (inner, scope) = (Arc::clone(&self.inner), Arc::clone(&self.scope));
            self.spawn(async move { save(&inner, &scope, order).await });
        }
        for (name, node) in std::mem::take(&mut self.kept) {
            let count = {
                let mut all = self.inner.work();
                let work = all.entry(self.scope.plugin.clone()).or_default();
                work.kept.insert(name.clone(), Arc::clone(&node));
                work.keeps += 1;
                work.keeps
            };
            let order = KeepOrder { name, node, count };
            let (inner, scope) = (Arc::clone(&self.inner), Arc::clone(&self.scope));
            self.spawn(async move { keep(&inner, &scope, order).await });
        }
        Ok(())
    }

    /// Writes storage, and takes the names of kept values: they count from now on, whatever comes of the values.
    fn commit_state(&mut self, vault: &Vault) -> Result<(), Fault> {
        if self.storage_changed {
            let operation = CommitStorage(std::mem::take(&mut self.storage));
            storage::commit(vault, Permit::mint(vault, &self.scope, operation)?)?;
        }
        for name in self.kept.keys() {
            let operation = ReserveName(name.clone());
            storage::reserve(vault, Permit::mint(vault, &self.scope, operation)?)?;
        }
        Ok(())
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (inner, plugin) = (Arc::clone(&self.inner), self.scope.plugin.clone());
        self.inner.work().entry(plugin.clone()).or_default().under_way += 1;
        let under_way = UnderWay { inner, plugin };
        // Not while the lock is held: a runtime that is shutting down drops the task at once.
        let task = self.inner.runtime.spawn(async move {
            let _until_the_end = under_way;
            work.await;
        });
        let mut all = self.inner.work();
        let of_plugin = all.entry(self.scope.plugin.clone()).or_default();
        of_plugin.tasks.retain(|task| !task.is_finished());
        of_plugin.tasks.push(task.abort_handle());
    }

    fn write_rows(&mut self) {
        let Some(vault) = self.inner.vault() else { return };
        for row in std::mem::take(&mut self.rows) {
            if let Err(error) = vault.audit(&row) {
                tracing::warn!(%error, "the audit trail could not be written");
                return;
            }
        }
    }
}

/// Counts a save or the like as under way for as long as it is there.
struct UnderWay {
    inner: Arc<Inner>,
    plugin: PluginId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(work) = self.inner.work().get_mut(&self.plugin) {
            work.under_way = work.under_way.saturating_sub(1);
        }
        self.inner.panels_changed();
    }
}

async fn save(inner: &Arc<Inner>, scope: &Arc<Scope>, order: SaveOrder) {
    let result = match &order {
        SaveOrder::One { title, body } => save_one(inner, scope, Some(title), body, None).await,
        SaveOrder::Each { titles, bodies } => save_each(inner, scope, titles, bodies).await,
    };
    if let Err(fault) = result {
        inner.observer.trouble(&scope.plugin, &format!("a result could not be saved: {fault}"));
    }
}

async fn save_each(
    inner: &Arc<Inner>,
    scope: &Arc<Scope>,
    titles: &Arc<Node>,
    bodies: &Arc<Node>,
) -> Result<(), Fault> {
    let mut via = Flow::default();
    let titles = items(inner, titles, &mut via).await?;
    let bodies = items(inner, bodies, &mut via).await?;
    let mut failed: BTreeMap<String, usize> = BTreeMap::new();
    for (index, body) in bodies.iter().enumerate() {
        match save_one(inner, scope, titles.get(index), body, Some(&via)).await {
            Ok(()) => {}
            Err(fault) if fault.is_final() => return Err(fault),
            Err(fault) => *failed.entry(fault.to_string()).or_default() += 1,
        }
    }
    for (fault, count) in failed {
        let message = format!("{count} of {} results could not be saved: {fault}", bodies.len());
        inner.observer.trouble(&scope.plugin, &message);
    }
    Ok(())
}

async fn items(
    inner: &Arc<Inner>,
    list: &Arc<Node>,
    flow: &mut Flow,
) -> Result<Arc<[Arc<Node>]>, Fault> {
    let outcome = list.resolve(inner).await;
    flow.join(&outcome.flow);
    match outcome.value.as_ref().map_err(Clone::clone)? {
        Value::Items(items) => Ok(Arc::clone(items)),
        _ => Err(Fault::Mismatch),
    }
}

async fn save_one(
    inner: &Arc<Inner>,
    scope: &Arc<Scope>,
    title: Option<&Arc<Node>>,
    body: &Arc<Node>,
    via: Option<&Flow>,
) -> Result<(), Fault> {
    let content = body.resolve(inner).await;
    let mut flow = content.flow.clone();
    if let Some(via) = via {
        flow.join(via);
    }
    let title = match title {
        Some(title) => {
            let title = title.resolve(inner).await;
            flow.join(&title.flow);
            title.title()?
        }
        None => UNTITLED.into(),
    };
    let operation = SaveDocument { title, body: content.text()?, label: flow.label() };
    let document = inner.permitted(scope, operation, documents::save).await?;
    body.mark_saved();
    inner.panels_changed();
    inner.observer.saved(&scope.plugin, document);
    Ok(())
}

async fn keep(inner: &Arc<Inner>, scope: &Arc<Scope>, order: KeepOrder) {
    let outcome = order.node.resolve(inner).await;
    let label = outcome.flow.label();
    let kept = match outcome.text() {
        Ok(text) => {
            write_kept(inner, scope, &order, KeepValue { name: order.name.clone(), text, label })
                .await
        }
        Err(fault) => Err(fault),
    };
    if let Err(fault) = kept {
        inner.observer.trouble(&scope.plugin, &format!("a value could not be kept: {fault}"));
    }
    if let Some(work) = inner.work().get_mut(&scope.plugin)
        && work.kept.get(&order.name).is_some_and(|waiting| Arc::ptr_eq(waiting, &order.node))
    {
        work.kept.remove(&order.name);
    }
}

/// Writes a kept value, unless one that was kept after it is there already.
async fn write_kept(
    inner: &Arc<Inner>,
    scope: &Arc<Scope>,
    order: &KeepOrder,
    value: KeepValue,
) -> Result<(), Fault> {
    let _turn = inner.keeping.lock().await;
    let newest =
        inner.work().get(&scope.plugin).and_then(|w| w.newest_kept.get(&order.name).copied());
    if newest.is_some_and(|newest| newest > order.count) {
        return Ok(());
    }
    inner.permitted(scope, value, storage::keep).await?;
    if let Some(work) = inner.work().get_mut(&scope.plugin) {
        work.newest_kept.insert(order.name.clone(), order.count);
    }
    Ok(())
}
