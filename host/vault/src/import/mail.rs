//! One message: bytes to a draft.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mail_parser::{Address, DateTime, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::reason::Reason;
use super::text::{decode_other, one_line, tidy};
use super::{Read, html};
use crate::documents::Draft;
use crate::{AttachmentHead, DocumentKind};

/// How many forwarded messages deep the text is followed.
const MAX_FORWARD_DEPTH: u32 = 8;

/// Longest text attachment that is searched.
const MAX_SEARCHED_BYTES: usize = 1 << 20;

/// What a message reads as, with its own date in RFC 3339 and whether it has a subject.
pub(super) struct Parsed {
    pub(super) read: Read,
    pub(super) date: Option<String>,
    pub(super) has_subject: bool,
}

/// Reads a message. `fallback_secs` is its date where it gives none.
pub(super) fn read(raw: Vec<u8>, source: String, fallback_secs: Option<i64>) -> Parsed {
    let failed = |reason| Parsed { read: Read::Failed(reason), date: None, has_subject: false };
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Parsed { read: Read::Skipped(Reason::Empty), date: None, has_subject: false };
    }
    // The parsers of mail and HTML are other people's and read what strangers wrote: a fault in them must cost this one
    // message, not the import. Nothing they could leave half-changed outlives the call.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        let (readable, reason) = with_readable_header(&raw);
        let message = Flattened(MessageParser::default().parse(readable.as_ref())?);
        is_mail(&message.0).then(|| {
            let mut content = Content::of(&message.0);
            content.reason = reason.or(content.reason);
            content
        })
    }));
    let content = match parsed {
        Ok(Some(content)) => content,
        Ok(None) => return failed(Reason::NotMail),
        Err(_panic) => return failed(Reason::ParserPanicked),
    };
    let reason = content.reason;
    let (date, has_subject) = (content.date, content.subject.is_some());
    let draft = Draft {
        kind: DocumentKind::Mail,
        title: content.subject.unwrap_or_else(|| "(no subject)".to_owned()),
        author: content.author,
        recipients: content.recipients,
        date_secs: content.date_secs.or(fallback_secs),
        body: content.body,
        extra: content.extra,
        source,
        place: String::new(),
        message_id: content.message_id,
        attachments: content.attachments,
        hash: blake3::hash(&raw),
        original: Some(raw),
        label: None,
    };
    Parsed { read: Read::Draft(Box::new(draft), reason), date, has_subject }
}

/// A message that is taken apart level by level when dropped. Dropping it as it is calls itself once for each message
/// inside a message, and a few megabytes of those would overflow the stack, which nothing can catch.
struct Flattened<'x>(Message<'x>);

impl Drop for Flattened<'_> {
    fn drop(&mut self) {
        let mut parts = std::mem::take(&mut self.0.parts);
        while let Some(part) = parts.pop() {
            if let PartType::Message(mut inner) = part.body {
                parts.append(&mut inner.parts);
            }
        }
    }
}

/// The message with each line of its header in UTF-8. Old programs wrote names and subjects in the charset of their machine, without
/// saying which.
fn with_readable_header(raw: &[u8]) -> (Cow<'_, [u8]>, Option<Reason>) {
    let end = header_end(raw);
    if std::str::from_utf8(&raw[..end]).is_ok() {
        return (Cow::Borrowed(raw), None);
    }
    let (mut readable, mut charset) = (Vec::with_capacity(raw.len() + end), "");
    for line in raw[..end].split_inclusive(|byte| *byte == b'\n') {
        // An encoded word names its charset, for raw bytes in it, too.
        if std::str::from_utf8(line).is_ok() || line.windows(2).any(|two| two == b"=?") {
            readable.extend_from_slice(line);
        } else {
            let (text, name) = decode_other(line);
            readable.extend_from_slice(text.as_bytes());
            charset = name;
        }
    }
    readable.extend_from_slice(&raw[end..]);
    let reason = (!charset.is_empty()).then_some(Reason::HeaderEncoding(charset));
    (Cow::Owned(readable), reason)
}

/// Where the first empty line is.
fn header_end(raw: &[u8]) -> usize {
    let mut end = 0;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if line.iter().all(u8::is_ascii_whitespace) {
            break;
        }
        end += line.len();
    }
    end
}

/// Any file parses as a message of some kind; one without a single header that only mail has is none.
fn is_mail(message: &Message<'_>) -> bool {
    use mail_parser::HeaderName as H;
    message.headers().iter().any(|header| {
        matches!(
            header.name,
            H::From
                | H::To
                | H::Cc
                | H::Bcc
                | H::Subject
                | H::Date
                | H::MessageId
                | H::Received
                | H::ReturnPath
                | H::Sender
                | H::ReplyTo
                | H::MimeVersion
                | H::ContentType
        )
    })
}

/// What is taken from a message.
#[derive(Default)]
struct Content {
    subject: Option<String>,
    author: String,
    recipients: String,
    date: Option<String>,
    date_secs: Option<i64>,
    message_id: Option<String>,
    body: String,
    extra: String,
    attachments: Vec<AttachmentHead>,
    reason: Option<Reason>,
}

