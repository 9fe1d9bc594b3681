//! Plain data about documents. `Debug` shows lengths of private text, not the text.

use std::fmt;

use hearth_base::{DocumentId, FolderId, Label, PluginId};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::hidden::Hidden;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// A message.
    Mail = 0,
    /// A text file.
    Note = 1,
    /// A source file.
    Code = 2,
    /// Saved by a plugin.
    Saved = 3,
}

impl ToSql for DocumentKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for DocumentKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Mail),
            1 => Ok(Self::Note),
            2 => Ok(Self::Code),
            3 => Ok(Self::Saved),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A folder of documents.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Its number.
    pub id: FolderId,
    /// Its name.
    pub name: String,
    /// The kind most of its documents have.
    pub kind: DocumentKind,
    /// How many it holds.
    pub documents: u64,
    /// The plugin whose results it keeps apart from the rest.
    pub plugin: Option<PluginId>,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("id", &self.id)
            .field("name", &Hidden(&self.name))
            .field("kind", &self.kind)
            .field("documents", &self.documents)
            .field("plugin", &self.plugin)
            .finish()
    }
}

/// A document without its text, for lists.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentHead {
    /// Its number; never used again.
    pub id: DocumentId,
    /// The folder it is in.
    pub folder: FolderId,
    /// What it is.
    pub kind: DocumentKind,
    /// Subject, file name or title.
    pub title: String,
    /// Who wrote it, as the document says; may be empty.
    pub author: String,
    /// When, in seconds since 1970.
    pub date_secs: Option<i64>,
    /// The first words of the text, at most 160 characters.
    pub snippet: String,
    /// Length of the text in characters.
    pub body_chars: u64,
    /// How many attachments it has.
    pub attachments: u32,
}

impl fmt::Debug for DocumentHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentHead")
            .field("id", &self.id)
            .field("folder", &self.folder)
            .field("kind", &self.kind)
            .field("title", &Hidden(&self.title))
            .field("author", &Hidden(&self.author))
            .field("date_secs", &self.date_secs)
            .field("snippet", &Hidden(&self.snippet))
            .field("body_chars", &self.body_chars)
            .field("attachments", &self.attachments)
            .finish()
    }
}

/// A document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What lists show of it.
    pub head: DocumentHead,
    /// Its text.
    pub body: String,
    /// Where it came from: the full path, with `#` and the number of the message (from 0) for an mbox; for a saved
    /// document the plugin.
    pub source: String,
    /// To whom a message went.
    pub recipients: String,
    /// Its attachments.
    pub attachments: Vec<AttachmentHead>,
    /// What a value made from it depends on.
    pub label: Label,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("head", &self.head)
            .field("body", &Hidden(&self.body))
            .field("source", &Hidden(&self.source))
            .field("recipients", &Hidden(&self.recipients))
            .field("attachments", &self.attachments)
            .field("label", &self.label)
            .finish()
    }
}

/// What is known of an attachment. Its content is in the original.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentHead {
    /// Its file name; may be empty.
    pub name: String,
    /// Such as `text/calendar`.
    pub media_type: String,
    /// Its size when decoded.
    pub bytes: u64,
}

impl fmt::Debug for AttachmentHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentHead")
            .field("name", &Hidden(&self.name))
            .field("media_type", &Hidden(&self.media_type))
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// The order of a list of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By date, the newest first; those without a date last.
    #[default]
    Newest,
    /// By date, the oldest first; those without a date last.
    Oldest,
    /// The best match first; as `Newest` where no text is sought.
    Relevance,
}

/// Which documents to list.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DocumentQuery {
    /// Only these folders; `None` is all of them, an empty list none.
    pub folders: Option<Vec<FolderId>>,
    /// Only this kind.
    pub kind: Option<DocumentKind>,
    /// Words to find; empty matches all.
    pub text: String,
    /// In which order.
    pub order: Order,
    /// How many to leave out first.
    pub offset: u32,
    /// How many to list at most.
    pub limit: u32,
}

impl Default for DocumentQuery {
    /// The newest hundred.
    fn default() -> Self {
        Self {
            folders: None,
            kind: None,
            text: String::new(),
            order: Order::Newest,
            offset: 0,
            limit: 100,
        }
    }
}

impl fmt::Debug for DocumentQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentQuery")
            .field("folders", &self.folders)
            .field("kind", &self.kind)
            .field("text", &Hidden(&self.text))
            .field("order", &self.order)
            .field("offset", &self.offset)
            .field("limit", &self.limit)
            .finish()
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The documents.
    pub heads: Vec<DocumentHead>,
    /// How many match in all.
    pub total: u64,
}

/// A result a plugin saves.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSaved {
    /// Whose result it is.
    pub plugin: PluginId,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// What title and text depend on.
    pub label: Label,
}

impl fmt::Debug for NewSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSaved")
            .field("plugin", &self.plugin)
            .field("title", &Hidden(&self.title))
            .field("body", &Hidden(&self.body))
            .field("label", &self.label)
            .finish()
    }
}
