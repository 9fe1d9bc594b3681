//! Asking the model.

use std::sync::{Arc, atomic::Ordering};

use hearth_base::{Label, Style, Weights};
use hearth_engine_api::{
    CacheScope, ChatMessage, Constraint, Engine, EngineError, GenerateEvent, GenerateRequest,
    Generation, Priority, Prompt, Sampling, StopReason,
};

use crate::{
    inner::{Inner, ModelSlot},
    permit::{Operation, Permit, check},
    policy::Access,
    scope::Scope,
    values::Fault,
};

/// A text is given to the engine in parts of this length, so that the user's own requests need not wait for all of it.
const WINDOW_BYTES: usize = 256 << 10;

/// One request to the model.
pub(crate) struct Ask {
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) max_tokens: u32,
    pub(crate) style: Style,
    pub(crate) seed: u64,
    pub(crate) stop: Vec<String>,
    /// The answers allowed, where it is a decision.
    pub(crate) outcomes: Option<Vec<String>>,
    pub(crate) weights: Weights,
    /// What of it the engine may keep.
    pub(crate) cache: CacheScope,
}

impl Operation for Ask {
    fn access(&self) -> Access<'_> {
        Access::Model(self.weights)
    }
    fn line(&self) -> Option<String> {
        Some(match self.weights {
            Weights::Base => "asked the model".into(),
            Weights::Personal => "asked the model with personal weights".into(),
        })
    }
}

/// Length of a prompt in the model's tokens, for asking with such weights. Part of asking, so it leaves no line of its own.
pub(crate) struct Measure(pub(crate) Prompt, pub(crate) Weights);

impl Operation for Measure {
    fn access(&self) -> Access<'_> {
        Access::Model(self.1)
    }
    fn line(&self) -> Option<String> {
        None
    }
}

/// Cutting a text into pieces by the model's own tokens. Reads no weights, so it needs no grant of the model.
pub(crate) struct Split {
    pub(crate) text: Arc<str>,
    pub(crate) max_tokens: u32,
    /// Of more pieces than this there is a fault.
    pub(crate) most_pieces: u16,
}

impl Operation for Split {
    fn access(&self) -> Access<'_> {
        Access::Own
    }
    fn line(&self) -> Option<String> {
        Some("cut a text into pieces".into())
    }
}

/// The model's answer.
pub(crate) struct Answered {
    pub(crate) text: String,
    pub(crate) stop: StopReason,
    /// What the answer depends on besides the prompt and what adapters have learnt: the loaded model's weights.
    pub(crate) weights: Label,
}

/// A request under way. Where it is dropped before its end, it is withdrawn, and its slot is given back once the engine
/// has let go of it.
struct Asking<'a> {
    inner: &'a Inner,
    slot: &'a ModelSlot,
    scope: Arc<Scope>,
    generation: Option<Generation>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Some(generation) = self.generation.take() else { return };
        generation.cancel_flag().store(true, Ordering::Relaxed);
        let slot = Arc::clone(self.slot);
        let (spent, scope) = (Arc::clone(&self.inner.spent), Arc::clone(&self.scope));
        // What became of it concerns nobody any more; what it took is counted.
        self.inner.runtime.spawn(async move {
            if let Ok(done) = generation.finish().await {
                spent.answered(&scope, &done.usage);
            }
            drop(slot);
        });
    }
}

/// Asks the model; pieces of the answer go to `on_text` as they come.
pub(crate) async fn ask(
    inner: &Inner,
    slot: &ModelSlot,
    permit: Permit<Ask>,
    mut on_text: impl FnMut(&str) + Send,
) -> Result<Answered, Fault> {
    let (ask, scope) = permit.redeem();
    let epoch = inner.loaded(|loaded| loaded.facts().map(|_| loaded.epoch()));
    let epoch = epoch.ok_or(Fault::NoModel)?;
    let weights = ask.weights;
    let adapters = scope.adapters(weights);
    let generation = Some(inner.engine.generate(GenerateRequest { adapters, ..request(ask) })?);
    let mut asking = Asking { inner, slot, scope: Arc::clone(&scope), generation };
    while let Some(generation) = &mut asking.generation
        && let Some(event) = generation.next().await
    {
        if let GenerateEvent::Text(text) = event {
            on_text(&text);
        }
    }
    let Some(generation) = asking.generation.take() else { return Err(Fault::Stopped) };
    let done = generation.finish().await?;
    inner.spent.answered(&scope, &done.usage);
    if done.stop == StopReason::Cancelled {
        return Err(Fault::Stopped);
    }
    // The model may have been exchanged meanwhile, and so may the grant.
    let loaded = inner.loaded(|loaded| loaded.weights_since(epoch));
    still_granted(inner, &scope, weights).await?;
    Ok(Answered { text: done.text, stop: done.stop, weights: loaded })
}

