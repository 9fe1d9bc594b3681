//! A backend without weights, for tests above this floor.

mod tuner;

use std::{collections::BTreeSet, ops::ControlFlow, path::Path, sync::Arc, time::Duration};

use crate::{
    AdapterError, AdapterFile, AdapterSlot, Backend, Constraint, EngineError, GenerateEvent,
    GenerateRequest, Generated, LanguageModel, LoadError, LoadOptions, MemoryEstimate, ModelInfo,
    Prompt, Report, RequestId, StopReason, Usage,
};

pub use tuner::FakeTuner;

/// Answers under way at once.
const MOST_RUNNING: usize = 16;

type Script = dyn Fn(&Prompt) -> String + Send + Sync;

/// Answers from a function of the prompt, one word an event. A token is a word with the space before it.
///
/// With adapters an answer begins with their names and strengths: `[adapter-3 * 0.5] `. Any bytes will do for an adapter,
/// but none are a damaged one.
#[derive(Clone)]
pub struct FakeBackend {
    script: Arc<Script>,
    context_tokens: u32,
    token_delay: Duration,
}

impl Default for FakeBackend {
    /// Repeats the first eight words of the last message.
    fn default() -> Self {
        Self::new(|prompt| {
            let text = match prompt {
                Prompt::Chat(messages) => {
                    messages.last().map_or(String::new(), |m| m.content.clone())
                }
                Prompt::Text(text) => text.clone(),
                Prompt::Tokens(ids) => format!("{} tokens", ids.len()),
            };
            let head: Vec<&str> = text.split_whitespace().take(8).collect();
            format!("fake: {}", head.join(" "))
        })
    }
}

impl FakeBackend {
    /// A backend whose every answer is `script` of the prompt.
    pub fn new(script: impl Fn(&Prompt) -> String + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), context_tokens: 4096, token_delay: Duration::ZERO }
    }

    /// The same with another context length.
    #[must_use]
    pub fn with_context(self, context_tokens: u32) -> Self {
        Self { context_tokens, ..self }
    }

    /// The same, sleeping before each word of all answers under way: for tests of cancelling and of progress.
    #[must_use]
    pub fn with_token_delay(self, token_delay: Duration) -> Self {
        Self { token_delay, ..self }
    }

    fn info(&self) -> ModelInfo {
        ModelInfo {
            name: "fake".into(),
            architecture: "fake".into(),
            weight_format: "none".into(),
            parameters: 0,
            file_bytes: 0,
            context_tokens: self.context_tokens,
            vocabulary: 256,
            has_chat_template: true,
        }
    }
}

