//! Answers that must be one of given strings.

use std::collections::BTreeMap;

use hearth_engine_api::EngineError;

use super::guide::{Allowed, Guide, Mask, Vocabulary};
use crate::tokenizer::Special;

/// The options as a tree of tokens: a path from the root to a node with an answer spells that answer.
///
/// Each option is spelled one way, the way the tokenizer spells it.
#[derive(Debug)]
pub(super) struct Choices {
    nodes: Vec<Node>,
    longest_tokens: usize,
    /// Whether anything can mark the end of an answer that others go on from.
    has_end: bool,
    /// Where the answer is.
    place: usize,
    /// What may come next, as [`Mask`] has it.
    words: Vec<u32>,
}

#[derive(Debug, Default)]
struct Node {
    next: BTreeMap<u32, usize>,
    /// The option that ends here.
    answer: Option<String>,
}

impl Choices {
    pub(super) fn new(vocabulary: Vocabulary<'_>, options: &[String]) -> Result<Self, EngineError> {
        if options.is_empty() {
            return Err(EngineError::Invalid { reason: "no options to choose from".into() });
        }
        let mut choices = Self::empty(!vocabulary.ends.is_empty());
        for option in options {
            let ids = vocabulary.tokenizer.encode(option, Special::Literal)?;
            choices.insert(&ids, option);
        }
        Ok(choices)
    }

    fn empty(has_end: bool) -> Self {
        Self { nodes: vec![Node::default()], longest_tokens: 0, has_end, place: 0, words: vec![] }
    }

    fn insert(&mut self, ids: &[u32], option: &str) {
        self.longest_tokens = self.longest_tokens.max(ids.len());
        let mut at = 0;
        for &id in ids {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = *node.next.entry(id).or_insert(fresh);
            if at == fresh {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            // Two options spelled alike cannot be told apart; the first stands.
            node.answer.get_or_insert_with(|| option.to_owned());
        }
    }
}

impl Guide for Choices {
    fn next(&mut self) -> Result<Allowed<'_>, EngineError> {
        let Self { nodes, words, has_end, .. } = self;
        let node = nodes.get(self.place).ok_or_else(nowhere)?;
        let mut ids = node.next.keys().copied();
        match (&node.answer, ids.len()) {
            (Some(_), 0) => Ok(Allowed::Done),
            // The shorter option stands.
            (Some(_), _) if !*has_end => Ok(Allowed::Done),
            (None, 1) => Ok(Allowed::Forced(ids.collect())),
            (answer, _) => {
                words.clear();
                let bits = ids.next_back().map_or(0, |last| last as usize + 1);
                words.resize(bits.div_ceil(u32::BITS as usize), 0);
                for &id in node.next.keys() {
                    if let Some(word) = words.get_mut((id / u32::BITS) as usize) {
                        *word |= 1 << (id % u32::BITS);
                    }
                }
                Ok(Allowed::Mask(Mask { words, may_end: answer.is_some() }))
            }
        }
    }

    fn accept(&mut self, id: u32) -> Result<(), EngineError> {
        let node = self.nodes.get(self.place).ok_or_else(nowhere)?;
        self.place = node.next.get(&id).copied().ok_or_else(nowhere)?;
        Ok(())
    }

    fn least_tokens(&self) -> usize {
        self.longest_tokens.max(1)
    }

    fn tells_at_end(&self) -> bool {
        true
    }

    fn whole(&self) -> Option<&str> {
        self.nodes.get(self.place)?.answer.as_deref()
    }
}

fn nowhere() -> EngineError {
    EngineError::Compute {
        op: "choosing an option",
        reason: "a token was drawn that leads nowhere".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(options: &[(&[u32], &str)]) -> Choices {
        let mut choices = Choices::empty(true);
        for (ids, option) in options {
            choices.insert(ids, option);
        }
        choices
    }

    #[test]
    fn an_option_may_begin_another() {
        let mut tree = choices(&[(&[1], "no"), (&[1, 2, 3], "no one"), (&[40], "yes")]);
        assert_eq!(tree.least_tokens(), 3);
        let first = Mask { words: &[2, 1 << 8], may_end: false };
        assert_eq!(tree.next().unwrap(), Allowed::Mask(first));
        tree.accept(1).unwrap();
        assert_eq!(tree.next().unwrap(), Allowed::Mask(Mask { words: &[4], may_end: true }));
        assert_eq!(tree.whole(), Some("no"));
        tree.accept(2).unwrap();
        assert_eq!(tree.next().unwrap(), Allowed::Forced(vec![3]));
        assert!(tree.accept(4).is_err());
        tree.accept(3).unwrap();
        assert_eq!(tree.next().unwrap(), Allowed::Done);
        assert_eq!(tree.whole(), Some("no one"));
    }

    #[test]
    fn options_spelled_alike_are_the_first_of_them() {
        let mut tree = choices(&[(&[1], "A"), (&[1], "a")]);
        tree.accept(1).unwrap();
        assert_eq!(tree.whole(), Some("A"));
    }

    #[test]
    fn an_empty_option_is_an_answer() {
        let mut tree = choices(&[(&[], ""), (&[1], "x")]);
        assert_eq!(tree.next().unwrap(), Allowed::Mask(Mask { words: &[2], may_end: true }));
        assert_eq!(tree.whole(), Some(""));
    }

    #[test]
    fn where_nothing_marks_the_end_the_shorter_option_stands() {
        let mut tree = Choices { has_end: false, ..choices(&[(&[1], "no"), (&[1, 2], "now")]) };
        tree.accept(1).unwrap();
        assert_eq!(tree.next().unwrap(), Allowed::Done);
    }
}
