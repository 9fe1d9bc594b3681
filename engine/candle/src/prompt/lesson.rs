//! What a model learns from a text: the tokens it will be asked with, then those it shall answer with.
//!
//! A lesson of a conversation begins with exactly the ids that serving makes of the messages before an answer, cue
//! included; what follows to the end of the turn is learnt. Where the messages up to the next answer begin with the very
//! same ids, both answers share a lesson. Where they do not, since the template takes reasoning out of earlier turns or
//! lays out the last turn in a way of its own, each answer has a lesson to itself.

use std::ops::Range;

use hearth_engine_api::{ChatMessage, EngineError, LossOn, Role};
use jiff::civil::DateTime;

use super::{Prompter, broken, plain_chat};
use crate::{
    template::Layout,
    tokenizer::{Span, Special, Tokenizer},
};

/// What opens the model's reasoning in the cue of templates that always want it.
const THINKING: &str = "<think>";
const THOUGHT: &str = "</think>";
/// Reasoning that is none, after [`THINKING`].
const NO_THOUGHT: &str = "\n</think>\n\n";

/// A text to learn from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lesson {
    /// All of it.
    pub ids: Vec<u32>,
    /// Which of these are learnt; in order, none is empty.
    pub learnt: Vec<Range<usize>>,
}

impl Prompter {
    /// The lessons of a conversation: its answers, or with [`LossOn::All`] the rest of the last lesson as well. Templates
    /// that tell the time are told `now`.
    ///
    /// # Errors
    /// As [`Prompter::ids`].
    pub fn chat_lessons(
        &self,
        messages: &[ChatMessage],
        loss_on: LossOn,
        now: DateTime,
    ) -> Result<Vec<Lesson>, EngineError> {
        let form = self.form(messages, now)?;
        let mut lessons = form.lessons(&self.tokenizer, messages, &|_turn| true)?;
        if loss_on == LossOn::All {
            if lessons.is_empty() && !messages.is_empty() {
                lessons.push(Lesson { ids: form.ids(messages.len(), false)?, learnt: Vec::new() });
            }
            if let Some(last) = lessons.last_mut() {
                let all = 0..last.ids.len();
                last.learnt = Vec::from([all]);
            }
        }
        Ok(lessons)
    }

    /// The lessons of some of a conversation's answers: of those turns that `is_learnt` says.
    ///
    /// # Errors
    /// As [`Prompter::ids`].
    pub fn answer_lessons(
        &self,
        messages: &[ChatMessage],
        is_learnt: &dyn Fn(usize) -> bool,
        now: DateTime,
    ) -> Result<Vec<Lesson>, EngineError> {
        self.form(messages, now)?.lessons(&self.tokenizer, messages, is_learnt)
    }

    fn form<'a>(
        &'a self,
        messages: &'a [ChatMessage],
        now: DateTime,
    ) -> Result<Form<'a>, EngineError> {
        match &self.template {
            Some(Ok(template)) => {
                Ok(Form::Template(Layout::new(template, &self.tokenizer, messages, now)?))
            }
            Some(Err(error)) => Err(broken(error)),
            None => Ok(Form::Plain { prompter: self, messages }),
        }
    }

    /// The lesson of a text and how it goes on: the second part and the end are learnt, or with [`LossOn::All`]
    /// everything.
    ///
    /// # Errors
    /// As [`Prompter::ids`].
    pub fn completion_lesson(
        &self,
        prompt: &str,
        completion: &str,
        loss_on: LossOn,
    ) -> Result<Lesson, EngineError> {
        let asked = self.text_ids(prompt)?;
        let mut ids = self.text_ids(&[prompt, completion].concat())?;
        if !ids.starts_with(&asked) {
            // The border falls within a token. Whoever asks with the prompt gets its own last token.
            ids = asked.clone();
            ids.extend(self.tokenizer.encode_within(completion)?);
        }
        ids.extend(self.tokenizer.eos());
        let start = if loss_on == LossOn::All { 0 } else { asked.len() };
        let learnt = Vec::from_iter((start < ids.len()).then_some(start..ids.len()));
        Ok(Lesson { ids, learnt })
    }

    /// The lesson of a text that is learnt as a whole, its end included.
    ///
    /// # Errors
    /// As [`Prompter::ids`].
    pub fn text_lesson(&self, text: &str) -> Result<Lesson, EngineError> {
        let mut ids = self.text_ids(text)?;
        ids.extend(self.tokenizer.eos());
        let learnt = Vec::from_iter((!ids.is_empty()).then_some(0..ids.len()));
        Ok(Lesson { ids, learnt })
    }
}

