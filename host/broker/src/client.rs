//! A run's side of the broker: answers a guest's calls, at once and from public facts alone.

mod documents;
mod end;
mod model;
mod panel;
#[cfg(test)]
pub(crate) mod planted;
mod reveal;
mod state;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hearth_base::{Answer, GuestError, Handle, HostCall, HostReply, Quota, RunId, SettingValue};
use hearth_vault::AuditRow;
use tokio::time::Instant;

use crate::{
    ModelFacts, RunEnd, audit,
    inner::Inner,
    limits::Meter,
    ops::storage::Before,
    policy::{Access, Verdict, decide},
    scope::Scope,
    values::{Kind, Node, Op},
};

use end::SaveOrder;
use model::Completion;
use reveal::Revealed;

/// Refusals written down one by one of a run; a plugin that tries more often is known by then.
const MOST_REFUSAL_ROWS: u32 = 64;

/// The broker's answers to one run of a plugin. Dropping it without [`Client::finish`] counts as an abnormal end.
pub struct Client {
    inner: Arc<Inner>,
    scope: Arc<Scope>,
    /// The model when the run began, and which one in the row of models it is.
    model: Option<ModelFacts>,
    model_epoch: u64,
    settings: BTreeMap<String, SettingValue>,
    /// The plugin's storage as this run sees it; committed whole, at an orderly end.
    storage: BTreeMap<String, Vec<u8>>,
    storage_changed: bool,
    /// Names the plugin has kept values under, this run's included.
    kept_names: BTreeSet<String>,
    /// What this run keeps, and saves, at an orderly end.
    kept: BTreeMap<String, Arc<Node>>,
    saves: Vec<SaveOrder>,
    /// Panels this run has shown.
    panels: BTreeSet<String>,
    held: BTreeMap<u32, Held>,
    next_handle: u32,
    meter: Meter,
    /// When the run began, for the grid that answers of the gate come on.
    began: Instant,
    revealed: Revealed,
    rows: Vec<AuditRow>,
    refusals: u32,
    /// Why the run may not go on, if so. Whatever it returns, it ends abnormally.
    broken: Option<String>,
    /// It may do nothing but take over its storage.
    storage_alone: bool,
    ended: bool,
}

/// What a handle names.
enum Held {
    Value(Arc<Node>),
    Completion(Completion),
}

impl Client {
    pub(crate) fn new(inner: Arc<Inner>, scope: Arc<Scope>, before: Before) -> Self {
        let Before { settings, storage, kept_names } = before;
        let (model, model_epoch) = inner.loaded(|l| (l.facts().cloned(), l.epoch()));
        let began = {
            let _in_its_time = inner.runtime.enter();
            Instant::now()
        };
        let mut client = Self {
            model,
            model_epoch,
            inner,
            scope,
            settings,
            storage,
            storage_changed: false,
            kept_names,
            kept: BTreeMap::new(),
            saves: Vec::new(),
            panels: BTreeSet::new(),
            held: BTreeMap::new(),
            next_handle: 1,
            meter: Meter::default(),
            began,
            revealed: Revealed::default(),
            rows: Vec::new(),
            refusals: 0,
            broken: None,
            storage_alone: false,
            ended: false,
        };
        client.record("began".into(), true);
        client
    }

    /// Which run this is.
    pub fn run(&self) -> RunId {
        self.scope.run
    }

    /// Answers a call. `CompletionNext`, `RevealChoice` and `RevealText` may wait, for the model or the user; it must not be
    /// called on a thread of the async runtime.
    ///
    /// # Errors
    /// [`GuestError`], from public facts alone.
    pub fn call(&mut self, call: HostCall) -> HostReply {
        if self.broken.is_some() || self.scope.is_stopped() {
            return Err(GuestError::Refused);
        }
        if let HostCall::Drop(handle) = call {
            // Free of charge: letting go must always be possible.
            return match self.held.remove(&handle.0) {
                Some(_) => Ok(Answer::Unit),
                None => Err(unknown_handle()),
            };
        }
        #[cfg(test)]
        if let Some(told) = planted::tell(self, &call) {
            return told;
        }
        let limits = self.inner.limits;
        let refused = self.storage_alone && !is_of_storage(&call);
        let reply = self
            .meter
            .call(&limits, &call)
            .and_then(|()| if refused { Err(GuestError::Refused) } else { self.answer(call) });
        if let Err(error) = &reply {
            self.record_refusal(error);
        }
        reply
    }

