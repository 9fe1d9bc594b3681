//! What the window itself remembers: drafts, selections, which screen is shown. Nothing here outlives the lock.

mod tuning;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use egui_commonmark::CommonMarkCache;
use jiff::tz::TimeZone;
use zeroize::Zeroize;

use crate::{
    commands::Purpose,
    types::{
        Capability, DocumentId, DocumentKind, DocumentQuery, FolderId, Judgement, Manifest,
        MemoryEstimate, MessageId, ModelInfo, Order, PanelKey, PluginCommand, PluginId,
        PluginInspection, PluginView, RunId, SlotKind, Ticket, View,
    },
};

pub(crate) use tuning::{DatasetDraft, DraftTemplate, PlanDraft, TuningState, TuningTab};

/// Documents asked for at first; scrolling asks for more.
pub(crate) const FIRST_PAGE: u32 = 200;
/// Documents more at each end of the list.
const NEXT_PAGE: u32 = 400;

/// A page of the shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    /// Folders, search, reading.
    #[default]
    Library,
    /// Conversations.
    Chat,
    /// Installed plugins and consent.
    Plugins,
    /// One plugin's panel.
    Panel(PanelKey),
    /// A plugin tried on invented data.
    Trial,
    /// Models.
    Models,
    /// Adapters, training, datasets.
    Tuning,
    /// What plugins did.
    Activity,
}

/// All local state.
pub(crate) struct Model {
    pub(crate) screen: Screen,
    pub(crate) unlock: UnlockForm,
    pub(crate) passphrase_change: Option<PassphraseChange>,
    pub(crate) library: LibraryState,
    pub(crate) picker: Option<Picker>,
    pub(crate) words_wanted: Option<WordsWanted>,
    pub(crate) reveal: Option<RevealShown>,
    pub(crate) chat: ChatState,
    pub(crate) plugins: PluginsState,
    pub(crate) consent: Option<Consent>,
    pub(crate) panel_inputs: BTreeMap<(PanelKey, String), String>,
    pub(crate) models: ModelsState,
    pub(crate) tuning: TuningState,
    pub(crate) toasts: Vec<Toast>,
    pub(crate) next_toast: u64,
    /// When a notice of the view was first painted, for letting good news go by itself.
    pub(crate) notices_since: BTreeMap<u64, f64>,
    /// Commands on their way, with what they are for.
    pub(crate) pending: BTreeMap<Ticket, Purpose>,
    /// A run whose panel is to be shown as soon as it opens, with the panels there were before.
    pub(crate) awaited_panel: Option<(PluginId, BTreeSet<(PanelKey, RunId)>)>,
    /// Titles seen so far, for the chips of attached documents.
    pub(crate) titles: BTreeMap<DocumentId, String>,
    pub(crate) zone: TimeZone,
    pub(crate) demo: Option<PathBuf>,
}

impl Model {
    pub(crate) fn new(zone: TimeZone, demo: Option<PathBuf>) -> Self {
        Self {
            screen: Screen::default(),
            unlock: UnlockForm::default(),
            passphrase_change: None,
            library: LibraryState::default(),
            picker: None,
            words_wanted: None,
            reveal: None,
            chat: ChatState::default(),
            plugins: PluginsState::default(),
            consent: None,
            panel_inputs: BTreeMap::new(),
            models: ModelsState::default(),
            tuning: TuningState::default(),
            toasts: Vec::new(),
            next_toast: 0,
            notices_since: BTreeMap::new(),
            pending: BTreeMap::new(),
            awaited_panel: None,
            titles: BTreeMap::new(),
            zone,
            demo,
        }
    }

