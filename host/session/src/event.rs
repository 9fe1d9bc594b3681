//! What a session tells its shells as it happens. The state itself is in [`crate::View`].

use std::path::PathBuf;

use hearth_base::{
    AdapterId, ConversationId, DatasetId, DocumentId, FolderId, ModelId, PluginId, TuneRunId,
};
use hearth_engine_api::{
    MemoryEstimate, Merged, ModelInfo, StopReason, TuneEstimate, TuneSettings, Usage,
};
use hearth_vault::{ImportEntry, ImportReport, TuneStep};

use crate::Ticket;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Part of an import is done.
    Imported {
        /// The import.
        ticket: Ticket,
        /// What became of this file or message.
        entry: ImportEntry,
        /// Bytes read so far.
        done_bytes: u64,
        /// Bytes to read.
        total_bytes: u64,
    },
    /// More of an answer.
    Answer {
        /// The question.
        ticket: Ticket,
        /// Its conversation.
        conversation: ConversationId,
        /// New text.
        text: String,
    },
    /// The chat asks whether it may call a tool; see [`crate::View::tool_calls`].
    ToolAsked {
        /// The question to the model.
        ticket: Ticket,
        /// For [`crate::Command::AnswerToolCall`].
        question: u64,
    },
    /// A plugin run reports.
    RunProgress {
        /// Which.
        plugin: PluginId,
        /// Percent, if known.
        percent: Option<u8>,
        /// The plugin's words.
        message: String,
    },
    /// A plugin's panels or questions have new content; see [`crate::View::panels`] and [`crate::View::questions`].
    PanelsChanged,
    /// Loading a model has come this far, in 0..=1.
    LoadProgress {
        /// The load.
        ticket: Ticket,
        /// Share done.
        share: f32,
    },
    /// A training run has come further.
    Trained {
        /// The command that started or resumed it.
        ticket: Ticket,
        /// Which.
        run: TuneRunId,
        /// The step just done.
        step: TuneStep,
        /// Steps there are.
        total_steps: u32,
        /// Seconds of work that are left.
        secs_left: f32,
    },
    /// A command has ended well.
    Done {
        /// Which.
        ticket: Ticket,
        /// What it has to tell.
        reply: Reply,
    },
    /// A command has failed. It changed nothing, or exactly what the error says.
    Failed {
        /// Which.
        ticket: Ticket,
        /// Why, in the user's words.
        error: UserError,
    },
}

/// What a command has to tell at its end.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing.
    Unit,
    /// An import's sums.
    Imported(ImportReport),
    /// A conversation was made.
    Conversation(ConversationId),
    /// An answer is whole.
    Answered {
        /// Where.
        conversation: ConversationId,
        /// All of it.
        text: String,
        /// Why it ended.
        stop: StopReason,
        /// What it cost.
        usage: Usage,
    },
    /// What a component is.
    Inspection(Box<PluginInspection>),
    /// A plugin was installed.
    Installed(PluginId),
    /// An update asks for more than the user was asked about; see [`crate::ProvenanceView::waiting`].
    UpdateWaits(PluginId),
    /// Versions that are to be had, and plugins that could not be asked about.
    Updates(Vec<UpdateOffer>),
    /// A key hands over, or has handed over, to another.
    Rotation(Box<RotationView>),
    /// A run has ended and every value in its panels is settled.
    Ran(PluginId),
    /// A value was saved.
    Saved(DocumentId),
    /// A folder was deleted.
    Folder(FolderId),
    /// A model was added.
    Model(ModelId),
    /// An adapter was put into a model, which was added.
    Merged(ModelId, Merged),
    /// A model is loaded.
    Loaded(ModelInfo),
    /// What a model file is.
    ModelInspection(ModelInfo, MemoryEstimate),
    /// A dataset was kept.
    Dataset(DatasetId),
    /// What a training run would take, with the settings that it follows from.
    Estimate(Box<(TuneSettings, TuneEstimate)>),
    /// A training run is over and came to an adapter.
    Tuned(AdapterId),
    /// A training run was paused.
    Paused(TuneRunId),
    /// An adapter was imported or examined.
    Adapter(AdapterId),
}

/// What is known of a component before anything of it runs: the consent screen is drawn from this alone.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PluginInspection {
    /// The publisher's claims.
    pub manifest: hearth_base::Manifest,
    /// Facts read off the binary: what it imports.
    pub imports: Vec<String>,
    /// Fact: it does not import the one interface through which private text could reach it.
    pub sealed: bool,
    /// BLAKE3 of the file, hex.
    pub component_hash: String,
    /// Length of the file.
    pub size_bytes: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// Installed version that this would replace.
    pub replaces: Option<String>,
    /// Who made it, what it changes, and what installing it would do.
    pub judgement: crate::Judgement,
}

/// Another version of a plugin, where it came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UpdateOffer {
    /// Which.
    pub plugin: PluginId,
    /// The installed version.
    pub installed: String,
    /// The version that is to be had.
    pub offered: Option<String>,
    /// Where.
    pub origin: String,
    /// It was first seen less than a day ago: until then only who asks for this plugin by name should take it. In seconds
    /// since 1970.
    pub held_until_secs: Option<i64>,
    /// Why nothing is known of it.
    pub error: Option<UserError>,
}

/// A publisher's word that one key takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RotationView {
    /// The key that hands over.
    pub old_key: String,
    /// For people to compare.
    pub old_fingerprint: String,
    /// The key that takes over.
    pub new_key: String,
    /// For people to compare.
    pub new_fingerprint: String,
}

/// What kind of thing went wrong; the command line's exit code follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The user can mend it: a wrong passphrase, a missing file, an absent grant.
    User,
    /// The input is damaged or not supported.
    Input,
    /// The user stopped it.
    Cancelled,
    /// The system said no: disk full, no memory.
    System,
    /// Hearth is at fault.
    Internal,
}

/// An error as the user reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{message}")]
pub struct UserError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// What the user can do about it; may be empty.
    pub hint: String,
}
