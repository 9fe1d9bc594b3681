//! The broker as the session sees it.

use std::sync::Arc;

use hearth_base::{
    Date, DocumentId, Event, Export, Focus, Grant, Invocation, InvocationInfo, Label, Manifest,
    Origin, PluginId, RunId, Source,
};
use hearth_engine_api::{AdapterSlot, Engine};
use hearth_gate::Day;
use hearth_vault::Vault;
use tokio::runtime::Handle as Runtime;

use crate::{
    Asker, BeginError, Client, Limits, ModelFacts, Observer, Occasion, PanelKey, PanelView,
    PersonalAdapter, Spent, Start, ValueError, ValueId, escape_words,
    inner::{Inner, Outside},
    ops::{documents, storage},
    permit::Permit,
    policy::{Access, Verdict, decide},
    scope::{Personal, Scope},
    values::{Fault, Flow, Kind, Node, Op},
};

/// Version of the plugin interface the host speaks.
const API: (u16, u16, u16) = (0, 1, 0);

/// Gives plugins what they may have. Cheap to clone; made when a vault is unlocked, and ended by [`Broker::shutdown`]
/// before it is locked.
#[derive(Clone)]
pub struct Broker {
    pub(crate) inner: Arc<Inner>,
}

impl Broker {
    /// A broker over an open vault, with the usual [`Limits`]. `runtime` must have its timer enabled.
    pub fn new(
        vault: Arc<Vault>,
        engine: Engine,
        observer: Arc<dyn Observer>,
        asker: Arc<dyn Asker>,
        runtime: Runtime,
    ) -> Self {
        let limits = Limits::default();
        let outside = Outside { vault, engine, observer, asker, runtime, limits };
        Self { inner: Inner::new(outside) }
    }

    /// Tells what model is loaded; `None` while there is none or while it is being exchanged. Call it with `None`
    /// before another model is loaded, so that no answer is ever taken for a public model's that is not.
    pub fn set_model(&self, facts: Option<ModelFacts>) {
        self.inner.set_model(facts);
    }

    /// Prepares a run: checks the plugin and the gesture, numbers the run, freezes settings, storage and grant. Blocks
    /// on the vault.
    ///
    /// # Errors
    /// [`BeginError`] says what stands in the way.
    pub fn begin(
        &self,
        plugin: &PluginId,
        start: Start,
        today: Date,
        locale: &str,
    ) -> Result<(Client, Invocation), BeginError> {
        self.begin_with(plugin, start, today, locale, Vec::new())
    }

    /// [`Broker::begin`], with the adapters that the user has chosen for this plugin's personal weights. They stay the same
    /// for the whole run. Without any, personal weights are those of the model as it is.
    ///
    /// # Errors
    /// As there.
    pub fn begin_with(
        &self,
        plugin: &PluginId,
        start: Start,
        today: Date,
        locale: &str,
        personal: Vec<PersonalAdapter>,
    ) -> Result<(Client, Invocation), BeginError> {
        let occasion = Occasion { today, locale, words: entered() };
        self.begin_on(plugin, start, occasion, personal)
    }

    /// [`Broker::begin_with`], where it may not be the user who chose a command's words and document.
    ///
    /// # Errors
    /// As there.
    pub fn begin_on(
        &self,
        plugin: &PluginId,
        start: Start,
        occasion: Occasion<'_>,
        personal: Vec<PersonalAdapter>,
    ) -> Result<(Client, Invocation), BeginError> {
        let Occasion { today, locale, words } = occasion;
        let vault = self.inner.vault().ok_or(BeginError::Locked)?;
        let manifest = self.ready(&vault, plugin)?;
        self.check_start(plugin, &manifest, &start)?;
        let grant = vault.grant(plugin)?;
        if let Start::Command { focus: Some(_), .. } = &start
            && decide(&manifest, &grant, Access::Document) != Verdict::Allow
        {
            return Err(BeginError::FocusRefused);
        }
        let when = (Day::of(today), !matches!(start, Start::Command { .. }));
        let personal = Personal::new(personal);
        let (mut client, run) = self.client(&vault, (manifest, grant), personal, when)?;
        let scope = Arc::clone(client.scope());
        let export = match self.export(&mut client, &scope, start, words) {
            Ok(export) => export,
            Err(error) => {
                client.abandon();
                return Err(error);
            }
        };
        Ok((client, run.invocation(export, today, locale)))
    }

