//! What the broker asks of whoever speaks with the user.

use std::pin::Pin;

use hearth_base::{DocumentId, LogLevel, PluginId};

use crate::PluginNotice;

/// Hears of a plugin's doings. Called from any thread; must return at once and must not call the broker back.
pub trait Observer: Send + Sync {
    /// Some panel has changed: read [`crate::Broker::panels`]. At most about thirty times a second, the last change
    /// always included.
    fn panels_changed(&self);
    /// How far a plugin says it has come. The words are the plugin's, escaped.
    fn progress(&self, plugin: &PluginId, percent: Option<u8>, message: &str);
    /// A plugin's notice.
    fn notice(&self, notice: PluginNotice);
    /// A line of a plugin's log. The words are the plugin's, escaped.
    fn log(&self, plugin: &PluginId, level: LogLevel, message: &str);
    /// A plugin's result was saved as this document.
    fn saved(&self, plugin: &PluginId, document: DocumentId);
    /// Something a plugin asked for could not be done, in the host's own words. The plugin never learns of it.
    fn trouble(&self, plugin: &PluginId, message: &str);
}

/// A plugin wants the user to pick documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickQuestion {
    /// Who asks.
    pub plugin: PluginId,
    /// Its name.
    pub plugin_name: String,
    /// What for: the plugin's claim, escaped.
    pub purpose: String,
    /// At most so many; further ones are refused.
    pub limit: u16,
}

/// What the user picked; `None` where there was nobody to ask. Picking none is `Some` of nothing.
pub type PickAnswer = Pin<Box<dyn Future<Output = Option<Vec<DocumentId>>> + Send>>;

/// Puts questions to the user.
pub trait Asker: Send + Sync {
    /// Lets the user pick documents. Dropping the answer withdraws the question.
    fn pick(&self, question: PickQuestion) -> PickAnswer;
}
