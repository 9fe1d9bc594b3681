//! BPE with merges and WordPiece, by the `tokenizers` library, checked before it sees them.

use std::collections::{HashMap, HashSet};

use hearth_engine_api::LoadError;
use tokenizers::{
    Model, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper,
    models::bpe::{BPE, Vocab},
};

use super::{TokenizeError, malformed, vocab::stand_in_of_byte};

/// A tokenizer of the library without any added tokens: those are recognised before it is asked.
#[derive(Debug)]
pub(super) struct Library {
    first: tokenizers::Tokenizer,
    /// For text that is not the first of its kind, where that makes a difference.
    rest: Option<tokenizers::Tokenizer>,
    /// Bytes the vocabulary cannot spell, for byte-level vocabularies without an unknown token.
    missing: HashSet<u8>,
    space_prefix: bool,
}

impl Library {
    pub(super) fn new(
        model: impl Into<ModelWrapper>,
        normalizer: Option<NormalizerWrapper>,
        pre_tokenizer: Option<PreTokenizerWrapper>,
    ) -> Result<Self, LoadError> {
        let mut first = tokenizers::Tokenizer::new(model);
        first
            .with_normalizer(normalizer)
            .map_err(|e| malformed(format!("the tokenizer's normalizer: {e}")))?;
        first.with_pre_tokenizer(pre_tokenizer);
        Ok(Self { first, rest: None, missing: HashSet::new(), space_prefix: false })
    }

    /// Uses another way of cutting for text that does not stand at the very start.
    pub(super) fn with_rest(mut self, pre_tokenizer: PreTokenizerWrapper) -> Self {
        let mut rest = self.first.clone();
        rest.with_pre_tokenizer(Some(pre_tokenizer));
        self.rest = Some(rest);
        self
    }

    /// Marks the vocabulary as one that puts a blank before a text.
    pub(super) fn with_space_prefix(mut self, space_prefix: bool) -> Self {
        self.space_prefix = space_prefix;
        self
    }

    /// Makes bytes without a token an error; otherwise the library would leave them out without a word.
    pub(super) fn refusing_missing_bytes(mut self) -> Self {
        let model = self.first.get_model();
        self.missing = (0..=u8::MAX)
            .filter(|b| model.token_to_id(stand_in_of_byte(*b).encode_utf8(&mut [0; 4])).is_none())
            .collect();
        self
    }

    pub(super) fn has_space_prefix(&self) -> bool {
        self.space_prefix
    }

    pub(super) fn id_of(&self, token: &str) -> Option<u32> {
        self.first.get_model().token_to_id(token)
    }

    pub(super) fn encode(
        &self,
        text: &str,
        at_start: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), TokenizeError> {
        if !self.missing.is_empty()
            && let Some(byte) = text.bytes().find(|b| self.missing.contains(b))
        {
            return Err(TokenizeError::Unspellable { byte });
        }
        let library =
            if at_start { &self.first } else { self.rest.as_ref().unwrap_or(&self.first) };
        match library.encode_fast(text, false) {
            Ok(encoding) => {
                ids.extend_from_slice(encoding.get_ids());
                Ok(())
            }
            Err(_) => Err(TokenizeError::Library),
        }
    }
}

/// The parts of a BPE model.
#[derive(Default)]
pub(super) struct BpeParts {
    /// Everything text may turn into; the unknown token too, where there is one.
    pub(super) vocab: HashMap<String, u32>,
    pub(super) merges: Vec<(String, String)>,
    pub(super) unk_token: Option<String>,
    pub(super) fuse_unk: bool,
    pub(super) byte_fallback: bool,
    pub(super) ignore_merges: bool,
}

impl BpeParts {
    /// Builds the model.
    ///
    /// # Errors
    /// [`LoadError::Malformed`] where a merge takes or makes a token the vocabulary lacks.
    pub(super) fn build(self) -> Result<BPE, LoadError> {
        // Two ids for one merge, or a result longer than any token, would trip the library.
        for (rank, (left, right)) in self.merges.iter().enumerate() {
            let made = format!("{left}{right}");
            for token in [left, right, &made] {
                if !self.vocab.contains_key(token) {
                    return Err(malformed(format!(
                        "merge {rank} names the token {token:?}, which the vocabulary lacks"
                    )));
                }
            }
        }
        let vocab: Vocab = self.vocab.into_iter().collect();
        let mut builder = BPE::builder()
            .vocab_and_merges(vocab, self.merges)
            .fuse_unk(self.fuse_unk)
            .byte_fallback(self.byte_fallback)
            .ignore_merges(self.ignore_merges)
            // The cache would keep words of private text for the life of the thread.
            .cache_capacity(0);
        if let Some(token) = self.unk_token {
            builder = builder.unk_token(token);
        }
        builder.build().map_err(|e| malformed(format!("the BPE vocabulary: {e}")))
    }
}

/// Parts of a merge written as one string.
///
/// # Errors
/// [`LoadError::Malformed`] unless there are exactly two.
pub(super) fn split_merge(rank: usize, merge: &str) -> Result<(String, String), LoadError> {
    match merge.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err(malformed(format!("merge {rank} is not two tokens: {merge:?}"))),
    }
}
