//! Conversations with the model.

pub(crate) mod prompt;
#[cfg(test)]
mod tests;
mod tools;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_base::{ConversationId, DocumentId, Label, MessageId};
use hearth_engine_api::{
    AdapterUse, CacheScope, GenerateEvent, GenerateRequest, Generated, Priority, Prompt, Sampling,
    StopReason,
};
use hearth_vault::{ChatTurn, Document, DocumentKind, NewTurn, Speaker, StoreError};

use crate::{
    Answering, Command, ConversationView, Event, Reply, Ticket, UserError, event_loop::EventLoop,
    msg::Change, task::Task, tuning,
};

pub(crate) use tools::NO_TOOL;

/// How often a growing answer is saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How often a growing answer is painted.
const SHOW_EVERY: Duration = Duration::from_millis(50);
/// A title's words come from the first question.
const TITLE_WORDS: usize = 8;
const TITLE_CHARS: usize = 60;
/// What an untitled conversation is called until something is said in it.
const UNTITLED: &str = "New conversation";

impl EventLoop {
    pub(crate) fn chat_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::NewConversation => self.blocking(ticket, |task| {
                let id = new_conversation(task, UNTITLED)?;
                show_list(task)?;
                task.show(task.stamp, Change::Conversation(Some(read(task, id)?)));
                Ok(Reply::Conversation(id))
            }),
            Command::OpenConversation(id) => self.blocking(ticket, move |task| {
                task.show(task.stamp, Change::Conversation(Some(read(task, id)?)));
                Ok(Reply::Unit)
            }),
            Command::RenameConversation(id, title) => self.blocking(ticket, move |task| {
                if title.trim().is_empty() {
                    return Err(UserError::user("The title is empty.", "Type a few words."));
                }
                task.vault().rename_conversation(id, title.trim())?;
                show_list(task)?;
                show_turns(task, id)?;
                Ok(Reply::Unit)
            }),
            Command::DeleteConversation(id) => {
                if let Some(answering) = self.answers.get(&id)
                    && let Some(cancel) = self.running.get(&answering.ticket)
                {
                    cancel.cancel();
                }
                let open = self.view.conversation.as_ref().is_some_and(|c| c.id == id);
                self.blocking(ticket, move |task| {
                    task.vault().delete_conversation(id)?;
                    if open {
                        task.show(task.stamp, Change::Conversation(None));
                    }
                    show_list(task)?;
                    tuning::sources_changed(task)?;
                    Ok(Reply::Unit)
                });
            }
            Command::Ask { conversation, text, attached } => {
                let question = Question { conversation, text, attached, from: None };
                self.ask(ticket, question);
            }
            Command::AskAgain { turn, text } => match self.again(turn, text) {
                Ok(question) => self.ask(ticket, question),
                Err(error) => self.end(ticket, Err(error)),
            },
            _ => self.end(ticket, Err(UserError::internal("Not a command about chat."))),
        }
    }

    fn ask(&mut self, ticket: Ticket, question: Question) {
        if question.conversation.is_some_and(|id| self.answers.contains_key(&id)) {
            let error = UserError::user(
                "The model is still answering here.",
                "Wait for the answer, or stop it.",
            );
            return self.end(ticket, Err(error));
        }
        if question.text.trim().is_empty() {
            let error = UserError::user("There is nothing to ask.", "Type a message.");
            return self.end(ticket, Err(error));
        }
        if let Some(id) = question.conversation {
            self.show_answering(id, Some(beginning(ticket)));
        }
        self.load_waiting_model();
        self.spawn(ticket, |task| async move {
            let mut conversation = question.conversation;
            let result = answer(&task, question, &mut conversation).await;
            if let Some(id) = conversation {
                task.show_async(Change::Answering(id, None)).await;
                // Also after a failure: what was said until then is there.
                let shown = task
                    .blocking(move |task| {
                        show_turns(task, id)?;
                        show_list(task)
                    })
                    .await;
                return result.and_then(|reply| shown.map(|()| reply));
            }
            result
        });
    }

    /// The question a turn of the open conversation asked.
    fn again(&self, turn: MessageId, text: Option<String>) -> Result<Question, UserError> {
        let gone = || UserError::user("This message is no longer there.", "Open its conversation.");
        let conversation = self.view.conversation.as_ref().ok_or_else(gone)?;
        let asked = conversation.turns.iter().find(|t| t.id == turn).ok_or_else(gone)?;
        if asked.speaker != Speaker::User {
            return Err(UserError::user("Only your own messages can be asked again.", ""));
        }
        Ok(Question {
            conversation: Some(conversation.id),
            text: text.unwrap_or_else(|| asked.text.clone()),
            attached: asked.attached.clone(),
            from: Some(turn),
        })
    }

    pub(crate) fn show_conversation(&mut self, conversation: Option<ConversationView>) {
        self.view.conversation = conversation.map(|mut open| {
            open.answering = self.answers.get(&open.id).map(|a| Answering::clone(a));
            Arc::new(open)
        });
    }

    pub(crate) fn show_answering(&mut self, id: ConversationId, answering: Option<Answering>) {
        match answering.clone() {
            Some(answering) => self.answers.insert(id, Arc::new(answering)),
            None => self.answers.remove(&id),
        };
        if let Some(open) = &mut self.view.conversation
            && open.id == id
        {
            Arc::make_mut(open).answering = answering;
        }
    }
}

