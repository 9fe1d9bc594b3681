//! One training example: a conversation and what its last answer must hold.

use hearth_engine_api::{ChatMessage, Role};

/// What an example teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// A mail told in one to three lines.
    Summary,
    /// A subject line for a mail.
    Subject,
    /// A label for a mail, or yes or no.
    Triage,
    /// A question about an attached text.
    Question,
    /// A short function explained.
    Code,
    /// Talk with the persona.
    Chat,
    /// Something beyond the model, declined.
    Refusal,
}

/// A conversation that ends with the answer to be learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What it teaches.
    pub task: Task,
    /// System, user and assistant turns; assistant turns are learnt.
    pub messages: Vec<ChatMessage>,
    /// Slot and value of the facts the last answer must repeat.
    pub fields: Vec<(&'static str, String)>,
}

impl Example {
    /// One question and one answer below an optional system message.
    pub(super) fn single(task: Task, system: &str, user: String, answer: String) -> Self {
        let mut messages = Vec::with_capacity(3);
        if !system.is_empty() {
            messages.push(ChatMessage::new(Role::System, system));
        }
        messages.push(ChatMessage::new(Role::User, user));
        messages.push(ChatMessage::new(Role::Assistant, answer));
        Self { task, messages, fields: Vec::new() }
    }

    /// The last answer.
    pub fn answer(&self) -> &str {
        self.messages.last().map_or("", |message| message.content.as_str())
    }

    /// The conversation up to the last answer.
    pub fn prompt(&self) -> &[ChatMessage] {
        self.messages.split_last().map_or(&[], |(_, before)| before)
    }
}
