//! What a shell can ask of the session.

use std::{collections::BTreeMap, collections::BTreeSet, path::PathBuf};

use hearth_base::{
    Capability, ConversationId, DocumentId, FolderId, MessageId, ModelId, PluginId, SettingValue,
};
use hearth_broker::{PanelKey, ValueId};
use hearth_engine_api::LoadOptions;
use hearth_vault::{DocumentQuery, Passphrase, ToolMode};

use crate::{TryWhat, TuneCommand};

/// Names one command sent, for its events and for cancelling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Everything a user can do. Each ends in exactly one [`crate::Event::Done`] or [`crate::Event::Failed`].
#[derive(Debug)]
pub enum Command {
    // --- vault ---
    /// Makes a vault in the configured directory and opens it.
    CreateVault(Passphrase),
    /// Opens the vault.
    Unlock(Passphrase),
    /// Stops all work and drops every key.
    Lock,
    /// Wraps the database key anew; data stays as it is.
    ChangePassphrase {
        /// The one in use.
        old: Passphrase,
        /// The one to use from now on.
        new: Passphrase,
    },
    // --- library ---
    /// Imports a mailbox, a message or a folder of files. Reports [`crate::Event::Imported`] for each entry.
    Import {
        /// File or directory.
        path: PathBuf,
        /// Name of the folder it becomes; by default the file's name.
        name: Option<String>,
    },
    /// Fills [`crate::View::library`].
    Browse(DocumentQuery),
    /// Fills [`crate::View::document`].
    OpenDocument(DocumentId),
    /// Empties [`crate::View::document`].
    CloseDocument,
    /// Deletes one document.
    DeleteDocument(DocumentId),
    /// Deletes a folder and all in it.
    DeleteFolder(FolderId),
    /// Fills [`crate::View::import_log`]: what became of each file of an import.
    OpenImportLog(FolderId),
    // --- chat ---
    /// Starts and opens an empty conversation.
    NewConversation,
    /// Fills [`crate::View::conversation`].
    OpenConversation(ConversationId),
    /// Renames one.
    RenameConversation(ConversationId, String),
    /// Deletes one.
    DeleteConversation(ConversationId),
    /// Says something and streams the answer into [`crate::View::conversation`] and [`crate::Event::Answer`].
    Ask {
        /// Where; `None` starts a new conversation.
        conversation: Option<ConversationId>,
        /// The user's words.
        text: String,
        /// Documents the model shall read along.
        attached: Vec<DocumentId>,
    },
    /// Asks again from this user turn on, with other words if given; later turns are deleted.
    AskAgain {
        /// A turn of the user's.
        turn: MessageId,
        /// New words.
        text: Option<String>,
    },
    // --- plugins ---
    /// Reads a component without running it; answers [`crate::Reply::Inspection`]. The path is as in
    /// [`Command::InstallPlugin`].
    InspectPlugin(PathBuf),
    /// Checks, compiles and records a component. It may do nothing until granted. An update keeps its grant, unless it asks
    /// for more: it waits then, with [`crate::Reply::UpdateWaits`].
    InstallPlugin {
        /// The component: a file, a folder with versions of one plugin, or a reference such as
        /// `oci://ghcr.io/example/digest:1.2.0` or `https://example.org/index.json#org.example.digest`, which is fetched.
        path: PathBuf,
        /// [`crate::PluginInspection::component_hash`] of what the user has seen and wants; another is refused.
        expected_hash: Option<String>,
    },
    /// Sets what a plugin may do: exactly this from now on.
    GrantPlugin {
        /// Which.
        plugin: PluginId,
        /// Powers.
        capabilities: BTreeSet<Capability>,
        /// Folders behind each slot.
        slots: BTreeMap<String, BTreeSet<FolderId>>,
        /// Bits of choices that it may learn a day; at most what its manifest asks for.
        choice_bits_per_day: u32,
    },
    /// Takes every grant back and stops its work.
    RevokePlugin(PluginId),
    /// Puts the version that waits in place, with the grant of the one before as far as it goes.
    AcceptUpdate {
        /// Which.
        plugin: PluginId,
        /// Let it read what the version before, which is not sealed, has stored. Looked at only where
        /// [`crate::WaitingView::stored`] lists something.
        keep_storage: bool,
    },
    /// Forgets the version that waits.
    DeclineUpdate(PluginId),
    /// Asks where plugins came from whether there are other versions; answers [`crate::Reply::Updates`]. Nothing is
    /// installed.
    CheckPluginUpdates,
    /// Installs what is now where a plugin came from.
    UpdatePlugin(PluginId),
    /// Goes back to the version before, with its grant and its storage.
    RollBackPlugin(PluginId),
    /// Lets plugins that nobody has signed be installed and run, or no longer.
    SetDeveloperMode(bool),
    /// Reads a statement by which a publisher's key hands over to another; answers [`crate::Reply::Rotation`].
    InspectRotation(PathBuf),
    /// Lets the new key of such a statement take the old one's place, for all plugins bound to it.
    TrustRotation {
        /// The statement; its signature lies beside it.
        path: PathBuf,
        /// [`crate::RotationView::new_key`] of what the user has seen; another is refused.
        expected_new: Option<String>,
    },
    /// Removes it.
    UninstallPlugin {
        /// Which.
        plugin: PluginId,
        /// Keep the documents it saved.
        keep_saved: bool,
    },
    /// Starts a command of its manifest.
    RunPlugin {
        /// Which.
        plugin: PluginId,
        /// The command's id.
        command: String,
        /// The document it works on, for commands that need one.
        focus: Option<DocumentId>,
        /// Words, for commands that ask for some.
        input: Option<String>,
    },
    /// Presses a button of a panel.
    Press {
        /// Where.
        panel: PanelKey,
        /// The button's id.
        button: String,
    },
    /// Enters text in a panel's field.
    Enter {
        /// Where.
        panel: PanelKey,
        /// The field's id.
        input: String,
        /// The user's words.
        text: String,
    },
    /// Picks an element of a panel's list.
    PickItem {
        /// Where.
        panel: PanelKey,
        /// The picker's id.
        picker: String,
        /// The element.
        value: ValueId,
    },
    /// Closes a panel and cancels what only it needs.
    ClosePanel(PanelKey),
    /// Saves a shown value as a document in the plugin's folder.
    SaveValue(ValueId),
    /// Changes a plugin's setting.
    SetPluginSetting {
        /// Which.
        plugin: PluginId,
        /// The setting's key.
        key: String,
        /// Its value.
        value: SettingValue,
    },
    /// Lets the chat call a plugin's tools, or no longer.
    SetPluginTools {
        /// Which.
        plugin: PluginId,
        /// How; `None` not at all.
        mode: Option<ToolMode>,
    },
    /// Switches a plugin's schedule on or off.
    SetSchedule {
        /// Which.
        plugin: PluginId,
        /// The manifest's id.
        schedule: String,
        /// On.
        on: bool,
    },
    /// Runs the schedules that are due, and ends when they have run; for shells that come for one command, in whose
    /// sessions none runs by itself.
    RunDueSchedules,
    /// Runs a command of a plugin on invented data, in a vault in memory where all that it asks for is granted. Fills
    /// [`crate::View::trial`]; nothing is kept.
    TryPlugin {
        /// Which.
        what: TryWhat,
        /// The command's id. One that works on a document gets the newest fitting one.
        command: String,
        /// Words, for commands that ask for some.
        input: Option<String>,
        /// The folder of invented data: mail in `mail`, notes in `notes` and source files in `code`, or just files.
        data: PathBuf,
    },
    /// Ends a trial, and empties [`crate::View::trial`].
    CloseTrial,
    /// Fills [`crate::View::plugin_activity`]: of one plugin, or of all.
    OpenActivity(Option<PluginId>),
    /// Empties [`crate::View::plugin_activity`].
    CloseActivity,
    /// Answers a question in [`crate::View::tool_calls`].
    AnswerToolCall {
        /// Which question.
        question: u64,
        /// Whether it may be called now.
        allow: bool,
        /// And from now on without asking.
        always: bool,
    },
    /// Installs a plugin's file now and whenever it changes, keeping its grant where it asks for nothing more, and runs its
    /// last command again where a panel was open. In developer mode; goes on until it is cancelled, or
    /// [`Command::UnwatchPlugin`].
    WatchPlugin {
        /// The component.
        path: PathBuf,
    },
    /// Ends that.
    UnwatchPlugin {
        /// The component.
        path: PathBuf,
    },
    /// Lets a suspended plugin run again.
    ResumePlugin(PluginId),
    // --- models ---
    /// Records a model file, after reading its headers. The file stays where it is.
    AddModel(PathBuf),
    /// Reads a model's headers; answers [`crate::Reply::ModelInspection`].
    InspectModel(PathBuf),
    /// Marks whether a model's weights hold nothing private, in the user's judgement. Models are private until then.
    MarkModel {
        /// Which.
        model: ModelId,
        /// Nothing private.
        public: bool,
    },
    /// Loads a model and makes it the default; `None` is the bundled starter model.
    LoadModel(Option<ModelId>),
    /// Drops the loaded model.
    UnloadModel,
    /// Sets how models are loaded from now on; the one that is loaded stays as it is until it is loaded again.
    SetLoadOptions(LoadOptions),
    /// Forgets a model; its file stays.
    RemoveModel(ModelId),
    // --- fine-tuning ---
    /// Something about datasets, training runs or adapters.
    Tune(TuneCommand),
    // --- everything ---
    /// Answers a question in [`crate::View::questions`]: the documents picked, none for "no".
    AnswerPick {
        /// Which question.
        question: u64,
        /// The documents picked.
        picked: Vec<DocumentId>,
    },
    /// Answers a question in [`crate::View::reveals`]: whether the plugin may have exactly the text that is shown.
    AnswerReveal {
        /// Which question.
        question: u64,
        /// Yes.
        allow: bool,
    },
    /// Lets a plugin hear more gestures today, once its account for them is empty: each time for as many again.
    AllowGestures(PluginId),
    /// Stops a running command (import, answer, run, load) at the next safe point.
    Cancel(Ticket),
    /// Takes a notice away.
    DismissNotice(u64),
}
