//! Examples as batches of tokens.
//!
//! An example comes to lessons by the code that serves prompts; a lesson that is too long is cut into pieces; pieces are
//! shuffled and fill batches, each as a sample of its own.

mod course;
mod cut;
mod order;

use hearth_engine_api::{EngineError, Example, ExampleTokens, TuneError, TuneSettings};
use hearth_engine_candle::{
    Checkpoint,
    prompt::{Lesson, Prompter},
};
use jiff::civil::{DateTime, date};

use crate::learner::Batch;

pub(crate) use course::{Course, batches_in_order};
pub(crate) use order::shuffled;

/// What templates that tell the date are told, so that a job comes to the same tokens on every day.
const DATE: DateTime = date(2026, 1, 1).at(12, 0, 0, 0);

/// A stretch of an example that is read as one sample.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The example it is of.
    pub(crate) example: usize,
    /// What is read, and one token that is not, for it follows the last.
    ids: Vec<u32>,
    /// Whether each but the first is learnt.
    learnt: Vec<bool>,
}

impl Piece {
    /// Tokens that are read.
    pub(crate) const fn tokens(&self) -> usize {
        self.learnt.len()
    }

    /// Tokens that are learnt.
    pub(crate) fn learnt_tokens(&self) -> usize {
        self.learnt.iter().filter(|learnt| **learnt).count()
    }

    /// Its tokens, and whether each but the first is learnt.
    pub(crate) fn parts(&self) -> (&[u32], &[bool]) {
        (&self.ids, &self.learnt)
    }

    /// What it is made of, to tell jobs apart.
    pub(crate) fn content(&self) -> impl Iterator<Item = u32> {
        let flags = self.learnt.iter().map(|learnt| u32::from(*learnt));
        [self.ids.len() as u32].into_iter().chain(self.ids.iter().copied()).chain(flags)
    }
}

/// Pieces as one batch, in which each learnt token counts `weight`.
pub(crate) fn batch<'a>(pieces: impl IntoIterator<Item = &'a Piece>, weight: f32) -> Batch {
    let mut batch = Batch::default();
    for piece in pieces {
        let start = batch.ids.len();
        batch.ids.extend(&piece.ids[..piece.tokens()]);
        batch.targets.extend(&piece.ids[1..]);
        batch.weights.extend(piece.learnt.iter().map(|learnt| if *learnt { weight } else { 0.0 }));
        batch.samples.push(start..batch.ids.len());
    }
    batch
}

/// Reads examples as a model's vocabulary and template have them.
pub(crate) struct Reader {
    prompter: Prompter,
}

impl Reader {
    pub(crate) fn open(checkpoint: &Checkpoint) -> Result<Self, TuneError> {
        Ok(Self { prompter: Prompter::new(checkpoint.tokenizer()?) })
    }

    /// The chat template's source.
    pub(crate) fn template(&self) -> Option<&str> {
        self.prompter.tokenizer().chat_template()
    }

    /// What is read of `examples`. Stretches in which nothing is learnt are left out.
    pub(crate) fn pieces(
        &self,
        examples: &[Example],
        settings: &TuneSettings,
    ) -> Result<Vec<Piece>, TuneError> {
        let tokenizer = self.prompter.tokenizer();
        let begin = tokenizer.bos().filter(|_| tokenizer.add_bos());
        let limit = settings.sequence_tokens as usize;
        let mut pieces = Vec::with_capacity(examples.len());
        for (place, example) in examples.iter().enumerate() {
            for lesson in self.lessons(place, example, settings)? {
                pieces.extend(cut::cut(place, &lesson, limit, begin));
            }
        }
        Ok(pieces)
    }

    /// How each of `examples` comes to tokens.
    pub(crate) fn preview(
        &self,
        examples: &[Example],
        settings: &TuneSettings,
    ) -> Result<Vec<ExampleTokens>, TuneError> {
        let of = |(place, example): (usize, &Example)| -> Result<ExampleTokens, TuneError> {
            let lessons = self.lessons(place, example, settings)?;
            let count = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
            Ok(ExampleTokens {
                tokens: count(lessons.iter().map(|lesson| lesson.ids.len()).sum()),
                learnt: count(
                    lessons
                        .iter()
                        .flat_map(|lesson| &lesson.learnt)
                        .map(ExactSizeIterator::len)
                        .sum(),
                ),
                pieces: lessons.iter().flat_map(|lesson| self.spell(lesson)).collect(),
            })
        };
        examples.iter().enumerate().map(of).collect()
    }

    fn lessons(
        &self,
        place: usize,
        example: &Example,
        settings: &TuneSettings,
    ) -> Result<Vec<Lesson>, TuneError> {
        let (prompter, loss_on) = (&self.prompter, settings.loss_on);
        let lessons = match example {
            Example::Chat(messages) => prompter.chat_lessons(messages, loss_on, DATE),
            Example::Answers { messages, learnt } => {
                prompter.answer_lessons(messages, &|turn| learnt.contains(&turn), DATE)
            }
            Example::Completion { prompt, completion } => {
                prompter.completion_lesson(prompt, completion, loss_on).map(|lesson| vec![lesson])
            }
            Example::Text(text) => prompter.text_lesson(text).map(|lesson| vec![lesson]),
        };
        lessons.map_err(|error| TuneError::Example {
            example: place,
            reason: match error {
                EngineError::Template { reason } | EngineError::Invalid { reason } => reason,
                other => other.to_string(),
            },
        })
    }

    /// A lesson's text, learnt and other stretches in turn.
    fn spell(&self, lesson: &Lesson) -> Vec<(String, bool)> {
        let mut pieces = Vec::with_capacity(2 * lesson.learnt.len() + 1);
        let mut done = 0;
        for range in &lesson.learnt {
            pieces.push((self.text(&lesson.ids[done..range.start]), false));
            pieces.push((self.text(&lesson.ids[range.clone()]), true));
            done = range.end;
        }
        pieces.push((self.text(&lesson.ids[done..]), false));
        pieces.retain(|(text, _)| !text.is_empty());
        pieces
    }

    /// Ids as text, with the spellings of control tokens.
    fn text(&self, ids: &[u32]) -> String {
        let tokenizer = self.prompter.tokenizer();
        let mut bytes = Vec::new();
        for id in ids {
            let spelling = tokenizer.special_text(*id).map(str::as_bytes);
            bytes.extend(tokenizer.token_bytes(*id).or(spelling).unwrap_or_default());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
pub(crate) mod tests;
