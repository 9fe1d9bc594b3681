//! The engine over a backend without weights.

use std::{sync::Arc, time::Duration};

use crate::{
    ChatMessage, Engine, EngineError, FakeBackend, GenerateEvent, GenerateRequest, LoadOptions,
    Prompt, Role, StopReason, Usage,
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
