//! What reaches the event loop.

use std::{collections::BTreeMap, sync::Arc};

use hearth_base::{ConversationId, FolderId, PluginId, RunId, TuneRunId};
use hearth_broker::{PickQuestion, PluginNotice, RevealQuestion};
use hearth_engine_api::{LoadOptions, ModelInfo};
use hearth_vault::{
    AdapterChoice, AuditRow, ConversationHead, Document, Folder, ImportEntry, ScheduleRecord,
    ToolMode,
};
use tokio::sync::oneshot;

use crate::{
    ActivityView, AdapterView, Answering, Command, ComparisonView, ConversationView, DatasetView,
    EstimateView, LibraryView, ModelView, NoticeKind, PluginView, PreviewView, Reply, RunView,
    Ticket, ToolCallView, TrialView, TuneRules, UserError, event_loop::PickAnswer, task::Room,
    tools,
};

/// Counts openings of the vault: what a task of an earlier opening says is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(pub(crate) u64);

/// When a reading was begun: an older reading never replaces a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(crate) u64);

/// Everything the event loop hears.
pub(crate) enum Msg {
    /// A shell asks something.
    Command(Ticket, Command),
    /// The vault is open.
    Opened(Ticket, Box<Room>, Vec<Change>),
    /// It is not.
    NotOpened(Ticket, UserError),
    /// The last task of an earlier opening is gone, and every key with it; or it does not go.
    Closed(Option<Ticket>, Result<(), UserError>),
    /// What would not go at first is gone, and every key with it.
    ClosedLate,
    /// Something in the view has changed.
    Change(Epoch, Stamp, Change),
    /// A command has come to its end.
    Ended(Epoch, Ticket, Result<Reply, UserError>),
    /// A plugin's panels have changed.
    Panels(Epoch),
    /// The guest of a run has ended; its values may still be arriving.
    GuestEnded(Epoch, PluginId, Ticket, Result<RunId, UserError>),
    /// A plugin says how far it has come.
    Progress(Epoch, PluginId, Option<u8>, String),
    /// A plugin has something to tell.
    PluginNotice(Epoch, PluginNotice),
    /// A plugin saved something.
    PluginSaved(Epoch),
    /// A plugin asks the user to pick.
    Asked(Epoch, u64, PickQuestion, PickAnswer),
    /// A plugin asks whether it may have a text.
    RevealAsked(Epoch, u64, Box<RevealQuestion>, oneshot::Sender<bool>),
    /// The chat asks whether it may call a tool.
    ToolAsked(Epoch, Box<ToolCallView>, tools::Answer),
    /// The chat calls a tool, which the user or the user's setting allowed. The ticket is the run's.
    CallTool(Epoch, Ticket, Box<tools::Call>, tools::Called),
    /// A schedule is written down as run today, and may run; or that failed.
    ScheduleNoted(Epoch, PluginId, String, Result<(), UserError>),
    /// What was begun for something inside is no longer wanted.
    StopRun(Epoch, Ticket),
    /// It no longer waits for the answer.
    Withdrawn(Epoch, u64),
    /// A plugin that is being written was exchanged while a panel of it was open.
    RunAgain(Epoch, PluginId),
    /// A plugin is to end all it does and shows, for another takes its place; told when it is under way.
    StopPlugin(Epoch, PluginId, oneshot::Sender<()>),
    /// Lock, end, and drop the sender.
    Shutdown(oneshot::Sender<()>),
}

