//! Texts and their summaries.

use hearth_base::DocumentId;
use hearth_vault::{Document, DocumentKind};

use super::{Context, Made, asked, is_short, own_words};
use crate::DatasetError;
use crate::mail::MailText;
use crate::notes::Note;
use crate::report::LeftOut;
use crate::split::bare_subject;

/// Most documents that one summary may be of. What depends on more was made from a selection among them.
const MOST_SOURCES: usize = 4;

/// Fewest characters of a text that is worth a summary.
const MIN_TEXT_CHARS: usize = 120;

/// Fewest characters of a summary, and of a subject.
const MIN_SUMMARY_CHARS: usize = 12;
const MIN_SUBJECT_CHARS: usize = 6;

/// Headings under which a note sums itself up.
const SUMMARIES: [&str; 8] = [
    "summary",
    "tl;dr",
    "tldr",
    "abstract",
    "in short",
    "zusammenfassung",
    "kurzfassung",
    "résumé",
];

pub(super) fn of_document(
    context: &Context<'_>,
    document: &Document,
) -> Result<Made, DatasetError> {
    match document.head.kind {
        DocumentKind::Saved => of_saved(context, document),
        DocumentKind::Mail => Ok(of_mail(context, document)),
        DocumentKind::Note => Ok(of_note(context, document)),
        _ => Ok(Err(LeftOut::OtherKind)),
    }
}

/// A saved summary: its label names the documents that it was made from.
fn of_saved(context: &Context<'_>, summary: &Document) -> Result<Made, DatasetError> {
    let own = summary.head.id;
    let sources: Vec<DocumentId> = summary.label.documents().filter(|id| *id != own).collect();
    if sources.is_empty() || sources.len() > MOST_SOURCES {
        return Ok(Err(LeftOut::NoSource));
    }
    if is_short(summary.body.trim(), MIN_SUMMARY_CHARS) {
        return Ok(Err(LeftOut::TooShort));
    }
    let mut draft = context.draft(summary, asked(String::new(), ""));
    let mut texts = Vec::new();
    for id in sources {
        let Some(source) = context.beside(id)? else { return Ok(Err(LeftOut::NoSource)) };
        draft.documents.push((id, context.group(&source)));
        texts.push(text_of(&source));
    }
    // A summary is held out with what it sums up.
    draft.documents[0].1 = draft.documents[1].1;
    let question = format!("Summarise this:\n\n{}", texts.join("\n\n"));
    draft.example = asked(question, summary.body.trim());
    Ok(Ok(vec![draft]))
}

fn of_mail(context: &Context<'_>, document: &Document) -> Made {
    let text = MailText::of(&document.body).own;
    if text.is_empty() {
        return Err(LeftOut::OnlyQuoted);
    }
    let subject = document.head.title.trim();
    let borrowed = bare_subject(subject).len() < subject.len();
    if borrowed || subject == "(no subject)" || is_short(subject, MIN_SUBJECT_CHARS) {
        return Err(LeftOut::NoSubject);
    }
    if is_short(&text, MIN_TEXT_CHARS) {
        return Err(LeftOut::TooShort);
    }
    let question = format!("Write a subject line for this mail:\n\n{text}");
    Ok(vec![context.draft(document, asked(question, subject))])
}

fn of_note(context: &Context<'_>, document: &Document) -> Made {
    let note = Note::of(&document.head.title, &document.body);
    let summary = note
        .sections
        .iter()
        .find(|section| SUMMARIES.contains(&section.heading.to_lowercase().as_str()))
        .ok_or(LeftOut::NoSummary)?;
    let rest = note.text.replacen(summary.text, "", 1);
    let heading = |line: &&str| {
        let bare = line.trim_matches(['#', '*', ':', ' ']).to_lowercase();
        !SUMMARIES.contains(&bare.as_str())
    };
    let rest = rest.lines().filter(heading).collect::<Vec<_>>().join("\n");
    let rest = rest.trim();
    if is_short(rest, MIN_TEXT_CHARS) || is_short(summary.text, MIN_SUMMARY_CHARS) {
        return Err(LeftOut::TooShort);
    }
    let question = format!("Summarise this:\n\n{rest}");
    Ok(vec![context.draft(document, asked(question, summary.text))])
}

fn text_of(source: &Document) -> String {
    match source.head.kind {
        DocumentKind::Mail => own_words(&source.body),
        _ => source.body.trim().to_owned(),
    }
}
