//! Asking the model.

use std::sync::Arc;

use hearth_base::{Label, Source, Style, Weights};
use hearth_engine_api::{
    ChatMessage, Constraint, Engine, GenerateEvent, GenerateRequest, Generation, Priority, Prompt,
    Sampling, StopReason,
};

use crate::{
    ModelTrust,
    inner::Inner,
    permit::{Operation, Permit, check},
    policy::Access,
    scope::Scope,
    values::Fault,
};

/// One request to the model.
pub(crate) struct Ask {
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) max_tokens: u32,
    pub(crate) style: Style,
    pub(crate) seed: u64,
    pub(crate) stop: Vec<String>,
    /// The answers allowed, where it is a decision.
    pub(crate) outcomes: Option<Vec<String>>,
}

impl Operation for Ask {
    fn access(&self) -> Access<'_> {
        Access::Model(Weights::Base)
    }
    fn line(&self) -> Option<String> {
        Some("asked the model".into())
    }
}

/// Length of a prompt in the model's tokens. Part of asking, so it leaves no line of its own.
pub(crate) struct Measure(pub(crate) Prompt);

impl Operation for Measure {
    fn access(&self) -> Access<'_> {
        Access::Model(Weights::Base)
    }
    fn line(&self) -> Option<String> {
        None
    }
}

/// Cutting a text into pieces by the model's own tokens. Reads no weights, so it needs no grant of the model.
pub(crate) struct Split {
    pub(crate) text: Arc<str>,
    pub(crate) max_tokens: u32,
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
    /// What the answer depends on besides the prompt: the weights.
    pub(crate) weights: Label,
}

/// Asks the model; pieces of the answer go to `on_text` as they come.
pub(crate) async fn ask(
    inner: &Inner,
    permit: Permit<Ask>,
    mut on_text: impl FnMut(&str) + Send,
) -> Result<Answered, Fault> {
    let (ask, scope) = permit.redeem();
    let Ok(_slot) = inner.model_slots.acquire().await else { return Err(Fault::Stopped) };
    let mut weights = weights_label(inner)?;
    let mut generation = inner.engine.generate(request(ask))?;
    while let Some(event) = generation.next().await {
        if let GenerateEvent::Text(text) = event {
            on_text(&text);
        }
    }
    let done = generation.finish().await?;
    if done.stop == StopReason::Cancelled {
        return Err(Fault::Stopped);
    }
    // The model may have been exchanged meanwhile, and so may the grant.
    weights.join(&weights_label(inner)?);
    still_granted(inner, &scope).await?;
    Ok(Answered { text: done.text, stop: done.stop, weights })
}

/// Starts a completion whose prompt is public. Whether the weights are, the caller has seen to.
pub(crate) fn start(engine: &Engine, permit: Permit<Ask>) -> Result<Generation, Fault> {
    let (ask, _scope) = permit.redeem();
    Ok(engine.generate(request(ask))?)
}

/// Cuts a text.
pub(crate) async fn split(engine: &Engine, permit: Permit<Split>) -> Result<Vec<String>, Fault> {
    let (Split { text, max_tokens }, _scope) = permit.redeem();
    Ok(engine.split(text.to_string(), max_tokens, Priority::Background).await?)
}

/// Measures a prompt.
pub(crate) async fn measure(engine: &Engine, permit: Permit<Measure>) -> Result<u32, Fault> {
    let (Measure(prompt), _scope) = permit.redeem();
    Ok(engine.count_tokens(prompt, Priority::Background).await?)
}

/// The request behind an [`Ask`]. Plugins always wait for the user's own requests.
fn request(ask: Ask) -> GenerateRequest {
    let sampling = match ask.style {
        Style::Exact => Sampling::greedy(),
        Style::Balanced => Sampling::balanced(ask.seed),
        Style::Creative => Sampling::creative(ask.seed),
    };
    GenerateRequest {
        sampling,
        max_tokens: ask.max_tokens,
        stop: ask.stop,
        constraint: ask.outcomes.map(Constraint::OneOf),
        priority: Priority::Background,
        ..GenerateRequest::new(Prompt::Chat(ask.messages))
    }
}

fn weights_label(inner: &Inner) -> Result<Label, Fault> {
    let mut label = Label::public();
    if let ModelTrust::Private(name) = inner.model().ok_or(Fault::NoModel)?.trust {
        label.sources.insert(Source::PrivateModel(name));
    }
    Ok(label)
}

async fn still_granted(inner: &Inner, scope: &Arc<Scope>) -> Result<(), Fault> {
    let scope = Arc::clone(scope);
    inner.with_vault(move |vault| check(vault, &scope, Access::Model(Weights::Base))).await
}
