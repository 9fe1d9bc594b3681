//! Engines that answer by rule.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterSlot, Backend, CacheScope, ChatMessage, Constraint, Engine,
    EngineError, FakeBackend, GenerateRequest, LanguageModel, LoadError, LoadOptions,
    MemoryEstimate, ModelInfo, Prompt, Report, RequestId,
};
use tokio::runtime::Handle as Runtime;

use super::world::{LONG, Recipe};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineKind {
    /// Says back all it was told.
    Echo,
    /// The same, word by word with a pause.
    Slow,
    /// Fails on every prompt.
    Failing,
    /// Answers each request only when [`super::world::World::release`] has been called for it.
    Gated,
    /// Answers only when it has got as many requests as there are documents.
    Crowd,
    /// What it answers to anything private, after how many of up to five seconds, and whether at all, depends on every
    /// byte of it and on this number. Its seconds pass as the world's clock lets them.
    Moody(u64),
}

/// In everything private that a moody engine is asked about.
pub(crate) const PRIVATE_MARK: char = '\u{a7}';
/// What a moody engine fails on.
pub(crate) const FAIL_MARK: &str = "brokentok";

/// The engine of a world.
pub(crate) async fn engine(recipe: &Recipe, gate: &Arc<Gate>, runtime: Runtime) -> Engine {
    let mood = match recipe.engine {
        EngineKind::Moody(mood) => Some(mood),
        _ => None,
    };
    let answer = move |prompt: &Prompt| mood.map_or_else(|| echo(prompt), |m| moody(prompt, m));
    let fake = FakeBackend::new(answer).with_context(recipe.context_tokens);
    let slow = fake.clone().with_token_delay(Duration::from_micros(200));
    let (fake, hook) = match recipe.engine {
        EngineKind::Echo => (fake, Hook::Answer),
        EngineKind::Slow => (slow, Hook::Answer),
        EngineKind::Failing => (fake, Hook::Fail),
        EngineKind::Gated => (fake, Hook::Wait(Arc::clone(gate))),
        EngineKind::Crowd => (fake, Hook::Gather(recipe.documents.len())),
        EngineKind::Moody(mood) => (fake, Hook::Delay(mood, runtime)),
    };
    let engine = Engine::start(Hooked { fake, hook, gate: Arc::clone(gate) }).unwrap();
    let (progress, _receiver) = tokio::sync::mpsc::channel(4);
    engine.load("fake".into(), LoadOptions::default(), progress, Arc::default()).await.unwrap();
    for slot in 1..4 {
        let file = AdapterFile { config: "{}".into(), weights: [1].into() };
        engine.add_adapter(AdapterSlot(slot), file).await.unwrap();
    }
    engine
}

/// In every answer of the model.
pub(crate) const MODEL_MARK: &str = "modeltok";

/// Everything in the prompt, in order: whatever went in can be found in what comes out.
fn echo(prompt: &Prompt) -> String {
    let told = match prompt {
        Prompt::Chat(messages) => {
            messages.iter().map(|m: &ChatMessage| m.content.as_str()).collect::<Vec<_>>().join(" ")
        }
        Prompt::Text(text) => text.clone(),
        Prompt::Tokens(ids) => format!("{ids:?}"),
    };
    format!("{MODEL_MARK} {told}")
}

/// As the echo where nothing private is about; else anything.
fn moody(prompt: &Prompt, mood: u64) -> String {
    let told = echo(prompt);
    if !told.contains(PRIVATE_MARK) {
        return told;
    }
    match hash(&told, mood) % 6 {
        0 => String::new(),
        1 => "yes".into(),
        2 => "\u{202e}\u{0}\u{301} \u{1f469}\u{200d}\u{1f4bb}".into(),
        3 => format!("{PRIVATE_MARK} {}", "more words ".repeat(300)),
        4 => told.chars().rev().take(500).collect(),
        _ => told.chars().take(2000).collect(),
    }
}

fn hash(told: &str, mood: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (told, mood).hash(&mut hasher);
    hasher.finish()
}

/// What tests and engine share.
#[derive(Default)]
pub(crate) struct Gate {
    /// What of each request the engine may keep.
    pub(crate) shared: Mutex<Vec<CacheScope>>,
    pub(crate) open: Mutex<usize>,
    pub(crate) arrived: Mutex<usize>,
    pub(crate) changed: Condvar,
}

#[derive(Clone)]
enum Hook {
    Answer,
    Fail,
    Wait(Arc<Gate>),
    /// Lets no answer go on before so many are asked for.
    Gather(usize),
    /// Takes each request up when its time has come.
    Delay(u64, Runtime),
}

/// A fake backend with something before each answer.
struct Hooked {
    fake: FakeBackend,
    hook: Hook,
    gate: Arc<Gate>,
}

