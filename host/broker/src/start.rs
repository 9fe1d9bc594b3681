//! How runs begin and end, and what the broker must know of the model.

use hearth_base::{Date, DocumentId, GuestFailure, Label};
use hearth_engine_api::AdapterSlot;

use crate::{PanelKey, ValueId};

/// The gesture that starts a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A command of the manifest.
    Command {
        /// Its id.
        id: String,
        /// The document the user chose, for commands that work on one.
        focus: Option<DocumentId>,
        /// The user's words, or the chat's, for commands that ask for some.
        input: Option<String>,
    },
    /// A button of an open panel.
    Pressed {
        /// Where.
        panel: PanelKey,
        /// Its id.
        button: String,
    },
    /// Text entered in a field of an open panel.
    Entered {
        /// Where.
        panel: PanelKey,
        /// The field's id.
        input: String,
        /// The user's words.
        text: String,
    },
    /// An element picked from a list of an open panel.
    Picked {
        /// Where.
        panel: PanelKey,
        /// The list's id.
        picker: String,
        /// The element.
        value: ValueId,
    },
}

/// When and for whom a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occasion<'a> {
    /// The user's calendar day.
    pub today: Date,
    /// Language tag that the plugin is told.
    pub locale: &'a str,
    /// What the words and the document of a command depend on: of the chat's, everything it had read.
    pub words: Label,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The export returned, with the guest's own verdict.
    Returned(Result<(), GuestFailure>),
    /// It was killed, cancelled or crashed; why, in the user's words.
    Aborted(String),
}

/// Whether a model's weights hold private data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelTrust {
    /// They do not, as the user or its maker has marked.
    Public,
    /// They may: everything this model writes is private. Named for the label.
    Private(String),
}

/// An adapter that the user has chosen for a plugin, to be had where it asks for personal weights.
///
/// What it learnt is private, and so is whether there is one: values it helped to write carry its label, and no reply to the
/// plugin depends on it.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonalAdapter {
    /// Where the engine has it. No other adapter may get this slot while the broker lives. Where it is not there when it
    /// is needed, as after another model was loaded, the value fails.
    pub slot: AdapterSlot,
    /// What its part is multiplied by.
    pub strength: f32,
    /// Names it in the label of what it helped to write.
    pub name: String,
    /// What it was trained on.
    pub label: Label,
}

/// What the broker must know of the loaded model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Whether its weights are public.
    pub trust: ModelTrust,
    /// Longest prompt and answer together.
    pub context_tokens: u32,
}