/// Starts a completion whose prompt is public. Whether the weights are, the caller has seen to; it never has an adapter.
pub(crate) fn start(engine: &Engine, permit: Permit<Ask>) -> Result<Generation, Fault> {
    let (ask, _scope) = permit.redeem();
    Ok(engine.generate(request(ask))?)
}

/// Cuts a text.
pub(crate) async fn split(
    inner: &Inner,
    slot: &ModelSlot,
    permit: Permit<Split>,
) -> Result<Vec<String>, Fault> {
    let (Split { text, max_tokens, most_pieces }, _scope) = permit.redeem();
    let limit_bytes = inner.limits.model_bytes;
    if text.len() > limit_bytes {
        return Err(Fault::TooLongToCut { limit_bytes });
    }
    let mut pieces = Vec::new();
    let (mut start, mut window_bytes) = (0, WINDOW_BYTES);
    loop {
        let end = text.floor_char_boundary(start + window_bytes);
        let window = text[start..end].to_owned();
        let engine = inner.engine.clone();
        let mut cut = wait(inner, slot, async move {
            engine.split(window, max_tokens, Priority::Background).await
        })
        .await?;
        let is_last = end == text.len();
        if !is_last {
            // It may go on behind the window.
            cut.pop();
        }
        let cut_bytes: usize = cut.iter().map(String::len).sum();
        pieces.extend(cut);
        if pieces.len() > usize::from(most_pieces) {
            return Err(Fault::TooMany { limit: most_pieces });
        }
        if is_last {
            return Ok(pieces);
        }
        if cut_bytes == 0 {
            window_bytes *= 2;
        }
        start += cut_bytes;
    }
}

/// Measures a prompt.
pub(crate) async fn measure(
    inner: &Inner,
    slot: &ModelSlot,
    permit: Permit<Measure>,
) -> Result<u32, Fault> {
    let (Measure(prompt, _), _scope) = permit.redeem();
    let engine = inner.engine.clone();
    wait(inner, slot, async move { engine.count_tokens(prompt, Priority::Background).await }).await
}

/// Waits for the engine, on a task of its own: where the one who asked gives up, his copy of the text still lies in the
/// engine's queue, and so the slot is still taken.
async fn wait<T: Send + 'static>(
    inner: &Inner,
    slot: &ModelSlot,
    answer: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, Fault> {
    let slot = Arc::clone(slot);
    let task = inner.runtime.spawn(async move {
        let answer = answer.await;
        drop(slot);
        answer
    });
    Ok(task.await.map_err(|_ended| Fault::Stopped)??)
}

/// The request behind an [`Ask`], with no adapter yet. Plugins always wait for the user's own requests.
fn request(ask: Ask) -> GenerateRequest {
    let sampling = match ask.style {
        // Small models fall into loops without a penalty; a mild one leaves a name free to be said again.
        Style::Exact => Sampling {
            repetition_penalty: 1.15,
            repetition_window_tokens: 48,
            ..Sampling::greedy()
        },
        Style::Balanced => Sampling::balanced(ask.seed),
        Style::Creative => Sampling::creative(ask.seed),
    };
    GenerateRequest {
        sampling,
        max_tokens: ask.max_tokens,
        stop: ask.stop,
        constraint: ask.outcomes.map(Constraint::OneOf),
        priority: Priority::Background,
        cache: ask.cache,
        ..GenerateRequest::new(Prompt::Chat(ask.messages))
    }
}

async fn still_granted(inner: &Inner, scope: &Arc<Scope>, weights: Weights) -> Result<(), Fault> {
    let scope = Arc::clone(scope);
    inner.with_vault(move |vault| check(vault, &scope, Access::Model(weights))).await
}
