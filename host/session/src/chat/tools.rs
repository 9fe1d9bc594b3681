//! Tools in a conversation: the model decides whether it needs one, the user whether it may have it, and what it gives
//! becomes part of what was said.
//!
//! Whatever stands in a document or in a tool's result can at most talk the model into asking: a call goes ahead by the
//! user's own answer or setting alone.

mod decision;
mod result;
#[cfg(test)]
mod tests;

use hearth_base::{ConversationId, DocumentId, Label, Origin, Source};
use hearth_engine_api::AdapterUse;
use hearth_vault::{AdapterChoice, CallState, ToolCall, ToolMode};
use tokio::sync::oneshot;

use super::{beginning, notice, prompt, show_turns, stopped_answer};
use crate::{
    Answering, ToolCallView, UserError,
    msg::{Change, Msg},
    runs::by_hand,
    task::Task,
    tools::{Asking, Call, Tool, Verdict, at_hand, plain_name},
};

pub(crate) use decision::NO_TOOL;
use decision::{Choice, decide};
use result::{Shown, shown};

/// Calls for one question. A model that wants more is going round in circles.
const MOST_CALLS: usize = 3;

/// In which conversation, and with which model.
pub(super) struct Place {
    pub(super) conversation: ConversationId,
    pub(super) context_tokens: u32,
    pub(super) adapters: Vec<AdapterUse>,
    /// What the model's own words depend on.
    pub(super) model: Label,
}

/// Lets the model call tools until it wants no more of them; gives all turns, the calls included.
pub(super) async fn before_answering(
    task: &Task,
    place: &Place,
    mut turns: Vec<prompt::Turn>,
) -> Result<Vec<prompt::Turn>, UserError> {
    let mut made: Vec<Choice> = Vec::new();
    while made.len() < MOST_CALLS {
        let documents = attached(&turns);
        let tools = task.blocking(at_hand).await?;
        let tools: Vec<Tool> =
            tools.into_iter().filter(|t| !t.takes_document || !documents.is_empty()).collect();
        if tools.is_empty() {
            break;
        }
        doing(task, place, "Choosing whether a tool is needed").await;
        let decided = decide(task, place, &turns, &tools, &documents).await?;
        if let Some(words) = decided.notice {
            say(task, place.conversation, words).await?;
        }
        let Some(choice) = decided.choice.filter(|choice| !made.contains(choice)) else { break };
        let Some(tool) = tools.iter().find(|tool| tool.name == choice.tool) else { break };
        let (state, turn) = one_call(task, place, tool, &choice, &documents).await?;
        turns.push(turn);
        made.push(choice);
        if state == CallState::Refused {
            // Whoever said no is not asked for the next best thing.
            break;
        }
    }
    Ok(turns)
}

/// Asks the user, calls the tool, and keeps what came of it.
async fn one_call(
    task: &Task,
    place: &Place,
    tool: &Tool,
    choice: &Choice,
    documents: &[(DocumentId, String)],
) -> Result<(CallState, prompt::Turn), UserError> {
    let verdict = match tool.mode {
        ToolMode::Always => Verdict::Allowed,
        ToolMode::Ask => {
            doing(task, place, &format!("Waiting for you: may {} run?", tool.plugin_name)).await;
            ask_user(task, place, tool, choice, documents).await?
        }
    };
    let outcome = match verdict {
        Verdict::Allowed => {
            doing(task, place, &format!("{}: {}", tool.plugin_name, tool.title)).await;
            match run(task, place, tool, choice).await {
                Ok(shown) => (CallState::Done, shown),
                // The user's stop ends the answer; every other failure is for the model to hear of.
                Err(error) if task.cancel.is_cancelled() => return Err(error),
                Err(error) => (CallState::Failed, Shown::words(error.message)),
            }
        }
        Verdict::Refused => {
            (CallState::Refused, Shown::words("The user did not allow this call.".into()))
        }
        Verdict::Withdrawn => {
            (CallState::Refused, Shown::words("The tool may no longer be called.".into()))
        }
    };
    let state = outcome.0;
    let turn = keep(task, place.conversation, tool, choice, outcome).await?;
    Ok((state, turn))
}

/// Shows the user the exact call and waits for the answer.
async fn ask_user(
    task: &Task,
    place: &Place,
    tool: &Tool,
    choice: &Choice,
    documents: &[(DocumentId, String)],
) -> Result<Verdict, UserError> {
    let question = task.ctx.next_ticket().0;
    let title =
        |id| documents.iter().find(|(known, _)| *known == id).map(|(_, title)| title.clone());
    let view = ToolCallView {
        question,
        ticket: task.ticket,
        conversation: place.conversation,
        plugin: tool.plugin.clone(),
        plugin_name: tool.plugin_name.clone(),
        command: tool.command.clone(),
        title: tool.title.clone(),
        input: choice.input.clone(),
        document: choice.document,
        document_title: choice.document.and_then(title).unwrap_or_default(),
    };
    let (answer, answered) = oneshot::channel();
    let asking = Asking { task: task.clone(), question };
    task.ctx.tell(Msg::ToolAsked(task.room.epoch, Box::new(view), answer)).await;
    let verdict = tokio::select! {
        verdict = answered => Ok(verdict.unwrap_or(Verdict::Withdrawn)),
        () = task.cancel.cancelled() => Err(stopped_answer()),
    };
    drop(asking);
    verdict
}

