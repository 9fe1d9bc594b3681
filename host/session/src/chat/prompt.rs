//! From a conversation to a prompt that fits. What is left out is said, never silent.

use std::collections::BTreeSet;

use hearth_base::DocumentId;
use hearth_engine_api::{ChatMessage, Engine, Priority, Prompt, Role};
use hearth_vault::{Speaker, ToolCall};

use crate::UserError;

/// What stands over each conversation.
pub(crate) const SYSTEM: &str =
    "You are Hearth, a helpful assistant that runs on the user's own computer.";
/// The longest answer.
const ANSWER_TOKENS: u32 = 2048;
/// At least a share of one in this many of the context is kept for the answer.
const ANSWER_SHARE: u32 = 4;
/// At most so much is kept for the answer before anything is left out.
const RESERVE_TOKENS: u32 = 1024;
/// A question up to this length is repeated after what a tool gave for it.
const REPEATED_BYTES: usize = 500;
/// Rounds of shortening before giving up; each takes a tenth away.
const ROUNDS: u32 = 24;

/// A message as the prompt sees it.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) speaker: Speaker,
    pub(super) text: String,
    pub(super) attached: Vec<Attached>,
}

impl Turn {
    /// A call in the model's own words, with its result beside it.
    pub(super) fn of_call(words: String, call: &ToolCall, result: String) -> Self {
        let title = format!("{} ({})", call.title, call.plugin_name);
        let result = Attached { id: None, title, text: result };
        Self { speaker: Speaker::Tool, text: words, attached: vec![result] }
    }
}

/// What the model reads along: a document, or a tool's result.
#[derive(Clone, Debug)]
pub(super) struct Attached {
    /// `None` of a result.
    pub(super) id: Option<DocumentId>,
    pub(super) title: String,
    pub(super) text: String,
}

/// What goes to the model.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) messages: Vec<ChatMessage>,
    /// What was left out, in words for the user.
    pub(super) notices: Vec<String>,
    /// The longest answer that fits.
    pub(super) answer_tokens: u32,
}

/// Makes a prompt: oldest turns are left out first, then attached documents are shortened.
///
/// # Errors
/// Where the question alone is too long, or the engine refuses.
pub(super) async fn plan(
    engine: &Engine,
    turns: Vec<Turn>,
    context_tokens: u32,
) -> Result<Plan, UserError> {
    let reserve = (context_tokens / ANSWER_SHARE).clamp(1, RESERVE_TOKENS);
    let room = context_tokens.saturating_sub(reserve);
    let Fitted { messages, notices, tokens } = fit(engine, turns, room, context_tokens).await?;
    let answer_tokens = context_tokens.saturating_sub(tokens).clamp(1, ANSWER_TOKENS);
    Ok(Plan { messages, notices, answer_tokens })
}

/// Messages that fit.
pub(super) struct Fitted {
    pub(super) messages: Vec<ChatMessage>,
    /// What was left out, in words for the user.
    pub(super) notices: Vec<String>,
    tokens: u32,
}

/// Makes messages of at most `room` tokens, in a context of so many.
///
/// # Errors
/// As [`plan`].
pub(super) async fn fit(
    engine: &Engine,
    turns: Vec<Turn>,
    room: u32,
    context_tokens: u32,
) -> Result<Fitted, UserError> {
    let all = spoken(turns);
    let mut notices = Vec::new();

    let left_out = fewest_left_out(engine, &all, room).await?;
    let mut kept = without_oldest(&all, left_out);
    if left_out > 0 {
        notices.push(left_out_words(left_out, context_tokens));
    }
    let mut messages = rendered(&kept);
    let mut tokens = count(engine, &messages).await?;
    if tokens > room {
        notices.extend(shorten(engine, &mut kept, room, context_tokens).await?);
        messages = rendered(&kept);
        tokens = count(engine, &messages).await?;
    }
    Ok(Fitted { messages, notices, tokens })
}

/// What was said: no notices, no answers that never began, each document once.
fn spoken(turns: Vec<Turn>) -> Vec<Turn> {
    let mut seen = BTreeSet::new();
    let mut spoken: Vec<Turn> = turns
        .into_iter()
        .filter(|turn| match turn.speaker {
            Speaker::User | Speaker::Tool => true,
            Speaker::Assistant => !turn.text.trim().is_empty(),
            Speaker::Notice => false,
        })
        .collect();
    for turn in &mut spoken {
        turn.attached.retain(|document| document.id.is_none_or(|id| seen.insert(id)));
    }
    spoken
}