/// What the user asks.
struct Question {
    conversation: Option<ConversationId>,
    text: String,
    attached: Vec<DocumentId>,
    /// The turn from which on the conversation is taken back.
    from: Option<MessageId>,
}

/// The user's turn as it was saved, and all turns with it.
struct Asked {
    conversation: ConversationId,
    turn: MessageId,
    turns: Vec<prompt::Turn>,
}

async fn answer(
    task: &Task,
    question: Question,
    conversation: &mut Option<ConversationId>,
) -> Result<Reply, UserError> {
    let asked = task.blocking(move |task| save_question(task, question)).await?;
    let id = asked.conversation;
    *conversation = Some(id);
    task.show_async(Change::Answering(id, Some(beginning(task.ticket)))).await;
    tokio::select! {
        () = task.ctx.loads_done() => {}
        () = task.cancel.cancelled() => return Err(stopped_answer()),
    }
    let model = task.ctx.engine.info().await.ok_or_else(UserError::no_model)?;
    let Voice { adapters, label, names, missing } =
        task.blocking(move |task| voice(task, id)).await?;
    let place = tools::Place {
        conversation: id,
        context_tokens: model.context_tokens,
        adapters: adapters.clone(),
        model: label,
    };
    let turns = tools::before_answering(task, &place, asked.turns).await?;
    task.show_async(Change::Answering(id, Some(beginning(task.ticket)))).await;
    let plan = prompt::plan(&task.ctx.engine, turns, model.context_tokens).await?;
    let (mut notices, mut name) = (plan.notices, model.name);
    notices.extend(missing);
    for adapter in names {
        name.push_str(" + ");
        name.push_str(&adapter);
    }
    let turn = task.blocking(move |task| begin_answer(task, id, notices, name)).await?;
    let mut request = GenerateRequest::new(Prompt::Chat(plan.messages));
    request.sampling = Sampling::balanced(asked.turn.0.unsigned_abs());
    request.max_tokens = plan.answer_tokens;
    request.priority = Priority::Interactive;
    // Conversations are the user's own, and of nobody else's concern.
    request.cache = CacheScope::Shared("chat".into());
    request.adapters = adapters;
    let done = stream(task, id, turn, request).await;
    let (text, stopped) = match &done {
        Ok(done) => (done.text.clone(), done.stop == StopReason::Cancelled),
        Err(failed) => (failed.text.clone(), true),
    };
    let cut = done
        .as_ref()
        .is_ok_and(|done| matches!(done.stop, StopReason::MaxTokens | StopReason::ContextFull));
    task.blocking(move |task| {
        match task.vault().update_turn(turn, &text, stopped) {
            // The conversation was deleted while the model spoke.
            Err(StoreError::NotFound { .. }) => return Err(stopped_answer()),
            other => other?,
        }
        if cut {
            let words = "The answer was cut off here: it reached the most this model can write \
                         in one go. Ask it to go on.";
            task.vault().add_turn(id, &notice(words.into()))?;
        }
        Ok(())
    })
    .await?;
    let Generated { text, stop, usage, .. } = done.map_err(|failed| failed.error)?;
    Ok(Reply::Answered { conversation: id, text, stop, usage })
}

/// With which adapters a conversation is answered.
struct Voice {
    adapters: Vec<AdapterUse>,
    /// What the model's own words depend on.
    label: Label,
    names: Vec<String>,
    /// What is to be said of those that cannot be used.
    missing: Vec<String>,
}

