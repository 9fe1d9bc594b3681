//! One request, from prompt to answer.

use std::{ops::ControlFlow, time::Instant};

use hearth_engine_api::{
    EngineError, GenerateEvent, GenerateRequest, Generated, StopReason, Usage,
};

use super::{
    context::Context,
    guide::{Allowed, Guide, Guides, Vocabulary, keep_only},
    loaded::token_count,
    stop::{Passed, StopFilter},
};
use crate::{sample::Sampler, tokenizer::Tokenizer};

/// What a request needs to run.
pub(super) struct Run<'a> {
    pub(super) context: &'a mut Context,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) ends: &'a [u32],
    pub(super) request: &'a GenerateRequest,
    pub(super) on_event: &'a mut dyn FnMut(GenerateEvent) -> ControlFlow<()>,
}

/// An answer under way.
struct Answer {
    text: String,
    tokens: Vec<u32>,
    /// Prompt and answer, for the repetition penalty.
    history: Vec<u32>,
    sampler: Sampler,
    usage: Usage,
}

impl Answer {
    fn end(self, stop: StopReason) -> Generated {
        let Self { text, tokens, mut usage, .. } = self;
        usage.generated_tokens = token_count(tokens.len());
        Generated { text, tokens, stop, usage, logprobs: Vec::new() }
    }
}

