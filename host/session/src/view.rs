//! The state that shells paint: plain data, swapped whole. Parts that may be long stand behind `Arc`s, so that a new
//! view costs a few pointer copies.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use hearth_base::{
    ConversationId, DocumentId, FolderId, Grant, Manifest, ModelId, PluginId, SettingValue,
};
use hearth_broker::{PanelView, PluginNotice, RevealSource, Standing};
use hearth_engine_api::{LoadOptions, ModelInfo};
use hearth_vault::{
    AdapterChoice, AuditRow, ChatTurn, ConversationHead, DayUsage, Document, DocumentHead,
    DocumentQuery, Folder, ImportEntry, PluginUsage, RunUsage, ScheduleRecord, ToolMode,
};

use crate::{PluginChange, SignatureView, StoredEntry, Ticket, TuningView, UserError};

/// Everything there is to show.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Whether the vault is open.
    pub vault: VaultState,
    /// Where it lies.
    pub vault_path: PathBuf,
    /// Folders of the library.
    pub folders: Arc<Vec<Folder>>,
    /// The documents found.
    pub library: Arc<LibraryView>,
    /// The document being read.
    pub document: Option<Arc<Document>>,
    /// What became of each file of the import being looked at.
    pub import_log: Option<Arc<(FolderId, Vec<ImportEntry>)>>,
    /// Conversations, the last used first.
    pub conversations: Arc<Vec<ConversationHead>>,
    /// The conversation being read.
    pub conversation: Option<Arc<ConversationView>>,
    /// Installed plugins.
    pub plugins: Arc<Vec<PluginView>>,
    /// Plugins that nobody has signed may be installed and run.
    pub developer_mode: bool,
    /// Open panels.
    pub panels: Arc<Vec<PanelView>>,
    /// Models.
    pub models: Arc<ModelsView>,
    /// Fine-tuning.
    pub tuning: Arc<TuningView>,
    /// Commands that take a while.
    pub jobs: Arc<Vec<JobView>>,
    /// What waits for the user's answer.
    pub questions: Arc<Vec<PickView>>,
    /// Texts that plugins want to learn, which wait for the user's answer, too.
    pub reveals: Arc<Vec<RevealView>>,
    /// Calls of tools that wait for the user's yes.
    pub tool_calls: Arc<Vec<ToolCallView>>,
    /// How the chat may call plugins; those that are not here, not at all.
    pub tools: Arc<BTreeMap<PluginId, ToolMode>>,
    /// A plugin tried on invented data.
    pub trial: Option<Arc<TrialView>>,
    /// Schedules that are, or were, switched on.
    pub schedules: Arc<Vec<ScheduleRecord>>,
    /// What plugins did and took, where it is looked at.
    pub plugin_activity: Option<Arc<ActivityView>>,
    /// Things to tell the user.
    pub notices: Arc<Vec<Notice>>,
    /// What plugins did, the last first.
    pub activity: Arc<Vec<AuditRow>>,
}

/// Whether the vault is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VaultState {
    /// There is none in this directory.
    #[default]
    Absent,
    /// It is closed; no key is in memory.
    Locked,
    /// The passphrase is being tried.
    Opening,
    /// Work is being stopped; the database may still be open.
    Closing,
    /// It is open.
    Open,
}