    /// Prepares the first call into an updated plugin, in which it takes over what its version `from` has stored. There is
    /// nothing but storage for it. Blocks on the vault.
    ///
    /// # Errors
    /// [`BeginError`] says what stands in the way.
    pub fn begin_migration(
        &self,
        plugin: &PluginId,
        from: &str,
        today: Date,
        locale: &str,
    ) -> Result<(Client, Invocation), BeginError> {
        let vault = self.inner.vault().ok_or(BeginError::Locked)?;
        let manifest = self.ready(&vault, plugin)?;
        let grant = vault.grant(plugin)?;
        let when = (Day::of(today), false);
        let (client, run) = self.client(&vault, (manifest, grant), Personal::default(), when)?;
        let export = Export::Migrate { from_version: from.to_owned() };
        Ok((client.with_storage_alone(), run.invocation(export, today, locale)))
    }

    /// A run's side of the broker, with its turn taken.
    fn client(
        &self,
        vault: &Arc<Vault>,
        (manifest, grant): (Manifest, Grant),
        personal: Personal,
        when: (Day, bool),
    ) -> Result<(Client, Numbered), BeginError> {
        let plugin = manifest.id.clone();
        let run = vault.next_run(&plugin)?;
        let seed = seed(&vault.run_key()?, &plugin, run);
        let most_rows = self.inner.limits.audit_rows;
        let scope = Arc::new(Scope::new(manifest, grant, (run, seed), personal, when, most_rows));
        let before = Permit::mint(vault, &scope, storage::Recall)
            .and_then(|permit| storage::recall(vault, permit))
            .map_err(|fault| BeginError::NotReady { why: fault.to_string() })?;
        self.take_turn(&scope)?;
        let client = Client::new(Arc::clone(&self.inner), scope, before);
        Ok((client, Numbered { seed, fuel: self.inner.limits.fuel }))
    }

    /// Open panels, as they stand.
    pub fn panels(&self) -> Vec<PanelView> {
        self.inner.views()
    }

    /// Closes a panel and ends the work that only it needs.
    pub fn close_panel(&self, key: &PanelKey) {
        self.inner.close(key);
    }

    /// Saves a shown value as a document in the plugin's folder: the user's own gesture, which needs no grant.
    ///
    /// # Errors
    /// [`ValueError`].
    pub async fn save_value(&self, id: ValueId) -> Result<DocumentId, ValueError> {
        let shown = self.inner.shown(id).ok_or(ValueError::Stale)?;
        let outcome = shown.node.outcome.get().cloned().ok_or(ValueError::NotReady)?;
        let body = outcome.text().map_err(failed)?;
        let name = &shown.scope.name;
        let title = match outcome.flow.only_title() {
            Some(title) => format!("{name}: {}", escape_words(title)),
            None => format!("{name}: {}", shown.panel_title),
        };
        let (scope, label) = (Arc::clone(&shown.scope), shown.flow(&outcome).label());
        let saved = self.inner.with_vault(move |vault| {
            documents::save_by_user(vault, &scope, &title, (&body, label))
        });
        let document = saved.await.map_err(failed)?;
        shown.node.mark_saved();
        self.inner.panels_changed();
        Ok(document)
    }

    /// The whole text of a shown value, for copying; a document counts as its body.
    ///
    /// # Errors
    /// [`ValueError`].
    pub fn value_text(&self, id: ValueId) -> Result<String, ValueError> {
        let shown = self.inner.shown(id).ok_or(ValueError::Stale)?;
        let outcome = shown.node.outcome.get().ok_or(ValueError::NotReady)?;
        outcome.text().map(|text| text.to_string()).map_err(failed)
    }

