//! What became of everything that a recipe named.

use std::collections::BTreeMap;
use std::fmt;

use hearth_base::FolderId;
use serde::{Deserialize, Serialize};

/// Why a document, a conversation, or an example made of one, is not in the dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftOut {
    /// A plugin made it, and it was not added by hand.
    PluginMade,
    /// The template has no use for a document of its kind.
    OtherKind,
    /// Somebody else wrote it.
    NotMine,
    /// There is no text in it.
    Empty,
    /// There is too little text in it to learn from.
    TooShort,
    /// All of it is quoted or forwarded.
    OnlyQuoted,
    /// A mail without a subject of its own.
    NoSubject,
    /// There is no summary in it.
    NoSummary,
    /// A summary that does not say of which document it is, or of too many.
    NoSource,
    /// A file of source code with a single block.
    OneBlock,
    /// A file of data, or code that a program wrote.
    DataFile,
    /// A conversation without an answer to learn from.
    NoAnswer,
    /// Another example says the same.
    Duplicate,
    /// Made from documents on both sides of the split.
    AcrossSplit,
    /// It was deleted meanwhile.
    Gone,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PluginMade => "made by a plugin and not added by hand",
            Self::OtherKind => "of a kind that this template has no use for",
            Self::NotMine => "written by somebody else",
            Self::Empty => "without text",
            Self::TooShort => "too short to learn from",
            Self::OnlyQuoted => "nothing but quoted or forwarded text",
            Self::NoSubject => "mail without a subject of its own",
            Self::NoSummary => "without a summary",
            Self::NoSource => "a summary of no document, or of many",
            Self::OneBlock => "code of a single block",
            Self::DataFile => "data, or code that a program wrote",
            Self::NoAnswer => "without an answer to learn from",
            Self::Duplicate => "the same as another",
            Self::AcrossSplit => "made from both learnt and held-out documents",
            Self::Gone => "deleted meanwhile",
        })
    }
}

/// A folder's part in a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderReport {
    /// Which.
    pub folder: FolderId,
    /// Documents of it that were looked at.
    pub documents: u64,
    /// Examples that came of them.
    pub samples: u64,
}

/// What became of everything that a recipe named. What was looked at is either used or counted as left out, and each
/// example that was made is either there or counted as left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Documents, conversations and lines that were looked at.
    pub read: u64,
    /// Those of which there is at least one example.
    pub used: u64,
    /// The others, by reason.
    pub left_out: BTreeMap<LeftOut, u64>,
    /// Examples to learn from.
    pub train: u64,
    /// Examples to look at only.
    pub held_out: u64,
    /// Examples that were made and are not there, by reason.
    pub samples_left_out: BTreeMap<LeftOut, u64>,
    /// Mails that were read only as what another is the reply to.
    pub context_documents: u64,
    /// Mails replied to, and beginnings of files, of which an example shows only a part. What is learnt is whole.
    pub prompts_shortened: u64,
    /// Length of all examples.
    pub text_bytes: u64,
    /// Folders with a document that was looked at, by number.
    pub folders: Vec<FolderReport>,
}

impl Report {
    /// The whole in a line a reason, for showing.
    pub fn lines(&self) -> Vec<String> {
        let of = |counts: &BTreeMap<LeftOut, u64>, what: &str| {
            counts
                .iter()
                .map(|(why, count)| format!("{count} {what} left out: {why}"))
                .collect::<Vec<_>>()
        };
        let mut lines = vec![format!(
            "{} examples to learn from, {} held out, made of {} out of {} documents",
            self.train, self.held_out, self.used, self.read
        )];
        lines.extend(of(&self.left_out, "documents"));
        lines.extend(of(&self.samples_left_out, "examples"));
        lines
    }
}
