//! Plain data about an import. `Debug` shows lengths of private text, not the text.

use std::fmt;
use std::path::{Path, PathBuf};

use hearth_base::FolderId;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::hidden::{Hidden, hidden_option};

/// What became of a file or message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportState {
    /// It is in the vault.
    Done = 0,
    /// Left out on purpose.
    Skipped = 1,
    /// Could not be read.
    Failed = 2,
}

impl ToSql for ImportState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for ImportState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Done),
            1 => Ok(Self::Skipped),
            2 => Ok(Self::Failed),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A file or message of an import.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportEntry {
    /// The file. One whose name is not UTF-8 is serialised as near to it as text can be.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Which message of it, from 0.
    pub index: u32,
    /// What became of it.
    pub state: ImportState,
    /// Why it is not in the vault, or what was odd about it.
    pub reason: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Its sender.
    pub from: Option<String>,
    /// Its date, in RFC 3339.
    pub date: Option<String>,
    /// Length of its text in characters.
    pub body_chars: u64,
}

impl fmt::Debug for ImportEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportEntry")
            .field("path", &Hidden(&self.path.to_string_lossy()))
            .field("index", &self.index)
            .field("state", &self.state)
            .field("reason", &self.reason)
            .field("subject", &hidden_option(&self.subject))
            .field("from", &hidden_option(&self.from))
            .field("date", &self.date)
            .field("body_chars", &self.body_chars)
            .finish()
    }
}

fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// How far an import is.
#[derive(Clone, Copy, Debug)]
pub struct ImportProgress<'a> {
    /// What was just stored, or not.
    pub entry: &'a ImportEntry,
    /// Bytes of input dealt with.
    pub done_bytes: u64,
    /// Bytes of input in all, as they were at the start.
    pub total_bytes: u64,
}

/// An import in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Where the documents are; `None` where there are none.
    pub folder: Option<FolderId>,
    /// How many are in the vault now that were not, or that were replaced.
    pub done: u64,
    /// How many were left out.
    pub skipped: u64,
    /// How many could not be read.
    pub failed: u64,
}

impl ImportReport {
    pub(super) fn count(&mut self, state: ImportState) {
        match state {
            ImportState::Done => self.done += 1,
            ImportState::Skipped => self.skipped += 1,
            ImportState::Failed => self.failed += 1,
        }
    }
}
