//! The host's vocabulary: ids, labels, capabilities, grants, the plugin manifest, and the messages that host and
//! plugin runner exchange.
//!
//! Everything here is plain data and pure functions. This crate reads no files, starts no threads, knows no
//! database, no model and no wasm.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod call;
mod capability;
mod confinement;
mod frame;
mod ids;
mod label;
mod manifest;
mod panel;

pub use call::{
    Answer, Date, Event, Export, Field, GuestError, GuestFailure, HostCall, HostReply, Invocation,
    InvocationInfo, LogLevel, Message, MessageRole, ModelOptions, Part, Schema, SettingValue, Sort,
    Style, Weights,
};
pub use capability::{Capability, Grant, Quota};
pub use confinement::Confinement;
pub use frame::{
    FrameError, FromRunner, MAX_FRAME_BYTES, RunFault, ToRunner, read_frame, write_frame,
};
pub use ids::{
    AdapterId, ConversationId, DatasetId, DocumentId, ExampleTextId, FolderId, Handle, IdError,
    MessageId, ModelId, PluginId, RunId, TuneRunId,
};
pub use label::{Label, Origin, Source};
pub use manifest::{
    Capabilities, Command, Declassify, Every, Focus, MANIFEST_SECTION, MAX_MANIFEST_BYTES,
    Manifest, ManifestError, Panel, Schedule, SettingKind, SettingSpec, Slot, SlotKind,
};
pub use panel::{Button, Glyph, Input, Node};
