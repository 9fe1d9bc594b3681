//! How runs begin and end, and what the broker must know of the model.

use hearth_base::{DocumentId, GuestFailure};

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

/// What the broker must know of the loaded model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Whether its weights are public.
    pub trust: ModelTrust,
    /// Longest prompt and answer together.
    pub context_tokens: u32,
}
