//! Import of mail, notes and source files.
//!
//! Reading ([`walk`]) knows no vault: it finds files, reads them and hands on drafts with their fate. Storing, here,
//! takes them in batches, each in one transaction, so that after a crash or a cancel whole batches are there and nothing
//! else. Memory is bounded by a batch and one message.

mod files;
mod html;
mod mail;
mod mbox;
mod reason;
mod text;
mod types;
mod walk;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hearth_base::{DocumentId, FolderId};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::documents::{self, Draft};
use crate::vault::now_secs;
use crate::{DocumentKind, ImportError, StoreError, Vault};

use reason::Reason;
pub use types::{ImportEntry, ImportProgress, ImportReport, ImportState};

/// Largest message or file, in bytes. What is larger is skipped, and said so.
pub(crate) const MAX_ITEM_BYTES: u64 = 32 << 20;

/// A batch is stored when it holds this many entries or bytes.
const BATCH_ENTRIES: usize = 200;
const BATCH_BYTES: u64 = 8 << 20;

/// What reading made of one file or message.
pub(crate) struct Item {
    pub(crate) path: PathBuf,
    pub(crate) index: u32,
    /// How far it brings the import, in bytes of input.
    pub(crate) bytes: u64,
    pub(crate) read: Read,
    /// The date as the message gives it, in RFC 3339.
    pub(crate) date: Option<String>,
    /// Whether `draft.title` is a subject that was there.
    pub(crate) has_subject: bool,
}

/// Its fate.
pub(crate) enum Read {
    /// Readable; with what has to be said about it, if anything.
    Draft(Box<Draft>, Option<Reason>),
    /// Left out on purpose.
    Skipped(Reason),
    /// Could not be read.
    Failed(Reason),
}

/// Reads everything at `path` and says what an import would make of each file and message, without any vault. Messages
/// that a vault holds already are not known here.
///
/// # Errors
/// [`ImportError`] where `path` itself cannot be read.
pub fn check(
    path: &Path,
    on_entry: &mut dyn FnMut(&ImportEntry) -> ControlFlow<()>,
) -> Result<ImportReport, ImportError> {
    let mut report = ImportReport::default();
    walk::walk(path, &mut |item| {
        let entry = entry_of(&item);
        report.count(entry.state);
        on_entry(&entry)
    })?;
    Ok(report)
}

