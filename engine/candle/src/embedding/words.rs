//! Texts as the token ids an encoder reads.

use hearth_engine_api::{EmbedderInfo, EngineError, LoadError};

use super::{
    batch::{Text, Window},
    files::EncoderFiles,
};
use crate::{
    models::malformed,
    tokenizer::{Special, Tokenizer},
    weights::unsupported,
};

/// The vocabulary, and the two tokens that stand around a text.
pub(super) struct Words {
    tokenizer: Tokenizer,
    first: u32,
    last: u32,
    lower_case: bool,
}

impl Words {
    pub(super) fn open(files: &EncoderFiles, info: &EmbedderInfo) -> Result<Self, LoadError> {
        let tokenizer = files.tokenizer()?;
        let rows = files.config.vocab;
        if tokenizer.vocab_size() > rows {
            return Err(malformed(format!(
                "a vocabulary of {} tokens where the weights have {rows}",
                tokenizer.vocab_size()
            )));
        }
        let id = |name: &str| {
            tokenizer
                .token_to_id(name)
                .ok_or_else(|| unsupported(format!("a sentence encoder without a token {name:?}")))
        };
        let (first, last) = (id(&files.first_token)?, id(&files.last_token)?);
        let words = Self { first, last, lower_case: files.lower_case, tokenizer };
        let own = words.frame_tokens();
        for (name, prompt) in &info.prompts {
            let tokens = words.ids(prompt).map_or(usize::MAX, |ids| ids.len());
            if tokens.saturating_add(own) >= info.window_tokens as usize {
                return Err(malformed(format!(
                    "the prompt {name:?} leaves no room for a text in {} tokens",
                    info.window_tokens
                )));
            }
        }
        Ok(words)
    }

    /// How many tokens of its own the model puts around a text.
    pub(super) const fn frame_tokens(&self) -> usize {
        2
    }

    /// The prompt is encoded apart: vocabularies of these models form no words across blanks and marks, and each
    /// window of a long text is to have it in front.
    pub(super) fn encode(&self, text: &str, prompt: Option<&str>) -> Result<Text, EngineError> {
        let prompt = prompt.map_or(Ok(Vec::new()), |prompt| self.ids(prompt))?;
        Ok(Text { prompt, ids: self.ids(text)? })
    }

    /// A window's tokens with those around them.
    pub(super) fn framed(&self, text: &Text, window: &Window) -> Vec<u32> {
        let mut ids = Vec::with_capacity(window.framed_tokens);
        ids.push(self.first);
        ids.extend_from_slice(&text.prompt);
        ids.extend_from_slice(&text.ids[window.range.clone()]);
        ids.push(self.last);
        ids
    }

    /// Whether a word begins with this token, rather than going on.
    pub(super) fn begins_word(&self, id: u32) -> bool {
        self.tokenizer.token_bytes(id).is_some_and(|bytes| bytes.starts_with(b" "))
    }

    /// A text that spells a control token is taken at its letters.
    fn ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let ids = if self.lower_case {
            self.tokenizer.encode(&text.to_lowercase(), Special::Literal)
        } else {
            self.tokenizer.encode(text, Special::Literal)
        };
        Ok(ids?)
    }
}
