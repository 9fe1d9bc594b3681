//! From documents to examples.

mod chats;
mod code;
mod questions;
mod summaries;
mod write;

use hearth_base::DocumentId;
use hearth_engine_api::{ChatMessage, Example, Role};
use hearth_vault::{Document, DocumentKind, Vault};

use crate::recipe::{Recipe, Template};
use crate::report::LeftOut;
use crate::split::{Draw, Group};
use crate::{DatasetError, mail};

pub(crate) use chats::of_conversation;

/// Fewest characters of an answer, unless the template says otherwise.
const MIN_ANSWER_CHARS: usize = 16;

/// An example that is not yet in a dataset.
pub(crate) struct Draft {
    pub(crate) example: Example,
    /// Documents whose words are in it, with the group of each; the one it was made of first.
    pub(crate) documents: Vec<(DocumentId, Group)>,
    /// Whether less is shown than there is before what is learnt.
    pub(crate) shortened: bool,
}

/// What came of a document.
pub(crate) type Made = Result<Vec<Draft>, LeftOut>;

/// What templates work with.
pub(crate) struct Context<'a> {
    pub(crate) vault: &'a Vault,
    pub(crate) recipe: &'a Recipe,
    pub(crate) draw: &'a Draw,
}

impl Context<'_> {
    /// Makes examples of a document.
    pub(crate) fn of_document(&self, document: &Document) -> Result<Made, DatasetError> {
        if document.body.trim().is_empty() {
            return Ok(Err(LeftOut::Empty));
        }
        match &self.recipe.template {
            Template::WriteLikeMe { me } => write::of_document(self, document, me),
            Template::AnswerFromNotes => Ok(questions::of_document(self, document)),
            Template::SummariseLikeThis => summaries::of_document(self, document),
            Template::CompleteCode => Ok(code::of_document(self, document)),
            Template::Plain => Ok(self.plain(document)),
            Template::Imported { .. } => Ok(Err(LeftOut::OtherKind)),
        }
    }

    fn plain(&self, document: &Document) -> Made {
        let text = document.body.trim();
        if text.chars().count() < MIN_ANSWER_CHARS {
            return Err(LeftOut::TooShort);
        }
        Ok(vec![self.draft(document, Example::Text(text.to_owned()))])
    }

    fn draft(&self, document: &Document, example: Example) -> Draft {
        let documents = vec![(document.head.id, self.group(document))];
        Draft { example, documents, shortened: false }
    }

    pub(crate) fn group(&self, document: &Document) -> Group {
        if document.head.kind == DocumentKind::Mail {
            self.draw.mail(document.head.id, &document.head.title)
        } else {
            self.draw.document(document.head.id)
        }
    }

    /// Another document that an example shows, unless it is left out by hand or gone.
    fn beside(&self, id: DocumentId) -> Result<Option<Document>, DatasetError> {
        if self.recipe.without.contains(&id) {
            return Ok(None);
        }
        Ok(self.vault.document(id)?)
    }
}

/// A question and its answer.
fn asked(question: String, answer: &str) -> Example {
    Example::Chat(vec![
        ChatMessage::new(Role::User, question),
        ChatMessage::new(Role::Assistant, answer),
    ])
}

fn is_short(answer: &str, least: usize) -> bool {
    answer.chars().nth(least.saturating_sub(1)).is_none()
}

/// A mail's own words, or all of it where it has none of its own.
fn own_words(body: &str) -> String {
    let text = mail::MailText::of(body);
    if text.own.is_empty() { text.quoted } else { text.own }
}

/// The beginning of a text, cut at a line or a word, and whether anything was cut.
fn beginning(text: &str, most_chars: usize) -> (&str, bool) {
    let Some((end, _)) = text.char_indices().nth(most_chars) else { return (text, false) };
    let start = &text[..end];
    let at =
        start.rfind('\n').filter(|at| *at > end / 2).or_else(|| start.rfind(' ')).unwrap_or(end);
    (start[..at].trim_end(), true)
}