impl Run<'_> {
    /// Checks everything that can be known beforehand, then reads `prompt` and answers it.
    pub(super) fn run(
        mut self,
        prompt: &[u32],
        stops: Vec<String>,
    ) -> Result<Generated, EngineError> {
        let sampler = Sampler::new(&self.request.sampling)?;
        let stops = StopFilter::new(stops)?;
        let mut guide = self.guide()?;
        self.check_room(prompt, guide.as_deref())?;
        let mut answer = Answer {
            text: String::new(),
            tokens: Vec::new(),
            history: prompt.to_vec(),
            sampler,
            usage: Usage { prompt_tokens: token_count(prompt.len()), ..Usage::default() },
        };
        let started = GenerateEvent::Started {
            prompt_tokens: answer.usage.prompt_tokens,
            context_tokens: token_count(self.context.capacity()),
        };
        if (self.on_event)(started).is_break() {
            return Ok(answer.end(StopReason::Cancelled));
        }
        let start = Instant::now();
        let logits = self.read_prompt(prompt, &mut answer.usage)?;
        answer.usage.prefill_secs = start.elapsed().as_secs_f64();
        let Some(logits) = logits else { return Ok(answer.end(StopReason::Cancelled)) };
        let start = Instant::now();
        let stop = match guide.as_deref_mut() {
            Some(guide) => self.choose(guide, logits, &mut answer)?,
            None => self.write(logits, stops, &mut answer)?,
        };
        answer.usage.decode_secs = start.elapsed().as_secs_f64();
        Ok(answer.end(stop))
    }

    fn guide(&self) -> Result<Option<Box<dyn Guide>>, EngineError> {
        let vocabulary = Vocabulary { tokenizer: self.tokenizer, ends: self.ends };
        let constraint = self.request.constraint.as_ref();
        constraint.map(|constraint| Guides.guide(constraint, vocabulary)).transpose()
    }

    fn check_room(&self, prompt: &[u32], guide: Option<&dyn Guide>) -> Result<(), EngineError> {
        if prompt.is_empty() {
            return Err(EngineError::Invalid { reason: "the prompt is empty".into() });
        }
        let longest = guide.map_or(1, Guide::least_tokens);
        if guide.is_some() && longest > self.request.max_tokens as usize {
            return Err(EngineError::Invalid {
                reason: format!(
                    "max_tokens is {}, the longest option needs {longest}",
                    self.request.max_tokens
                ),
            });
        }
        if prompt.len().saturating_add(longest) > self.context.capacity() {
            return Err(EngineError::ContextOverflow {
                prompt_tokens: token_count(prompt.len()),
                context_tokens: token_count(self.context.capacity()),
            });
        }
        Ok(())
    }

    /// Reads the prompt block by block; the logits after it, or nothing where somebody broke off.
    fn read_prompt(
        &mut self,
        prompt: &[u32],
        usage: &mut Usage,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let mut done = self.context.keep_common_start(prompt);
        usage.cached_tokens = token_count(done);
        let block = self.context.block_tokens(prompt.len());
        loop {
            let end = (done + block).min(prompt.len());
            let ids = &prompt[done..end];
            let logits = if end == prompt.len() {
                Some(self.context.logits(ids)?)
            } else {
                self.context.read(ids)?;
                None
            };
            done = end;
            let event = GenerateEvent::Prefill {
                done_tokens: token_count(done),
                total_tokens: token_count(prompt.len()),
            };
            if (self.on_event)(event).is_break() {
                return Ok(None);
            }
            if logits.is_some() {
                return Ok(logits);
            }
        }
    }

    /// Free text, up to an end token, a stop string or a limit.
    fn write(
        &mut self,
        mut logits: Vec<f32>,
        mut stops: StopFilter,
        answer: &mut Answer,
    ) -> Result<StopReason, EngineError> {
        let room = self.context.capacity() - answer.history.len();
        let mut stream = self.tokenizer.stream(answer.history.last().copied());
        let reason = loop {
            if answer.tokens.len() >= self.request.max_tokens as usize {
                break StopReason::MaxTokens;
            }
            if answer.tokens.len() >= room {
                break StopReason::ContextFull;
            }
            if let Some(&last) = answer.tokens.last() {
                logits = self.context.logits(&[last])?;
            }
            // A model may have more logits than its vocabulary has tokens; the rest mean nothing.
            logits.truncate(self.tokenizer.vocab_size());
            let id = answer.sampler.draw(&mut logits, &answer.history)?;
            if self.ends.contains(&id) {
                break StopReason::EndOfText;
            }
            answer.tokens.push(id);
            answer.history.push(id);
            let (text, stopped) = match stops.push(&stream.push(id).unwrap_or_default()) {
                Passed::Text(text) => (text, false),
                Passed::Stop(text) => (text, true),
            };
            // Sent even where no text is certain yet: that is how somebody can break off at any token.
            let flow = self.say(answer, text);
            if stopped {
                return Ok(StopReason::StopSequence);
            }
            if flow.is_break() {
                return Ok(StopReason::Cancelled);
            }
        };
        // What an unfinished character or stop string held back belongs to the answer.
        if let Some(rest) = stream.finish()
            && let Passed::Stop(text) = stops.push(&rest)
        {
            // The answer is over: it makes no difference who breaks off now.
            self.say(answer, text).is_break();
            return Ok(StopReason::StopSequence);
        }
        let rest = stops.finish();
        if !rest.is_empty() {
            self.say(answer, rest).is_break();
        }
        Ok(reason)
    }

    /// What the guide allows.
    fn choose(
        &mut self,
        guide: &mut dyn Guide,
        logits: Vec<f32>,
        answer: &mut Answer,
    ) -> Result<StopReason, EngineError> {
        let mut logits = Some(logits);
        // Tokens chosen but not read; where there is no choice, no logits are needed.
        let mut unread: Vec<u32> = Vec::new();
        loop {
            let ids = match guide.next()? {
                Allowed::Done => break,
                Allowed::Forced(ids) => ids,
                Allowed::Mask(mask) => {
                    let mut logits = match logits.take() {
                        Some(logits) => logits,
                        None => self.context.logits(&std::mem::take(&mut unread))?,
                    };
                    keep_only(&mut logits, mask, self.ends);
                    let id = answer.sampler.draw(&mut logits, &answer.history)?;
                    if self.ends.contains(&id) {
                        break;
                    }
                    vec![id]
                }
            };
            for id in ids {
                guide.accept(id)?;
                logits = None;
                unread.push(id);
                answer.tokens.push(id);
                answer.history.push(id);
                let text = String::new();
                debug_assert!(guide.tells_at_end());
                if self.say(answer, text).is_break() {
                    return Ok(StopReason::Cancelled);
                }
            }
        }
        let whole = guide.whole().unwrap_or_default().to_owned();
        self.say(answer, whole).is_break();
        Ok(StopReason::EndOfText)
    }

    fn say(&mut self, answer: &mut Answer, text: String) -> ControlFlow<()> {
        answer.text.push_str(&text);
        (self.on_event)(GenerateEvent::Text(text))
    }
}
