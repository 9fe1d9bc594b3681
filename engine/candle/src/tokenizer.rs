//! Text to token ids and back.
//!
//! A vocabulary comes out of a GGUF file's metadata or a Hugging Face `tokenizer.json`. Tokens that steer
//! the model (end of turn, begin of text) are never made from text by the algorithms in here: they are
//! recognised by their spelling, and only in spans the caller declares to be a template's own text.

mod bpe;
mod decode;
mod gguf;
mod json;
mod pre;
mod spm;
#[cfg(test)]
mod tests;
mod vocab;

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
};

use hearth_engine_api::{EngineError, LoadError};

pub use decode::DecodeStream;
pub(crate) use decode::Decoding;
pub(crate) use gguf::chat_template as gguf_chat_template;
pub(crate) use json::chat_template as json_chat_template;

use bpe::Library;
use spm::SentencePiece;
use vocab::{Hit, Kind, Markup, SpelledTokens, Table};

/// Which tokens are recognised by their spelling in a stretch of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// All of them: for text a chat template has put itself.
    Parse,
    /// All but control tokens: what other tools do where special tokens are "not parsed".
    Plain,
    /// Only stretches of ordinary text (runs of blanks and the like): for text from a stranger, in which
    /// neither a control token nor a tag such as `<tool_call>` may come about.
    Literal,
}

/// A stretch of text and how much it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    /// The text.
    pub text: &'a str,
    /// What is recognised in it.
    pub special: Special,
}

/// Why a text has no token ids.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizeError {
    /// The vocabulary lacks a byte and has no token for the unknown.
    #[error("the model's vocabulary has no token for byte {byte:#04x}")]
    Unspellable {
        /// The byte.
        byte: u8,
    },
    /// Ordinary text would have become a control token.
    #[error("the model's vocabulary turns ordinary text into control token {id}; it is not used")]
    ControlFromText {
        /// The token.
        id: u32,
    },
    /// The tokenizer library failed. Its words are left out, since they may quote the text.
    #[error("the tokenizer library failed on the text")]
    Library,
}

impl From<TokenizeError> for EngineError {
    fn from(error: TokenizeError) -> Self {
        Self::Invalid { reason: error.to_string() }
    }
}

/// A model's vocabulary, and the algorithm that goes with it.
#[derive(Debug)]
pub struct Tokenizer {
    algorithm: Algorithm,
    table: Table,
    spelled: SpelledTokens,
    /// Ids and spellings of the tokens that are recognised by their spelling.
    spellings: Vec<(String, u32)>,
    markup_chars: BTreeSet<char>,
    /// Control tokens, tags and their like.
    markup_ids: HashSet<u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    end_ids: Vec<u32>,
    add_bos: bool,
    chat_template: Option<String>,
}

#[derive(Debug)]
enum Algorithm {
    SentencePiece(SentencePiece),
    Library(Box<Library>),
}

/// What the two kinds of file are read into.
struct Parts {
    algorithm: Algorithm,
    table: Table,
    spelled: Vec<vocab::Spelled>,
    bos: Option<u32>,
    eos: Option<u32>,
    /// More tokens the file says end an answer.
    more_ends: Vec<u32>,
    add_bos: bool,
    chat_template: Option<String>,
}

/// Spellings of tokens that end an answer, whatever the file calls them.
const END_SPELLINGS: &[&str] = &[
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<｜end▁of▁sentence｜>",
];

impl Tokenizer {
    fn from_parts(mut parts: Parts) -> Result<Self, LoadError> {
        let named_ends: Vec<u32> = parts
            .spelled
            .iter_mut()
            .filter(|token| END_SPELLINGS.contains(&token.text.as_str()))
            .map(|token| {
                // Some files forget to mark these as control tokens.
                token.kind = Kind::Control;
                parts.table.set_kind(token.id, Kind::Control);
                token.id
            })
            .collect();
        let mut end_ids: Vec<u32> =
            parts.eos.into_iter().chain(parts.more_ends).chain(named_ends).collect();
        end_ids.sort_unstable();
        end_ids.dedup();
        for id in end_ids.iter().chain(&parts.bos) {
            if parts.table.get(*id).is_none() {
                return Err(malformed(format!("special token id {id} is not in the vocabulary")));
            }
        }
        Ok(Self {
            spelled: SpelledTokens::new(&parts.spelled)?,
            markup_chars: vocab::markup_chars(&parts.spelled),
            markup_ids: vocab::markup_ids(&parts.spelled),
            spellings: parts.spelled.into_iter().map(|token| (token.text, token.id)).collect(),
            algorithm: parts.algorithm,
            table: parts.table,
            bos: parts.bos,
            eos: parts.eos,
            end_ids,
            add_bos: parts.add_bos && parts.bos.is_some(),
            chat_template: parts.chat_template,
        })
    }

