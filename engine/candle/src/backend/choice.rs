//! Answers that must be one of given strings.

use std::collections::BTreeMap;

use hearth_engine_api::EngineError;

use crate::tokenizer::{Special, Tokenizer};

/// The options as a tree of tokens: a path from the root to a node with an answer spells that answer.
///
/// Each option is spelled one way, the way the tokenizer spells it.
#[derive(Debug)]
pub(super) struct Choices {
    nodes: Vec<Node>,
    longest_tokens: usize,
}

#[derive(Debug, Default)]
struct Node {
    next: BTreeMap<u32, usize>,
    /// The option that ends here.
    answer: Option<String>,
}

/// Where in the tree an answer under way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

/// What may come next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// Nothing: the answer is complete.
    Done(&'a str),
    /// This token alone.
    Forced(u32),
    /// One of these tokens; or the end, where there is an answer.
    Open(Vec<u32>, Option<&'a str>),
}

impl Choices {
    pub(super) fn new(tokenizer: &Tokenizer, options: &[String]) -> Result<Self, EngineError> {
        let mut choices = Self { nodes: vec![Node::default()], longest_tokens: 0 };
        if options.is_empty() {
            return Err(EngineError::Invalid { reason: "no options to choose from".into() });
        }
        for option in options {
            let ids = tokenizer.encode(option, Special::Literal)?;
            choices.insert(&ids, option);
        }
        Ok(choices)
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

    /// Length of the longest option.
    pub(super) const fn longest_tokens(&self) -> usize {
        self.longest_tokens
    }

    pub(super) const fn start() -> Place {
        Place(0)
    }

    pub(super) fn next(&self, place: Place) -> Next<'_> {
        let Some(node) = self.nodes.get(place.0) else { return Next::Open(Vec::new(), None) };
        let mut ids = node.next.keys().copied();
        match (&node.answer, ids.len()) {
            (Some(answer), 0) => Next::Done(answer),
            (None, 1) => ids.next().map_or(Next::Open(Vec::new(), None), Next::Forced),
            (answer, _) => Next::Open(ids.collect(), answer.as_deref()),
        }
    }

    pub(super) fn step(&self, place: Place, id: u32) -> Option<Place> {
        self.nodes.get(place.0)?.next.get(&id).copied().map(Place)
    }
}

/// Leaves only `allowed` (and `ends`) of the logits.
pub(super) fn keep_only(logits: &mut [f32], allowed: &[u32], ends: &[u32]) {
    let kept: Vec<(usize, f32)> = allowed
        .iter()
        .chain(ends)
        .filter_map(|&id| logits.get(id as usize).map(|&logit| (id as usize, logit)))
        .collect();
    logits.fill(f32::NEG_INFINITY);
    for (id, logit) in kept {
        if let Some(slot) = logits.get_mut(id) {
            // A broken model's NaN must not leave nothing to choose from.
            *slot = if logit.is_nan() { f32::MIN } else { logit.max(f32::MIN) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(options: &[(&[u32], &str)]) -> Choices {
        let mut choices = Choices { nodes: vec![Node::default()], longest_tokens: 0 };
        for (ids, option) in options {
            choices.insert(ids, option);
        }
        choices
    }

    #[test]
    fn an_option_may_begin_another() {
        let tree = choices(&[(&[1], "no"), (&[1, 2, 3], "no one"), (&[4], "yes")]);
        assert_eq!(tree.longest_tokens(), 3);
        assert_eq!(tree.next(Choices::start()), Next::Open(vec![1, 4], None));
        let no = tree.step(Choices::start(), 1).unwrap();
        assert_eq!(tree.next(no), Next::Open(vec![2], Some("no")));
        let no_one = tree.step(no, 2).unwrap();
        assert_eq!(tree.next(no_one), Next::Forced(3));
        assert_eq!(tree.next(tree.step(no_one, 3).unwrap()), Next::Done("no one"));
        assert_eq!(tree.step(no, 4), None);
    }

    #[test]
    fn options_spelled_alike_are_the_first_of_them() {
        let tree = choices(&[(&[1], "A"), (&[1], "a")]);
        assert_eq!(tree.next(tree.step(Choices::start(), 1).unwrap()), Next::Done("A"));
    }

    #[test]
    fn an_empty_option_is_an_answer() {
        let tree = choices(&[(&[], ""), (&[1], "x")]);
        assert_eq!(tree.next(Choices::start()), Next::Open(vec![1], Some("")));
    }

    #[test]
    fn only_what_is_allowed_keeps_its_logit() {
        let mut logits = [3.0, f32::NAN, 1.0, f32::NEG_INFINITY, 5.0];
        keep_only(&mut logits, &[1, 2, 3], &[9]);
        assert_eq!(logits, [f32::NEG_INFINITY, f32::MIN, 1.0, f32::MIN, f32::NEG_INFINITY]);
    }
}