fn voice(task: &Task, id: ConversationId) -> Result<Voice, UserError> {
    let (usable, missing) = tuning::usable(task, task.vault().conversation_adapters(id)?)?;
    let names = tuning::names(task, &usable)?;
    let label = tools::model_label(task, &usable)?;
    Ok(Voice { adapters: tuning::uses(&usable), label, names, missing })
}

fn stopped_answer() -> UserError {
    UserError::cancelled("The answer was stopped.")
}

/// Saves the user's turn before anything is asked of the model.
fn save_question(task: &Task, question: Question) -> Result<Asked, UserError> {
    let vault = task.vault();
    let title = title_of(&question.text);
    for id in &question.attached {
        if vault.document(*id)?.is_none() {
            return Err(UserError::user(
                format!("There is no document {id} to attach."),
                "It may have been deleted.",
            ));
        }
    }
    let conversation = match question.conversation {
        Some(id) => id,
        None => new_conversation(task, &title)?,
    };
    if let Some(from) = question.from {
        vault.delete_turns_from(from)?;
    }
    if vault.turns(conversation)?.is_empty()
        && vault.conversations()?.iter().any(|c| c.id == conversation && c.title == UNTITLED)
    {
        vault.rename_conversation(conversation, &title)?;
    }
    let new = NewTurn {
        speaker: Speaker::User,
        text: question.text,
        attached: question.attached,
        model: String::new(),
        stopped: false,
    };
    let turn = vault.add_turn(conversation, &new)?;
    let before = vault.turns(conversation)?;
    let attached = before.iter().flat_map(|turn| turn.attached.iter().copied());
    tools::join_said(task, conversation, attached)?;
    show_list(task)?;
    if question.conversation.is_none() {
        task.show(task.stamp, Change::Conversation(Some(read(task, conversation)?)));
    } else {
        show_turns(task, conversation)?;
    }
    let turns = vault
        .turns(conversation)?
        .into_iter()
        .map(|turn| with_documents(task, turn))
        .collect::<Result<_, _>>()?;
    Ok(Asked { conversation, turn, turns })
}

/// An empty conversation with the adapters that new ones begin with.
fn new_conversation(task: &Task, title: &str) -> Result<ConversationId, UserError> {
    let id = task.vault().new_conversation(title)?;
    let adapters = tuning::new_conversations(task)?;
    if !adapters.is_empty() {
        task.vault().set_conversation_adapters(id, &adapters)?;
    }
    Ok(id)
}

fn with_documents(task: &Task, turn: ChatTurn) -> Result<prompt::Turn, UserError> {
    if let Some(call) = &turn.call {
        return Ok(prompt::Turn::of_call(tools::words_of(call), call, turn.text));
    }
    let mut attached = Vec::new();
    for id in &turn.attached {
        if let Some(document) = task.vault().document(*id)? {
            let text = readable(&document);
            attached.push(prompt::Attached { id: Some(*id), title: document.head.title, text });
        }
    }
    Ok(prompt::Turn { speaker: turn.speaker, text: turn.text, attached })
}

