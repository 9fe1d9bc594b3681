//! One answer, token by token: what its request asks for, apart from any model.

use std::{collections::VecDeque, ops::ControlFlow, time::Instant};

use hearth_engine_api::{
    EngineError, GenerateEvent, GenerateRequest, Generated, MAX_LOGPROBS, StopReason,
    TokenLogprobs, Usage,
};

use super::{
    draft::Drafter,
    guide::{Allowed, Guide, Guides, Mask, Vocabulary, keep_only},
    loaded::token_count,
    stop::{Passed, StopFilter},
};
use crate::{
    sample::{Sampler, token_logprobs},
    tokenizer::Decoding,
};

/// Where an answer's events go.
pub(super) type Say<'a> = &'a mut dyn FnMut(GenerateEvent) -> ControlFlow<()>;

/// How far a token has brought an answer.
pub(super) type Advance = Result<ControlFlow<StopReason>, EngineError>;

/// An answer under way.
pub(super) struct Answer {
    /// Prompt and answer.
    history: Vec<u32>,
    prompt_tokens: usize,
    /// Longest prompt and answer together.
    context_tokens: usize,
    max_tokens: usize,
    text: String,
    sampler: Sampler,
    /// Tokens to draw whatever the sampler says, where a text is replayed.
    replayed: Option<VecDeque<u32>>,
    bias: Vec<(u32, f32)>,
    top_logprobs: Option<usize>,
    logprobs: Vec<TokenLogprobs>,
    stops: StopFilter,
    decoding: Decoding,
    guided: Option<Guided>,
    drafter: Option<Drafter>,
    usage: Usage,
    clock: Clock,
}

struct Guided {
    guide: Box<dyn Guide>,
    /// What the guide allows next.
    mask: Vec<u32>,
    may_end: bool,
}

struct Clock {
    begun: Instant,
    first_logits: Option<Instant>,
}

