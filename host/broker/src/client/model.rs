//! Calls to the model.

use std::sync::Arc;

use hearth_base::{
    Answer, GuestError, Handle, HostReply, Message, MessageRole, ModelOptions, Part, Quota, Schema,
    Weights,
};
use hearth_engine_api::{CacheScope, ChatMessage, GenerateEvent, Generation, StopReason};

use super::{Client, Held, invalid, wrong_kind};
use crate::{
    ModelTrust,
    ops::model::{self, Ask},
    policy::Access,
    values::{Fault, Kind, Op, Piece, Settings, Template, Turn, engine_role, suits},
};

/// Longest stop string.
const STOP_BYTES: usize = 64;

/// A public completion, pulled token by token.
pub(super) enum Completion {
    Waiting(Box<Ask>),
    Running(Generation),
    Over,
}

impl Client {
    pub(super) fn generate(&mut self, prompt: &[Message], options: ModelOptions) -> HostReply {
        self.allow(Access::Model(options.weights))?;
        let prompt = self.template(prompt, None)?;
        let settings = self.settings_of(options)?;
        self.charge(&prompt, settings.max_tokens, false)?;
        let op = Op::Generate { prompt, item: None, via: Default::default(), settings };
        self.make(Kind::Text, op)
    }

    pub(super) fn generate_each(
        &mut self,
        over: Handle,
        prompt: &[Message],
        options: ModelOptions,
    ) -> HostReply {
        self.allow(Access::Model(options.weights))?;
        let over = self.collection(over)?;
        let prompt = self.template(prompt, Some(over.kind))?;
        let settings = self.settings_of(options)?;
        self.charge(&prompt, settings.max_tokens, true)?;
        self.make(Kind::Texts, Op::GenerateEach { over, prompt, settings })
    }

    /// No model is asked, so nothing is charged: the bytes of what is made count against the run's.
    pub(super) fn fill_each(&mut self, over: Handle, parts: Vec<Part>) -> HostReply {
        let over = self.collection(over)?;
        let message = Message { role: MessageRole::User, parts };
        let template = self.template(&[message], Some(over.kind))?;
        self.make(Kind::Texts, Op::FillEach { over, template })
    }

    pub(super) fn reduce(
        &mut self,
        over: Handle,
        prompt: &[Message],
        options: ModelOptions,
    ) -> HostReply {
        self.allow(Access::Model(options.weights))?;
        let over = self.collection(over)?;
        let prompt = self.template(prompt, Some(over.kind))?;
        let settings = self.settings_of(options)?;
        self.charge(&prompt, settings.max_tokens, true)?;
        self.make(Kind::Text, Op::Reduce { over, prompt, settings })
    }

    pub(super) fn decide(&mut self, prompt: &[Message], answer: &Schema) -> HostReply {
        self.allow(Access::Model(Weights::Base))?;
        let prompt = self.template(prompt, None)?;
        let outcomes = outcomes_of(answer)?;
        self.charge(&prompt, 1, false)?;
        let kind = Kind::Choice { outcomes: outcomes.len() };
        self.make(kind, Op::Decide { prompt, item: None, outcomes })
    }

    pub(super) fn decide_each(
        &mut self,
        over: Handle,
        prompt: &[Message],
        answer: &Schema,
    ) -> HostReply {
        self.allow(Access::Model(Weights::Base))?;
        let over = self.collection(over)?;
        let prompt = self.template(prompt, Some(over.kind))?;
        let outcomes = outcomes_of(answer)?;
        let free = self.inner.limits.handles.saturating_sub(self.held.len());
        if outcomes.len() > free {
            return Err(GuestError::OverQuota(Quota::Handles));
        }
        self.charge(&prompt, 1, true)?;
        let (kind, count) = (over.kind, outcomes.len());
        let parted = Op::Part { over, prompt, outcomes };
        let parted = self.inner.node(&self.scope, Kind::Parted, parted);
        let handles: Result<Vec<Handle>, GuestError> = (0..count)
            .map(|index| {
                let op = Op::Outcome { parted: Arc::clone(&parted), index };
                self.hold(self.inner.node(&self.scope, kind, op))
            })
            .collect();
        handles.map(Answer::Handles)
    }

    /// A completion is answered in the open, so nothing private may go into it: neither values nor weights.
    pub(super) fn completion(&mut self, prompt: Vec<Message>, options: ModelOptions) -> HostReply {
        self.allow(Access::Model(options.weights))?;
        if options.weights == Weights::Personal {
            return Err(invalid("a completion has the base weights alone"));
        }
        let template = self.template(&prompt, None)?;
        let settings = self.settings_of(options)?;
        let mut messages = Vec::with_capacity(prompt.len());
        for message in prompt {
            let mut content = String::new();
            for part in message.parts {
                let Part::Literal(text) = part else {
                    return Err(invalid("a completion takes literal parts alone"));
                };
                content.push_str(&text);
            }
            messages.push(ChatMessage::new(engine_role(message.role), content));
        }
        match &self.model {
            Some(facts) if facts.trust == ModelTrust::Public => {}
            Some(_) => return Err(invalid("a completion needs a model marked public")),
            None => return Err(invalid("no model is loaded")),
        }
        self.charge(&template, settings.max_tokens, false)?;
        let ask = Ask {
            messages,
            max_tokens: settings.max_tokens,
            style: settings.style,
            seed: self.scope.seed,
            stop: settings.stop.clone(),
            outcomes: None,
            weights: Weights::Base,
            // All of it is public, the answer included.
            cache: CacheScope::Shared(self.scope.own_words(Weights::Base)),
        };
        self.put(Held::Completion(Completion::Waiting(Box::new(ask)))).map(Answer::Handle)
    }