impl Backend for Hooked {
    fn inspect(
        &self,
        path: &Path,
        options: &LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError> {
        self.fake.inspect(path, options)
    }

    fn load(
        &self,
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError> {
        let model = self.fake.load(path, options, on_progress)?;
        let (hook, gate) = (self.hook.clone(), Arc::clone(&self.gate));
        Ok(Box::new(HookedModel {
            model,
            hook,
            gate,
            since: Instant::now(),
            late: Vec::new(),
            answering: 0,
        }))
    }
}

struct HookedModel {
    model: Box<dyn LanguageModel>,
    hook: Hook,
    gate: Arc<Gate>,
    since: Instant,
    /// Requests whose time may not have come.
    late: Vec<Late>,
    /// Requests of these that are being answered.
    answering: usize,
}

struct Late {
    id: RequestId,
    request: GenerateRequest,
    due: Arc<AtomicBool>,
    cancelled: bool,
}

impl HookedModel {
    /// Puts a request off.
    fn put_off(&mut self, id: RequestId, request: GenerateRequest) {
        let Hook::Delay(mood, runtime) = &self.hook else { return };
        let told = echo(&request.prompt);
        let private = told.contains(PRIVATE_MARK);
        let secs = if private { hash(&told, mood.wrapping_add(1)) % 6 } else { 1 };
        let due = Arc::new(AtomicBool::new(secs == 0));
        let (rings, gate) = (Arc::clone(&due), Arc::clone(&self.gate));
        runtime.spawn(async move {
            tokio::time::sleep(Duration::from_secs(secs)).await;
            rings.store(true, Ordering::SeqCst);
            gate.changed.notify_all();
        });
        self.late.push(Late { id, request, due, cancelled: false });
    }

    /// Takes up what is due, and says what can never be answered.
    fn take_up(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>) {
        let over = |late: &Late| late.cancelled || late.due.load(Ordering::SeqCst);
        for late in self.late.extract_if(.., |late| over(late)) {
            let begun = if echo(&late.request.prompt).contains(FAIL_MARK) {
                Err(EngineError::Compute { op: "test", reason: "planned".into() })
            } else {
                self.model.begin(late.id, late.request)
            };
            if let Err(error) = begun {
                let _over = sink(late.id, Report::Ended(Err(error)));
                continue;
            }
            self.answering += 1;
            if late.cancelled {
                self.model.cancel(late.id);
            }
        }
    }
}

impl LanguageModel for HookedModel {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    fn count_tokens(&self, prompt: &Prompt) -> Result<u32, EngineError> {
        self.model.count_tokens(prompt)
    }

    fn split(&self, text: &str, max_tokens: u32) -> Result<Vec<String>, EngineError> {
        self.model.split(text, max_tokens)
    }

    fn most_running(&self) -> usize {
        self.model.most_running()
    }

    fn add_adapter(&mut self, slot: AdapterSlot, file: &AdapterFile) -> Result<(), AdapterError> {
        self.model.add_adapter(slot, file)
    }

    fn remove_adapter(&mut self, slot: AdapterSlot) {
        self.model.remove_adapter(slot);
    }

    fn begin(&mut self, id: RequestId, mut request: GenerateRequest) -> Result<(), EngineError> {
        self.gate.shared.lock().unwrap().push(request.cache.clone());
        match &self.hook {
            Hook::Answer | Hook::Gather(_) | Hook::Delay(..) => {}
            Hook::Fail => {
                return Err(EngineError::Compute { op: "test", reason: "planned".into() });
            }
            Hook::Wait(gate) => {
                *gate.arrived.lock().unwrap() += 1;
                gate.changed.notify_all();
                let open = gate.open.lock().unwrap();
                let mut open =
                    gate.changed.wait_timeout_while(open, LONG, |open| *open == 0).unwrap().0;
                *open = open.saturating_sub(1);
            }
        }
        if let Some(Constraint::OneOf(options)) = &mut request.constraint {
            // Which one depends on every byte of the prompt.
            let mood = if let Hook::Delay(mood, _) = &self.hook { *mood } else { 0 };
            let chosen = hash(&echo(&request.prompt), mood) as usize % options.len();
            *options = vec![options.swap_remove(chosen)];
        }
        if let Hook::Delay(..) = &self.hook {
            self.put_off(id, request);
            return Ok(());
        }
        self.model.begin(id, request)
    }

    fn step(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>) {
        if let Hook::Gather(requests) = self.hook
            && self.gate.shared.lock().unwrap().len() < requests
            && self.since.elapsed() < LONG
        {
            std::thread::yield_now();
            return;
        }
        self.take_up(sink);
        if self.answering == 0 && !self.late.is_empty() {
            // Not for long: a new request, or the end of one, is heard of only between steps.
            let open = self.gate.open.lock().unwrap();
            drop(self.gate.changed.wait_timeout(open, Duration::from_millis(1)).unwrap());
        }
        let answering = &mut self.answering;
        self.model.step(&mut |id, report| {
            if matches!(report, Report::Ended(_)) {
                *answering = answering.saturating_sub(1);
            }
            sink(id, report)
        });
    }

    fn cancel(&mut self, id: RequestId) {
        for late in self.late.iter_mut().filter(|late| late.id == id) {
            late.cancelled = true;
        }
        self.model.cancel(id);
    }
}