    /// All that a shown value depends on.
    ///
    /// # Errors
    /// [`ValueError`].
    pub fn value_label(&self, id: ValueId) -> Result<Label, ValueError> {
        let shown = self.inner.shown(id).ok_or(ValueError::Stale)?;
        let outcome = shown.node.outcome.get().ok_or(ValueError::NotReady)?;
        Ok(shown.flow(outcome).label())
    }

    /// What runs took since this was last asked.
    pub fn take_spent(&self) -> Vec<(PluginId, RunId, Spent)> {
        self.inner.spent.take()
    }

    /// Ends all work of the plugins that have a run with this adapter, and says which these are: for when it is taken
    /// away. As after [`Broker::stop`], a guest that is still running gets nothing more.
    pub fn stop_using(&self, slot: AdapterSlot) -> Vec<PluginId> {
        let users = self.inner.users_of(slot);
        for plugin in &users {
            self.stop(plugin);
        }
        users
    }

    /// Whether saves, or values to be kept for a later run, are still being made for a plugin. The observer hears of a
    /// change of panels when the last of them is done.
    pub fn is_working(&self, plugin: &PluginId) -> bool {
        self.inner.work().get(plugin).is_some_and(|work| work.under_way > 0)
    }

    /// Ends all work of a plugin: for the user's stop, and whenever its grant is changed. Its panels stay as they are;
    /// a guest that is still running gets nothing more.
    pub fn stop(&self, plugin: &PluginId) {
        self.inner.stop(Some(plugin));
    }

    /// Ends all work and lets go of the vault, so that it can be locked. Every [`Client`] must have been finished
    /// before. Afterwards every call is refused.
    pub async fn shutdown(&self) {
        self.inner.stop(None);
        self.inner.let_go().await;
        self.inner.panels().clear();
    }

    /// The manifest of a plugin that may run now.
    fn ready(&self, vault: &Vault, plugin: &PluginId) -> Result<Manifest, BeginError> {
        let record = vault.plugin(plugin)?.ok_or(BeginError::NotInstalled)?;
        if !record.enabled {
            return Err(BeginError::Disabled);
        }
        if let Some(why) = record.suspended {
            return Err(BeginError::Suspended { why });
        }
        if self.inner.work().get(plugin).is_some_and(|work| work.live.is_some()) {
            return Err(BeginError::Busy);
        }
        Ok(Manifest::parse(record.manifest.as_bytes())?)
    }

    /// Whether the gesture can be meant: the command exists, the panel is open and shows what was used.
    fn check_start(
        &self,
        plugin: &PluginId,
        manifest: &Manifest,
        start: &Start,
    ) -> Result<(), BeginError> {
        let (key, shows): (&PanelKey, &dyn Fn(&crate::panel::OpenPanel) -> bool) = match start {
            Start::Command { id, focus, input } => {
                let command = manifest.commands.iter().find(|command| command.id == *id);
                let command = command
                    .ok_or_else(|| BeginError::UnknownCommand { command: escape_words(id) })?;
                match (command.input.is_empty(), input) {
                    (false, None) => {
                        return Err(BeginError::InputMissing { what: command.input.clone() });
                    }
                    (true, Some(_)) => return Err(BeginError::InputRefused),
                    (false, Some(text)) => self.check_entered(text)?,
                    (true, None) => {}
                }
                return match (command.focus, focus) {
                    (Focus::Document, None) => Err(BeginError::FocusMissing),
                    (Focus::None, Some(_)) => Err(BeginError::FocusRefused),
                    (Focus::Document, Some(_)) | (Focus::None, None) => Ok(()),
                };
            }
            Start::Pressed { panel, button } => (panel, &|open| open.has_button(button)),
            Start::Entered { panel, input, text } => {
                self.check_entered(text)?;
                (panel, &|open| open.has_input(input))
            }
            Start::Picked { panel, picker, value } => {
                (panel, &|open| open.picked(picker, *value).is_some())
            }
        };
        let open = key.plugin == *plugin && self.inner.panels().get(key).is_some_and(shows);
        if open { Ok(()) } else { Err(BeginError::Stale) }
    }