    /// Forgets everything private: what happens at a lock.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.zone.clone(), self.demo.clone());
    }

    /// The documents that the list or the picker wants to see.
    pub(crate) fn wanted_query(&self) -> DocumentQuery {
        match &self.picker {
            Some(picker) => DocumentQuery {
                text: picker.text.clone(),
                limit: FIRST_PAGE,
                order: order_for(&picker.text),
                folders: None,
                kind: None,
                offset: 0,
            },
            None => self.library.query(),
        }
    }

    /// A title for a chip.
    pub(crate) fn title_of(&self, id: DocumentId) -> &str {
        self.titles.get(&id).map_or("A document", String::as_str)
    }

    /// Remembers titles that the view shows.
    pub(crate) fn learn_titles(&mut self, view: &View) {
        let open = view.document.iter().map(|d| &d.head);
        for head in view.library.heads.iter().chain(open) {
            self.titles.entry(head.id).or_insert_with(|| head.title.clone());
        }
    }

    /// Tells the user something from the window itself.
    pub(crate) fn toast(&mut self, tone: Tone, text: impl Into<String>, hint: impl Into<String>) {
        self.next_toast += 1;
        let id = self.next_toast;
        self.toasts.push(Toast { id, tone, text: text.into(), hint: hint.into(), since: None });
    }
}

fn order_for(text: &str) -> Order {
    if text.trim().is_empty() { Order::Newest } else { Order::Relevance }
}

/// Fields of the unlock page.
#[derive(Default)]
pub(crate) struct UnlockForm {
    pub(crate) passphrase: Secret,
    pub(crate) again: Secret,
    pub(crate) error: Option<(String, String)>,
    /// Set when a passphrase was refused; the card shakes from then on for a moment.
    pub(crate) shake: Shake,
    pub(crate) focused: bool,
}

/// A refused passphrase shakes its card.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Shake {
    #[default]
    Still,
    Due,
    Since(f64),
}

/// The dialog that changes the passphrase.
#[derive(Default)]
pub(crate) struct PassphraseChange {
    pub(crate) old: Secret,
    pub(crate) new: Secret,
    pub(crate) again: Secret,
    pub(crate) waiting: bool,
    pub(crate) error: Option<String>,
}

/// Text that is wiped when it is dropped.
pub(crate) struct Secret(pub(crate) String);

impl Default for Secret {
    /// Has room from the start, so that typing leaves no copies behind by growing.
    fn default() -> Self {
        Self(String::with_capacity(1024))
    }
}

impl Secret {
    /// Hands the text over and leaves an empty field.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(self).into_inner()
    }

    fn into_inner(mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The library page.
#[derive(Default)]
pub(crate) struct LibraryState {
    pub(crate) folder: Option<FolderId>,
    pub(crate) kind: Option<DocumentKind>,
    pub(crate) text: String,
    pub(crate) more: u32,
    /// The query last sent; `None` asks anew.
    pub(crate) sent: Option<DocumentQuery>,
    pub(crate) in_flight: bool,
    pub(crate) focus_search: bool,
    pub(crate) import_open: bool,
    pub(crate) import_path: String,
    /// The folder whose import is looked at.
    pub(crate) log_of: Option<FolderId>,
    pub(crate) confirm: Option<Confirm>,
}

impl LibraryState {
    fn query(&self) -> DocumentQuery {
        DocumentQuery {
            folders: self.folder.map(|id| vec![id]),
            kind: self.kind,
            text: self.text.clone(),
            order: order_for(&self.text),
            offset: 0,
            limit: FIRST_PAGE + self.more,
        }
    }

    /// Asks for more rows, when the list's end is near.
    pub(crate) fn want_more(&mut self) {
        self.more += NEXT_PAGE;
    }
}

/// What asks "are you sure?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Confirm {
    /// A document, by its title.
    Document(DocumentId, String),
    /// A folder, by its name and number of documents.
    Folder(FolderId, String, u64),
}

/// Choosing documents, for a chat or for a plugin that asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picker {
    pub(crate) purpose: PickFor,
    pub(crate) text: String,
    pub(crate) chosen: BTreeSet<DocumentId>,
}

/// Who wants the documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PickFor {
    /// The next message.
    #[default]
    Chat,
    /// A plugin's question.
    Question(u64),
}

/// A question about a text that is on the screen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RevealShown {
    pub(crate) question: u64,
    /// Since when it has been there to be read, in the window's time.
    pub(crate) since: f64,
}

