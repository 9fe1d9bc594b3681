//! Questions about what notes say.

use hearth_vault::{Document, DocumentKind};

use super::{Context, Made, asked, is_short};
use crate::notes::{self, Note};
use crate::report::LeftOut;

/// Longest note that is an answer as a whole, where its sections are answers of their own.
const WHOLE_NOTE_CHARS: usize = 4000;

/// Fewest characters of an answer.
const MIN_CHARS: usize = 12;

pub(super) fn of_document(context: &Context<'_>, document: &Document) -> Made {
    if !matches!(document.head.kind, DocumentKind::Note | DocumentKind::Saved) {
        return Err(LeftOut::OtherKind);
    }
    let note = Note::of(&document.head.title, &document.body);
    let title = &note.title;
    let mut pairs = Vec::new();
    if note.sections.is_empty() || is_short(note.text, WHOLE_NOTE_CHARS) {
        pairs.push((format!("What do my notes say about {title}?"), note.text));
    } else {
        pairs.push((format!("How do my notes on {title} begin?"), note.intro));
    }
    for section in &note.sections {
        let heading = section.heading;
        pairs.push((format!("What do my notes on {title} say about {heading}?"), section.text));
    }
    let points = notes::points(note.text);
    for (name, words) in &points {
        pairs.push((format!("What do my notes on {title} say about {name}?"), words));
    }
    pairs.retain(|(_, answer)| !is_short(answer, MIN_CHARS));
    if pairs.is_empty() {
        return Err(LeftOut::TooShort);
    }
    let draft = |(question, answer)| context.draft(document, asked(question, answer));
    Ok(pairs.into_iter().map(draft).collect())
}