    fn check_entered(&self, text: &str) -> Result<(), BeginError> {
        let limit_bytes = self.inner.limits.entered_bytes;
        if text.len() > limit_bytes {
            return Err(BeginError::TooLong { got_bytes: text.len(), limit_bytes });
        }
        Ok(())
    }

    /// One run of a plugin at a time.
    fn take_turn(&self, scope: &Arc<Scope>) -> Result<(), BeginError> {
        let mut all = self.inner.work();
        let work = all.entry(scope.plugin.clone()).or_default();
        if work.live.is_some() {
            return Err(BeginError::Busy);
        }
        work.begin(scope);
        Ok(())
    }

    /// What to call, with handles for what the gesture brings along.
    fn export(
        &self,
        client: &mut Client,
        scope: &Arc<Scope>,
        start: Start,
        words: Label,
    ) -> Result<Export, BeginError> {
        let hold = |client: &mut Client, node: Arc<Node>| {
            client.hold(node).map_err(|_full| BeginError::Stale)
        };
        let (panel, event) = match start {
            Start::Command { id, focus, input } => {
                let focus = match focus {
                    Some(document) => {
                        // That the user chose it tells nothing of what else there is.
                        let via = if words == entered() {
                            Flow::default()
                        } else {
                            Flow::of(words.clone())
                        };
                        let op = Op::Document { id: document, via };
                        let node = self.inner.node(scope, Kind::Document, op);
                        Some(hold(client, node)?)
                    }
                    None => None,
                };
                let input = match input {
                    Some(text) => Some(hold(client, self.given(scope, text, words))?),
                    None => None,
                };
                return Ok(Export::Run { command: id, focus, input });
            }
            Start::Pressed { panel, button } => {
                self.pay_gesture(client, scope, "a press")?;
                (panel, Event::Pressed(button))
            }
            Start::Entered { panel, input, text } => {
                self.pay_gesture(client, scope, "an entry")?;
                let handle = hold(client, self.given(scope, text, entered()))?;
                (panel, Event::Entered(input, handle))
            }
            Start::Picked { panel, picker, value } => {
                let picked =
                    self.inner.panels().get(&panel).and_then(|open| open.picked(&picker, value));
                let (element, list) = picked.ok_or(BeginError::Stale)?;
                self.pay_gesture(client, scope, "a pick")?;
                let mut flow = Flow::of(entered());
                if let Some(outcome) = list.as_ref().and_then(|list| list.outcome.get()) {
                    flow.join(&outcome.flow);
                }
                let op = Op::Picked { element, flow };
                let handle = hold(client, self.inner.node(scope, Kind::Text, op))?;
                (panel, Event::Picked(picker, handle))
            }
        };
        Ok(Export::OnEvent { panel: panel.panel, event })
    }

    /// The user's own words, or the chat's, as a value.
    fn given(&self, scope: &Arc<Scope>, text: String, label: Label) -> Arc<Node> {
        self.inner.node(scope, Kind::Text, Op::Given(text.into(), Flow::of(label)))
    }
}

/// What the broker gives a call along.
struct Numbered {
    seed: u64,
    fuel: u64,
}

impl Numbered {
    fn invocation(self, export: Export, today: Date, locale: &str) -> Invocation {
        let Self { seed, fuel } = self;
        let info = InvocationInfo { today, seed, locale: locale.to_owned(), api: API };
        Invocation { export, info, fuel }
    }
}

fn failed(fault: Fault) -> ValueError {
    match fault {
        Fault::Locked => ValueError::Locked,
        other => ValueError::Failed { reason: other.to_string() },
    }
}

/// The label of what the user typed or chose.
fn entered() -> Label {
    Label { sources: [Source::UserInput].into(), origins: [Origin::User].into() }
}

/// Differs from run to run and from plugin to plugin, and tells neither the key nor another run's seed.
fn seed(key: &[u8; 32], plugin: &PluginId, run: RunId) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(plugin.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(&run.0.to_le_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}
