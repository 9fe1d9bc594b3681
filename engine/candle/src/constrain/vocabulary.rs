//! A model's tokens as the grammar library sees them.

use std::sync::Arc;

use llguidance::{
    ParserFactory,
    api::ParserLimits,
    toktrie::{INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenizerEnv},
};

use super::GrammarError;
use crate::tokenizer::Tokenizer;

/// Longer tokens are never drawn; the library's tree is no deeper.
const MAX_TOKEN_BYTES: usize = 1000;
/// The library's tree has no more room.
const MAX_BYTES: usize = 4_000_000;

/// The parser of grammars for one vocabulary.
///
/// Control tokens, tags and tokens that end an answer are no part of any grammar.
pub(super) fn factory(tokenizer: &Arc<Tokenizer>) -> Result<ParserFactory, GrammarError> {
    let words: Vec<Vec<u8>> =
        (0u32..).take(tokenizer.vocab_size()).map(|id| word(tokenizer, id)).collect();
    if words.iter().map(Vec::len).sum::<usize>() > MAX_BYTES {
        return Err(GrammarError::Vocabulary { why: "it is too large" });
    }
    let count = u32::try_from(words.len())
        .map_err(|_size| GrammarError::Vocabulary { why: "it is too large" })?;
    let trie = TokTrie::from(&TokRxInfo::new(count, INVALID_TOKEN), &words);
    // Where text cannot be spelled as if in the midst of other text, nothing is forced: masks lead the way then.
    let canonical = PROBES.iter().all(|text| spells(&trie, tokenizer, text).is_some());
    let tokens: TokEnv = Arc::new(Tokens { trie, tokenizer: Arc::clone(tokenizer), canonical });
    let capabilities = InferenceCapabilities { ff_tokens: canonical, ..Default::default() };
    let slices = llguidance::earley::SlicedBiasComputer::json_slices();
    let mut factory = ParserFactory::new(&tokens, capabilities, &slices)
        .map_err(|_words| GrammarError::Vocabulary { why: "the grammar library refuses it" })?;
    // What it would tell on standard error may quote the answer.
    factory.quiet();
    *factory.limits_mut() = limits();
    Ok(factory)
}

/// Work is bounded in steps, which are the same on every machine; states of the lexer take some 2 KB each.
fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2_000,
        initial_lexer_fuel: 1_000_000,
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        max_lexer_states: 30_000,
        max_grammar_size: 200_000,
        precompute_large_lexemes: false,
        verbose_errors: false,
    }
}

/// What the token spells; nothing for those that no grammar may produce.
fn word(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    let is_end = tokenizer.end_ids().contains(&id);
    match tokenizer.plain_bytes(id).filter(|_| !is_end) {
        // No text holds the byte 0xff, which is a mark to the library.
        Some(bytes) if bytes.len() <= MAX_TOKEN_BYTES && !bytes.contains(&0xff) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

/// Texts of the kind that grammars force.
const PROBES: &[&str] = &["{\"name\":\"", "\",\"is a\":", "true", "Ä b"];

/// The ids of `text`, where they spell it exactly.
fn spells(trie: &TokTrie, tokenizer: &Tokenizer, text: &str) -> Option<Vec<u32>> {
    let ids = tokenizer.encode_within(text).ok()?;
    let bytes: Vec<u8> = ids.iter().flat_map(|id| trie.token(*id)).copied().collect();
    (bytes == text.as_bytes()).then_some(ids)
}

struct Tokens {
    trie: TokTrie,
    tokenizer: Arc<Tokenizer>,
    canonical: bool,
}

impl TokenizerEnv for Tokens {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    /// As the tokenizer spells it; what it cannot, such as half a character, by the longest tokens that fit.
    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        let whole = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let mut ids = spells(&self.trie, &self.tokenizer, whole)
            .unwrap_or_else(|| self.trie.greedy_tokenize(whole.as_bytes()));
        let rest = bytes.get(whole.len()..).unwrap_or_default();
        ids.extend(self.trie.greedy_tokenize(rest));
        ids
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.canonical
    }
}