    /// Ends the run. Storage, kept values and saves of a run that returned in order are carried out; a run that ended
    /// abnormally leaves nothing, its panels close, and the plugin is suspended. Blocks on the vault.
    pub fn finish(mut self, end: RunEnd) {
        self.end(end);
    }

    /// For a run that may do nothing but take over its storage.
    pub(crate) fn with_storage_alone(mut self) -> Self {
        self.storage_alone = true;
        self
    }

    pub(crate) fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    fn answer(&mut self, call: HostCall) -> HostReply {
        match call {
            HostCall::TextLiteral(text) => self.literal(text),
            HostCall::TextConcat(parts) => self.concat(&parts),
            HostCall::TextChunk { text, max_tokens } => self.chunk(text, max_tokens),
            HostCall::CollectionOf(parts) => self.collection_of(&parts),
            HostCall::CollectionTake { collection, count } => self.take(collection, count),
            HostCall::CollectionJoin { collection, separator } => self.join(collection, separator),
            HostCall::CollectionZip { left, right, separator } => self.zip(left, right, separator),
            HostCall::CollectionCount { collection, up_to } => self.count(collection, up_to),
            HostCall::ChoiceSelect { choice, options } => self.select(choice, &options),
            HostCall::Keep { name, value } => self.keep(name, value),
            HostCall::Kept { name } => self.kept_value(&name),
            // Answered before anything is charged.
            HostCall::Drop(_) => Ok(Answer::Unit),
            HostCall::DocumentGet { document, field } => self.document_get(document, field),
            HostCall::Granted { slot, order, limit } => self.granted(slot, order, limit),
            HostCall::Pick { purpose, limit } => self.pick(purpose, limit),
            HostCall::Search { slot, query, limit } => self.search(slot, query, limit),
            HostCall::Thread { document, slot, limit } => self.thread(document, slot, limit),
            HostCall::Threads { slot, limit } => self.threads(slot, limit),
            HostCall::Save { title, body } => self.save(title, body),
            HostCall::SaveEach { titles, bodies } => self.save_each(titles, bodies),
            HostCall::Generate { prompt, options } => self.generate(&prompt, options),
            HostCall::GenerateEach { over, prompt, options } => {
                self.generate_each(over, &prompt, options)
            }
            HostCall::FillEach { over, parts } => self.fill_each(over, parts),
            HostCall::Reduce { over, prompt, options } => self.reduce(over, &prompt, options),
            HostCall::Decide { prompt, answer } => self.decide(&prompt, &answer),
            HostCall::DecideEach { over, prompt, answer } => {
                self.decide_each(over, &prompt, &answer)
            }
            HostCall::CompletionStart { prompt, options } => self.completion(prompt, options),
            HostCall::CompletionNext(completion) => self.completion_next(completion),
            HostCall::RevealChoice(choice) => self.reveal_choice(choice),
            HostCall::RevealText { text, purpose } => self.reveal_text(text, &purpose),
            HostCall::Remaining => self.remaining(),
            HostCall::PanelShow { panel, nodes } => self.show(&panel, nodes),
            HostCall::Notify { icon, message } => self.notify(icon, &message),
            HostCall::StorageGet(key) => self.storage_get(&key),
            HostCall::StorageSet { key, value } => self.storage_set(key, value),
            HostCall::StorageDelete(key) => self.storage_delete(&key),
            HostCall::StorageKeys => self.storage_keys(),
            HostCall::SettingGet(key) => Ok(Answer::Setting(self.settings.get(&key).cloned())),
            HostCall::Log { level, message } => self.log(level, &message),
            HostCall::Progress { percent, message } => self.progress(percent, &message),
        }
    }

