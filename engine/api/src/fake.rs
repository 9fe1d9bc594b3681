//! A backend without weights, for tests above this floor.

use std::{ops::ControlFlow, path::Path, sync::Arc, time::Duration};

use crate::{
    Backend, Constraint, EngineError, GenerateEvent, GenerateRequest, Generated, LanguageModel,
    LoadError, LoadOptions, MemoryEstimate, ModelInfo, Prompt, StopReason, Usage,
};

type Script = dyn Fn(&Prompt) -> String + Send + Sync;

/// Answers from a function of the prompt, one word an event. A token is a word with the space before it.
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

    /// The same, sleeping before each word: for tests of cancelling and of progress.
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
        Ok(Box::new(FakeModel { backend: self.clone(), info: self.info() }))
    }
}

struct FakeModel {
    backend: FakeBackend,
    info: ModelInfo,
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

    fn generate(
        &mut self,
        request: &GenerateRequest,
        on_event: &mut dyn FnMut(GenerateEvent) -> ControlFlow<()>,
    ) -> Result<Generated, EngineError> {
        let prompt_tokens = self.count_tokens(&request.prompt)?;
        let context_tokens = self.info.context_tokens;
        if prompt_tokens >= context_tokens {
            return Err(EngineError::ContextOverflow { prompt_tokens, context_tokens });
        }
        let answer = match &request.constraint {
            None => (self.backend.script)(&request.prompt),
            Some(Constraint::OneOf(options)) => {
                let wish = (self.backend.script)(&request.prompt);
                let fallback = options.first().cloned().ok_or_else(|| EngineError::Invalid {
                    reason: "no options to choose from".into(),
                })?;
                options.iter().find(|o| **o == wish).cloned().unwrap_or(fallback)
            }
        };
        let mut usage = Usage { prompt_tokens, ..Usage::default() };
        let mut text = String::new();
        let mut stop = StopReason::EndOfText;
        if on_event(GenerateEvent::Started { prompt_tokens, context_tokens }).is_break() {
            stop = StopReason::Cancelled;
        } else {
            for word in answer.split_inclusive(char::is_whitespace) {
                if usage.generated_tokens >= request.max_tokens {
                    stop = StopReason::MaxTokens;
                    break;
                }
                std::thread::sleep(self.backend.token_delay);
                usage.generated_tokens += 1;
                text.push_str(word);
                if on_event(GenerateEvent::Text(word.into())).is_break() {
                    stop = StopReason::Cancelled;
                    break;
                }
            }
        }
        Ok(Generated { text, tokens: Vec::new(), stop, usage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChatMessage, Engine, Role};

    fn chat(text: &str) -> GenerateRequest {
        GenerateRequest::new(Prompt::Chat(vec![ChatMessage::new(Role::User, text)]))
    }

    async fn loaded(backend: FakeBackend) -> Engine {
        let engine = Engine::start(backend).unwrap();
        let (progress, _receiver) = tokio::sync::mpsc::channel(4);
        engine.load("fake".into(), LoadOptions::default(), progress, Arc::default()).await.unwrap();
        engine
    }

    #[tokio::test]
    async fn streams_what_it_returns() {
        let engine = loaded(FakeBackend::default()).await;
        let mut generation = engine.generate(chat("one two three")).unwrap();
        let mut streamed = String::new();
        while let Some(event) = generation.next().await {
            if let GenerateEvent::Text(text) = event {
                streamed.push_str(&text);
            }
        }
        let done = generation.finish().await.unwrap();
        assert_eq!(done.text, "fake: one two three");
        assert_eq!(streamed, done.text);
    }

    #[tokio::test]
    async fn without_a_model_it_says_so() {
        let engine = Engine::start(FakeBackend::default()).unwrap();
        let generation = engine.generate(chat("x")).unwrap();
        assert!(matches!(generation.finish().await, Err(EngineError::NoModel)));
    }

    #[tokio::test]
    async fn cancel_ends_at_the_next_token() {
        let backend =
            FakeBackend::new(|_| "word ".repeat(10_000)).with_token_delay(Duration::from_millis(1));
        let engine = loaded(backend).await;
        let mut request = chat("x");
        request.max_tokens = 10_000;
        let mut generation = engine.generate(request).unwrap();
        generation.next().await;
        generation.cancel_flag().store(true, std::sync::atomic::Ordering::Relaxed);
        let done = generation.finish().await.unwrap();
        assert_eq!(done.stop, StopReason::Cancelled);
        assert!(done.usage.generated_tokens < 10_000);
    }

    #[tokio::test]
    async fn a_request_withdrawn_while_waiting_is_not_begun() {
        let (asked, seen) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let backend = FakeBackend::new(move |prompt| {
            asked.send(format!("{prompt:?}")).unwrap();
            wait.lock().unwrap().recv().ok();
            "done".into()
        });
        let engine = loaded(backend).await;
        let first = engine.generate(chat("first")).unwrap();
        let second = engine.generate(chat("second")).unwrap();
        assert!(seen.recv().unwrap().contains("first"));
        second.cancel_flag().store(true, std::sync::atomic::Ordering::Relaxed);
        go.send(()).unwrap();
        assert_eq!(first.finish().await.unwrap().text, "done");
        let second = second.finish().await.unwrap();
        assert_eq!((second.stop, second.usage), (StopReason::Cancelled, Usage::default()));
        assert!(seen.try_recv().is_err(), "the script was asked for it");
    }

    #[tokio::test]
    async fn a_panic_costs_the_job_and_the_model_not_the_engine() {
        let engine = loaded(FakeBackend::new(|_| panic!("a test's panic"))).await;
        let lost = engine.generate(chat("x")).unwrap().finish().await;
        assert!(matches!(lost, Err(EngineError::EngineGone)), "{lost:?}");
        assert!(engine.info().await.is_none());
        engine.unload().await;
        let next = engine.generate(chat("x")).unwrap().finish().await;
        assert!(matches!(next, Err(EngineError::NoModel)), "{next:?}");
    }

    #[tokio::test]
    async fn unloading_goes_before_all_that_waits() {
        let (begun, seen) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let engine = loaded(FakeBackend::new(move |_| {
            begun.send(()).unwrap();
            wait.lock().unwrap().recv().ok();
            "done".into()
        }))
        .await;
        let running = engine.generate(chat("first")).unwrap();
        let waiting = engine.generate(chat("second")).unwrap();
        seen.recv().unwrap();
        let unload = tokio::spawn({
            let engine = engine.clone();
            async move { engine.unload().await }
        });
        // The unloading stands in the queue before the model is let go on.
        tokio::task::yield_now().await;
        go.send(()).unwrap();
        assert_eq!(running.finish().await.unwrap().text, "done");
        unload.await.unwrap();
        assert!(matches!(waiting.finish().await, Err(EngineError::NoModel)));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_holds_up_nobody() {
        let engine = loaded(FakeBackend::new(|_| "word ".repeat(5_000))).await;
        let mut unread = chat("x");
        unread.max_tokens = 5_000;
        let unread = engine.generate(unread).unwrap();
        let read = engine.generate(chat("y")).unwrap().finish().await.unwrap();
        assert_eq!(read.stop, StopReason::MaxTokens);
        assert_eq!(unread.finish().await.unwrap().usage.generated_tokens, 5_000);
    }

    #[tokio::test]
    async fn overflow_is_reported_not_cut() {
        let engine = loaded(FakeBackend::default().with_context(2)).await;
        let result = engine.generate(chat("a b c d")).unwrap().finish().await;
        assert!(matches!(
            result,
            Err(EngineError::ContextOverflow { prompt_tokens: 5, context_tokens: 2 })
        ));
    }
}