/// How a conversation becomes text.
enum Form<'a> {
    Template(Layout<'a>),
    /// As lines; what ends an answer is the next one's `User:`.
    Plain {
        prompter: &'a Prompter,
        messages: &'a [ChatMessage],
    },
}

impl Form<'_> {
    /// What is learnt of the answers that `is_learnt` says.
    fn lessons(
        &self,
        tokenizer: &Tokenizer,
        messages: &[ChatMessage],
        is_learnt: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<Lesson>, EngineError> {
        let mut lessons: Vec<Lesson> = Vec::new();
        let answers = messages
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(turn, message)| message.role == Role::Assistant && is_learnt(*turn));
        for (turn, answer) in answers {
            let (mut lesson, asked) = self.answer(tokenizer, turn, &answer.content)?;
            match lessons.last_mut() {
                Some(last) if lesson.ids[..asked].starts_with(&last.ids) => {
                    lesson.learnt.splice(0..0, last.learnt.drain(..));
                    *last = lesson;
                }
                _ => lessons.push(lesson),
            }
        }
        Ok(lessons)
    }

    fn ids(&self, count: usize, cue: bool) -> Result<Vec<u32>, EngineError> {
        let text = self.text(count, cue)?;
        self.ids_of(&text)
    }

    fn text(&self, count: usize, cue: bool) -> Result<String, EngineError> {
        match self {
            Self::Template(layout) => Ok(layout.text(count, cue)?),
            Self::Plain { messages, .. } => Ok(plain_chat(&messages[..count], cue)),
        }
    }

    fn ids_of(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        match self {
            Self::Template(layout) => layout.ids(text),
            Self::Plain { prompter, .. } => prompter.text_ids(text),
        }
    }

    /// The ids of a part of a text, going on from its beginning.
    fn ids_after(
        &self,
        tokenizer: &Tokenizer,
        rest: &str,
        after_text: bool,
    ) -> Result<Vec<u32>, EngineError> {
        let runs = match self {
            Self::Template(layout) => layout.runs(rest),
            Self::Plain { .. } => vec![(rest.to_owned(), Special::Literal)],
        };
        let spans: Vec<Span<'_>> =
            runs.iter().map(|(text, special)| Span { text, special: *special }).collect();
        Ok(tokenizer.encode_spans_after(&spans, after_text)?)
    }

    /// The lesson of the answer that message `turn` is, and how many tokens it is asked with.
    fn answer(
        &self,
        tokenizer: &Tokenizer,
        turn: usize,
        content: &str,
    ) -> Result<(Lesson, usize), EngineError> {
        let asked_text = self.text(turn, true)?;
        let told_text = self.text(turn + 1, false)?;
        let asked = self.ids_of(&asked_text)?;
        let told = self.ids_of(&told_text)?;
        let after_text = asked.last().is_some_and(|id| !tokenizer.is_special(*id));
        let mut ids = match told_text.strip_prefix(&asked_text) {
            Some(_) if told.starts_with(&asked) => told,
            Some(rest) => {
                let mut ids = asked.clone();
                ids.extend(self.ids_after(tokenizer, rest, after_text)?);
                ids
            }
            None => {
                let mut ids = asked.clone();
                ids.extend(answer_by_itself(tokenizer, &asked_text, content, after_text)?);
                let is_end = |id: &&u32| tokenizer.end_ids().contains(id);
                ids.extend(told.iter().rfind(is_end));
                ids
            }
        };
        let answer = &ids[asked.len()..];
        let end = answer.iter().position(|id| tokenizer.end_ids().contains(id));
        match (end, self) {
            (Some(end), _) => ids.truncate(asked.len() + end + 1),
            (None, Self::Template(_)) => ids.extend(tokenizer.eos()),
            (None, Self::Plain { .. }) => {}
        }
        let learnt = Vec::from_iter((asked.len() < ids.len()).then_some(asked.len()..ids.len()));
        Ok((Lesson { ids, learnt }, asked.len()))
    }
}

/// The ids of an answer to a cue that the template does not repeat where it lays out answers.
fn answer_by_itself(
    tokenizer: &Tokenizer,
    asked: &str,
    content: &str,
    after_text: bool,
) -> Result<Vec<u32>, EngineError> {
    let mut content = content.trim();
    let mut closing = "";
    if asked.trim_end().ends_with(THINKING) {
        match content.strip_prefix(THINKING) {
            Some(reasoned) => content = reasoned.trim_start(),
            None if content.contains(THOUGHT) => {}
            None => closing = NO_THOUGHT,
        }
    }
    let spans = [
        Span { text: closing, special: Special::Parse },
        Span { text: content, special: Special::Literal },
    ];
    Ok(tokenizer.encode_spans_after(&spans, after_text)?)
}