/// What the model reads of a document: a mail's sender, readers and day belong to it.
fn readable(document: &Document) -> String {
    let Document { head, recipients, body, .. } = document;
    if head.kind != DocumentKind::Mail {
        return body.clone();
    }
    let day = head
        .date_secs
        .and_then(|secs| jiff::Timestamp::from_second(secs).ok())
        .map(|time| time.strftime("%-d %B %Y").to_string())
        .unwrap_or_default();
    let mut text = String::new();
    for (name, value) in [("From", &head.author), ("To", recipients), ("Date", &day)] {
        if !value.is_empty() {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    format!("{text}\n{body}")
}

/// Saves what was left out and an answer yet empty; it counts as stopped until it is whole.
fn begin_answer(
    task: &Task,
    id: ConversationId,
    notices: Vec<String>,
    model: String,
) -> Result<MessageId, UserError> {
    for words in notices {
        task.vault().add_turn(id, &notice(words))?;
    }
    let new = NewTurn {
        speaker: Speaker::Assistant,
        text: String::new(),
        attached: Vec::new(),
        model,
        stopped: true,
    };
    // Shown before it is added: the growing answer is painted from the view's `answering`.
    show_turns(task, id)?;
    Ok(task.vault().add_turn(id, &new)?)
}

fn notice(text: String) -> NewTurn {
    NewTurn {
        speaker: Speaker::Notice,
        text,
        attached: Vec::new(),
        model: String::new(),
        stopped: false,
    }
}

/// An answer that broke off.
struct Failed {
    text: String,
    error: UserError,
}

/// Streams an answer into the view and the vault.
async fn stream(
    task: &Task,
    id: ConversationId,
    turn: MessageId,
    request: GenerateRequest,
) -> Result<Generated, Failed> {
    let failed = |text: &str, error| Failed { text: text.to_owned(), error };
    let mut generation =
        task.ctx.engine.generate(request).map_err(|error| failed("", error.into()))?;
    let stop = generation.cancel_flag();
    let mut growing = Growing::new(task.ticket);
    let mut save = tokio::time::interval_at(tokio::time::Instant::now() + SAVE_EVERY, SAVE_EVERY);
    let mut stopping = false;
    loop {
        tokio::select! {
            event = generation.next() => {
                let Some(event) = event else { break };
                if let Some(text) = growing.take(event) {
                    let ticket = task.ticket;
                    let event = Event::Answer { ticket, conversation: id, text };
                    task.ctx.hub.stream(&event).await;
                }
                if growing.is_due() {
                    task.show_async(Change::Answering(id, Some(growing.shown.clone()))).await;
                }
            }
            () = task.cancel.cancelled(), if !stopping => {
                stopping = true;
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            _ = save.tick() => {
                let text = growing.shown.text.clone();
                task.blocking(move |task| Ok(task.vault().update_turn(turn, &text, true)?))
                    .await
                    .map_err(|error| failed(&growing.shown.text, error))?;
            }
        }
    }
    generation.finish().await.map_err(|error| failed(&growing.shown.text, error.into()))
}

/// An answer as it grows.
struct Growing {
    shown: Answering,
    painted: Instant,
    first_token: Option<Instant>,
}

impl Growing {
    fn new(ticket: Ticket) -> Self {
        Self { shown: beginning(ticket), painted: Instant::now(), first_token: None }
    }

    /// Takes a step of the engine's; gives the text that is new.
    #[expect(clippy::cast_precision_loss, reason = "shares and rates for painting")]
    fn take(&mut self, event: GenerateEvent) -> Option<String> {
        match event {
            GenerateEvent::Started { .. } => None,
            GenerateEvent::Prefill { done_tokens, total_tokens } => {
                self.shown.prompt_share = done_tokens as f32 / total_tokens.max(1) as f32;
                None
            }
            GenerateEvent::Text(text) => {
                let since = *self.first_token.get_or_insert_with(Instant::now);
                self.shown.prompt_share = 1.0;
                self.shown.tokens += 1;
                let secs = since.elapsed().as_secs_f32();
                if secs > 0.0 {
                    self.shown.tokens_per_sec = (self.shown.tokens - 1) as f32 / secs;
                }
                self.shown.text.push_str(&text);
                Some(text)
            }
        }
    }

    /// Whether it is time to paint; the first words are painted at once.
    fn is_due(&mut self) -> bool {
        let due = self.shown.tokens == 1 || self.painted.elapsed() >= SHOW_EVERY;
        if due {
            self.painted = Instant::now();
        }
        due
    }
}

fn beginning(ticket: Ticket) -> Answering {
    Answering {
        ticket,
        text: String::new(),
        prompt_share: 0.0,
        tokens: 0,
        tokens_per_sec: 0.0,
        doing: String::new(),
    }
}

fn read(task: &Task, id: ConversationId) -> Result<ConversationView, UserError> {
    let title = task.vault().conversations()?.into_iter().find(|c| c.id == id).map(|c| c.title);
    let title = title.ok_or_else(|| {
        UserError::user("There is no such conversation.", "It may have been deleted.")
    })?;
    let adapters = task.vault().conversation_adapters(id)?;
    Ok(ConversationView { id, title, turns: task.vault().turns(id)?, answering: None, adapters })
}

pub(crate) fn show_turns(task: &Task, id: ConversationId) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    // One that was deleted meanwhile is shown no more.
    if let Ok(conversation) = read(task, id) {
        task.show(stamp, Change::Turns(conversation));
    }
    Ok(())
}

fn show_list(task: &Task) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    task.show(stamp, Change::Conversations(task.vault().conversations()?));
    Ok(())
}

/// The first words of a question.
fn title_of(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut title = String::new();
    for word in words.iter().take(TITLE_WORDS) {
        if !title.is_empty() && title.chars().count() + 1 + word.chars().count() > TITLE_CHARS {
            break;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.extend(word.chars().take(TITLE_CHARS));
    }
    if title.chars().count() < words.join(" ").chars().count() {
        title.push('…');
    }
    title
}
