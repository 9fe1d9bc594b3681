//! Prompts as token ids, and conversations as lessons: what a model is asked with and what it learns from are made by
//! the same code.

mod lesson;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hearth_engine_api::{ChatMessage, EngineError, Prompt, Role};
use jiff::Zoned;

use crate::{
    template::{ChatTemplate, TemplateError},
    tokenizer::{Special, Tokenizer},
};

pub use lesson::Lesson;

/// A vocabulary and the template that goes with it.
pub struct Prompter {
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// Absent where the model brings none.
    template: Option<Result<ChatTemplate, TemplateError>>,
}

impl Prompter {
    /// A broken template is told of when a conversation needs it: the model may serve without.
    pub fn new(tokenizer: Tokenizer) -> Self {
        let template = tokenizer.chat_template().map(ChatTemplate::new);
        Self { tokenizer: Arc::new(tokenizer), template }
    }

    /// The vocabulary.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The ids `prompt` comes to.
    ///
    /// # Errors
    /// [`EngineError::Template`] where the template refuses or fails, `Invalid` where the vocabulary cannot spell a text.
    pub fn ids(&self, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
        match prompt {
            Prompt::Tokens(ids) => Ok(ids.clone()),
            Prompt::Text(text) => self.text_ids(text),
            Prompt::Chat(messages) => match &self.template {
                Some(Ok(template)) => {
                    template.encode_chat(&self.tokenizer, messages, Zoned::now().datetime())
                }
                Some(Err(error)) => Err(broken(error)),
                None => self.text_ids(&plain_chat(messages, true)),
            },
        }
    }

    /// Strings that end an answer to `prompt` besides those asked for.
    pub(crate) fn own_stops(&self, prompt: &Prompt) -> Vec<String> {
        match (prompt, &self.template) {
            (Prompt::Chat(_), None) => vec![format!("\n{USER}")],
            _ => Vec::new(),
        }
    }

    fn text_ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let tokenizer = &self.tokenizer;
        let mut ids: Vec<u32> =
            tokenizer.bos().filter(|_| tokenizer.add_bos()).into_iter().collect();
        ids.extend(tokenizer.encode(text, Special::Literal)?);
        Ok(ids)
    }
}

const USER: &str = "User:";
const ASSISTANT: &str = "Assistant:";

/// A conversation for a model without a template: instructions as they stand with an empty line after them,
/// then a line each for `User: …` and `Assistant: …`, then `Assistant:` where an answer is asked for, else `User:`.
fn plain_chat(messages: &[ChatMessage], cue: bool) -> String {
    let mut text = String::new();
    for message in messages {
        let content = message.content.trim();
        match message.role {
            Role::System => text.extend([content, "\n\n"]),
            Role::User => text.extend([USER, " ", content, "\n"]),
            Role::Assistant => text.extend([ASSISTANT, " ", content, "\n"]),
        }
    }
    text.push_str(if cue { ASSISTANT } else { USER });
    text
}

fn broken(error: &TemplateError) -> EngineError {
    EngineError::Template { reason: error.to_string() }
}