/// Runs the plugin, and gives what its panels show when all of it is there.
async fn run(task: &Task, place: &Place, tool: &Tool, choice: &Choice) -> Result<Shown, UserError> {
    let (id, model) = (place.conversation, place.model.clone());
    let label =
        task.blocking(move |task| Ok(task.vault().join_conversation_label(id, &model)?)).await?;
    let call = Call {
        plugin: tool.plugin.clone(),
        command: tool.command.clone(),
        input: choice.input.clone(),
        document: choice.document,
        label,
    };
    let ticket = task.ctx.next_ticket();
    let (called, mut panels) = oneshot::channel();
    task.ctx.tell(Msg::CallTool(task.room.epoch, ticket, Box::new(call), called)).await;
    let panels = tokio::select! {
        panels = &mut panels => panels,
        () = task.cancel.cancelled() => {
            task.ctx.tell(Msg::StopRun(task.room.epoch, ticket)).await;
            return Err(stopped_answer());
        }
    };
    let panels = panels.map_err(|_gone| stopped_answer())??;
    shown(&panels, |value| task.room.broker.value_label(value).unwrap_or_default())
}

/// Writes the call and what came of it into the conversation.
async fn keep(
    task: &Task,
    id: ConversationId,
    tool: &Tool,
    choice: &Choice,
    (state, shown): (CallState, Shown),
) -> Result<prompt::Turn, UserError> {
    let call = ToolCall {
        plugin: tool.plugin.clone(),
        plugin_name: tool.plugin_name.clone(),
        command: tool.command.clone(),
        title: tool.title.clone(),
        input: choice.input.clone(),
        document: choice.document,
        state,
        made_from: shown.made_from,
    };
    let turn = prompt::Turn::of_call(choice.as_json(), &call, shown.text.clone());
    let (text, mut label) = (shown.text, shown.label);
    label.origins.insert(Origin::Plugin(tool.plugin.clone()));
    task.blocking(move |task| {
        task.vault().join_conversation_label(id, &label)?;
        task.vault().add_call(id, &call, &text)?;
        show_turns(task, id)
    })
    .await?;
    Ok(turn)
}

/// An earlier call, in the model's own words.
pub(super) fn words_of(call: &ToolCall) -> String {
    let tool = plain_name(&call.plugin, &call.command);
    Choice { tool, input: call.input.clone(), document: call.document }.as_json()
}

/// What an answer depends on besides the conversation: the weights it is made with.
pub(super) fn model_label(task: &Task, adapters: &[AdapterChoice]) -> Result<Label, UserError> {
    let mut label = task.room.model_label();
    for choice in adapters {
        label.join(&task.vault().adapter_label(choice.adapter)?);
        label.sources.insert(Source::PrivateModel(format!("adapter {}", choice.adapter)));
    }
    Ok(label)
}

/// Adds what the user said, and gave along, to what a conversation depends on.
pub(super) fn join_said(
    task: &Task,
    id: ConversationId,
    attached: impl Iterator<Item = DocumentId>,
) -> Result<(), UserError> {
    let mut label = by_hand();
    for document in attached {
        label.sources.insert(Source::Document(document));
        if let Some(document) = task.vault().document(document)? {
            label.join(&document.label);
        }
    }
    task.vault().join_conversation_label(id, &label)?;
    Ok(())
}

/// The documents that were given along, with their titles.
fn attached(turns: &[prompt::Turn]) -> Vec<(DocumentId, String)> {
    let mut all: Vec<(DocumentId, String)> = Vec::new();
    for attached in turns.iter().flat_map(|turn| &turn.attached) {
        if let Some(id) = attached.id
            && !all.iter().any(|(known, _)| *known == id)
        {
            all.push((id, attached.title.clone()));
        }
    }
    all
}

async fn doing(task: &Task, place: &Place, words: &str) {
    let answering = Answering { doing: words.to_owned(), ..beginning(task.ticket) };
    task.show_async(Change::Answering(place.conversation, Some(answering))).await;
}

async fn say(task: &Task, id: ConversationId, words: String) -> Result<(), UserError> {
    task.blocking(move |task| {
        task.vault().add_turn(id, &notice(words))?;
        show_turns(task, id)
    })
    .await
}
