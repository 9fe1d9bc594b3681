//! What the broker asks of whoever speaks with the user.

use std::{collections::BTreeSet, fmt, pin::Pin, sync::Arc};

use hearth_base::{DocumentId, Label, LogLevel, PluginId, Source};
use hearth_vault::Vault;

use crate::{PluginNotice, escape_words, values::Fault};

/// Sources named in a question; of more it says how many.
const MOST_SOURCES: usize = 100;

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

/// A plugin wants to learn a text. Nothing but these bytes will go to it, and only once the user has said yes.
#[derive(Clone, PartialEq, Eq)]
pub struct RevealQuestion {
    /// Who asks.
    pub plugin: PluginId,
    /// Its name.
    pub plugin_name: String,
    /// What for: the plugin's claim, escaped.
    pub purpose: String,
    /// Exactly what it will be given. To be drawn escaped.
    pub text: Arc<str>,
    /// BLAKE3 of it, in hex, as it will stand in the audit trail.
    pub hash: String,
    /// What it was made from, in words.
    pub made_from: String,
    /// All that it depends on: first what it was made of.
    pub sources: Vec<RevealSource>,
    /// How many more there are.
    pub more_sources: usize,
}

impl fmt::Debug for RevealQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevealQuestion")
            .field("plugin", &self.plugin)
            .field("purpose", &self.purpose)
            .field("text_bytes", &self.text.len())
            .field("sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}

/// Something that a text depends on.
#[derive(Clone, PartialEq, Eq)]
pub enum RevealSource {
    /// A document.
    Document {
        /// Which.
        id: DocumentId,
        /// Its title, escaped; `None` where it is gone.
        title: Option<String>,
        /// Whether the text was made of it, or else chosen by looking at it.
        made_of: bool,
    },
    /// What the user entered.
    UserInput,
    /// A model or adapter that has learnt private things, by its name, escaped.
    PrivateModel(String),
}

impl fmt::Debug for RevealSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { id, made_of, .. } => f
                .debug_struct("Document")
                .field("id", id)
                .field("made_of", made_of)
                .finish_non_exhaustive(),
            Self::UserInput => f.write_str("UserInput"),
            Self::PrivateModel(name) => f.debug_tuple("PrivateModel").field(name).finish(),
        }
    }
}

/// The sources of a label as the user reads them, and how many more there are.
pub(crate) fn sources_of(
    vault: &Vault,
    label: &Label,
    content: &BTreeSet<DocumentId>,
) -> Result<(Vec<RevealSource>, usize), Fault> {
    // Those that it was made of come first, since the rest may be cut.
    let mut documents: Vec<DocumentId> = label.documents().collect();
    documents.sort_by_key(|id| (!content.contains(id), *id));
    let others = label.sources.iter().filter_map(|source| match source {
        Source::Document(_) => None,
        Source::UserInput => Some(RevealSource::UserInput),
        Source::PrivateModel(name) => Some(RevealSource::PrivateModel(escape_words(name))),
    });
    let mut sources: Vec<RevealSource> = others.collect();
    let room = MOST_SOURCES.saturating_sub(sources.len());
    let more = documents.len().saturating_sub(room);
    documents.truncate(room);
    let titles = vault.titles(&documents)?;
    let described = documents.into_iter().map(|id| RevealSource::Document {
        id,
        title: titles.get(&id).map(|title| escape_words(title)),
        made_of: content.contains(&id),
    });
    sources.splice(0..0, described);
    Ok((sources, more))
}

/// Whether the user lets a text go; `false` also where there was nobody to ask.
pub type RevealAnswer = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Puts questions to the user.
pub trait Asker: Send + Sync {
    /// Lets the user pick documents. Dropping the answer withdraws the question.
    fn pick(&self, question: PickQuestion) -> PickAnswer;

    /// Shows the user exactly the bytes that a plugin wants to learn, where they come from and what it says they are for,
    /// and asks. Dropping the answer withdraws the question. Without anybody to ask the answer is no.
    fn reveal(&self, question: RevealQuestion) -> RevealAnswer {
        drop(question);
        Box::pin(std::future::ready(false))
    }
}
