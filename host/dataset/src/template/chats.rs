//! Conversations with the model.

use hearth_base::ConversationId;
use hearth_engine_api::{ChatMessage, Example, Role};
use hearth_vault::{ChatTurn, Rating, Speaker};

use super::{Context, Draft, Made};
use crate::DatasetError;
use crate::recipe::Conversations;
use crate::report::LeftOut;
use crate::split::Group;

/// Makes an example of a conversation, up to the last answer to learn from. Answers that the user found bad, and those
/// that were stopped, go with what they answer.
pub(crate) fn of_conversation(
    context: &Context<'_>,
    id: ConversationId,
) -> Result<(Made, Group), DatasetError> {
    let group = context.draw.conversation(id.0);
    let turns = context.vault.turns(id)?;
    let good = |turn: &ChatTurn| match context.recipe.conversations {
        Conversations::Rated => turn.rating == Rating::Good,
        _ => is_whole(turn),
    };
    let Some(last) =
        turns.iter().rposition(|turn| turn.speaker == Speaker::Assistant && good(turn))
    else {
        return Ok((Err(LeftOut::NoAnswer), group));
    };
    let mut messages: Vec<ChatMessage> = Vec::new();
    let mut draft =
        Draft { example: Example::Text(String::new()), documents: vec![], shortened: false };
    for turn in turns[..=last].iter().filter(|turn| turn.speaker != Speaker::Notice) {
        if turn.speaker == Speaker::Assistant && !is_whole(turn) {
            messages.pop_if(|message| message.role == Role::User);
            continue;
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
        push(&mut messages, role, content);
    }
    let answers =
        messages.iter().any(|m| m.role == Role::Assistant && !m.content.trim().is_empty());
    if !answers {
        return Ok((Err(LeftOut::NoAnswer), group));
    }
    draft.example = Example::Chat(messages);
    Ok((Ok(vec![draft]), group))
}

fn is_whole(turn: &ChatTurn) -> bool {
    match turn.rating {
        Rating::Bad => false,
        Rating::Good => true,
        Rating::None => !turn.stopped,
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
