//! The same question to the model with several adapters, side by side.

use std::time::{Duration, Instant};

use hearth_engine_api::{
    CacheScope, ChatMessage, Engine, GenerateEvent, GenerateRequest, Generation, Priority, Prompt,
    Role, Sampling,
};

use hearth_vault::AdapterChoice;

use super::{
    ComparisonSide, ComparisonView,
    adapters::{check, uses},
};
use crate::{Reply, UserError, chat::prompt::SYSTEM, msg::Change, task::Task};

/// Most answers at once.
const MOST_SIDES: usize = 4;
/// Longest answer.
const ANSWER_TOKENS: u32 = 400;
/// How often growing answers are painted.
const SHOW_EVERY: Duration = Duration::from_millis(60);

/// Answers on all sides at once; each is told as soon as it grows.
pub(super) async fn compare(
    task: Task,
    text: String,
    sides: Vec<Vec<AdapterChoice>>,
) -> Result<Reply, UserError> {
    if text.trim().is_empty() {
        return Err(UserError::user("There is nothing to ask.", "Type a question."));
    }
    if sides.is_empty() || sides.len() > MOST_SIDES {
        return Err(UserError::user(
            format!("{} answers cannot be compared at once.", sides.len()),
            format!("Choose 1 to {MOST_SIDES} sides."),
        ));
    }
    sides.iter().try_for_each(|adapters| check(adapters))?;
    task.ctx.loads_done().await;
    let mut shown = ComparisonView {
        text: text.clone(),
        ticket: task.ticket,
        sides: sides
            .iter()
            .map(|adapters| ComparisonSide {
                adapters: adapters.clone(),
                text: String::new(),
                done: false,
                error: None,
            })
            .collect(),
    };
    let mut running = Vec::new();
    for (index, adapters) in sides.iter().enumerate() {
        match begin(&task.ctx.engine, &text, adapters) {
            Ok(generation) => running.push((index, generation)),
            Err(error) => finish(&mut shown.sides[index], Err(error)),
        }
    }
    show(&task, &shown).await;
    let mut painted = Instant::now();
    while !running.is_empty() {
        let next = next_event(&mut running);
        tokio::select! {
            (place, event) = next => {
                let index = running[place].0;
                match event {
                    Some(GenerateEvent::Text(text)) => shown.sides[index].text.push_str(&text),
                    Some(_) => {}
                    None => {
                        let (_, generation) = running.swap_remove(place);
                        let ended = generation.finish().await.map_err(UserError::from);
                        finish(&mut shown.sides[index], ended.map(|done| done.text));
                    }
                }
            }
            // Dropping the generations cancels them.
            () = task.cancel.cancelled() => {
                running.clear();
                shown.sides.iter_mut().for_each(|side| side.done = true);
            }
        }
        if painted.elapsed() >= SHOW_EVERY || running.is_empty() {
            painted = Instant::now();
            show(&task, &shown).await;
        }
    }
    Ok(Reply::Unit)
}

/// The event that comes first, and which of the answers it belongs to.
async fn next_event(running: &mut [(usize, Generation)]) -> (usize, Option<GenerateEvent>) {
    std::future::poll_fn(|context| {
        for (place, (_, generation)) in running.iter_mut().enumerate() {
            if let std::task::Poll::Ready(event) = generation.poll_next(context) {
                return std::task::Poll::Ready((place, event));
            }
        }
        std::task::Poll::Pending
    })
    .await
}

fn begin(engine: &Engine, text: &str, adapters: &[AdapterChoice]) -> Result<Generation, UserError> {
    let mut request = question(text);
    request.priority = Priority::Interactive;
    request.max_tokens = ANSWER_TOKENS;
    request.adapters = uses(adapters);
    Ok(engine.generate(request)?)
}

/// A question whose answers can be compared: the likeliest words, whoever asks.
pub(super) fn question(text: &str) -> GenerateRequest {
    // As the chat asks it.
    let mut request = GenerateRequest::new(Prompt::Chat(vec![
        ChatMessage::new(Role::System, SYSTEM),
        ChatMessage::new(Role::User, text),
    ]));
    request.sampling = Sampling { repetition_penalty: 1.1, ..Sampling::greedy() };
    request.cache = CacheScope::Private;
    request
}

fn finish(side: &mut ComparisonSide, ended: Result<String, UserError>) {
    side.done = true;
    match ended {
        Ok(text) => side.text = text,
        Err(error) => side.error = Some(error),
    }
}

async fn show(task: &Task, shown: &ComparisonView) {
    task.show_async(Change::Comparison(Some(shown.clone()))).await;
}