impl Vault {
    /// Imports an mbox, a message, a Maildir, or a directory of notes, source files and mail, into the folder of that
    /// name (by default that of the file or directory), which is made if need be. Mail that any folder holds already is
    /// skipped; a file that has changed since its last import into the folder takes the place of the former version.
    ///
    /// `on_entry` hears of each file and message once it is stored, and ends the import by breaking; what it has heard
    /// of stays. It may use the vault.
    ///
    /// # Errors
    /// [`ImportError`] where `path` itself cannot be read or the vault refuses; what was stored before stays.
    pub fn import(
        &self,
        path: &Path,
        folder_name: Option<&str>,
        on_entry: &mut dyn FnMut(ImportProgress<'_>) -> ControlFlow<()>,
    ) -> Result<ImportReport, ImportError> {
        let total_bytes = walk::total_bytes(path)?;
        let name = folder_name.map_or_else(|| walk::folder_name(path), str::to_owned);
        let mut import = Import {
            vault: self,
            folder: self.import_folder(&name)?,
            batch: VecDeque::new(),
            batch_bytes: 0,
            position: 0,
            report: ImportReport::default(),
            done_bytes: 0,
            total_bytes,
        };
        let mut refused = None;
        let mut take = |item: Item| {
            import.batch_bytes += item.bytes;
            import.batch.push_back(item);
            if import.batch.len() < BATCH_ENTRIES && import.batch_bytes < BATCH_BYTES {
                return ControlFlow::Continue(());
            }
            import.flush(on_entry).unwrap_or_else(|error| {
                refused = Some(error);
                ControlFlow::Break(())
            })
        };
        let walked = walk::walk(path, &mut take);
        if let Some(error) = refused {
            return Err(error.into());
        }
        // What is left over; nothing where the import was broken off. There is nothing more to break off after it.
        let _flow = import.flush(on_entry)?;
        let (report, folder) = (import.report, import.folder);
        let kept = self.drop_empty(folder)?;
        walked?;
        Ok(ImportReport { folder: kept.then_some(folder), ..report })
    }

    /// What became of each file and message in the last import into a folder, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn import_log(&self, folder: FolderId) -> Result<Vec<ImportEntry>, StoreError> {
        self.read("read an import's log", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT path, in_file, state, reason, subject, sender, date, body_chars
                 FROM import_entries WHERE folder = ?1 ORDER BY position",
            )?;
            let rows = statement.query_map([folder.0], |row| {
                Ok(ImportEntry {
                    path: PathBuf::from(row.get::<_, String>(0)?),
                    index: row.get(1)?,
                    state: row.get(2)?,
                    reason: row.get(3)?,
                    subject: row.get(4)?,
                    from: row.get(5)?,
                    date: row.get(6)?,
                    body_chars: row.get(7)?,
                })
            })?;
            rows.collect()
        })
    }

    /// The folder to import into, its former log cleared.
    fn import_folder(&self, name: &str) -> Result<FolderId, ImportError> {
        let id = self.write("make a folder", |transaction| {
            let found: Option<i64> = transaction
                .query_row(
                    "SELECT id FROM folders WHERE name = ?1 AND plugin IS NULL",
                    [name],
                    |row| row.get(0),
                )
                .optional()?;
            match found {
                Some(id) => {
                    transaction.execute("DELETE FROM import_entries WHERE folder = ?1", [id])?;
                    Ok(FolderId(id))
                }
                None => {
                    transaction.execute(
                        "INSERT INTO folders (name, created_secs) VALUES (?1, ?2)",
                        params![name, now_secs()],
                    )?;
                    Ok(FolderId(transaction.last_insert_rowid()))
                }
            }
        })?;
        Ok(id)
    }

    /// Removes a folder that nothing was put into, and says whether it stays.
    fn drop_empty(&self, folder: FolderId) -> Result<bool, StoreError> {
        let dropped = self.write("drop an empty folder", |transaction| {
            transaction.execute(
                "DELETE FROM folders WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM documents WHERE folder = ?1)",
                [folder.0],
            )
        })?;
        Ok(dropped == 0)
    }
}

/// An import under way.
struct Import<'a> {
    vault: &'a Vault,
    folder: FolderId,
    batch: VecDeque<Item>,
    batch_bytes: u64,
    position: i64,
    report: ImportReport,
    done_bytes: u64,
    total_bytes: u64,
}

impl Import<'_> {
    /// Stores the batch, then tells of it.
    fn flush(
        &mut self,
        on_entry: &mut dyn FnMut(ImportProgress<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let (folder, first) = (self.folder, self.position);
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let entries = self.vault.write("store an import", |transaction| {
            let mut entries = Vec::with_capacity(batch.len());
            for (position, item) in (first..).zip(&batch) {
                let entry = store(transaction, folder, item)?;
                log(transaction, folder, position, &entry)?;
                entries.push((entry, item.bytes));
            }
            Ok(entries)
        })?;
        self.position += batch.len() as i64;
        let mut flow = ControlFlow::Continue(());
        for (entry, bytes) in &entries {
            self.report.count(entry.state);
            self.done_bytes += bytes;
            let done_bytes = self.done_bytes.min(self.total_bytes);
            // Stored together, they are told together: a break is heeded at the end of the batch.
            if on_entry(ImportProgress { entry, done_bytes, total_bytes: self.total_bytes })
                .is_break()
            {
                flow = ControlFlow::Break(());
            }
        }
        Ok(flow)
    }
}

/// Stores one item unless the vault holds it, and says what became of it.
fn store(
    transaction: &Transaction<'_>,
    folder: FolderId,
    item: &Item,
) -> rusqlite::Result<ImportEntry> {
    let mut entry = entry_of(item);
    let Read::Draft(draft, _) = &item.read else { return Ok(entry) };
    let known = if draft.kind == DocumentKind::Mail {
        known_mail(transaction, draft)?
    } else {
        known_file(transaction, folder, draft)?
    };
    let reason = match known {
        Known::No => {
            documents::insert(transaction, folder, draft)?;
            return Ok(entry);
        }
        Known::Older(id) => {
            documents::replace(transaction, id, draft)?;
            Reason::Replaced
        }
        Known::Same(reason) => {
            entry.state = ImportState::Skipped;
            reason
        }
    };
    entry.reason = Some(reason.to_string());
    Ok(entry)
}