/// The documents found.
#[derive(Clone, Debug, Default)]
pub struct LibraryView {
    /// The query this answers.
    pub query: DocumentQuery,
    /// Up to `query.limit` heads.
    pub heads: Vec<DocumentHead>,
    /// How many there are in all.
    pub total: u64,
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct ConversationView {
    /// Which.
    pub id: ConversationId,
    /// Its title.
    pub title: String,
    /// What was said.
    pub turns: Vec<ChatTurn>,
    /// The answer under way.
    pub answering: Option<Answering>,
    /// The adapters that answers are made with from now on.
    pub adapters: Vec<AdapterChoice>,
}

/// An answer under way.
#[derive(Clone, Debug)]
pub struct Answering {
    /// For stopping it.
    pub ticket: Ticket,
    /// The text so far.
    pub text: String,
    /// Share of the prompt that has been read, in 0..=1; 1 once text arrives.
    pub prompt_share: f32,
    /// Tokens made so far.
    pub tokens: u32,
    /// Tokens a second so far.
    pub tokens_per_sec: f32,
    /// What goes on before the answer, in words: choosing a tool, waiting for the user, running it. Empty while the model
    /// answers.
    pub doing: String,
}

/// An installed plugin.
#[derive(Clone, Debug)]
pub struct PluginView {
    /// Which.
    pub id: PluginId,
    /// The publisher's claims.
    pub manifest: Arc<Manifest>,
    /// Its file in the vault's directory, for [`crate::Command::InspectPlugin`].
    pub component: PathBuf,
    /// Cannot learn private text, by its imports.
    pub sealed: bool,
    /// Came with Hearth.
    pub bundled: bool,
    /// Where it comes from.
    pub provenance: ProvenanceView,
    /// What the user allowed; nothing if `None`.
    pub grant: Option<Grant>,
    /// Why it may not run for now.
    pub suspended: Option<String>,
    /// The run under way.
    pub running: Option<Ticket>,
    /// What it last said of its progress.
    pub progress: Option<(Option<u8>, String)>,
    /// Values of its settings.
    pub settings: BTreeMap<String, SettingValue>,
    /// What it has learnt of private values, and may still learn.
    pub standing: Standing,
    /// The adapters it gets where it asks for personal weights.
    pub adapters: Vec<AdapterChoice>,
}

/// Where an installed plugin comes from, and which versions of it there are beside the one that runs.
#[derive(Clone, Debug, Default)]
pub struct ProvenanceView {
    /// Who made it.
    pub signature: SignatureView,
    /// The path or reference it came from; empty for what came with Hearth.
    pub origin: String,
    /// The version that can be gone back to.
    pub former: Option<String>,
    /// The version that waits for the user.
    pub waiting: Option<Arc<WaitingView>>,
}

/// A version that asks for more than the installed one, put aside until the user accepts it.
#[derive(Clone, Debug)]
pub struct WaitingView {
    /// Its version.
    pub version: String,
    /// Cannot learn private text, by its imports.
    pub sealed: bool,
    /// Its publisher's claims.
    pub manifest: Arc<Manifest>,
    /// In what it differs from the installed one.
    pub changes: Vec<PluginChange>,
    /// What the installed one, which is not sealed, has stored and this one, which is, could read.
    pub stored: Vec<StoredEntry>,
}

/// Models.
#[derive(Clone, Debug, Default)]
pub struct ModelsView {
    /// What can be loaded; the bundled one first.
    pub models: Vec<ModelView>,
    /// What is loaded.
    pub loaded: Option<LoadedModel>,
    /// The load under way and its share.
    pub loading: Option<(Ticket, f32)>,
    /// How models are loaded.
    pub load_options: LoadOptions,
}

/// A model that can be loaded.
#[derive(Clone, Debug)]
pub struct ModelView {
    /// `None` for the bundled starter model.
    pub id: Option<ModelId>,
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Loaded at start.
    pub is_default: bool,
    /// Whether the file is there.
    pub present: bool,
    /// Whether its weights hold nothing private: the bundled model's, and those that the user marks so.
    pub public: bool,
    /// Documents, conversations and files that an adapter in it learnt from and that were deleted since.
    pub sources_gone: u64,
}

/// What is loaded.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// `None` for the bundled starter model.
    pub id: Option<ModelId>,
    /// What it is.
    pub info: ModelInfo,
}

/// A command that takes a while.
#[derive(Clone, Debug)]
pub struct JobView {
    /// For cancelling it.
    pub ticket: Ticket,
    /// What it does: "Importing inbox.mbox".
    pub title: String,
    /// Share done in 0..=1, if known.
    pub share: Option<f32>,
    /// Details: "812 done, 3 skipped, 1 failed".
    pub detail: String,
}

/// A plugin asks the user to pick documents.
#[derive(Clone, Debug)]
pub struct PickView {
    /// For [`crate::Command::AnswerPick`].
    pub question: u64,
    /// Who asks.
    pub plugin: PluginId,
    /// Its name.
    pub plugin_name: String,
    /// Its words.
    pub purpose: String,
    /// At most so many.
    pub limit: u16,
}