impl Backend for FakeBackend {
    fn inspect(
        &self,
        _path: &Path,
        _options: &LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError> {
        Ok((
            self.info(),
            MemoryEstimate { weights_bytes: 0, kv_cache_bytes: 0, work_bytes: 1 << 20 },
        ))
    }

    fn load(
        &self,
        _path: &Path,
        _options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError> {
        if on_progress(1.0).is_break() {
            return Err(LoadError::Cancelled);
        }
        Ok(Box::new(FakeModel {
            backend: self.clone(),
            info: self.info(),
            adapters: BTreeSet::new(),
            running: Vec::new(),
        }))
    }
}

struct FakeModel {
    backend: FakeBackend,
    info: ModelInfo,
    adapters: BTreeSet<AdapterSlot>,
    running: Vec<Run>,
}

/// An answer under way.
struct Run {
    id: RequestId,
    started: bool,
    cancelled: bool,
    /// Words still to say, last first.
    words: Vec<String>,
    max_tokens: u32,
    done: Generated,
}

impl Run {
    /// One event; why it ended, where it did.
    fn go_on(
        &mut self,
        context_tokens: u32,
        say: &mut dyn FnMut(GenerateEvent) -> ControlFlow<()>,
    ) -> Option<StopReason> {
        if self.cancelled {
            return Some(StopReason::Cancelled);
        }
        let usage = &mut self.done.usage;
        let started = std::mem::replace(&mut self.started, true);
        let event = if !started {
            GenerateEvent::Started { prompt_tokens: usage.prompt_tokens, context_tokens }
        } else if usage.generated_tokens >= self.max_tokens && !self.words.is_empty() {
            return Some(StopReason::MaxTokens);
        } else if let Some(word) = self.words.pop() {
            usage.generated_tokens += 1;
            self.done.text.push_str(&word);
            GenerateEvent::Text(word)
        } else {
            return Some(StopReason::EndOfText);
        };
        say(event).is_break().then_some(StopReason::Cancelled)
    }
}

impl LanguageModel for FakeModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn count_tokens(&self, prompt: &Prompt) -> Result<u32, EngineError> {
        let words = |text: &str| text.split_whitespace().count();
        let count = match prompt {
            Prompt::Chat(messages) => messages.iter().map(|m| words(&m.content) + 1).sum(),
            Prompt::Text(text) => words(text),
            Prompt::Tokens(ids) => ids.len(),
        };
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn split(&self, text: &str, max_tokens: u32) -> Result<Vec<String>, EngineError> {
        if max_tokens == 0 {
            return Err(EngineError::Invalid { reason: "max_tokens is 0".into() });
        }
        let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
        Ok(words.chunks(max_tokens as usize).map(<[&str]>::concat).collect())
    }

    fn most_running(&self) -> usize {
        MOST_RUNNING
    }

    fn add_adapter(&mut self, slot: AdapterSlot, file: &AdapterFile) -> Result<(), AdapterError> {
        if file.weights.is_empty() {
            return Err(AdapterError::Malformed { reason: "it has no weights".into() });
        }
        self.adapters.insert(slot);
        Ok(())
    }

    fn remove_adapter(&mut self, slot: AdapterSlot) {
        self.adapters.remove(&slot);
    }

    fn begin(&mut self, id: RequestId, request: GenerateRequest) -> Result<(), EngineError> {
        let prompt_tokens = self.count_tokens(&request.prompt)?;
        let context_tokens = self.info.context_tokens;
        if prompt_tokens >= context_tokens {
            return Err(EngineError::ContextOverflow { prompt_tokens, context_tokens });
        }
        let answer = self.answer(&request)?;
        let mut words: Vec<String> =
            answer.split_inclusive(char::is_whitespace).map(str::to_owned).collect();
        words.reverse();
        self.running.push(Run {
            id,
            started: false,
            cancelled: false,
            words,
            max_tokens: request.max_tokens,
            done: Generated {
                usage: Usage { prompt_tokens, ..Usage::default() },
                stop: StopReason::EndOfText,
                ..Generated::cancelled()
            },
        });
        Ok(())
    }

    /// A word of every answer.
    fn step(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>) {
        if self.running.iter().any(|run| run.started && !run.words.is_empty()) {
            std::thread::sleep(self.backend.token_delay);
        }
        for mut run in std::mem::take(&mut self.running) {
            let id = run.id;
            let say = &mut |event| sink(id, Report::Event(event));
            match run.go_on(self.info.context_tokens, say) {
                None => self.running.push(run),
                // Whether anybody listens makes no difference at the end.
                Some(stop) => {
                    let _over = sink(id, Report::Ended(Ok(Generated { stop, ..run.done })));
                }
            }
        }
    }

    fn cancel(&mut self, id: RequestId) {
        for run in self.running.iter_mut().filter(|run| run.id == id) {
            run.cancelled = true;
        }
    }
}

impl FakeModel {
    /// What tells that a request runs with adapters.
    fn adapted(&self, request: &GenerateRequest) -> Result<String, EngineError> {
        let names = request.adapters.iter().map(|adapter| match adapter.slot {
            slot if self.adapters.contains(&slot) => {
                Ok(format!("[adapter-{} * {}] ", slot.0, adapter.strength))
            }
            slot => Err(EngineError::unknown_adapter(slot)),
        });
        names.collect()
    }

    fn answer(&self, request: &GenerateRequest) -> Result<String, EngineError> {
        let wish = (self.backend.script)(&request.prompt);
        let adapted = self.adapted(request)?;
        match &request.constraint {
            None => Ok(adapted + &wish),
            Some(Constraint::OneOf(options)) => {
                let fallback = options.first().cloned().ok_or_else(|| EngineError::Invalid {
                    reason: "no options to choose from".into(),
                })?;
                Ok(options.iter().find(|o| **o == wish).cloned().unwrap_or(fallback))
            }
            Some(_) => Err(EngineError::Invalid {
                reason: "the fake model keeps to lists of options alone".into(),
            }),
        }
    }
}
