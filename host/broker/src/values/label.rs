//! The label of a value on its way through the graph, and what the user reads of it.
//!
//! A selection among documents depends on all of them, and every value made from it does, too. So that a slot of many
//! thousand documents is not copied into each value, such labels are shared and only flattened when a value leaves.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use hearth_base::{DocumentId, Label, Source};

use crate::escape_words;

/// Titles longer than this are cut, visibly, in the words about a value.
const TITLE_CHARS: usize = 60;

/// Everything a value depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    /// What it was made of.
    own: Label,
    /// What was chosen among.
    whole: Vec<Arc<Label>>,
    /// The documents it was made of, with their titles, for the words.
    content: BTreeMap<DocumentId, Arc<str>>,
    notes: Notes,
}

/// What the user must know of how a value was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Notes {
    in_pieces: bool,
    ends_early: bool,
    left_out: bool,
}

impl Flow {
    pub(crate) fn of(label: Label) -> Self {
        Self { own: label, ..Self::default() }
    }

    /// A document's own content.
    pub(crate) fn document(id: DocumentId, title: &str, label: Label) -> Self {
        Self { own: label, content: BTreeMap::from([(id, title.into())]), ..Self::default() }
    }

    /// A choice among all that `whole` stands for.
    pub(crate) fn selection(whole: Label) -> Self {
        Self { whole: vec![Arc::new(whole)], ..Self::default() }
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.own.join(&other.own);
        for whole in &other.whole {
            if !self.whole.iter().any(|mine| Arc::ptr_eq(mine, whole)) {
                self.whole.push(Arc::clone(whole));
            }
        }
        self.content.extend(other.content.iter().map(|(id, title)| (*id, Arc::clone(title))));
        self.notes.in_pieces |= other.notes.in_pieces;
        self.notes.ends_early |= other.notes.ends_early;
        self.notes.left_out |= other.notes.left_out;
    }

    pub(crate) fn join_label(&mut self, label: &Label) {
        self.own.join(label);
    }

    /// The same dependence, but on all of it: of a choice made by looking at these values.
    pub(crate) fn into_selection(self) -> Self {
        let notes = self.notes;
        Self { notes, ..Self::selection(self.label()) }
    }

    /// The whole label.
    pub(crate) fn label(&self) -> Label {
        Label::joined(self.whole.iter().map(AsRef::as_ref).chain([&self.own]))
    }

    /// A text was longer than the model's context and was read in pieces.
    pub(crate) fn note_in_pieces(&mut self) {
        self.notes.in_pieces = true;
    }

    /// The answer stopped at the length that was asked for.
    pub(crate) fn note_ends_early(&mut self) {
        self.notes.ends_early = true;
    }

    /// Parts that could not be made were passed over.
    pub(crate) fn note_left_out(&mut self) {
        self.notes.left_out = true;
    }

    pub(crate) fn has_left_out(&self) -> bool {
        self.notes.left_out
    }

    /// The title of the one document it was made of, if it is one.
    pub(crate) fn only_title(&self) -> Option<&str> {
        match self.content.len() {
            1 => self.content.values().next().map(AsRef::as_ref),
            _ => None,
        }
    }

    /// What it was made from, for the user: `made by Mail digest from “Re: Tuesday”`.
    pub(crate) fn words(&self, plugin_name: &str) -> String {
        let mut words = format!("made by {plugin_name}");
        let label = self.label();
        // Writing to a string cannot fail.
        let mut say = |text: std::fmt::Arguments<'_>| words.write_fmt(text).ok();
        let among = label.documents().count();
        let content = self.content.len();
        match (content, self.only_title()) {
            (0, _) if among > 0 => say(format_args!(" from {}", documents(among))),
            (0, _) => None,
            (1, Some(title)) => say(format_args!(" from “{}”", short(title))),
            _ => say(format_args!(" from {}", documents(content))),
        };
        if content > 0 && among > content {
            say(format_args!(", chosen among {}", documents(among)));
        }
        if label.sources.contains(&Source::UserInput) {
            let also = if among > 0 { " and" } else { " from" };
            say(format_args!("{also} what you entered"));
        }
        for source in &label.sources {
            if let Source::PrivateModel(name) = source {
                say(format_args!(", with the private model {}", escape_words(name)));
            }
        }
        if self.notes.in_pieces {
            say(format_args!("; read in pieces, being longer than the model's context"));
        }
        if self.notes.ends_early {
            say(format_args!("; it ends where the length asked for was reached"));
        }
        if self.notes.left_out {
            say(format_args!("; parts that could not be made are left out"));
        }
        words
    }
}

fn documents(count: usize) -> String {
    if count == 1 { "1 document".into() } else { format!("{count} documents") }
}

fn short(title: &str) -> String {
    let title = escape_words(title);
    if title.trim().is_empty() {
        return "untitled".into();
    }
    match title.char_indices().nth(TITLE_CHARS) {
        Some((end, _)) => format!("{}…", &title[..end]),
        None => title,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_base::Origin;
    use std::collections::BTreeSet;

    fn document(id: i64, title: &str) -> Flow {
        let label = Label::document(DocumentId(id), BTreeSet::from([Origin::External]));
        Flow::document(DocumentId(id), title, label)
    }

    #[test]
    fn words_say_where_a_value_comes_from() {
        let words = |flow: &Flow| flow.words("Digest");
        assert_eq!(words(&Flow::default()), "made by Digest");
        let mut flow = document(1, "Re: Tues\u{202e}day");
        assert_eq!(words(&flow), r"made by Digest from “Re: Tues\u{202e}day”");
        flow.join(&document(2, "Other"));
        assert_eq!(words(&flow), "made by Digest from 2 documents");
        flow.join(&document(3, "Third").into_selection());
        assert_eq!(words(&flow), "made by Digest from 2 documents, chosen among 3 documents");
        let mut input = Flow::of(Label { sources: [Source::UserInput].into(), ..Label::public() });
        assert_eq!(words(&input), "made by Digest from what you entered");
        input.join_label(&Label {
            sources: [Source::PrivateModel("tuned".into())].into(),
            ..Label::public()
        });
        assert!(words(&input).ends_with(", with the private model tuned"));
        let long = document(1, &"x".repeat(100));
        assert!(words(&long).ends_with("xxx…”"));
    }

    #[test]
    fn a_selection_keeps_the_whole_label() {
        let mut flow = document(1, "a");
        flow.join(&document(2, "b"));
        let whole = flow.label();
        let selection = flow.into_selection();
        assert_eq!(selection.label(), whole);
        let mut both = selection.clone();
        both.join(&selection);
        assert_eq!(both.whole.len(), 1, "shared labels are not doubled");
        assert_eq!(both.label(), whole);
    }
}