impl Answer {
    /// Checks everything that can be known beforehand. `stops` are the model's own.
    pub(super) fn new(
        request: GenerateRequest,
        prompt: Vec<u32>,
        stops: Vec<String>,
        context_tokens: usize,
        (guides, vocabulary): (&mut Guides, Vocabulary<'_>),
    ) -> Result<Self, EngineError> {
        let sampler = Sampler::new(&request.sampling)?;
        let stops = StopFilter::new(request.stop.into_iter().chain(stops).collect())?;
        let guide = request.constraint.as_ref().map(|c| guides.guide(c, vocabulary)).transpose()?;
        check_bias(&request.logit_bias, vocabulary.tokenizer.vocab_size())?;
        if request.logprobs.is_some_and(|count| count > MAX_LOGPROBS) {
            let reason = format!("log-probabilities of at most {MAX_LOGPROBS} tokens can be had");
            return Err(EngineError::Invalid { reason });
        }
        let answer = Self {
            prompt_tokens: prompt.len(),
            context_tokens,
            max_tokens: request.max_tokens as usize,
            text: String::new(),
            sampler,
            replayed: None,
            bias: request.logit_bias,
            top_logprobs: request.logprobs.map(|count| count as usize),
            logprobs: Vec::new(),
            stops,
            decoding: vocabulary.tokenizer.decoding(prompt.last().copied()),
            drafter: (request.speculate && guide.is_none()).then(Drafter::default),
            guided: guide.map(|guide| Guided { guide, mask: Vec::new(), may_end: false }),
            usage: Usage { prompt_tokens: token_count(prompt.len()), ..Usage::default() },
            clock: Clock { begun: Instant::now(), first_logits: None },
            history: prompt,
        };
        answer.check_room()?;
        Ok(answer)
    }

    fn check_room(&self) -> Result<(), EngineError> {
        if self.history.is_empty() {
            return Err(EngineError::Invalid { reason: "the prompt is empty".into() });
        }
        let least = self.guided.as_ref().map_or(1, |guided| guided.guide.least_tokens());
        if self.guided.is_some() && least > self.max_tokens {
            let reason = format!("max_tokens is {}, the answer needs {least}", self.max_tokens);
            return Err(EngineError::Invalid { reason });
        }
        if self.prompt_tokens.saturating_add(least) > self.context_tokens {
            return Err(EngineError::ContextOverflow {
                prompt_tokens: token_count(self.prompt_tokens),
                context_tokens: token_count(self.context_tokens),
            });
        }
        Ok(())
    }

    /// The same, with the tokens of a text in place of those that would be drawn.
    pub(super) fn replaying(mut self, ids: Vec<u32>) -> Self {
        self.max_tokens = ids.len();
        self.replayed = Some(ids.into());
        self
    }

    /// Prompt and answer so far.
    pub(super) fn history(&self) -> &[u32] {
        &self.history
    }

    pub(super) const fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Tokens of prompt and answer together, at most.
    pub(super) fn room_tokens(&self) -> usize {
        self.prompt_tokens.saturating_add(self.max_tokens).min(self.context_tokens)
    }

    /// Whether more tokens follow those there are, as far as limits go.
    fn limit(&self) -> ControlFlow<StopReason> {
        if self.drawn() >= self.max_tokens {
            return ControlFlow::Break(StopReason::MaxTokens);
        }
        if self.history.len() >= self.context_tokens {
            return ControlFlow::Break(StopReason::ContextFull);
        }
        ControlFlow::Continue(())
    }

    fn drawn(&self) -> usize {
        self.history.len() - self.prompt_tokens
    }

    /// Before the first step.
    pub(super) fn begin(&mut self, cached_tokens: usize, say: Say<'_>) -> ControlFlow<StopReason> {
        self.usage.cached_tokens = token_count(cached_tokens);
        self.clock.begun = Instant::now();
        let started = GenerateEvent::Started {
            prompt_tokens: self.usage.prompt_tokens,
            context_tokens: token_count(self.context_tokens),
        };
        or_cancelled(say(started))
    }

    /// The first `tokens` tokens of the prompt have been read.
    pub(super) fn read(&mut self, tokens: usize, say: Say<'_>) -> ControlFlow<StopReason> {
        or_cancelled(say(GenerateEvent::Prefill {
            done_tokens: token_count(tokens.min(self.prompt_tokens)),
            total_tokens: self.usage.prompt_tokens,
        }))
    }

    /// Tokens to guess at the end of the history, at most `most`.
    pub(super) fn draft(&mut self, most: usize) -> Vec<u32> {
        let left = self.room_tokens().saturating_sub(self.history.len() + 1);
        let Some(drafter) = &mut self.drafter else { return Vec::new() };
        let ids = drafter.draft(&self.history, most.min(left)).to_vec();
        self.usage.drafted_tokens += token_count(ids.len());
        ids
    }

    /// Of `drafted` tokens `accepted` were drawn.
    pub(super) fn learn(&mut self, drafted: usize, accepted: usize) {
        self.usage.accepted_tokens += token_count(accepted);
        if let Some(drafter) = &mut self.drafter {
            drafter.learn(drafted, accepted, self.history.len());
        }
    }

    /// Draws the next token from the logits after the history.
    pub(super) fn draw(
        &mut self,
        vocabulary: Vocabulary<'_>,
        logits: &mut [f32],
        say: Say<'_>,
    ) -> Advance {
        self.clock.first_logits.get_or_insert_with(Instant::now);
        if let ControlFlow::Break(stop) = self.limit() {
            return Ok(ControlFlow::Break(stop));
        }
        // A model may have more logits than its vocabulary has tokens; the rest mean nothing.
        let known = logits.len().min(vocabulary.tokenizer.vocab_size());
        let logits = &mut logits[..known];
        let raw = self.top_logprobs.map(|_| logits.to_vec());
        for &(id, bias) in &self.bias {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit += bias;
            }
        }
        if let Some(guided) = &self.guided {
            let mask = Mask { words: &guided.mask, may_end: guided.may_end };
            keep_only(logits, mask, vocabulary.ends);
        }
        let mut id = self.sampler.draw(logits, &self.history)?;
        if let Some(replayed) = self.replayed.as_mut().and_then(VecDeque::pop_front) {
            id = replayed;
        } else if vocabulary.ends.contains(&id) {
            return Ok(ControlFlow::Break(StopReason::EndOfText));
        }
        if let (Some(raw), Some(top)) = (raw, self.top_logprobs) {
            self.logprobs.push(token_logprobs(&raw, id, top));
        }
        if let Some(guided) = &mut self.guided {
            guided.guide.accept(id)?;
        }
        if let ControlFlow::Break(stop) = self.push(vocabulary, id, say) {
            return Ok(ControlFlow::Break(stop));
        }
        self.settle(vocabulary, say)
    }

