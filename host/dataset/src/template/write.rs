//! Mail and notes in the user's own manner.

use hearth_base::DocumentId;
use hearth_vault::{Document, DocumentKind};

use super::{Context, Draft, MIN_ANSWER_CHARS, Made, asked, beginning, is_short, own_words};
use crate::DatasetError;
use crate::mail::MailText;
use crate::notes::Note;
use crate::people::{self, Person};
use crate::report::LeftOut;
use crate::split::bare_subject;

/// Most characters of the mail replied to.
const REPLIED_TO_CHARS: usize = 2000;

/// Bytes of a message in which its header is looked for.
const HEADER_BYTES: u32 = 64 << 10;

pub(super) fn of_document(
    context: &Context<'_>,
    document: &Document,
    me: &[String],
) -> Result<Made, DatasetError> {
    match document.head.kind {
        DocumentKind::Mail if !Person::parse(&document.head.author).is_one_of(me) => {
            Ok(Err(LeftOut::NotMine))
        }
        DocumentKind::Mail => of_mail(context, document, me),
        // What was saved is here only where the user added it by hand, as theirs.
        DocumentKind::Note | DocumentKind::Saved => Ok(of_note(context, document)),
        _ => Ok(Err(LeftOut::OtherKind)),
    }
}

fn of_note(context: &Context<'_>, document: &Document) -> Made {
    let note = Note::of(&document.head.title, &document.body);
    if is_short(note.text, MIN_ANSWER_CHARS) {
        return Err(LeftOut::TooShort);
    }
    let question = format!("Write a note titled \"{}\".", note.title);
    Ok(vec![context.draft(document, asked(question, note.text))])
}

fn of_mail(
    context: &Context<'_>,
    document: &Document,
    me: &[String],
) -> Result<Made, DatasetError> {
    let text = MailText::of(&document.body);
    if text.own.is_empty() {
        return Ok(Err(LeftOut::OnlyQuoted));
    }
    if is_short(&text.own, MIN_ANSWER_CHARS) {
        return Ok(Err(LeftOut::TooShort));
    }
    let title = document.head.title.trim();
    let subject = if title == "(no subject)" { "" } else { title };
    let answers = bare_subject(subject).len() < subject.len() || !text.quoted.is_empty();
    let recipients = people::called(&Person::parse_list(&document.recipients));
    if text.forwards {
        let question = forward(&recipients, bare_subject(subject));
        return Ok(Ok(vec![context.draft(document, asked(question, &text.own))]));
    }
    let original = if answers { original_of(context, document)? } else { None };
    let mut draft = context.draft(document, asked(String::new(), &text.own));
    let question = match &original {
        Some(original) => {
            draft.documents.push((original.head.id, context.group(original)));
            let author = Person::parse(&original.head.author);
            let from = match author.called() {
                _ if author.is_one_of(me) => "Follow up on this mail of mine".to_owned(),
                "" => "Reply to this mail".to_owned(),
                name => format!("Reply to this mail from {name}"),
            };
            reply(&mut draft, &from, &own_words(&original.body))
        }
        None if !text.quoted.is_empty() => {
            // Whose words are quoted is not told for certain: it need not be who is written to.
            reply(&mut draft, "Reply to this mail", &text.quoted)
        }
        None if answers => reply_blind(&recipients, bare_subject(subject)),
        None => write(&recipients, subject),
    };
    draft.example = asked(question, &text.own);
    Ok(Ok(vec![draft]))
}

fn write(to: &str, subject: &str) -> String {
    match (to.is_empty(), subject.is_empty()) {
        (false, false) => format!("Write a mail to {to} with the subject \"{subject}\"."),
        (true, false) => format!("Write a mail with the subject \"{subject}\"."),
        (false, true) => format!("Write a mail to {to}."),
        (true, true) => "Write a mail.".to_owned(),
    }
}

fn forward(to: &str, subject: &str) -> String {
    let to = if to.is_empty() { String::new() } else { format!(" to {to}") };
    let about = if subject.is_empty() { String::new() } else { format!(" \"{subject}\"") };
    format!("Write a few lines{to} to go with the forwarded mail{about}.")
}

fn reply(draft: &mut Draft, request: &str, original: &str) -> String {
    let (shown, shortened) = beginning(original, REPLIED_TO_CHARS);
    draft.shortened |= shortened;
    let end = if shortened { "\n[…]" } else { "" };
    format!("{request}:\n\n{shown}{end}")
}

fn reply_blind(to: &str, subject: &str) -> String {
    let to = if to.is_empty() { String::new() } else { format!(" to {to}") };
    let about = if subject.is_empty() { String::new() } else { format!(" about \"{subject}\"") };
    format!("Write a reply{to}{about}.")
}

/// The mail that another is the reply to, if the vault holds it.
fn original_of(
    context: &Context<'_>,
    document: &Document,
) -> Result<Option<Document>, DatasetError> {
    let header = context.vault.raw_start(document.head.id, HEADER_BYTES)?;
    for message_id in replied_to(&String::from_utf8_lossy(&header)) {
        let found: Option<DocumentId> = context.vault.document_of_message(&message_id)?;
        if let Some(id) = found.filter(|id| *id != document.head.id) {
            return context.beside(id);
        }
    }
    Ok(None)
}

/// Message-ids that a header names as what it replies to, the nearest first.
fn replied_to(header: &str) -> Vec<String> {
    let (mut direct, mut others) = (Vec::new(), Vec::new());
    let mut name = String::new();
    for line in header.lines() {
        if line.trim().is_empty() {
            break;
        }
        let folded = line.starts_with([' ', '\t']);
        let value = if folded { line } else { line.split_once(':').map_or("", |(_, value)| value) };
        if !folded {
            name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        }
        let ids = value.split('<').skip(1).filter_map(|part| part.split('>').next());
        let ids = ids.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        match name.as_str() {
            "in-reply-to" => direct.extend(ids),
            "references" => others.extend(ids),
            _ => {}
        }
    }
    // Of the references the last is the nearest. Few suffice: a header may name thousands.
    direct.extend(others.into_iter().rev());
    direct.truncate(4);
    direct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replied_to_is_named_by_the_header() {
        let header = "Subject: x\r\nReferences: <a@x>\r\n <b@x> <c@x>\r\nIn-Reply-To: <c@x>\r\n\r\nIn-Reply-To: <no@x>\r\n";
        assert_eq!(replied_to(header), ["c@x", "c@x", "b@x", "a@x"]);
        assert!(replied_to("In-Reply-To: your message\nReferences:\n").is_empty());
    }

    #[test]
    fn requests_name_what_there_is() {
        assert_eq!(write("Ann", "Keys"), "Write a mail to Ann with the subject \"Keys\".");
        assert_eq!(write("", ""), "Write a mail.");
        assert_eq!(reply_blind("Ann", ""), "Write a reply to Ann.");
        let with = "Write a few lines to Ann to go with the forwarded mail \"Keys\".";
        assert_eq!(forward("Ann", "Keys"), with);
    }
}
