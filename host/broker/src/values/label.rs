//! The label of a value on its way through the graph, and what the user reads of it.
//!
//! A selection among documents depends on all of them, and every value made from it does, too. So that many documents
//! are not copied into each of many values, larger sets are shared, and only flattened when a value leaves. What is
//! shared is counted where it was made.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use hearth_base::{DocumentId, Label, Source};

use crate::{escape_words, scope::PERSONAL_WEIGHTS};

/// Titles longer than this are cut, visibly, in the words about a value.
const TITLE_CHARS: usize = 60;
/// Sets of more entries than this are shared; of more shared sets than this, one is made.
const FEW: usize = 8;
/// Taken by an entry of a set.
const ENTRY_BYTES: usize = 64;

type Titles = BTreeMap<DocumentId, Arc<str>>;

/// Everything a value depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    /// What it was made of and chosen among, as far as that is not shared.
    own: Label,
    /// What else it was made of and chosen among.
    shared: Vec<Arc<Label>>,
    /// The documents it was made of, with their titles, for the words.
    content: Titles,
    /// More of these.
    shared_content: Vec<Arc<Titles>>,
    notes: Notes,
    /// Entries of shared sets that were made for this flow. Joining does not hand it on.
    made_entries: usize,
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

    pub(crate) fn join(&mut self, other: &Self) {
        self.own.join(&other.own);
        add_shared(&mut self.shared, &other.shared);
        self.content.extend(other.content.iter().map(|(id, title)| (*id, Arc::clone(title))));
        add_shared(&mut self.shared_content, &other.shared_content);
        self.notes.in_pieces |= other.notes.in_pieces;
        self.notes.ends_early |= other.notes.ends_early;
        self.notes.left_out |= other.notes.left_out;
    }

    pub(crate) fn join_label(&mut self, label: &Label) {
        self.own.join(label);
    }

    /// A choice among all that `whole` stands for.
    pub(crate) fn join_selection(&mut self, whole: Label) {
        self.made_entries += whole.sources.len() + whole.origins.len();
        self.shared.push(Arc::new(whole));
    }

    /// The same dependence, but on all of it: of a choice made by looking at these values. How they were read says nothing
    /// of what was chosen.
    pub(crate) fn into_selection(self) -> Self {
        let notes = Notes { left_out: self.notes.left_out, ..Notes::default() };
        Self { content: Titles::new(), shared_content: Vec::new(), notes, ..self }
    }

    /// Has larger sets shared by all flows that this one is joined to, or that are cloned from it, from now on.
    pub(crate) fn share(&mut self) {
        if self.own.sources.len() + self.own.origins.len() > FEW {
            self.join_selection_of_own();
        }
        if self.shared.len() > FEW {
            let all = self.label();
            self.shared.clear();
            self.own = Label::public();
            self.join_selection(all);
        }
        if self.content.len() > FEW || self.shared_content.len() > FEW {
            let mut all = std::mem::take(&mut self.content);
            if self.shared_content.len() >= FEW {
                for titles in self.shared_content.drain(..) {
                    all.extend(titles.iter().map(|(id, title)| (*id, Arc::clone(title))));
                }
            }
            self.made_entries += all.len();
            self.shared_content.push(Arc::new(all));
        }
    }

    fn join_selection_of_own(&mut self) {
        let own = std::mem::take(&mut self.own);
        self.join_selection(own);
    }

    /// Bytes it takes by itself: what others made and it shares is not counted again.
    pub(crate) fn bytes(&self) -> usize {
        let own = self.own.sources.len() + self.own.origins.len() + self.content.len();
        (self.made_entries + own) * ENTRY_BYTES
    }

    fn labels(&self) -> impl Iterator<Item = &Label> {
        self.shared.iter().map(AsRef::as_ref).chain([&self.own])
    }

    /// The whole label.
    pub(crate) fn label(&self) -> Label {
        Label::joined(self.labels())
    }

    fn contents(&self) -> impl Iterator<Item = &Titles> {
        self.shared_content.iter().map(AsRef::as_ref).chain([&self.content])
    }

    /// Documents in its label. Most are in one set, which is not copied.
    fn count_documents(&self) -> usize {
        let mut sets: Vec<&BTreeSet<Source>> = self.labels().map(|label| &label.sources).collect();
        sets.sort_by_key(|set| Reverse(set.len()));
        let Some((largest, rest)) = sets.split_first() else { return 0 };
        let more = rest.iter().flat_map(|set| set.iter()).filter(|s| !largest.contains(*s));
        let more: BTreeSet<&Source> = more.filter(|s| matches!(s, Source::Document(_))).collect();
        largest.len() - others(largest).count() + more.len()
    }

    /// Documents that it was made of, counted likewise.
    fn count_content(&self) -> usize {
        let mut sets: Vec<&Titles> = self.contents().collect();
        sets.sort_by_key(|set| Reverse(set.len()));
        let Some((largest, rest)) = sets.split_first() else { return 0 };
        let more = rest.iter().flat_map(|set| set.keys()).filter(|id| !largest.contains_key(id));
        largest.len() + more.collect::<BTreeSet<_>>().len()
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

    /// The documents that it was made of.
    pub(crate) fn made_of(&self) -> BTreeSet<DocumentId> {
        self.contents().flat_map(|titles| titles.keys().copied()).collect()
    }

    /// The title of the one document it was made of, if it is one.
    pub(crate) fn only_title(&self) -> Option<&str> {
        match self.count_content() {
            1 => self.contents().flat_map(|titles| titles.values()).next().map(AsRef::as_ref),
            _ => None,
        }
    }

    /// What it was made from, for the user: `made by Mail digest from “Re: Tuesday”`.
    pub(crate) fn words(&self, plugin_name: &str) -> String {
        let mut words = format!("made by {plugin_name}");
        // Writing to a string cannot fail.
        let mut say = |text: std::fmt::Arguments<'_>| words.write_fmt(text).ok();
        let among = self.count_documents();
        let content = self.count_content();
        let beside: BTreeSet<&Source> = self.labels().flat_map(|l| others(&l.sources)).collect();
        match (content, self.only_title()) {
            (0, _) if among > 0 => say(format_args!(" from {}", documents(among))),
            (0, _) => None,
            (1, Some(title)) => say(format_args!(" from “{}”", short(title))),
            _ => say(format_args!(" from {}", documents(content))),
        };
        if content > 0 && among > content {
            say(format_args!(", chosen among {}", documents(among)));
        }
        if beside.contains(&Source::UserInput) {
            let also = if among > 0 { " and" } else { " from" };
            say(format_args!("{also} what you entered"));
        }
        let models = beside.iter().filter_map(|source| match source {
            Source::PrivateModel(name) => Some(name.as_str()),
            _ => None,
        });
        let (personal, named): (Vec<&str>, Vec<&str>) =
            models.partition(|name| *name == PERSONAL_WEIGHTS);
        for name in &named {
            say(format_args!(", with the private model {}", escape_words(name)));
        }
        if named.is_empty() && !personal.is_empty() {
            say(format_args!(", with personal weights"));
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

fn add_shared<T>(mine: &mut Vec<Arc<T>>, others: &[Arc<T>]) {
    for other in others {
        if !mine.iter().any(|one| Arc::ptr_eq(one, other)) {
            mine.push(Arc::clone(other));
        }
    }
}

/// Whatever is no document. Documents come first in the order of sources.
fn others(sources: &BTreeSet<Source>) -> impl Iterator<Item = &Source> {
    sources.range(Source::UserInput..)
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
        assert_eq!(selection.words("Digest"), "made by Digest from 2 documents");
        assert_eq!(selection.only_title(), None);
    }

    fn many(ids: std::ops::Range<i64>) -> Flow {
        let mut flow = Flow::default();
        for id in ids {
            flow.join(&document(id, "title"));
        }
        flow
    }

    #[test]
    fn sharing_changes_neither_label_nor_words() {
        let mut flow = many(0..1000);
        let plain = flow.clone();
        flow.share();
        let mut joined = Flow::default();
        for _ in 0..2 {
            joined.join(&flow);
            joined.join(&document(1000, "one more"));
        }
        let mut expected = plain.clone();
        expected.join(&document(1000, "one more"));
        for flow in [&flow, &flow.clone().into_selection()] {
            assert_eq!(flow.label(), plain.label());
            assert_eq!(flow.words("Digest"), plain.words("Digest"));
        }
        assert_eq!(joined.label(), expected.label());
        assert_eq!(joined.words("Digest"), "made by Digest from 1001 documents");
    }

    #[test]
    fn what_is_shared_is_counted_once() {
        let mut flow = many(0..1000);
        flow.share();
        assert!(flow.bytes() >= 2000 * ENTRY_BYTES, "{}", flow.bytes());
        let mut made_of_it = document(1000, "one more");
        made_of_it.join(&flow);
        made_of_it.share();
        assert!(made_of_it.bytes() <= FEW * ENTRY_BYTES, "{}", made_of_it.bytes());
    }

    #[test]
    fn many_shared_sets_become_one() {
        let mut flow = Flow::default();
        for n in 0..100 {
            let mut part = many(n * 10..n * 10 + 10);
            part.share();
            flow.join(&part);
        }
        let (label, words) = (flow.label(), flow.words("Digest"));
        flow.share();
        assert_eq!((flow.label(), flow.words("Digest")), (label, words));
        assert!(flow.shared.len() <= FEW && flow.shared_content.len() <= FEW);
    }
}