    /// The ids of `text`. Nothing is put in front or behind; see [`Tokenizer::add_bos`].
    ///
    /// # Errors
    /// [`TokenizeError`] where the vocabulary cannot spell the text.
    pub fn encode(&self, text: &str, special: Special) -> Result<Vec<u32>, TokenizeError> {
        self.encode_spans(&[Span { text, special }])
    }

    /// The ids of several spans, which count as one text: words are formed across their borders, while
    /// control tokens and tags are recognised only where they lie within a single span that allows them.
    ///
    /// # Errors
    /// [`TokenizeError`] where the vocabulary cannot spell the text.
    pub fn encode_spans(&self, spans: &[Span<'_>]) -> Result<Vec<u32>, TokenizeError> {
        self.encode_spans_after(spans, false)
    }

    /// [`Tokenizer::encode_spans`] of spans that go on from other text, if `after_text`.
    pub(crate) fn encode_spans_after(
        &self,
        spans: &[Span<'_>],
        after_text: bool,
    ) -> Result<Vec<u32>, TokenizeError> {
        let text: String = spans.iter().map(|span| span.text).collect();
        let mut found = Vec::new();
        let mut start = 0;
        for span in spans {
            let end = start + span.text.len();
            let which = match span.special {
                Special::Parse => Markup::All,
                Special::Plain => Markup::Tags,
                Special::Literal => Markup::None,
            };
            self.spelled.find_markup(which, &text, start..end, &mut found);
            start = end;
        }
        let mut hits = Vec::with_capacity(found.len());
        for between in gaps(text.len(), &found) {
            self.spelled.find_plain(&text, between, &mut hits);
        }
        hits.extend(found);
        hits.sort_by_key(|hit| hit.range.start);
        self.encode_around(&text, &hits, after_text)
    }

    /// Ids of the hits, and of the text between them. `after_text` says that the whole goes on from other text.
    fn encode_around(
        &self,
        text: &str,
        hits: &[Hit],
        mut after_text: bool,
    ) -> Result<Vec<u32>, TokenizeError> {
        let mut ids = Vec::with_capacity(text.len() / 3 + hits.len());
        let mut done = 0;
        for hit in hits {
            if done < hit.range.start {
                self.encode_fragment(text, done..hit.range.start, after_text, &mut ids)?;
            }
            ids.push(hit.id);
            done = done.max(hit.range.end);
            after_text = !hit.is_markup;
        }
        if done < text.len() {
            self.encode_fragment(text, done..text.len(), after_text, &mut ids)?;
        }
        Ok(ids)
    }

    /// Appends the ids of a stretch of text without hits. `after_text` says that it goes on from ordinary
    /// text; otherwise it begins the whole or follows markup, where some vocabularies put a blank in front.
    fn encode_fragment(
        &self,
        text: &str,
        range: Range<usize>,
        after_text: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), TokenizeError> {
        let before = ids.len();
        match &self.algorithm {
            Algorithm::SentencePiece(pieces) => pieces.encode(&text[range], !after_text, ids),
            Algorithm::Library(library) => {
                library.encode(&text[range.clone()], range.start == 0 && !after_text, ids)?;
            }
        }
        // Vocabularies are built so that this cannot be; a hole here would let text steer the model.
        match ids[before..].iter().find(|id| self.is_special(**id)) {
            Some(id) => Err(TokenizeError::ControlFromText { id: *id }),
            None => Ok(()),
        }
    }

    /// The text of `ids` as a text of its own. Control tokens say nothing, and the blank that
    /// SentencePiece vocabularies put before a text is taken off again; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = self.stream(None);
        let mut text: String = ids.iter().filter_map(|id| stream.push(*id)).collect();
        text.extend(stream.finish());
        text
    }

    /// Decodes token by token what follows `previous`. Where `previous` is ordinary text, a leading
    /// blank belongs to the text and is kept; after a control token or at the very start it is taken off
    /// as in [`Tokenizer::decode`].
    pub fn stream(&self, previous: Option<u32>) -> DecodeStream<'_> {
        DecodeStream::new(self, self.decoding(previous))
    }