enum Known {
    No,
    Same(Reason),
    Older(DocumentId),
}

/// The same bytes, or the same message-id with the same text. A message-id alone says nothing: anyone can claim one.
fn known_mail(transaction: &Transaction<'_>, draft: &Draft) -> rusqlite::Result<Known> {
    let by_hash = transaction
        .prepare_cached("SELECT 1 FROM documents WHERE hash = ?1 AND kind = ?2")?
        .query_row(params![draft.hash.as_bytes(), draft.kind], |_row| Ok(()))
        .optional()?;
    if by_hash.is_some() {
        return Ok(Known::Same(Reason::SameMessage));
    }
    let Some(message_id) = &draft.message_id else { return Ok(Known::No) };
    let by_id = transaction
        .prepare_cached("SELECT 1 FROM documents WHERE message_id = ?1 AND text_hash = ?2")?
        .query_row(params![message_id, draft.text_hash().as_bytes()], |_row| Ok(()))
        .optional()?;
    Ok(by_id.map_or(Known::No, |()| Known::Same(Reason::SameMessageId)))
}

/// A file is known by the path it came from; and where a whole directory has moved, by its place in that and its content.
fn known_file(
    transaction: &Transaction<'_>,
    folder: FolderId,
    draft: &Draft,
) -> rusqlite::Result<Known> {
    let found: Option<(i64, Vec<u8>)> = transaction
        .prepare_cached(
            "SELECT id, hash FROM documents WHERE folder = ?1 AND source = ?2 AND kind IN (1, 2)",
        )?
        .query_row(params![folder.0, draft.source], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((_, hash)) if hash == draft.hash.as_bytes() => {
            return Ok(Known::Same(Reason::SameFile));
        }
        Some((id, _)) => return Ok(Known::Older(DocumentId(id))),
        None => {}
    }
    let mut statement = transaction
        .prepare_cached("SELECT source FROM documents WHERE hash = ?1 AND folder = ?2")?;
    let sources = statement
        .query_map(params![draft.hash.as_bytes(), folder.0], |row| row.get::<_, String>(0))?;
    let place = format!("/{}", draft.place);
    for source in sources {
        if source?.ends_with(&place) {
            return Ok(Known::Same(Reason::SameFile));
        }
    }
    Ok(Known::No)
}

fn log(
    transaction: &Transaction<'_>,
    folder: FolderId,
    position: i64,
    entry: &ImportEntry,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO import_entries (folder, position, path, in_file, state, reason, subject, sender, date, body_chars)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            folder.0,
            position,
            entry.path.to_string_lossy(),
            entry.index,
            entry.state,
            entry.reason,
            entry.subject,
            entry.from,
            entry.date,
            entry.body_chars,
        ])
        .map(|_rows| ())
}

fn entry_of(item: &Item) -> ImportEntry {
    let mut entry = ImportEntry {
        path: item.path.clone(),
        index: item.index,
        state: ImportState::Done,
        reason: None,
        subject: None,
        from: None,
        date: item.date.clone(),
        body_chars: 0,
    };
    match &item.read {
        Read::Draft(draft, reason) => {
            entry.reason = reason.as_ref().map(Reason::to_string);
            entry.subject = item.has_subject.then(|| draft.title.clone());
            entry.from = (!draft.author.is_empty()).then(|| draft.author.clone());
            entry.body_chars = documents::chars(&draft.body).unsigned_abs();
        }
        Read::Skipped(reason) => {
            entry.state = ImportState::Skipped;
            entry.reason = Some(reason.to_string());
        }
        Read::Failed(reason) => {
            entry.state = ImportState::Failed;
            entry.reason = Some(reason.to_string());
        }
    }
    entry
}