/// How many of the oldest turns must go for the rest to fit, documents whole. All before the last question if none is
/// enough.
async fn fewest_left_out(engine: &Engine, all: &[Turn], room: u32) -> Result<usize, UserError> {
    // Fewer turns are never longer, so the border is found by halving.
    let last = all.iter().rposition(|turn| turn.speaker == Speaker::User).unwrap_or(0);
    let (mut low, mut high) = (0, last);
    while low < high {
        let middle = usize::midpoint(low, high);
        let messages = rendered(&without_oldest(all, middle));
        if count(engine, &messages).await? <= room {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    // An answer without its question is left out too.
    while low < last && all[low].speaker != Speaker::User {
        low += 1;
    }
    Ok(low)
}

/// The turns without the oldest `left_out`; the documents of those move to the first that stays.
fn without_oldest(all: &[Turn], left_out: usize) -> Vec<Turn> {
    let (gone, kept) = all.split_at(left_out);
    let mut kept = kept.to_vec();
    if let Some(first) = kept.iter_mut().find(|turn| turn.speaker == Speaker::User) {
        let documents = gone.iter().filter(|turn| turn.speaker == Speaker::User);
        let moved = documents.flat_map(|turn| turn.attached.iter().cloned());
        first.attached = moved.chain(std::mem::take(&mut first.attached)).collect();
    }
    kept
}

/// Shortens documents until the prompt fits.
async fn shorten(
    engine: &Engine,
    kept: &mut [Turn],
    room: u32,
    context_tokens: u32,
) -> Result<Vec<String>, UserError> {
    let whole: Vec<Attached> = kept.iter().flat_map(|turn| turn.attached.clone()).collect();
    let mut bare = kept.to_vec();
    for document in bare.iter_mut().flat_map(|turn| &mut turn.attached) {
        document.text.clear();
    }
    let bare_tokens = count(engine, &rendered(&bare)).await?;
    if bare_tokens > room || whole.is_empty() {
        return Err(too_long(bare_tokens, room));
    }
    let mut lengths = Vec::new();
    for document in &whole {
        lengths.push(
            engine.count_tokens(Prompt::Text(document.text.clone()), Priority::Interactive).await?,
        );
    }
    let mut left = room - bare_tokens;
    for _ in 0..ROUNDS {
        let limit = fair_limit(&lengths, left);
        let mut documents = kept.iter_mut().flat_map(|turn| &mut turn.attached);
        for (original, length) in whole.iter().zip(&lengths) {
            let Some(document) = documents.next() else { break };
            document.text = match (*length <= limit, limit) {
                (true, _) => original.text.clone(),
                (false, 0) => String::new(),
                (false, _) => {
                    let pieces =
                        engine.split(original.text.clone(), limit, Priority::Interactive).await?;
                    pieces.into_iter().next().unwrap_or_default()
                }
            };
        }
        if count(engine, &rendered(kept)).await? <= room {
            let now = kept.iter().flat_map(|turn| &turn.attached);
            return Ok(whole
                .iter()
                .zip(now)
                .filter(|(before, after)| after.text.len() < before.text.len())
                .map(|(before, after)| shortened_words(before, after, context_tokens))
                .collect());
        }
        left -= left.div_ceil(10);
    }
    Err(too_long(bare_tokens, room))
}

/// The longest length so that texts cut to it make up at most `room`: short ones leave theirs to the long.
fn fair_limit(lengths: &[u32], room: u32) -> u32 {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let mut room = room;
    let mut others = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
    for length in sorted {
        let share = room / others.max(1);
        if length > share {
            return share;
        }
        room -= length;
        others -= 1;
    }
    u32::MAX
}

/// The messages of a prompt; neighbours of one role become one message, as most templates demand. Of a call the model
/// has said the words, and reads the result in the user's next message.
fn rendered(turns: &[Turn]) -> Vec<ChatMessage> {
    let mut messages = vec![ChatMessage::new(Role::System, SYSTEM)];
    for turn in turns {
        match turn.speaker {
            Speaker::Tool => {
                say(&mut messages, Role::Assistant, &turn.text);
                for Attached { title, text, .. } in &turn.attached {
                    let words = format!("Result of {title}, for you to read:\n\n{text}");
                    say(&mut messages, Role::User, &words);
                }
            }
            speaker => {
                let mut content = String::new();
                for Attached { title, text, .. } in &turn.attached {
                    content.push_str(&format!("Attached: {title}\n\n{text}\n\n"));
                }
                content.push_str(&turn.text);
                let role = if speaker == Speaker::User { Role::User } else { Role::Assistant };
                say(&mut messages, role, &content);
            }
        }
    }
    if turns.last().is_some_and(|turn| turn.speaker == Speaker::Tool)
        && let Some(question) = turns.iter().rfind(|turn| turn.speaker == Speaker::User)
    {
        // The result may be long, and what was asked far above.
        let words = if question.text.len() <= REPEATED_BYTES {
            format!("With this, answer what I asked: {}", question.text)
        } else {
            "With this, answer what I asked.".into()
        };
        say(&mut messages, Role::User, &words);
    }
    messages
}

fn say(messages: &mut Vec<ChatMessage>, role: Role, content: &str) {
    match messages.last_mut() {
        Some(last) if last.role == role => {
            last.content.push_str("\n\n");
            last.content.push_str(content);
        }
        _ => messages.push(ChatMessage::new(role, content)),
    }
}

async fn count(engine: &Engine, messages: &[ChatMessage]) -> Result<u32, UserError> {
    Ok(engine.count_tokens(Prompt::Chat(messages.to_vec()), Priority::Interactive).await?)
}

fn left_out_words(left_out: usize, context_tokens: u32) -> String {
    let messages = if left_out == 1 { "message was" } else { "messages were" };
    format!(
        "{left_out} earlier {messages} left out: the model reads at most {context_tokens} tokens at a time."
    )
}

fn shortened_words(before: &Attached, after: &Attached, context_tokens: u32) -> String {
    let (title, kept, all) =
        (&before.title, after.text.chars().count(), before.text.chars().count());
    format!(
        "“{title}” was shortened: the model read its first {kept} of {all} characters, because it reads at most \
         {context_tokens} tokens at a time."
    )
}

fn too_long(tokens: u32, room: u32) -> UserError {
    UserError::user(
        format!("The message is too long: {tokens} tokens, where {room} fit beside the answer."),
        "Ask something shorter, or use a model with a longer context.",
    )
}