    /// Asks the policy, under the grant the run began with.
    fn allow(&self, access: Access<'_>) -> Result<(), GuestError> {
        match decide(&self.scope.manifest, &self.scope.grant, access) {
            Verdict::Allow => Ok(()),
            Verdict::Deny(denial) => Err(denial.into()),
        }
    }

    /// Makes a node and a handle for it.
    fn make(&mut self, kind: Kind, op: Op) -> HostReply {
        let node = self.inner.node(&self.scope, kind, op);
        self.hold(node).map(Answer::Handle)
    }

    pub(crate) fn hold(&mut self, node: Arc<Node>) -> Result<Handle, GuestError> {
        if node.depth > self.inner.limits.value_depth {
            return Err(invalid("values are built too deep upon one another"));
        }
        self.put(Held::Value(node))
    }

    fn put(&mut self, held: Held) -> Result<Handle, GuestError> {
        if self.held.len() >= self.inner.limits.handles {
            return Err(GuestError::OverQuota(Quota::Handles));
        }
        let handle = self.next_handle;
        self.next_handle += 1;
        self.held.insert(handle, held);
        Ok(Handle(handle))
    }

    fn value(&self, handle: Handle) -> Result<Arc<Node>, GuestError> {
        match self.held.get(&handle.0) {
            Some(Held::Value(node)) => Ok(Arc::clone(node)),
            Some(Held::Completion(_)) => Err(wrong_kind("a value")),
            None => Err(unknown_handle()),
        }
    }

    fn text(&self, handle: Handle) -> Result<Arc<Node>, GuestError> {
        let node = self.value(handle)?;
        if node.kind == Kind::Text { Ok(node) } else { Err(wrong_kind("a text")) }
    }

    fn texts(&self, handles: &[Handle]) -> Result<Vec<Arc<Node>>, GuestError> {
        if handles.len() > self.inner.limits.list_items {
            return Err(GuestError::OverQuota(Quota::Items));
        }
        handles.iter().map(|handle| self.text(*handle)).collect()
    }

    fn collection(&self, handle: Handle) -> Result<Arc<Node>, GuestError> {
        let node = self.value(handle)?;
        if node.kind.is_collection() { Ok(node) } else { Err(wrong_kind("a collection")) }
    }

    /// Writes a row of the audit trail, at the end of the run.
    pub(crate) fn record(&mut self, what: String, allowed: bool) {
        self.rows.push(audit::row(&self.scope, what, allowed));
    }

    /// The same of something refused: the first ones each by itself.
    fn record_refused(&mut self, what: String) {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals <= MOST_REFUSAL_ROWS {
            self.record(what, false);
        }
    }

    /// The rest of what was refused, in one row.
    fn record_dropped(&mut self) {
        let more = self.refusals.saturating_sub(MOST_REFUSAL_ROWS);
        if more > 0 {
            self.record(format!("was refused {more} times more"), false);
        }
    }

    fn record_refusal(&mut self, error: &GuestError) {
        let what = match error {
            GuestError::Denied(power) => format!("was denied {power:?}"),
            GuestError::OverQuota(Quota::Bits) => return,
            GuestError::OverQuota(quota) => format!("ran out of {quota:?}"),
            GuestError::Unsupported => "asked for what this version does not have".into(),
            // What the gate refuses has its own row; a mistake in an argument concerns nobody.
            GuestError::Refused | GuestError::Invalid(_) => return,
        };
        self.record_refused(what);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.ended {
            self.end(RunEnd::Aborted("it was ended".into()));
        }
    }
}

fn invalid(what: &str) -> GuestError {
    GuestError::Invalid(what.into())
}

/// What a plugin may call while it takes over its storage; none of it is about documents, the model or the user.
fn is_of_storage(call: &HostCall) -> bool {
    matches!(
        call,
        HostCall::StorageGet(_)
            | HostCall::StorageSet { .. }
            | HostCall::StorageDelete(_)
            | HostCall::StorageKeys
            | HostCall::Log { .. }
    )
}

fn unknown_handle() -> GuestError {
    invalid("no value of this number")
}

fn wrong_kind(expected: &str) -> GuestError {
    GuestError::Invalid(format!("expected {expected}"))
}