/// A plugin tried on invented data. Its panels cannot be used, and are gone with it.
#[derive(Clone, Debug)]
pub struct TrialView {
    /// Which.
    pub plugin: PluginId,
    /// Its name.
    pub name: String,
    /// The command that is tried.
    pub command: String,
    /// For stopping it, while it goes on.
    pub running: Option<Ticket>,
    /// How many invented documents there are.
    pub documents: usize,
    /// What it shows.
    pub panels: Vec<PanelView>,
    /// What it said and asked for.
    pub said: Vec<String>,
}

/// What plugins were allowed, did and took.
#[derive(Clone, Debug)]
pub struct ActivityView {
    /// Of this plugin alone.
    pub plugin: Option<PluginId>,
    /// Installed plugins, with sums.
    pub plugins: Vec<PluginSum>,
    /// By day, the last first.
    pub days: Vec<DayUsage>,
    /// By run, the last first.
    pub runs: Vec<RunUsage>,
    /// What they asked for and did, all that they learnt among it, the last first.
    pub rows: Vec<AuditRow>,
}

/// A plugin in sum.
#[derive(Clone, Debug)]
pub struct PluginSum {
    /// Which.
    pub plugin: PluginId,
    /// Its name.
    pub name: String,
    /// What the user allowed; nothing if `None`.
    pub grant: Option<Grant>,
    /// Why it may not run for now.
    pub suspended: Option<String>,
    /// How the chat may call it.
    pub tools: Option<ToolMode>,
    /// Its schedules that are on.
    pub schedules: Vec<String>,
    /// What it took today.
    pub today: PluginUsage,
    /// What it ever took.
    pub total: PluginUsage,
}

/// A plugin wants to learn a text. It gets exactly these bytes if the user says yes, and nothing otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct RevealView {
    /// For [`crate::Command::AnswerReveal`].
    pub question: u64,
    /// Who asks.
    pub plugin: PluginId,
    /// Its name.
    pub plugin_name: String,
    /// What it says the text is for, escaped: its own claim.
    pub purpose: String,
    /// What it would be given. To be drawn by [`crate::escape_text`], and all of it.
    pub text: Arc<str>,
    /// BLAKE3 of the text in hex.
    pub hash: String,
    /// What the text was made from, in words.
    pub made_from: String,
    /// All that it depends on: first what it was made of.
    pub sources: Vec<RevealSource>,
    /// How many more there are.
    pub more_sources: usize,
}

impl std::fmt::Debug for RevealView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RevealView")
            .field("question", &self.question)
            .field("plugin", &self.plugin)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// The chat wants to call a plugin's tool.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolCallView {
    /// For [`crate::Command::AnswerToolCall`].
    pub question: u64,
    /// The question to the model that it is for.
    pub ticket: Ticket,
    /// Where it was asked.
    pub conversation: ConversationId,
    /// Whose tool.
    pub plugin: PluginId,
    /// The plugin's name.
    pub plugin_name: String,
    /// The command of its manifest.
    pub command: String,
    /// The command's title.
    pub title: String,
    /// Exactly the words that the plugin would get.
    pub input: Option<String>,
    /// The document that it would work on.
    pub document: Option<DocumentId>,
    /// The document's title.
    pub document_title: String,
}

impl std::fmt::Debug for ToolCallView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolCallView")
            .field("question", &self.question)
            .field("plugin", &self.plugin)
            .field("command", &self.command)
            .field("document", &self.document)
            .finish_non_exhaustive()
    }
}

/// Something to tell the user.
#[derive(Clone, Debug)]
pub struct Notice {
    /// For [`crate::Command::DismissNotice`].
    pub id: u64,
    /// What.
    pub what: NoticeKind,
}

/// Kinds of notices.
#[derive(Clone, Debug)]
pub enum NoticeKind {
    /// Something went well: "Imported 60 mails".
    Success(String),
    /// Something went wrong.
    Error(UserError),
    /// A plugin's words, attributed.
    Plugin(PluginNotice),
}
