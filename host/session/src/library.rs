//! Documents: importing, finding, reading, deleting.

use std::{path::Path, sync::Arc, time::Duration, time::Instant};

use hearth_base::FolderId;
use hearth_vault::{DocumentQuery, ImportState, Order};

use crate::{
    Command, Event, LibraryView, NoticeKind, Reply, Ticket, UserError, config::unless,
    event_loop::EventLoop, msg::Change, task::Task, tuning,
};

/// Documents a page of the library shows at first.
const PAGE: u32 = 200;
/// How often an import reports its sums.
const REPORT_EVERY: Duration = Duration::from_millis(100);

impl EventLoop {
    pub(crate) fn library_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::Import { path, name } => {
                self.job(ticket, format!("Importing {}", file_name(&path)));
                let shown = self.view.library.query.clone();
                self.blocking(ticket, move |task| import(task, &path, name.as_deref(), shown));
            }
            Command::Browse(query) => self.blocking(ticket, move |task| {
                let library = browse(task, query)?;
                task.show(task.stamp, Change::Library(library));
                Ok(Reply::Unit)
            }),
            Command::OpenDocument(id) => self.blocking(ticket, move |task| {
                let document = task.vault().document(id)?.ok_or_else(no_document)?;
                task.show(task.stamp, Change::Document(Some(Box::new(document))));
                Ok(Reply::Unit)
            }),
            Command::CloseDocument => {
                self.change(self.ctx.stamp(), Change::Document(None));
                self.end(ticket, Ok(Reply::Unit));
            }
            Command::DeleteDocument(id) => {
                let open = self.view.document.as_ref().is_some_and(|d| d.head.id == id);
                let query = self.view.library.query.clone();
                self.blocking(ticket, move |task| {
                    task.vault().delete_document(id)?;
                    if open {
                        task.show(task.stamp, Change::Document(None));
                    }
                    reload(task, query)?;
                    tuning::sources_changed(task)?;
                    Ok(Reply::Unit)
                });
            }
            Command::DeleteFolder(id) => {
                let open = self.view.document.as_ref().is_some_and(|d| d.head.folder == id);
                let log = self.view.import_log.as_ref().is_some_and(|log| log.0 == id);
                let shown = self.view.library.query.clone();
                self.blocking(ticket, move |task| {
                    task.vault().delete_folder(id)?;
                    if open {
                        task.show(task.stamp, Change::Document(None));
                    }
                    if log {
                        task.show(task.stamp, Change::ImportLog(None));
                    }
                    task.show(task.ctx.stamp(), Change::Folders(task.vault().folders()?));
                    let library = browse(task, without_folder(shown, id))?;
                    task.show(task.stamp, Change::Library(library));
                    tuning::sources_changed(task)?;
                    Ok(Reply::Folder(id))
                });
            }
            Command::OpenImportLog(id) => self.blocking(ticket, move |task| {
                let log = task.vault().import_log(id)?;
                task.show(task.stamp, Change::ImportLog(Some((id, log))));
                Ok(Reply::Unit)
            }),
            _ => self.end(ticket, Err(UserError::internal("Not a command of the library."))),
        }
    }

    /// Reads folders and the shown page again, beside the loop.
    pub(crate) fn reload_library(&mut self) {
        let Some(room) = self.room.clone() else { return };
        let query = self.view.library.query.clone();
        let task = Task {
            ctx: Arc::clone(&self.ctx),
            room,
            ticket: Ticket(0),
            cancel: crate::cancel::Cancel::default(),
            stamp: self.ctx.stamp(),
        };
        self.tasks.spawn(async move {
            if let Err(error) = task.blocking(move |task| reload(task, query)).await {
                tracing::warn!(kind = ?error.kind, "the library could not be read again");
            }
        });
    }
}

/// The page a shell sees first.
pub(crate) fn first_page(task: &Task) -> Result<Change, UserError> {
    let query = DocumentQuery { order: Order::Newest, limit: PAGE, ..DocumentQuery::default() };
    Ok(Change::Library(browse(task, query)?))
}

fn browse(task: &Task, query: DocumentQuery) -> Result<LibraryView, UserError> {
    let page = task.vault().documents(&query)?;
    Ok(LibraryView { query, heads: page.heads, total: page.total })
}

/// A query that no longer asks for a folder that is gone; for all of them where it asked for that one alone.
fn without_folder(mut query: DocumentQuery, gone: FolderId) -> DocumentQuery {
    if let Some(folders) = &mut query.folders {
        folders.retain(|folder| *folder != gone);
    }
    query.folders = query.folders.filter(|folders| !folders.is_empty());
    query
}

/// Folders and the shown page, as they now are.
fn reload(task: &Task, query: DocumentQuery) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    task.show(stamp, Change::Folders(task.vault().folders()?));
    task.show(stamp, Change::SameLibrary(browse(task, query)?));
    Ok(())
}

fn import(
    task: &Task,
    path: &Path,
    name: Option<&str>,
    shown: DocumentQuery,
) -> Result<Reply, UserError> {
    let mut sums = Sums::default();
    let mut reported = Instant::now();
    let result = task.vault().import(path, name, &mut |progress| {
        sums.count(progress.entry.state);
        task.report(&Event::Imported {
            ticket: task.ticket,
            entry: progress.entry.clone(),
            done_bytes: progress.done_bytes,
            total_bytes: progress.total_bytes,
        });
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            let share = share(progress.done_bytes, progress.total_bytes);
            task.show(task.ctx.stamp(), Change::Job(task.ticket, share, sums.words()));
        }
        unless(task.cancel.is_cancelled())
    });
    // Also after a failure: what was committed until then is there.
    reload(task, shown)?;
    tuning::sources_changed(task)?;
    let report = result?;
    if task.cancel.is_cancelled() {
        return Err(UserError::cancelled(format!(
            "The import was stopped. What came in before is kept: {}.",
            sums.words()
        )));
    }
    let words = format!("Imported {}: {}.", file_name(path), sums.words());
    task.show(task.ctx.stamp(), Change::Notice(NoticeKind::Success(words)));
    Ok(Reply::Imported(report))
}

/// An import's sums so far.
#[derive(Default)]
struct Sums {
    done: u64,
    skipped: u64,
    failed: u64,
}

impl Sums {
    fn count(&mut self, state: ImportState) {
        match state {
            ImportState::Done => self.done += 1,
            ImportState::Skipped => self.skipped += 1,
            ImportState::Failed => self.failed += 1,
        }
    }

    fn words(&self) -> String {
        format!("{} done, {} skipped, {} failed", self.done, self.skipped, self.failed)
    }
}

fn no_document() -> UserError {
    UserError::user("There is no such document.", "It may have been deleted.")
}

#[expect(clippy::cast_precision_loss, reason = "a share for a progress bar")]
fn share(done_bytes: u64, total_bytes: u64) -> Option<f32> {
    (total_bytes > 0).then(|| (done_bytes as f32 / total_bytes as f32).min(1.0))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into())
}
