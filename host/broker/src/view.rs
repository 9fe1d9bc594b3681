//! What the shells show of a plugin's panels: plain data, for the user's eyes only. None of it goes back to a plugin.

use hearth_base::{Button, Glyph, Input, PluginId, RunId};
use serde::{Deserialize, Serialize};

/// Names a value that a panel shows, for as long as the panel is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValueId(pub u64);

/// Names an open panel: one a plugin and panel id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PanelKey {
    /// Whose it is.
    pub plugin: PluginId,
    /// The manifest's panel id.
    pub panel: String,
}

/// A panel as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PanelView {
    /// Which.
    pub key: PanelKey,
    /// The run that filled it.
    pub run: RunId,
    /// The plugin's name, for the attribution that is always drawn.
    pub plugin_name: String,
    /// The manifest's title.
    pub title: String,
    /// Its content.
    pub nodes: Vec<PanelNode>,
}

/// One node of a panel, with values in place of handles. Flat, as the plugin gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as `hearth_base::Node`")]
pub enum PanelNode {
    Heading(String),
    Label(String),
    Divider,
    Value(ValueView),
    /// `None` while even the number of elements is not known.
    Items(Option<Vec<ValueView>>),
    Picker {
        id: String,
        items: Option<Vec<ValueView>>,
    },
    Button(Button),
    Input(Input),
    Progress(Option<u8>),
    Row,
    Column,
    End,
}

/// A value as far as it has come.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ValueView {
    /// For saving and copying.
    pub id: ValueId,
    /// The text so far.
    pub text: String,
    /// How far it has come.
    pub state: ValueState,
    /// What it was made from, in words: "made by Mail summariser from Re: Tuesday" or "from 14 documents".
    pub made_from: String,
}

impl std::fmt::Debug for ValueView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValueView")
            .field("id", &self.id)
            .field("text_bytes", &self.text.len())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// How far a value has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueState {
    /// Nothing has begun.
    Waiting,
    /// Text is arriving.
    Streaming,
    /// Whole.
    Done,
    /// Saved as a document.
    Saved,
    /// It could not be made, with the reason in the user's words. The plugin never learns of it.
    Failed(String),
}

/// A line a plugin shows in the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginNotice {
    /// Whose words these are.
    pub plugin: PluginId,
    /// The plugin's name.
    pub plugin_name: String,
    /// Icon.
    pub icon: Glyph,
    /// The plugin's words, escaped.
    pub message: String,
}
