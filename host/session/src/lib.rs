//! The headless API: everything a user can do with Hearth, as plain data in and plain data out.
//!
//! A shell (window, command line, test) sends a [`Command`], hears [`Event`]s and paints the [`View`], which is
//! swapped whole. One task owns the state; whatever takes time runs beside it, so that [`SessionHandle::send`] and
//! [`SessionHandle::view`] never wait.
//!
//! This crate must never
//! - paint, print or read a terminal: it is told things and tells things;
//! - let a plugin near private text: plugins reach data only through the broker;
//! - keep anything private in the view, in an event queue or in a task once the vault is locked;
//! - leave out a part of a conversation without telling the user.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod activity;
mod cancel;
mod chat;
mod command;
mod config;
mod errors;
mod event;
mod event_loop;
mod events;
mod guests;
mod handle;
mod library;
mod models;
mod msg;
mod plugins;
mod reveals;
mod runs;
mod schedules;
mod task;
mod tools;
mod trial;
mod tuning;
mod vaults;
mod view;

// What is asked, heard and painted.
pub use command::{Command, Ticket};
pub use event::{ErrorKind, Event, PluginInspection, Reply, RotationView, UpdateOffer, UserError};
pub use plugins::{
    InstallVerdict, Judgement, KeyStanding, LookAlike, PluginChange, SignatureView, StoredEntry,
};
pub use view::{
    ActivityView, Answering, ConversationView, JobView, LibraryView, LoadedModel, ModelView,
    ModelsView, Notice, NoticeKind, PickView, PluginSum, PluginView, ProvenanceView, RevealView,
    ToolCallView, TrialView, VaultState, View, WaitingView,
};

// Trying plugins.
pub use trial::TryWhat;

// Fine-tuning.
pub use tuning::{
    AdapterReport, AdapterView, AnswerPair, ComparisonSide, ComparisonView, DatasetView,
    EstimateView, MemoryReport, PreviewView, RunPlan, RunState, RunView, SampleView, Settings,
    TuneCommand, TuneRules, TuningView, Wait,
};

// Running a session.
pub use config::{Clock, Config, Feel, Power};
pub use events::Events;
pub use guests::{Answerer, Guest, GuestEnd, GuestRuntime, WasmGuests};
pub use handle::{Busy, Pending, Session, SessionHandle, Waker};

// The vocabulary of lower floors that commands and views are made of: shells depend on this crate alone.
pub use hearth_base::{
    AdapterId, Button, Capability, Command as PluginCommand, ConversationId, DatasetId, Date,
    DocumentId, Every, ExampleTextId, Focus, FolderId, Glyph, Grant, Input, Label, Manifest,
    MessageId, ModelId, Origin, PluginId, RunId, Schedule, SettingKind, SettingSpec, SettingValue,
    Slot, SlotKind, Source, TuneRunId,
};
pub use hearth_broker::{
    PanelKey, PanelNode, PanelView, PluginNotice, RevealSource, Standing, ValueId, ValueState,
    ValueView, escape_text,
};
pub use hearth_dataset::{
    Conversations, FolderReport, LeftOut, Recipe, Report, SourceFilter, Template,
};
pub use hearth_engine_api::{
    AdapterFormat, Backend, Budget, FakeBackend, FakeTuner, KvFormat, LoadOptions, LoraSettings,
    LossOn, MemoryEstimate, MergeFormat, Merged, ModelInfo, Precision, StopReason, Target,
    TuneEstimate, TuneSettings, Tuner, Usage,
};
pub use hearth_vault::{
    AdapterChoice, AttachmentHead, AuditRow, CallState, ChatTurn, ConversationHead, DayUsage,
    Document, DocumentHead, DocumentKind, DocumentQuery, Folder, ImportEntry, ImportReport,
    ImportState, Order, Passphrase, PluginUsage, Rating, RunUsage, ScheduleRecord, Speaker,
    ToolCall, ToolMode, TuneStep,
};