    /// The next token. A fault of the engine may come of private work beside, so it ends the run, abnormally.
    pub(super) fn completion_next(&mut self, handle: Handle) -> HostReply {
        let completion = match self.held.get_mut(&handle.0) {
            Some(Held::Completion(completion)) => std::mem::replace(completion, Completion::Over),
            Some(Held::Value(_)) => return Err(wrong_kind("a completion")),
            None => return Err(super::unknown_handle()),
        };
        let (completion, token) = match self.pull(completion) {
            Ok(pulled) => pulled,
            Err(fault) => {
                self.broken = Some(fault.to_string());
                return Err(GuestError::Refused);
            }
        };
        self.held.insert(handle.0, Held::Completion(completion));
        Ok(Answer::Token(token))
    }

    fn pull(&self, completion: Completion) -> Result<(Completion, Option<String>), Fault> {
        let runtime = self.inner.runtime.clone();
        self.same_model()?;
        let mut generation = match completion {
            Completion::Over => return Ok((Completion::Over, None)),
            Completion::Running(generation) => generation,
            Completion::Waiting(ask) => {
                let permit = self.inner.permitted(&self.scope, *ask, |_, permit| Ok(permit));
                model::start(&self.inner.engine, runtime.block_on(permit)?)?
            }
        };
        while let Some(event) = runtime.block_on(generation.next()) {
            self.same_model()?;
            if let GenerateEvent::Text(text) = event {
                return Ok((Completion::Running(generation), Some(text)));
            }
        }
        let done = runtime.block_on(generation.finish())?;
        self.inner.spent.answered(&self.scope, &done.usage);
        self.same_model()?;
        match done.stop {
            StopReason::Cancelled => Err(Fault::Stopped),
            _ => Ok((Completion::Over, None)),
        }
    }

    /// Whether the model is the one the run began with. Asked after every word of a completion: while it waited, it
    /// may have become a private model's.
    fn same_model(&self) -> Result<(), Fault> {
        let epoch = self.inner.loaded(|loaded| loaded.epoch());
        if epoch == self.model_epoch { Ok(()) } else { Err(Fault::Exchanged) }
    }

    /// Checks a prompt and takes its values in. `over` is the collection it is filled from, if any.
    fn template(
        &self,
        prompt: &[Message],
        over: Option<Kind>,
    ) -> Result<Arc<Template>, GuestError> {
        let limit = self.inner.limits.list_items;
        if prompt.is_empty() {
            return Err(invalid("a prompt has at least one message"));
        }
        if prompt.len() > limit || prompt.iter().any(|message| message.parts.len() > limit) {
            return Err(GuestError::OverQuota(Quota::Items));
        }
        let mut holes = 0;
        let mut turns = Vec::with_capacity(prompt.len());
        for message in prompt {
            let mut pieces = Vec::with_capacity(message.parts.len());
            for part in &message.parts {
                pieces.push(match part {
                    Part::Literal(text) => Piece::Literal(text.as_str().into()),
                    Part::Value(handle) => Piece::Value(self.text(*handle)?),
                    Part::Item(field) => {
                        let over =
                            over.ok_or_else(|| invalid("no collection to take items from"))?;
                        if !suits(over, *field) {
                            return Err(invalid("only documents have fields"));
                        }
                        holes += 1;
                        Piece::Item(*field)
                    }
                });
            }
            turns.push(Turn { role: message.role, pieces });
        }
        if over.is_some() && holes == 0 {
            return Err(invalid("a prompt over a collection needs an item part"));
        }
        Ok(Arc::new(Template(turns)))
    }

    fn settings_of(&self, options: ModelOptions) -> Result<Arc<Settings>, GuestError> {
        if options.max_tokens == 0 {
            return Err(invalid("an answer has at least one token"));
        }
        if options.stop.len() > self.inner.limits.stop_strings {
            return Err(GuestError::OverQuota(Quota::Items));
        }
        if options.stop.iter().any(|stop| stop.is_empty() || stop.len() > STOP_BYTES) {
            return Err(invalid("a stop string has 1 to 64 bytes"));
        }
        let ModelOptions { max_tokens, style, stop, weights } = options;
        Ok(Arc::new(Settings { max_tokens: max_tokens.into(), style, stop, weights }))
    }

    fn charge(&mut self, prompt: &Template, max_tokens: u32, each: bool) -> Result<(), GuestError> {
        let limits = self.inner.limits;
        self.meter.model(&limits, prompt.literal_bytes(), max_tokens.into(), each)
    }
}

fn outcomes_of(schema: &Schema) -> Result<Arc<[String]>, GuestError> {
    let outcomes = schema.outcomes().ok_or_else(|| invalid("2 to 64 different outcomes"))?;
    Ok(outcomes.into())
}
