//! What each token id stands for, and which tokens are written as such in a text.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use hearth_engine_api::LoadError;

use super::malformed;

/// Ids above this are refused: no known model comes near, and tables are indexed by id.
pub(super) const MAX_TOKENS: usize = 1 << 22;
/// The tokens recognised by their spelling, together. Those in use have up to a third.
const MAX_SPELLED_BYTES: usize = 256 << 10;
const FAST_SPELLED_BYTES: usize = 4 << 10;

/// How a token may come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Made by the algorithm out of ordinary text.
    Normal,
    /// Steers the model; only a template or the engine may put it.
    Control,
    /// A string that is always one token, such as a run of blanks or a tag.
    UserDefined,
    /// Stands for a single byte.
    Byte,
    /// Stands for what the vocabulary cannot spell.
    Unknown,
}

/// One token.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What it adds to a text; for [`Kind::Control`] its own name, which is not shown.
    pub(super) bytes: Box<[u8]>,
    pub(super) kind: Kind,
}

/// A token that is recognised by its spelling.
#[derive(Clone, Debug)]
pub(super) struct Spelled {
    pub(super) id: u32,
    pub(super) text: String,
    pub(super) kind: Kind,
    /// Swallows blanks to its left.
    pub(super) strip_left: bool,
    /// Swallows blanks to its right.
    pub(super) strip_right: bool,
    /// Counts only where no word character touches it.
    pub(super) single_word: bool,
}

impl Spelled {
    pub(super) fn new(id: u32, text: impl Into<String>, kind: Kind) -> Self {
        Self {
            id,
            text: text.into(),
            kind,
            strip_left: false,
            strip_right: false,
            single_word: false,
        }
    }

    /// Whether it is a control token or its like, or a user-defined tag rather than a stretch of ordinary text.
    fn is_markup(&self) -> bool {
        if matches!(self.kind, Kind::Control | Kind::Unknown) {
            return true;
        }
        let text = self.text.trim();
        let pair = |open, close| text.starts_with(open) && text.ends_with(close);
        text.chars().count() >= 3 && (pair('<', '>') || pair('[', ']') || pair('{', '}'))
    }
}

/// The table of entries by id.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Option<Entry>>,
}

impl Table {
    /// Sets entry `id`.
    ///
    /// # Errors
    /// Where the id is taken already, or absurd.
    pub(super) fn insert(&mut self, id: u32, entry: Entry) -> Result<(), LoadError> {
        let index = id as usize;
        if index >= MAX_TOKENS {
            return Err(malformed(format!("token id {id} is above the limit of {MAX_TOKENS}")));
        }
        if index >= self.entries.len() {
            self.entries.resize(index + 1, None);
        }
        if self.entries[index].is_some() {
            return Err(malformed(format!("two tokens share the id {id}")));
        }
        self.entries[index] = Some(entry);
        Ok(())
    }

    /// Gives `id` another kind.
    pub(super) fn set_kind(&mut self, id: u32, kind: Kind) {
        if let Some(Some(entry)) = self.entries.get_mut(id as usize) {
            entry.kind = kind;
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)?.as_ref()
    }

    /// One more than the largest id.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Finds tokens by their spelling, leftmost first, longest of several.
#[derive(Debug, Default)]
struct Matcher {
    tokens: Vec<Spelled>,
    automaton: Option<AhoCorasick>,
}

/// A token found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// The bytes it takes up.
    pub(super) range: Range<usize>,
    pub(super) id: u32,
    /// Whether it is markup, rather than a stretch of ordinary text.
    pub(super) is_markup: bool,
}

impl Matcher {
    fn new(tokens: Vec<Spelled>) -> Result<Self, LoadError> {
        if tokens.is_empty() {
            return Ok(Self::default());
        }
        let bytes: usize = tokens.iter().map(|token| token.text.len()).sum();
        if bytes > MAX_SPELLED_BYTES {
            return Err(malformed(format!(
                "special tokens of {bytes} bytes; up to {MAX_SPELLED_BYTES} are possible"
            )));
        }
        // By itself the library would choose what is fastest, at a kilobyte for each byte looked for.
        let kind = (bytes > FAST_SPELLED_BYTES).then_some(AhoCorasickKind::ContiguousNFA);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(kind)
            .build(tokens.iter().map(|t| t.text.as_str()))
            .map_err(|e| malformed(format!("special tokens cannot be indexed: {e}")))?;
        Ok(Self { tokens, automaton: Some(automaton) })
    }

    /// Hits within `within` of `text`, in order and without overlap.
    fn find(&self, text: &str, within: Range<usize>, hits: &mut Vec<Hit>) {
        let Some(automaton) = &self.automaton else { return };
        let mut from = within.start;
        for found in automaton.find_iter(&text[within.clone()]) {
            let mut start = within.start + found.start();
            let mut end = within.start + found.end();
            let token = &self.tokens[found.pattern().as_usize()];
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            if token.single_word
                && (text[..start].ends_with(is_word) || text[end..].starts_with(is_word))
                || start < from
            {
                continue;
            }
            if token.strip_left {
                start = from + text[from..start].trim_end().len();
            }
            if token.strip_right {
                end += text[end..].len() - text[end..].trim_start().len();
            }
            hits.push(Hit { range: start..end, id: token.id, is_markup: token.is_markup() });
            from = end;
        }
    }
}