/// A change of the view.
pub(crate) enum Change {
    /// Folders were read.
    Folders(Vec<Folder>),
    /// Documents were found.
    Library(LibraryView),
    /// The documents shown were read again; nothing if another query is shown by now.
    SameLibrary(LibraryView),
    /// A document was opened or closed.
    Document(Option<Box<Document>>),
    /// An import log was opened.
    ImportLog(Option<(FolderId, Vec<ImportEntry>)>),
    /// Conversations were read.
    Conversations(Vec<ConversationHead>),
    /// A conversation was opened, or is gone.
    Conversation(Option<ConversationView>),
    /// The turns of a conversation have changed; shown if it is the one open.
    Turns(ConversationView),
    /// An answer has grown (or, if `None`, has ended).
    Answering(ConversationId, Option<Answering>),
    /// Plugins were read.
    Plugins(Vec<PluginView>),
    /// Whether unsigned plugins may run.
    DeveloperMode(bool),
    /// How the chat may call plugins.
    Tools(BTreeMap<PluginId, ToolMode>),
    /// Schedules were read.
    Schedules(Vec<ScheduleRecord>),
    /// A plugin is tried, or no longer.
    Trial(Option<Box<TrialView>>),
    /// What plugins did and took is looked at, or no longer.
    PluginActivity(Option<Box<ActivityView>>),
    /// What plugins did.
    Activity(Vec<AuditRow>),
    /// Models were read, and how they are to be loaded.
    Models(Vec<ModelView>, LoadOptions),
    /// A load has begun or come further.
    Loading(Ticket, f32),
    /// A load has ended, perhaps without a model; `None` leaves the loaded one.
    Loaded(Ticket, Option<Option<(Option<hearth_base::ModelId>, ModelInfo)>>),
    /// Datasets were read.
    Datasets(Vec<DatasetView>),
    /// A dataset is looked at, or no longer.
    Preview(Option<Box<PreviewView>>),
    /// A plan was estimated.
    Estimate(Box<EstimateView>),
    /// Training runs were read.
    Runs(Vec<RunView>),
    /// A training run has come further.
    Run(RunView),
    /// A training run was removed.
    RunGone(TuneRunId),
    /// Adapters were read.
    Adapters(Vec<AdapterView>),
    /// The adapters of new conversations, and the rules for all.
    TuneChoices(Vec<AdapterChoice>, TuneRules),
    /// Answers side by side have grown, or are closed.
    Comparison(Option<ComparisonView>),
    /// Who wrote most mails was asked for.
    Authors(Vec<(String, u64)>),
    /// A job has come further.
    Job(Ticket, Option<f32>, String),
    /// Something to tell the user.
    Notice(NoticeKind),
}

/// The parts of the view for which order of readings matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Folders,
    Library,
    Document,
    ImportLog,
    Conversations,
    Conversation,
    Plugins,
    Tools,
    Schedules,
    PluginActivity,
    Trial,
    Activity,
    Models,
    Datasets,
    Preview,
    Runs,
    Adapters,
    TuneChoices,
}

impl Change {
    /// The part it replaces as a whole, if any.
    pub(crate) fn slot(&self) -> Option<Slot> {
        Some(match self {
            Self::Folders(_) => Slot::Folders,
            Self::Library(_) => Slot::Library,
            Self::Document(_) => Slot::Document,
            Self::ImportLog(_) => Slot::ImportLog,
            Self::Conversations(_) => Slot::Conversations,
            Self::Conversation(_) => Slot::Conversation,
            Self::Plugins(_) => Slot::Plugins,
            Self::Tools(_) => Slot::Tools,
            Self::Schedules(_) => Slot::Schedules,
            Self::Trial(_) => Slot::Trial,
            Self::PluginActivity(_) => Slot::PluginActivity,
            Self::Activity(_) => Slot::Activity,
            Self::Models(..) => Slot::Models,
            Self::Datasets(_) => Slot::Datasets,
            Self::Preview(_) => Slot::Preview,
            Self::Runs(_) => Slot::Runs,
            Self::Adapters(_) => Slot::Adapters,
            Self::TuneChoices(..) => Slot::TuneChoices,
            _ => return None,
        })
    }
}

/// Answers under way, by conversation.
pub(crate) type Answers = BTreeMap<ConversationId, Arc<Answering>>;
