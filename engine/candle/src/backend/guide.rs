//! Answers that must keep to something.

use std::sync::Arc;

use hearth_engine_api::{Constraint, EngineError};

use crate::{
    constrain::{Grammar, Grammars, Next},
    tokenizer::Tokenizer,
};

use super::choice::Choices;

/// What may come next in an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Allowed<'a> {
    /// Nothing: the answer is complete.
    Done,
    /// These tokens, whatever the model thinks: at least one. [`Guide::accept`] gets each of them.
    Forced(Vec<u32>),
    /// What a mask allows.
    Mask(Mask<'a>),
}

/// A set of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mask<'a> {
    /// A bit a token, lowest first; tokens past the end are not in it.
    pub(crate) words: &'a [u32],
    /// Whether the answer may be over: then any token that ends answers may come as well, whatever its bit says.
    pub(crate) may_end: bool,
}

/// Keeps one answer to its constraint.
pub(crate) trait Guide {
    /// What may come after the tokens accepted so far.
    ///
    /// # Errors
    /// [`EngineError`] where no answer can be had any more. The request ends with it: an answer that breaks its
    /// constraint is never given.
    fn next(&mut self) -> Result<Allowed<'_>, EngineError>;

    /// The next token is `id`, one of those allowed and none that ends answers.
    ///
    /// # Errors
    /// [`EngineError`] where it was not allowed.
    fn accept(&mut self, id: u32) -> Result<(), EngineError>;

    /// Tokens without which there can be no answer. A request for fewer is refused.
    fn least_tokens(&self) -> usize {
        1
    }

    /// Whether the answer is told all at once at its end, as [`Guide::whole`] has it, and not token by token.
    fn tells_at_end(&self) -> bool {
        false
    }

    /// The text of an answer that ends here, where that is more than its tokens say.
    fn whole(&self) -> Option<&str> {
        None
    }
}

/// What a guide is made of besides the constraint.
#[derive(Clone, Copy)]
pub(crate) struct Vocabulary<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    /// Tokens that end answers. Where there are none, an answer ends as soon as it may.
    pub(crate) ends: &'a [u32],
}

/// Makes guides for one model, and keeps what they have in common.
pub(crate) struct Guides {
    grammars: Grammars,
}

impl Guides {
    pub(crate) const fn new(tokenizer: Arc<Tokenizer>) -> Self {
        Self { grammars: Grammars::new(tokenizer) }
    }

    /// A guide for one answer.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] where the constraint makes no sense or asks for what is not supported, which it names.
    pub(crate) fn guide(
        &mut self,
        constraint: &Constraint,
        vocabulary: Vocabulary<'_>,
    ) -> Result<Box<dyn Guide>, EngineError> {
        match constraint {
            Constraint::OneOf(options) => Ok(Box::new(Choices::new(vocabulary, options)?)),
            Constraint::JsonSchema(schema) => {
                // JSON begins with no blank, so none is taken off it.
                let grammar = self.grammars.json_schema(schema)?;
                Ok(Box::new(Grammatical::new(
                    grammar,
                    Arc::clone(self.grammars.tokenizer()),
                    vocabulary,
                    false,
                )))
            }
            Constraint::Regex(pattern) => {
                let grammar = self.grammars.regex(pattern)?;
                let takes_blanks = vocabulary.tokenizer.has_space_prefix();
                Ok(Box::new(Grammatical::new(
                    grammar,
                    Arc::clone(self.grammars.tokenizer()),
                    vocabulary,
                    takes_blanks,
                )))
            }
        }
    }
}

/// Keeps an answer to a grammar.
struct Grammatical {
    grammar: Grammar,
    tokenizer: Arc<Tokenizer>,
    /// Whether the model can say that the answer is over.
    has_ends: bool,
    /// The answer so far, where its tokens as a text of their own would lose a blank in front.
    text: Option<Vec<u8>>,
}

impl Grammatical {
    fn new(
        grammar: Grammar,
        tokenizer: Arc<Tokenizer>,
        vocabulary: Vocabulary<'_>,
        takes_blanks: bool,
    ) -> Self {
        let text = takes_blanks.then(Vec::new);
        Self { grammar, tokenizer, has_ends: !vocabulary.ends.is_empty(), text }
    }
}

impl Guide for Grammatical {
    fn next(&mut self) -> Result<Allowed<'_>, EngineError> {
        Ok(match self.grammar.allowed()? {
            Next::Done => Allowed::Done,
            Next::Forced(ids) => Allowed::Forced(ids),
            Next::OneOf { may_end: true, .. } if !self.has_ends => Allowed::Done,
            Next::OneOf { words, may_end } => Allowed::Mask(Mask { words, may_end }),
        })
    }

    fn accept(&mut self, id: u32) -> Result<(), EngineError> {
        self.grammar.accept(id)?;
        if let Some(text) = &mut self.text {
            text.extend(self.tokenizer.plain_bytes(id).unwrap_or_default());
        }
        Ok(())
    }

    fn tells_at_end(&self) -> bool {
        self.text.is_some()
    }

    fn whole(&self) -> Option<&str> {
        self.text.as_ref()?.utf8_chunks().next().map(|chunk| chunk.valid())
    }
}

/// Leaves only what `mask` allows of the logits.
pub(crate) fn keep_only(logits: &mut [f32], mask: Mask<'_>, ends: &[u32]) {
    const BITS: usize = u32::BITS as usize;
    for (place, chunk) in logits.chunks_mut(BITS).enumerate() {
        let word = mask.words.get(place).copied().unwrap_or(0);
        for (id, logit) in (0u32..).zip(chunk) {
            let id = id + u32::try_from(place * BITS).unwrap_or(u32::MAX - u32::BITS);
            let allowed =
                if ends.contains(&id) { mask.may_end } else { word >> (id % u32::BITS) & 1 == 1 };
            *logit = match allowed {
                false => f32::NEG_INFINITY,
                // A broken model's NaN must not leave nothing to choose from.
                true if logit.is_nan() => f32::MIN,
                true => logit.max(f32::MIN),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_allowed_keeps_its_logit() {
        let mut logits = [0.5; 40];
        logits[..5].copy_from_slice(&[3.0, f32::NAN, 1.0, f32::NEG_INFINITY, 5.0]);
        let mut ended = logits;
        keep_only(&mut logits, Mask { words: &[0b1_1110, 0b10], may_end: false }, &[4, 32]);
        let mut expected = [f32::NEG_INFINITY; 40];
        expected[1..4].copy_from_slice(&[f32::MIN, 1.0, f32::MIN]);
        expected[33] = 0.5;
        assert_eq!(logits, expected);
        keep_only(&mut ended, Mask { words: &[0b1], may_end: true }, &[32]);
        assert_eq!(
            (ended[0], ended[1], ended[32], ended[33]),
            (3.0, f32::NEG_INFINITY, 0.5, f32::NEG_INFINITY)
        );
    }
}
