//! What a dataset is made from, and how.

use std::collections::BTreeSet;
use std::fmt;

use hearth_base::{DocumentId, ExampleTextId, FolderId};
use hearth_vault::{DocumentKind, DocumentSelection};
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// What a dataset is made from, and how. The same recipe over the same vault gives the same dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// How documents become examples.
    pub template: Template,
    /// Which documents: those that match any of these. What plugins made is never among them.
    pub sources: Vec<SourceFilter>,
    /// Which conversations.
    pub conversations: Conversations,
    /// Documents added by hand, whoever made them.
    pub extra_documents: BTreeSet<DocumentId>,
    /// Documents left out by hand; neither they nor quotes looked up in them are read.
    pub without: BTreeSet<DocumentId>,
    /// Share of documents that are not learnt from, to see how well it goes; at most a half.
    pub held_out_share: f32,
    /// Decides which ones these are.
    pub seed: u64,
}

impl Default for Recipe {
    /// Everything as it is, a tenth of it held out.
    fn default() -> Self {
        Self {
            template: Template::Plain,
            sources: vec![SourceFilter::default()],
            conversations: Conversations::None,
            extra_documents: BTreeSet::new(),
            without: BTreeSet::new(),
            held_out_share: 0.1,
            seed: 0,
        }
    }
}

impl Recipe {
    /// Whether it can be followed.
    pub(crate) fn check(&self) -> Result<(), DatasetError> {
        if !(0.0..=0.5).contains(&self.held_out_share) {
            return Err(DatasetError::Setting {
                what: "the share that is held out",
                got: self.held_out_share.to_string(),
                expected: "0 to 0.5",
            });
        }
        if let Template::WriteLikeMe { me } = &self.template
            && me.iter().all(|name| name.trim().is_empty())
        {
            return Err(DatasetError::Setting {
                what: "the list of your names and addresses",
                got: "empty".to_owned(),
                expected: "at least one, as it stands in the sender of your mail",
            });
        }
        Ok(())
    }
}

/// Which documents; all of its conditions hold. By default all documents.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceFilter {
    /// Only these folders; `None` is all of them.
    pub folders: Option<Vec<FolderId>>,
    /// Only these kinds; `None` is all of them.
    pub kinds: Option<Vec<DocumentKind>>,
    /// Only from this moment on, in seconds since 1970.
    pub since_secs: Option<i64>,
    /// Only before this moment.
    pub until_secs: Option<i64>,
    /// Only by these people: addresses, or names as they stand in the mail. Empty is everybody.
    pub authors: Vec<String>,
    /// Words that all occur, as in a search.
    pub text: String,
}

impl SourceFilter {
    pub(crate) fn selection(&self) -> DocumentSelection {
        DocumentSelection {
            folders: self.folders.clone(),
            kinds: self.kinds.clone(),
            since_secs: self.since_secs,
            until_secs: self.until_secs,
            text: self.text.clone(),
        }
    }
}

impl fmt::Debug for SourceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFilter")
            .field("folders", &self.folders)
            .field("kinds", &self.kinds)
            .field("since_secs", &self.since_secs)
            .field("until_secs", &self.until_secs)
            .field("authors", &self.authors.len())
            .field("text", &self.text.len())
            .finish()
    }
}

/// Which conversations are learnt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conversations {
    /// None.
    #[default]
    None,
    /// Those with an answer that the user found good, up to the last of these.
    Rated,
    /// All, up to the last whole answer.
    All,
}

/// How documents become examples.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Template {
    /// Mail and notes in the user's own manner: asked for a mail or a reply, this is what they wrote.
    WriteLikeMe {
        /// The user's names and addresses, as they stand in the sender of their mail.
        me: Vec<String>,
    },
    /// Questions about what notes say, answered by their paragraphs.
    AnswerFromNotes,
    /// Texts and their summaries: saved ones added by hand, summaries that notes begin with, subjects of mail.
    SummariseLikeThis,
    /// Source files, block by block.
    CompleteCode,
    /// Texts as they are.
    Plain,
    /// A file of examples that the user brought along; documents are not read.
    Imported {
        /// Which.
        text: ExampleTextId,
    },
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteLikeMe { .. } => f.write_str("WriteLikeMe { .. }"),
            Self::AnswerFromNotes => f.write_str("AnswerFromNotes"),
            Self::SummariseLikeThis => f.write_str("SummariseLikeThis"),
            Self::CompleteCode => f.write_str("CompleteCode"),
            Self::Plain => f.write_str("Plain"),
            Self::Imported { text } => write!(f, "Imported({text})"),
        }
    }
}
