//! SentencePiece's BPE: neighbours are merged in the order of the scores of what they make.
//!
//! Kudo and Richardson 2018; the vocabulary lists pieces with scores instead of merges with ranks.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap},
};

use super::vocab::{Kind, byte_of_name};

/// A piece as the model file lists it.
pub(super) struct Piece {
    pub(super) id: u32,
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: Kind,
}

/// The vocabulary of a SentencePiece BPE model.
#[derive(Debug)]
pub(super) struct SentencePiece {
    /// Pieces that text may turn into; control tokens are left out, so text never makes one.
    pieces: HashMap<Box<str>, (u32, f32)>,
    bytes: Box<[Option<u32>; 256]>,
    unknown: Option<u32>,
    space_prefix: bool,
}

impl SentencePiece {
    pub(super) fn new(pieces: Vec<Piece>, unknown: Option<u32>, space_prefix: bool) -> Self {
        let mut bytes = Box::new([None; 256]);
        let mut by_text = HashMap::with_capacity(pieces.len());
        for piece in pieces {
            match piece.kind {
                Kind::Normal | Kind::UserDefined => {
                    by_text.insert(piece.text.into_boxed_str(), (piece.id, piece.score));
                }
                Kind::Byte => {
                    if let Some(byte) = byte_of_name(&piece.text) {
                        bytes[usize::from(byte)] = Some(piece.id);
                    }
                }
                Kind::Control | Kind::Unknown => {}
            }
        }
        Self { pieces: by_text, bytes, unknown, space_prefix }
    }

    pub(super) fn id_of(&self, text: &str) -> Option<u32> {
        self.pieces.get(text).map(|(id, _)| *id)
    }

    /// Bytes that neither a byte token nor the unknown token could stand for.
    pub(super) fn can_spell_all(&self) -> bool {
        self.unknown.is_some() || self.bytes.iter().all(Option::is_some)
    }

    pub(super) fn has_space_prefix(&self) -> bool {
        self.space_prefix
    }

    /// Appends the ids of `text`, which holds no tokens that are recognised by their spelling. Where it
    /// begins a text, vocabularies of this kind want a blank in front.
    pub(super) fn encode(&self, text: &str, begins: bool, ids: &mut Vec<u32>) {
        let mut escaped = String::with_capacity(text.len() + text.len() / 4 + 3);
        if begins && self.space_prefix {
            escaped.push('\u{2581}');
        }
        escaped.extend(text.chars().map(|c| if c == ' ' { '\u{2581}' } else { c }));
        for symbol in self.merge(&escaped) {
            self.push_symbol(&escaped[symbol], ids);
        }
    }

    fn push_symbol(&self, symbol: &str, ids: &mut Vec<u32>) {
        if let Some(id) = self.id_of(symbol) {
            ids.push(id);
            return;
        }
        let spelled = symbol.bytes().map(|b| self.bytes[usize::from(b)]);
        if spelled.clone().all(|id| id.is_some()) {
            ids.extend(spelled.flatten());
        } else {
            ids.extend(self.unknown);
        }
    }

    /// The byte ranges of the symbols that are left when nothing more can be merged.
    fn merge(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        let mut links = Links::of_chars(text);
        let mut queue = BinaryHeap::new();
        for left in 0..links.symbols.len().saturating_sub(1) {
            self.propose(text, &links, left, &mut queue);
        }
        while let Some(merge) = queue.pop() {
            if !links.take(&merge) {
                continue;
            }
            if let Some(before) = links.symbols[merge.left].before {
                self.propose(text, &links, before, &mut queue);
            }
            self.propose(text, &links, merge.left, &mut queue);
        }
        links.symbols.iter().filter(|s| s.start < s.end).map(|s| s.start..s.end).collect()
    }

    /// Queues the merge of `left` with what follows it, where that makes a piece.
    fn propose(&self, text: &str, links: &Links, left: usize, queue: &mut BinaryHeap<Merge>) {
        let Some(right) = links.symbols[left].after else { return };
        let (start, end) = (links.symbols[left].start, links.symbols[right].end);
        if let Some((_, score)) = self.pieces.get(&text[start..end]) {
            queue.push(Merge { score: *score, left, right, end });
        }
    }
}

/// A stretch of text; empty once merged into the symbol before it.
struct Symbol {
    start: usize,
    end: usize,
    before: Option<usize>,
    after: Option<usize>,
}

struct Links {
    symbols: Vec<Symbol>,
}

impl Links {
    fn of_chars(text: &str) -> Self {
        let count = text.chars().count();
        let symbols = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, c))| Symbol {
                start,
                end: start + c.len_utf8(),
                before: index.checked_sub(1),
                after: (index + 1 < count).then_some(index + 1),
            })
            .collect();
        Self { symbols }
    }

    /// Carries out a merge, unless one of its halves has changed since it was queued.
    fn take(&mut self, merge: &Merge) -> bool {
        let left = &self.symbols[merge.left];
        if left.start == left.end
            || left.after != Some(merge.right)
            || self.symbols[merge.right].end != merge.end
        {
            return false;
        }
        let after = self.symbols[merge.right].after;
        self.symbols[merge.right].end = self.symbols[merge.right].start;
        self.symbols[merge.left].end = merge.end;
        self.symbols[merge.left].after = after;
        if let Some(after) = after {
            self.symbols[after].before = Some(merge.left);
        }
        true
    }
}

/// A possible merge; the best score comes first, the leftmost of equals.
struct Merge {
    score: f32,
    left: usize,
    right: usize,
    /// Where the merged symbol ends.
    end: usize,
}

impl Ord for Merge {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Merge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Merge {}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(pieces: &[(&str, f32)]) -> SentencePiece {
        let pieces = pieces
            .iter()
            .zip(0..)
            .map(|((text, score), id)| Piece {
                id,
                text: (*text).into(),
                score: *score,
                kind: Kind::Normal,
            })
            .collect();
        SentencePiece::new(pieces, Some(99), false)
    }

    fn ids(model: &SentencePiece, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        model.encode(text, true, &mut ids);
        ids
    }

    #[test]
    fn better_scores_merge_first() {
        let spm = model(&[("a", -9.0), ("b", -9.0), ("c", -9.0), ("ab", -2.0), ("bc", -1.0)]);
        assert_eq!(ids(&spm, "abc"), [0, 4]);
        assert_eq!(ids(&spm, "ab"), [3]);
        assert_eq!(ids(&spm, ""), [] as [u32; 0]);
    }

    #[test]
    fn equal_scores_merge_from_the_left() {
        let spm = model(&[("a", -9.0), ("aa", -1.0)]);
        assert_eq!(ids(&spm, "aaa"), [1, 0]);
    }

    #[test]
    fn what_cannot_be_spelled_is_unknown() {
        assert_eq!(ids(&model(&[("a", 0.0)]), "aéa"), [0, 99, 0]);
    }
}