    /// [`Tokenizer::stream`] without a hold on the tokenizer.
    pub(crate) fn decoding(&self, previous: Option<u32>) -> Decoding {
        let at_start = previous.is_none_or(|id| self.is_special(id));
        Decoding::new(at_start && self.has_space_prefix())
    }

    /// Whether a blank is put before a text, which [`Tokenizer::stream`] takes off again.
    pub(crate) fn has_space_prefix(&self) -> bool {
        match &self.algorithm {
            Algorithm::SentencePiece(pieces) => pieces.has_space_prefix(),
            Algorithm::Library(library) => library.has_space_prefix(),
        }
    }

    /// What a token adds to a text, which need not be whole characters; `None` for control tokens and
    /// ids outside the vocabulary.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        let entry = self.table.get(id)?;
        (entry.kind != Kind::Control).then_some(&*entry.bytes)
    }

    /// What a token adds to a text, for those that ordinary text is made of: neither control tokens nor tags, nor
    /// the token for the unknown.
    pub fn plain_bytes(&self, id: u32) -> Option<&[u8]> {
        let entry = self.table.get(id)?;
        let plain = matches!(entry.kind, Kind::Normal | Kind::Byte | Kind::UserDefined)
            && !self.markup_ids.contains(&id);
        plain.then_some(&*entry.bytes)
    }

    /// The ids of `text` as they would be in the midst of other text: no blank is put in front, and neither
    /// control tokens nor tags are recognised.
    ///
    /// # Errors
    /// [`TokenizeError`] where the vocabulary cannot spell the text.
    pub fn encode_within(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        let mut hits = Vec::new();
        self.spelled.find_plain(text, 0..text.len(), &mut hits);
        hits.sort_by_key(|hit| hit.range.start);
        self.encode_around(text, &hits, true)
    }

    /// The id of a token by its spelling in the vocabulary (`<|im_end|>`, `▁the`, `Ġthe`).
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.spellings.iter().find(|(text, _)| text == token).map(|(_, id)| *id).or_else(|| {
            match &self.algorithm {
                Algorithm::SentencePiece(pieces) => pieces.id_of(token),
                Algorithm::Library(library) => library.id_of(token),
            }
        })
    }

    /// The spelling of a control token, as templates need it for `bos_token` and `eos_token`.
    pub fn special_text(&self, id: u32) -> Option<&str> {
        self.spellings.iter().find(|(_, other)| *other == id).map(|(text, _)| text.as_str())
    }

    /// Whether `id` is a control token, which steers the model and has no text.
    pub fn is_special(&self, id: u32) -> bool {
        self.table.get(id).is_some_and(|entry| entry.kind == Kind::Control)
    }

    fn is_ordinary(&self, id: u32) -> bool {
        self.table.get(id).is_some_and(|entry| entry.kind == Kind::Normal)
    }

    /// Begin of text.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// End of text.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Every token that ends an answer: end of text, end of turn. Sorted.
    pub fn end_ids(&self) -> &[u32] {
        &self.end_ids
    }

    /// Whether a text for this model begins with [`Tokenizer::bos`], where a template does not put it.
    pub fn add_bos(&self) -> bool {
        self.add_bos
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.table.len()
    }

    /// Every character that occurs in the spelling of a control token or tag, blanks excepted. A text
    /// without any of them can take no part in one.
    pub fn markup_chars(&self) -> &BTreeSet<char> {
        &self.markup_chars
    }

    /// The source of the chat template that came with the vocabulary.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }
}

/// The stretches of `0..len` that no hit covers.
fn gaps(len: usize, hits: &[Hit]) -> Vec<Range<usize>> {
    let mut gaps = Vec::with_capacity(hits.len() + 1);
    let mut done = 0;
    for Hit { range, .. } in hits {
        if done < range.start {
            gaps.push(done..range.start);
        }
        done = done.max(range.end);
    }
    if done < len {
        gaps.push(done..len);
    }
    gaps
}

fn malformed(reason: impl Into<String>) -> LoadError {
    LoadError::Malformed { reason: reason.into() }
}