    /// Adds what must follow according to the guide, up to where there is a choice.
    pub(super) fn settle(&mut self, vocabulary: Vocabulary<'_>, say: Say<'_>) -> Advance {
        loop {
            let Some(guided) = &mut self.guided else { return Ok(self.limit()) };
            let forced = match guided.guide.next()? {
                Allowed::Done => return Ok(ControlFlow::Break(StopReason::EndOfText)),
                Allowed::Mask(mask) => {
                    guided.mask.clear();
                    guided.mask.extend_from_slice(mask.words);
                    guided.may_end = mask.may_end;
                    return Ok(self.limit());
                }
                Allowed::Forced(ids) => ids,
            };
            for id in forced {
                if let ControlFlow::Break(stop) = self.limit() {
                    return Ok(ControlFlow::Break(stop));
                }
                if let Some(guided) = &mut self.guided {
                    guided.guide.accept(id)?;
                }
                if self.top_logprobs.is_some() {
                    self.logprobs.push(certain(id));
                }
                if let ControlFlow::Break(stop) = self.push(vocabulary, id, say) {
                    return Ok(ControlFlow::Break(stop));
                }
            }
        }
    }

    /// Adds a token, and says its text.
    fn push(
        &mut self,
        vocabulary: Vocabulary<'_>,
        id: u32,
        say: Say<'_>,
    ) -> ControlFlow<StopReason> {
        self.history.push(id);
        let text = match &self.guided {
            Some(guided) if guided.guide.tells_at_end() => String::new(),
            _ => self.decoding.push(vocabulary.tokenizer, id).unwrap_or_default(),
        };
        let (text, stopped) = match self.pass(&text) {
            Passed::Text(text) => (text, false),
            Passed::Stop(text) => (text, true),
        };
        // Sent even where no text is certain yet: that is how somebody can break off at any token.
        let flow = self.say(text, say);
        if stopped {
            return ControlFlow::Break(StopReason::StopSequence);
        }
        or_cancelled(flow)
    }

    /// Stop strings would cut an answer that must be whole.
    fn pass(&mut self, text: &str) -> Passed {
        if self.guided.is_some() { Passed::Text(text.to_owned()) } else { self.stops.push(text) }
    }

    fn say(&mut self, text: String, say: Say<'_>) -> ControlFlow<()> {
        self.text.push_str(&text);
        say(GenerateEvent::Text(text))
    }

    /// The finished answer. What was held back is said.
    pub(super) fn end(mut self, mut stop: StopReason, say: Say<'_>) -> Generated {
        let held = match stop {
            StopReason::EndOfText | StopReason::MaxTokens | StopReason::ContextFull => {
                let (rest, stopped) = self.held_back();
                if stopped {
                    stop = StopReason::StopSequence;
                }
                rest
            }
            StopReason::Cancelled | StopReason::StopSequence => String::new(),
        };
        if !held.is_empty() {
            // The answer is over: it makes no difference who breaks off now.
            let _over = self.say(held, say);
        }
        let Clock { begun, first_logits } = self.clock;
        if let Some(first) = first_logits {
            self.usage.prefill_secs = first.duration_since(begun).as_secs_f64();
            self.usage.decode_secs = first.elapsed().as_secs_f64();
        }
        self.usage.generated_tokens = token_count(self.drawn());
        let tokens = self.history.split_off(self.prompt_tokens);
        let Self { text, usage, logprobs, .. } = self;
        Generated { text, tokens, stop, usage, logprobs }
    }

    /// What an unfinished character or the beginning of a stop string held back, and whether a stop string ends it.
    fn held_back(&mut self) -> (String, bool) {
        if let Some(guided) = &self.guided
            && guided.guide.tells_at_end()
        {
            return (guided.guide.whole().unwrap_or_default().to_owned(), false);
        }
        let rest = self.decoding.finish().unwrap_or_default();
        match self.pass(&rest) {
            Passed::Stop(text) => (text, true),
            Passed::Text(text) => (text + self.stops.held(), false),
        }
    }
}

fn or_cancelled(flow: ControlFlow<()>) -> ControlFlow<StopReason> {
    if flow.is_break() {
        ControlFlow::Break(StopReason::Cancelled)
    } else {
        ControlFlow::Continue(())
    }
}

fn certain(id: u32) -> TokenLogprobs {
    TokenLogprobs { drawn: hearth_engine_api::Logprob { id, logprob: 0.0 }, top: Vec::new() }
}

fn check_bias(bias: &[(u32, f32)], vocab: usize) -> Result<(), EngineError> {
    let wrong = |reason| Err(EngineError::Invalid { reason });
    for &(id, bias) in bias {
        if id as usize >= vocab {
            return wrong(format!("the bias is for token {id}, the vocabulary has {vocab}"));
        }
        if bias.is_nan() || bias == f32::INFINITY {
            return wrong(format!("the bias of token {id} is {bias}, expected a number or -inf"));
        }
    }
    Ok(())
}