impl Content {
    fn of(message: &Message<'_>) -> Self {
        let mut content = Self {
            subject: message.subject().map(one_line).filter(|subject| !subject.is_empty()),
            author: message.from().or(message.sender()).map(addresses).unwrap_or_default(),
            recipients: [message.to(), message.cc()]
                .into_iter()
                .flatten()
                .map(addresses)
                .filter(|list| !list.is_empty())
                .collect::<Vec<_>>()
                .join(", "),
            message_id: message.message_id().map(one_line).filter(|id| !id.is_empty()),
            ..Self::default()
        };
        if let Some(date) = date_of(message) {
            content.date = Some(date.to_rfc3339());
            content.date_secs = Some(date.to_timestamp());
        }
        content.take_text(message, 0);
        content.take_attachments(message);
        content.body.truncate(content.body.trim_end().len());
        content
    }

    /// The text to read: plain where there is plain, else from HTML; then that of forwarded messages.
    fn take_text(&mut self, message: &Message<'_>, depth: u32) {
        let start = self.body.len();
        for part in message.text_bodies() {
            self.take_part(part);
        }
        if self.body[start..].trim().is_empty() {
            self.body.truncate(start);
            for part in message.html_bodies() {
                self.take_part(part);
            }
        }
        if self.body[start..].trim().is_empty() {
            // Broken structures leave their text among the attachments, without a name.
            let unnamed = |part: &&MessagePart<'_>| part.attachment_name().is_none();
            for part in message.attachments().filter(unnamed) {
                self.take_part(part);
            }
        }
        for part in message.attachments() {
            let PartType::Message(inner) = &part.body else { continue };
            if depth == MAX_FORWARD_DEPTH {
                self.note(Reason::DeepForward);
                continue;
            }
            self.body.push_str("\n---------- Forwarded message ----------\n");
            let from = inner.from().map(addresses).unwrap_or_default();
            let date = date_of(inner).map(|date| date.to_rfc3339()).unwrap_or_default();
            let subject = inner.subject().map(one_line).unwrap_or_default();
            for (name, value) in [("From", from), ("Date", date), ("Subject", subject)] {
                if !value.is_empty() {
                    self.body.push_str(&format!("{name}: {value}\n"));
                }
            }
            self.body.push('\n');
            self.take_text(inner, depth + 1);
        }
    }

    fn take_part(&mut self, part: &MessagePart<'_>) {
        let text = match &part.body {
            PartType::Text(text) => tidy(text),
            PartType::Html(source) => {
                let (text, simpler) = html::to_text(source);
                if simpler {
                    self.note(Reason::HardHtml);
                }
                tidy(&text)
            }
            _ => return,
        };
        if part.is_encoding_problem {
            self.note(Reason::MailEncoding);
        }
        self.body.push_str(&text);
        if !self.body.ends_with('\n') {
            self.body.push('\n');
        }
    }

    fn take_attachments(&mut self, message: &Message<'_>) {
        for part in message.attachments() {
            let name = match (&part.body, part.attachment_name()) {
                (_, Some(name)) => one_line(name),
                (PartType::Message(inner), None) => {
                    inner.subject().map(one_line).unwrap_or_default()
                }
                _ => String::new(),
            };
            let (media_type, bytes) = (media_type(part), part.body.len() as u64);
            if part.is_encoding_problem {
                self.note(Reason::MailEncoding);
            }
            self.extra.push_str(&name);
            self.extra.push('\n');
            if let PartType::Text(text) | PartType::Html(text) = &part.body {
                if text.len() <= MAX_SEARCHED_BYTES {
                    self.extra.push_str(&tidy(text));
                    self.extra.push('\n');
                } else {
                    self.note(Reason::LongAttachment);
                }
            }
            self.attachments.push(AttachmentHead { name, media_type, bytes });
        }
    }

    /// The first thing to be said is said.
    fn note(&mut self, reason: Reason) {
        self.reason.get_or_insert(reason);
    }
}

/// The date it gives itself, or that of the last server it passed.
fn date_of(message: &Message<'_>) -> Option<DateTime> {
    let received = || message.received().and_then(mail_parser::Received::date);
    message
        .date()
        .copied()
        .filter(DateTime::is_valid)
        .or_else(|| received().filter(DateTime::is_valid))
}

fn media_type(part: &MessagePart<'_>) -> String {
    match (part.content_type(), &part.body) {
        (Some(kind), _) => match kind.subtype() {
            Some(subtype) => one_line(&format!("{}/{subtype}", kind.ctype())).to_ascii_lowercase(),
            None => one_line(kind.ctype()).to_ascii_lowercase(),
        },
        (None, PartType::Text(_)) => "text/plain".to_owned(),
        (None, PartType::Html(_)) => "text/html".to_owned(),
        (None, PartType::Message(_)) => "message/rfc822".to_owned(),
        _ => "application/octet-stream".to_owned(),
    }
}

/// `Name <address>`, several with commas.
fn addresses(list: &Address<'_>) -> String {
    list.iter()
        .filter_map(|one| {
            let name = one.name().map(one_line).filter(|name| !name.is_empty());
            let address = one.address().map(one_line).filter(|address| !address.is_empty());
            match (name, address) {
                (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
                (name, address) => name.or(address),
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
