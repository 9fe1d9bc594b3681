//! The engine over a backend without weights.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use crate::{
    AdapterError, AdapterFile, AdapterSlot, AdapterUse, Backend, ChatMessage, Engine, EngineError,
    FakeBackend, GenerateEvent, GenerateRequest, LanguageModel, LoadError, LoadOptions,
    MemoryEstimate, ModelInfo, Priority, Prompt, Report, RequestId, Role, StopReason, Usage,
};

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
    let (asked, seen) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
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
    let (begun, seen) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
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

fn adapter(weights: &[u8]) -> AdapterFile {
    AdapterFile { config: "{}".into(), weights: weights.into() }
}

#[tokio::test]
async fn adapters_are_those_of_the_loaded_model() {
    let engine = Engine::start(FakeBackend::default()).unwrap();
    let slot = AdapterSlot(3);
    let refused = engine.add_adapter(slot, adapter(b"w")).await;
    assert!(matches!(refused, Err(AdapterError::NoModel)), "{refused:?}");
    let engine = loaded(FakeBackend::default()).await;
    let with = || {
        let used = vec![AdapterUse { slot, strength: 0.5 }];
        engine.generate(GenerateRequest { adapters: used, ..chat("x y") }).unwrap().finish()
    };
    let unknown = with().await;
    assert!(
        matches!(&unknown, Err(EngineError::Invalid { reason }) if reason.contains("adapter 3"))
    );
    let damaged = engine.add_adapter(slot, adapter(b"")).await;
    assert!(matches!(damaged, Err(AdapterError::Malformed { .. })), "{damaged:?}");
    engine.add_adapter(slot, adapter(b"w")).await.unwrap();
    assert_eq!(with().await.unwrap().text, "[adapter-3 * 0.5] fake: x y");
    assert_eq!(engine.generate(chat("x")).unwrap().finish().await.unwrap().text, "fake: x");
    engine.remove_adapter(slot).await;
    assert!(with().await.is_err());
    // Another model has none.
    engine.add_adapter(slot, adapter(b"w")).await.unwrap();
    let (progress, _receiver) = tokio::sync::mpsc::channel(4);
    engine.load("other".into(), LoadOptions::default(), progress, Arc::default()).await.unwrap();
    assert!(with().await.is_err());
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

/// What a [`Ledger`] is told, in order.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Begun(Priority),
    Step,
}

/// A model that writes down what it is told, and takes a step only when it is let.
struct Ledger {
    told: mpsc::Sender<Entry>,
    steps: Arc<Mutex<mpsc::Receiver<()>>>,
    inner: Box<dyn LanguageModel>,
}

impl LanguageModel for Ledger {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }

    fn count_tokens(&self, prompt: &Prompt) -> Result<u32, EngineError> {
        self.inner.count_tokens(prompt)
    }

    fn split(&self, text: &str, max_tokens: u32) -> Result<Vec<String>, EngineError> {
        self.inner.split(text, max_tokens)
    }

    fn most_running(&self) -> usize {
        2
    }

    fn add_adapter(&mut self, slot: AdapterSlot, file: &AdapterFile) -> Result<(), AdapterError> {
        self.inner.add_adapter(slot, file)
    }

    fn remove_adapter(&mut self, slot: AdapterSlot) {
        self.inner.remove_adapter(slot);
    }

    fn begin(&mut self, id: RequestId, request: GenerateRequest) -> Result<(), EngineError> {
        self.told.send(Entry::Begun(request.priority)).ok();
        self.inner.begin(id, request)
    }

    fn step(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>) {
        self.told.send(Entry::Step).ok();
        self.steps.lock().unwrap().recv().ok();
        self.inner.step(sink);
    }

    fn cancel(&mut self, id: RequestId) {
        self.inner.cancel(id);
    }
}

/// Loads [`Ledger`]s.
struct Ledgers(mpsc::Sender<Entry>, Arc<Mutex<mpsc::Receiver<()>>>);