/// A command that waits for the user's words.
#[derive(Clone, Debug)]
pub(crate) struct WordsWanted {
    pub(crate) plugin: PluginId,
    pub(crate) plugin_name: String,
    pub(crate) command: String,
    pub(crate) title: String,
    /// What it asks for, in the plugin's words.
    pub(crate) label: String,
    pub(crate) focus: Option<DocumentId>,
    pub(crate) text: String,
    pub(crate) focused: bool,
}

/// The chat page.
#[derive(Default)]
pub(crate) struct ChatState {
    pub(crate) draft: String,
    pub(crate) attached: Vec<DocumentId>,
    /// A new conversation that has no message yet, so that none is made for nothing.
    pub(crate) fresh: bool,
    pub(crate) focus: bool,
    pub(crate) editing: Option<(MessageId, String)>,
    pub(crate) renaming: Option<String>,
    pub(crate) confirm_delete: bool,
    pub(crate) asked: Option<Asked>,
    pub(crate) markdown: CommonMarkCache,
}

/// A message that was sent and is not in the view yet.
pub(crate) struct Asked {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) text: String,
    /// Given back to the composer where sending failed.
    pub(crate) attached: Vec<DocumentId>,
}

/// The plugins page.
#[derive(Default)]
pub(crate) struct PluginsState {
    pub(crate) install_open: bool,
    pub(crate) path: String,
    pub(crate) settings_open: Option<PluginId>,
    pub(crate) uninstall: Option<PluginId>,
    /// Sealed versions that wait, and may read what was kept.
    pub(crate) keep_storage: BTreeSet<PluginId>,
    /// Texts of settings while they are edited.
    pub(crate) texts: BTreeMap<(PluginId, String), String>,
}

/// The consent page.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    pub(crate) plugin: PluginId,
    pub(crate) manifest: Manifest,
    pub(crate) sealed: bool,
    /// Facts of the file.
    pub(crate) file: ConsentFile,
    /// Who made it, what it changes, and what installing it would do.
    pub(crate) judgement: Judgement,
    /// It is not installed yet: saying yes does that first.
    pub(crate) install: bool,
    /// Bits of private choices that it may learn a day.
    pub(crate) choice_bits: u32,
    /// Let a sealed version read what one without a seal has kept.
    pub(crate) keep_storage: bool,
    pub(crate) capabilities: BTreeSet<Capability>,
    pub(crate) slots: BTreeMap<String, BTreeSet<FolderId>>,
    pub(crate) waiting: bool,
}

/// What was read off a component's file.
#[derive(Clone, Debug)]
pub(crate) struct ConsentFile {
    pub(crate) path: PathBuf,
    pub(crate) imports: Vec<String>,
    pub(crate) hash: String,
    pub(crate) size_bytes: u64,
    pub(crate) replaces: Option<String>,
}

impl Consent {
    /// For a file that is not installed yet. What lets it learn something is not ticked, and no folder is.
    pub(crate) fn of_file(inspection: PluginInspection, view: &View) -> Self {
        let before = view.plugins.iter().find(|p| p.id == inspection.manifest.id);
        let grant = before.and_then(|p| p.grant.clone());
        Self {
            plugin: inspection.manifest.id.clone(),
            capabilities: harmless(&inspection.manifest),
            slots: grant.map(|g| g.slots).unwrap_or_default(),
            sealed: inspection.sealed,
            file: ConsentFile {
                path: inspection.path,
                imports: inspection.imports,
                hash: inspection.component_hash,
                size_bytes: inspection.size_bytes,
                replaces: inspection.replaces,
            },
            judgement: inspection.judgement,
            install: true,
            choice_bits: 0,
            keep_storage: false,
            manifest: inspection.manifest,
            waiting: false,
        }
    }

