//! What a plugin can put in a panel: a flat list of host widgets, after WIT `panel`.

use serde::{Deserialize, Serialize};

use crate::Handle;

/// A host icon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "the names say it all; they are those of the WIT enum, in its order"
)]
pub enum Glyph {
    #[default]
    None,
    Check,
    Warning,
    Info,
    Mail,
    Code,
    Listing,
    Star,
}

/// A button; pressing it tells the plugin its `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// The plugin's own name for it.
    pub id: String,
    /// What the user reads.
    pub label: String,
    /// Icon before the label.
    pub icon: Glyph,
    /// Greyed out if not.
    pub enabled: bool,
}

/// A text field; what is entered goes to the plugin as an opaque value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The plugin's own name for it.
    pub id: String,
    /// What the user reads.
    pub label: String,
    /// Shown while empty.
    pub placeholder: String,
    /// Several lines high.
    pub multiline: bool,
}

/// One node. `Row` and `Column` open a group that the next `End` closes; depth is at most 8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// A heading.
    Heading(String),
    /// A line of the plugin's own words.
    Label(String),
    /// A line across.
    Divider,
    /// An opaque text, shown to the user as it arrives.
    Value(Handle),
    /// Each element of an opaque collection.
    Items(Handle),
    /// A list to pick one element from: the plugin's name for it and the collection.
    Picker(String, Handle),
    /// A button.
    Button(Button),
    /// A text field.
    Input(Input),
    /// A bar; `None` is "working".
    Progress(Option<u8>),
    /// Side by side until `End`.
    Row,
    /// One below the other until `End`.
    Column,
    /// Closes a row or column.
    End,
}
