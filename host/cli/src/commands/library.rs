//! `hearth import`, `search`, `show`, `list`, `delete`.

use hearth_session::{
    Command, DocumentHead, DocumentId, DocumentKind, DocumentQuery, Event, ImportState, Order,
    Reply,
};
use serde_json::json;

use crate::{
    args::{ImportArgs, Page, Which},
    render::{Out, day, note, short},
    shell::{Failure, Opener, Outcome, Shell},
};

pub(crate) fn import(args: &ImportArgs, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    let command = Command::Import { path: args.path.clone(), name: args.name.clone() };
    let title = format!("Importing {}", args.path.display());
    let reply = shell.import(out, command, &title, &mut |event| {
        let Event::Imported { entry, .. } = event else { return };
        if out.is_json() {
            out.json(entry);
        } else if entry.state == ImportState::Failed {
            let reason = entry.reason.as_deref().unwrap_or("for no known reason");
            note(&format!("failed: {} #{}: {reason}", entry.path.display(), entry.index));
        }
    })?;
    let Reply::Imported(report) = reply else { return Ok(()) };
    out.text(format!(
        "{} imported, {} skipped, {} failed.",
        report.done, report.skipped, report.failed
    ));
    if report.failed > 0 {
        let message = format!("{} could not be imported.", report.failed);
        return Err(Failure::user(message, "The reasons are above; the rest is in the vault."));
    }
    Ok(())
}

pub(crate) fn search(text: &str, which: &Which, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    let folders = match &which.folder {
        Some(folder) => Some(vec![shell.folder(folder)?]),
        None => None,
    };
    let query = DocumentQuery {
        folders,
        kind: which.kind.map(Into::into),
        text: text.to_owned(),
        order: Order::Relevance,
        offset: which.page.offset,
        limit: which.page.limit,
    };
    browse(&shell, query, out)
}

pub(crate) fn list(folder: Option<&str>, page: &Page, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    if let Some(folder) = folder {
        let query = DocumentQuery {
            folders: Some(vec![shell.folder(folder)?]),
            offset: page.offset,
            limit: page.limit,
            ..DocumentQuery::default()
        };
        return browse(&shell, query, out);
    }
    for folder in shell.view().folders.iter() {
        let saved = folder.plugin.as_ref().map_or(String::new(), |p| format!("  saved by {p}"));
        out.result(
            folder,
            format!(
                "{:>4}  {:<24} {:>6} {}{saved}",
                folder.id,
                short(&folder.name, 24),
                folder.documents,
                kind_words(folder.kind)
            ),
        );
    }
    Ok(())
}

fn browse(shell: &Shell, query: DocumentQuery, out: Out) -> Outcome {
    let first = query.offset;
    shell.run(Command::Browse(query))?;
    let view = shell.view();
    for head in &view.library.heads {
        out.result(head, line(head));
    }
    let (shown, total) = (view.library.heads.len(), view.library.total);
    if total > shown as u64 {
        note(&format!("{shown} of {total} from {first} on; see --limit and --offset."));
    }
    Ok(())
}

fn line(head: &DocumentHead) -> String {
    let words = if head.title.is_empty() { &head.snippet } else { &head.title };
    format!(
        "{:>5}  {}  {:<6} {:<24} {}",
        head.id,
        day(head.date_secs),
        kind_words(head.kind),
        short(&head.author, 24),
        short(words, 60)
    )
}

const fn kind_words(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Mail => "mail",
        DocumentKind::Note => "note",
        DocumentKind::Code => "code",
        DocumentKind::Saved => "saved",
    }
}

pub(crate) fn show(id: i64, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    shell.run(Command::OpenDocument(DocumentId(id)))?;
    let view = shell.view();
    let Some(document) = &view.document else { return Ok(()) };
    if out.is_json() {
        out.json(&**document);
        return Ok(());
    }
    let head = &document.head;
    out.text(&head.title);
    for (name, value) in
        [("From", &head.author), ("To", &document.recipients), ("Source", &document.source)]
    {
        if !value.is_empty() {
            out.text(format!("{name}: {value}"));
        }
    }
    if head.date_secs.is_some() {
        out.text(format!("Date: {}", day(head.date_secs)));
    }
    for attachment in &document.attachments {
        out.text(format!(
            "Attachment: {} ({}, {} bytes)",
            attachment.name, attachment.media_type, attachment.bytes
        ));
    }
    out.text(format!("\n{}", document.body.trim_end()));
    Ok(())
}

pub(crate) fn delete(id: Option<i64>, folder: Option<&str>, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    match (id, folder) {
        (Some(id), _) => {
            // So that a number that is not there is an error.
            shell.run(Command::OpenDocument(DocumentId(id)))?;
            shell.run(Command::DeleteDocument(DocumentId(id)))?;
            out.result(json!({"deleted": id}), format!("Deleted document {id}."));
        }
        (None, Some(folder)) => {
            let id = shell.folder(folder)?;
            shell.run(Command::DeleteFolder(id))?;
            out.result(json!({"deleted_folder": id}), format!("Deleted folder {folder}."));
        }
        (None, None) => {}
    }
    Ok(())
}
