//! Conversations with the model.

use hearth_base::ConversationId;
use hearth_engine_api::{ChatMessage, Example, Role};
use hearth_vault::{CallState, ChatTurn, Rating, Speaker};

use super::{Context, Draft, Made};
use crate::DatasetError;
use crate::recipe::Conversations;
use crate::report::LeftOut;
use crate::split::Group;

/// Makes an example of a conversation, up to the last answer to learn from. Answers that the user found bad, and those
/// that were stopped, go with what they answer. So do those made from what a plugin's tool gave, unless the user found
/// them good: whoever could slip words into such a result must not be learnt from by chance.
pub(crate) fn of_conversation(
    context: &Context<'_>,
    id: ConversationId,
) -> Result<(Made, Group), DatasetError> {
    let group = context.draw.conversation(id.0);
    let turns = told(context.vault.turns(id)?);
    let good = |Told { turn, results }: &Told| match context.recipe.conversations {
        Conversations::Rated => turn.rating == Rating::Good,
        _ => is_whole(turn, results),
    };
    let Some(last) =
        turns.iter().rposition(|told| told.turn.speaker == Speaker::Assistant && good(told))
    else {
        return Ok((Err(LeftOut::NoAnswer), group));
    };
    let mut messages: Vec<ChatMessage> = Vec::new();
    // Of each message, whether nothing but answers to learn from is in it.
    let mut learnt: Vec<bool> = Vec::new();
    let mut draft =
        Draft { example: Example::Text(String::new()), documents: vec![], shortened: false };
    for told in &turns[..=last] {
        let Told { turn, results } = told;
        if turn.speaker == Speaker::Assistant && !is_whole(turn, results) {
            messages.pop_if(|message| message.role == Role::User);
            learnt.truncate(messages.len());
            continue;
        }
        if !results.is_empty() {
            push(&mut messages, Role::User, results.concat());
            learnt.resize(messages.len(), false);
            for document in context.vault.conversation_label(id)?.documents() {
                if let Some(document) = context.beside(document)? {
                    draft.documents.push((document.head.id, context.group(&document)));
                }
            }
        }
        let mut content = String::new();
        for document in &turn.attached {
            // As the conversation itself shows them.
            let Some(document) = context.beside(*document)? else {
                return Ok((Err(LeftOut::Gone), group));
            };
            content
                .push_str(&format!("Attached: {}\n\n{}\n\n", document.head.title, document.body));
            draft.documents.push((document.head.id, context.group(&document)));
        }
        content.push_str(&turn.text);
        let role = if turn.speaker == Speaker::User { Role::User } else { Role::Assistant };
        let before = messages.len();
        push(&mut messages, role, content);
        let is_learnt = role == Role::Assistant && good(told);
        match learnt.last_mut() {
            Some(joined) if messages.len() == before => *joined &= is_learnt,
            _ => learnt.resize(messages.len(), is_learnt),
        }
    }
    let is_answer = |m: &ChatMessage| m.role == Role::Assistant && !m.content.trim().is_empty();
    if !messages.iter().zip(&learnt).any(|(message, learnt)| *learnt && is_answer(message)) {
        return Ok((Err(LeftOut::NoAnswer), group));
    }
    let passed_over =
        messages.iter().zip(&learnt).any(|(message, learnt)| !learnt && is_answer(message));
    draft.example = if passed_over {
        let learnt = learnt.iter().enumerate().filter(|(_, learnt)| **learnt);
        Example::Answers { learnt: learnt.map(|(turn, _)| turn).collect(), messages }
    } else {
        Example::Chat(messages)
    };
    Ok((Ok(vec![draft]), group))
}

/// What was said, and what tools gave for it.
struct Told {
    turn: ChatTurn,
    results: Vec<String>,
}

/// Leaves Hearth's own words out, and moves results of tools to the answers made from them.
fn told(turns: Vec<ChatTurn>) -> Vec<Told> {
    let mut all = Vec::new();
    let mut results = Vec::new();
    for turn in turns {
        match (turn.speaker, &turn.call) {
            (Speaker::Notice, _) => {}
            (Speaker::Tool, Some(call)) if call.state == CallState::Done => {
                results.push(format!("Result of “{}”:\n\n{}", call.title, turn.text));
            }
            (Speaker::Tool, _) => {}
            (Speaker::User, _) => {
                results.clear();
                all.push(Told { turn, results: Vec::new() });
            }
            (Speaker::Assistant, _) => {
                all.push(Told { turn, results: std::mem::take(&mut results) });
            }
        }
    }
    all
}

fn is_whole(turn: &ChatTurn, results: &[String]) -> bool {
    match turn.rating {
        Rating::Bad => false,
        Rating::Good => true,
        Rating::None => !turn.stopped && results.is_empty(),
    }
}

/// Neighbours of one role become one message, as most templates demand; and no conversation begins with an answer.
fn push(messages: &mut Vec<ChatMessage>, role: Role, content: String) {
    match messages.last_mut() {
        Some(last) if last.role == role => {
            last.content.push_str("\n\n");
            last.content.push_str(&content);
        }
        None if role == Role::Assistant => {}
        _ => messages.push(ChatMessage::new(role, content)),
    }
}