/// The three groups of tokens that are recognised by their spelling.
#[derive(Debug, Default)]
pub(super) struct SpelledTokens {
    /// Control tokens and tags, together, as a template may put them.
    all_markup: Matcher,
    /// User-defined tags alone.
    tags: Matcher,
    /// User-defined stretches of ordinary text.
    plain: Matcher,
}

/// Which of the tokens that look like markup count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    All,
    Tags,
    None,
}

impl SpelledTokens {
    pub(super) fn new(tokens: &[Spelled]) -> Result<Self, LoadError> {
        let pick = |wanted: &dyn Fn(&Spelled) -> bool| {
            Matcher::new(
                tokens.iter().filter(|t| !t.text.is_empty() && wanted(t)).cloned().collect(),
            )
        };
        let user = |t: &Spelled| t.kind == Kind::UserDefined;
        Ok(Self {
            all_markup: pick(&Spelled::is_markup)?,
            tags: pick(&|t| user(t) && t.is_markup())?,
            plain: pick(&|t| user(t) && !t.is_markup())?,
        })
    }

    pub(super) fn find_markup(
        &self,
        which: Markup,
        text: &str,
        within: Range<usize>,
        hits: &mut Vec<Hit>,
    ) {
        match which {
            Markup::All => self.all_markup.find(text, within, hits),
            Markup::Tags => self.tags.find(text, within, hits),
            Markup::None => {}
        }
    }

    pub(super) fn find_plain(&self, text: &str, within: Range<usize>, hits: &mut Vec<Hit>) {
        self.plain.find(text, within, hits);
    }
}

/// Characters of control tokens and tags, blanks excepted.
pub(super) fn markup_chars(tokens: &[Spelled]) -> BTreeSet<char> {
    let markup = tokens.iter().filter(|token| token.is_markup());
    markup.flat_map(|token| token.text.chars()).filter(|c| !c.is_whitespace()).collect()
}

/// Control tokens, tags and their like.
pub(super) fn markup_ids(tokens: &[Spelled]) -> HashSet<u32> {
    tokens.iter().filter(|token| token.is_markup()).map(|token| token.id).collect()
}

/// The byte a token such as `<0x0A>` stands for.
pub(super) fn byte_of_name(text: &str) -> Option<u8> {
    let hex = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_hex = hex.len() == 2 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(hex, 16).ok())?
}

/// Undoes the byte-level alphabet of GPT-2, where every byte has a printable stand-in.
pub(super) fn byte_level_bytes(text: &str) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte_of_stand_in(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes.into()
}

/// The stand-in of a byte: itself where it is a printable Latin-1 character, else one from U+0100 on.
pub(super) fn stand_in_of_byte(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
        0..=0x20 => shifted(byte, 0),
        0x7F..=0xA0 => shifted(byte - 0x7F, 33),
        0xAD => shifted(0, 67),
    }
}

fn shifted(byte: u8, by: u32) -> char {
    char::from_u32(0x100 + u32::from(byte) + by).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn byte_of_stand_in(c: char) -> Option<u8> {
    let code = u32::from(c);
    match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => u8::try_from(code).ok(),
        0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        0x121..=0x142 => u8::try_from(code - 0x121 + 0x7F).ok(),
        0x143 => Some(0xAD),
        _ => None,
    }
}

/// What a piece of a SentencePiece vocabulary adds to a text.
pub(super) fn sentencepiece_bytes(text: &str) -> Box<[u8]> {
    text.replace('\u{2581}', " ").into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_one_to_one() {
        let mut seen = HashSet::new();
        for byte in 0..=255u8 {
            let c = stand_in_of_byte(byte);
            assert!(seen.insert(c));
            assert_eq!(byte_of_stand_in(c), Some(byte));
        }
        assert_eq!(stand_in_of_byte(b' '), 'Ġ');
        assert_eq!(stand_in_of_byte(b'\n'), 'Ċ');
    }

    #[test]
    fn byte_names_are_read() {
        assert_eq!(byte_of_name("<0x0A>"), Some(10));
        assert_eq!(byte_of_name("<0xFF>"), Some(255));
        for no in ["<0x0A", "0x0A>", "<0x>", "<0x0AB>", "<0x+A>", "a"] {
            assert_eq!(byte_of_name(no), None, "{no}");
        }
    }

    #[test]
    fn a_longer_token_wins_and_blanks_are_swallowed() {
        let mut end = Spelled::new(2, "<|end|>", Kind::Control);
        end.strip_right = true;
        let tokens = [Spelled::new(1, "<|e", Kind::Control), end];
        let spelled = SpelledTokens::new(&tokens).unwrap();
        let mut hits = Vec::new();
        let text = "a<|end|> \nb<|e";
        spelled.find_markup(Markup::All, text, 0..text.len(), &mut hits);
        let hits: Vec<_> = hits.into_iter().map(|hit| (hit.range, hit.id)).collect();
        assert_eq!(hits, [(1..10, 2), (11..14, 1)]);
    }

    #[test]
    fn an_id_is_given_once() {
        let entry = Entry { bytes: Box::from(*b"a"), kind: Kind::Normal };
        let mut table = Table::default();
        table.insert(3, entry.clone()).unwrap();
        assert!(matches!(table.insert(3, entry.clone()), Err(LoadError::Malformed { .. })));
        assert!(matches!(table.insert(u32::MAX, entry), Err(LoadError::Malformed { .. })));
        assert_eq!(table.len(), 4);
        assert!(table.get(0).is_none());
    }
}