    /// For an installed plugin whose own file was looked at: what it has now, or what it asks for.
    pub(crate) fn of_installed(
        plugin: &PluginView,
        inspection: PluginInspection,
        view: &View,
    ) -> Self {
        let fresh = Self::of_file(inspection, view);
        let (capabilities, slots, choice_bits) = match &plugin.grant {
            Some(grant) => {
                (grant.capabilities.clone(), grant.slots.clone(), grant.choice_bits_per_day)
            }
            None => (harmless(&plugin.manifest), suggested_slots(&plugin.manifest, view), 0),
        };
        let file = ConsentFile { replaces: None, ..fresh.file };
        // Its file alone does not say that it came with Hearth, nor what it was signed with.
        let signature = plugin.provenance.signature.clone();
        let judgement = Judgement { signature, ..fresh.judgement };
        Self { capabilities, slots, choice_bits, file, judgement, install: false, ..fresh }
    }
}

/// What is ticked beforehand: everything asked for that lets it learn nothing.
fn harmless(manifest: &Manifest) -> BTreeSet<Capability> {
    manifest.requested().into_iter().filter(|power| !crate::words::reveals(*power)).collect()
}

/// Where exactly one folder fits a slot of a bundled plugin there is nothing to choose, so it is ticked beforehand.
fn suggested_slots(manifest: &Manifest, view: &View) -> BTreeMap<String, BTreeSet<FolderId>> {
    let mut slots = BTreeMap::new();
    for slot in &manifest.slots {
        let mut fitting = view.folders.iter().filter(|f| fits(slot.kind, f.kind));
        if let (Some(only), None) = (fitting.next(), fitting.next()) {
            slots.insert(slot.id.clone(), BTreeSet::from([only.id]));
        }
    }
    slots
}

/// Whether a folder of one kind is of use to a slot of another.
pub(crate) fn fits(slot: SlotKind, folder: DocumentKind) -> bool {
    match slot {
        SlotKind::Any => true,
        SlotKind::Mail => folder == DocumentKind::Mail,
        SlotKind::Note => folder == DocumentKind::Note,
        SlotKind::Code => folder == DocumentKind::Code,
    }
}

/// The models page.
#[derive(Default)]
pub(crate) struct ModelsState {
    pub(crate) path: String,
    pub(crate) inspected: Option<(PathBuf, ModelInfo, MemoryEstimate)>,
    /// The file that is being looked at.
    pub(crate) inspecting: Option<PathBuf>,
}

/// Something the window tells by itself.
pub(crate) struct Toast {
    pub(crate) id: u64,
    pub(crate) tone: Tone,
    pub(crate) text: String,
    pub(crate) hint: String,
    pub(crate) since: Option<f64>,
}

/// How something is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Neither good nor bad.
    Plain,
    /// It went well.
    Good,
    /// Take care.
    Warn,
    /// It went wrong.
    Bad,
    /// What to do next.
    Ember,
}

/// What leads a new user on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// The library is empty.
    Import,
    /// Nothing may read it yet.
    Grant(PluginId),
    /// Everything stands ready.
    Run(PluginId, String),
}

/// The next step of the main job, until it was done once.
pub(crate) fn next_step(view: &View) -> Option<Lead> {
    if view.folders.iter().all(|f| f.documents == 0) {
        return Some(Lead::Import);
    }
    let used = !view.panels.is_empty()
        || view.folders.iter().any(|f| f.plugin.is_some())
        || view.plugins.iter().any(|p| p.running.is_some());
    let by_itself = |c: &&PluginCommand| c.focus == crate::types::Focus::None && c.input.is_empty();
    let suits = |p: &&PluginView| {
        !p.manifest.slots.is_empty()
            && p.manifest.commands.iter().any(|command| by_itself(&command))
            && p.manifest
                .slots
                .iter()
                .all(|s| view.folders.iter().any(|f| f.plugin.is_none() && fits(s.kind, f.kind)))
    };
    let plugin = view.plugins.iter().find(suits)?;
    if plugin.grant.is_none() {
        return (!view.plugins.iter().any(|p| p.grant.is_some()))
            .then(|| Lead::Grant(plugin.id.clone()));
    }
    let command = plugin.manifest.commands.iter().find(by_itself)?;
    let ran = view.activity.iter().any(|row| row.run.is_some());
    (!used && !ran).then(|| Lead::Run(plugin.id.clone(), command.id.clone()))
}

#[cfg(test)]
mod tests;