impl Backend for Ledgers {
    fn inspect(
        &self,
        path: &Path,
        options: &LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError> {
        FakeBackend::default().inspect(path, options)
    }

    fn load(
        &self,
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError> {
        let inner = FakeBackend::new(|_| "a b c d".into()).load(path, options, on_progress)?;
        Ok(Box::new(Ledger { told: self.0.clone(), steps: Arc::clone(&self.1), inner }))
    }
}

#[tokio::test]
async fn an_interactive_request_waits_for_one_step_at_most() {
    let (told, entries) = mpsc::channel();
    let (let_step, steps) = mpsc::channel();
    let engine = Engine::start(Ledgers(told, Arc::new(Mutex::new(steps)))).unwrap();
    let (progress, _receiver) = tokio::sync::mpsc::channel(4);
    engine.load("fake".into(), LoadOptions::default(), progress, Arc::default()).await.unwrap();
    let background = || GenerateRequest { priority: Priority::Background, ..chat("x") };
    let first = engine.generate(background()).unwrap();
    assert_eq!(entries.recv().unwrap(), Entry::Begun(Priority::Background));
    assert_eq!(entries.recv().unwrap(), Entry::Step);
    // While that step is under way come others. As many run in the background as the model finds useful.
    let others = [(); 3].map(|()| engine.generate(background()).unwrap());
    let interactive = engine.generate(chat("y")).unwrap();
    let_step.send(()).unwrap();
    assert_eq!(entries.recv().unwrap(), Entry::Begun(Priority::Interactive));
    assert_eq!(entries.recv().unwrap(), Entry::Begun(Priority::Background));
    assert_eq!(entries.recv().unwrap(), Entry::Step);
    drop(let_step);
    assert_eq!(interactive.finish().await.unwrap().text, "a b c d");
    for background in others.into_iter().chain([first]) {
        assert_eq!(background.finish().await.unwrap().text, "a b c d");
    }
    let later: Vec<Entry> = entries.try_iter().collect();
    let begun = later.iter().filter(|entry| **entry != Entry::Step).count();
    assert_eq!(begun, 2);
}

#[tokio::test]
async fn counting_goes_on_beside_running_requests() {
    let (told, entries) = mpsc::channel();
    let (let_step, steps) = mpsc::channel();
    let engine = Engine::start(Ledgers(told, Arc::new(Mutex::new(steps)))).unwrap();
    let (progress, _receiver) = tokio::sync::mpsc::channel(4);
    engine.load("fake".into(), LoadOptions::default(), progress, Arc::default()).await.unwrap();
    let running = engine.generate(chat("x")).unwrap();
    assert_eq!(entries.recv().unwrap(), Entry::Begun(Priority::Interactive));
    assert_eq!(entries.recv().unwrap(), Entry::Step);
    let counted = tokio::spawn({
        let engine = engine.clone();
        async move { engine.count_tokens(Prompt::Text("a b".into()), Priority::Background).await }
    });
    tokio::task::yield_now().await;
    let_step.send(()).unwrap();
    assert_eq!(counted.await.unwrap().unwrap(), 2);
    drop(let_step);
    assert_eq!(running.finish().await.unwrap().text, "a b c d");
}

#[tokio::test]
async fn an_interactive_request_is_seen_until_nobody_waits_for_it() {
    let engine = Engine::start(FakeBackend::default()).unwrap();
    let request = GenerateRequest::new(Prompt::Text("hello".into()));
    let background = GenerateRequest { priority: Priority::Background, ..request.clone() };
    let quiet = engine.generate(background).unwrap();
    assert!(!engine.is_answering());
    let answer = engine.generate(request).unwrap();
    assert!(engine.is_answering());
    drop(quiet);
    assert!(engine.is_answering());
    assert!(answer.finish().await.is_err(), "no model is loaded");
    assert!(!engine.is_answering());
}
