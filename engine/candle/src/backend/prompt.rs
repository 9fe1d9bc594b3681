//! Prompts as token ids.

use std::sync::Arc;

use hearth_engine_api::{ChatMessage, EngineError, Prompt, Role};
use jiff::Zoned;

use crate::{
    template::{ChatTemplate, TemplateError},
    tokenizer::{Special, Tokenizer},
};

/// A vocabulary and the template that goes with it.
pub(super) struct Prompter {
    pub(super) tokenizer: Arc<Tokenizer>,
    /// Absent where the model brings none.
    template: Option<Result<ChatTemplate, TemplateError>>,
}

impl Prompter {
    /// A broken template is told of when a conversation needs it: the model may serve without.
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        let template = tokenizer.chat_template().map(ChatTemplate::new);
        Self { tokenizer: Arc::new(tokenizer), template }
    }

    /// The ids `prompt` comes to.
    pub(super) fn ids(&self, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
        match prompt {
            Prompt::Tokens(ids) => Ok(ids.clone()),
            Prompt::Text(text) => self.text_ids(text),
            Prompt::Chat(messages) => match &self.template {
                Some(Ok(template)) => {
                    template.encode_chat(&self.tokenizer, messages, Zoned::now().datetime())
                }
                Some(Err(error)) => Err(EngineError::Template { reason: error.to_string() }),
                None => self.text_ids(&plain_chat(messages)),
            },
        }
    }

    /// Strings that end an answer to `prompt` besides those asked for.
    pub(super) fn own_stops(&self, prompt: &Prompt) -> Vec<String> {
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
/// then a line each for `User: …` and `Assistant: …`, then `Assistant:`.
fn plain_chat(messages: &[ChatMessage]) -> String {
    let mut text = String::new();
    for message in messages {
        let content = message.content.trim();
        match message.role {
            Role::System => text.extend([content, "\n\n"]),
            Role::User => text.extend([USER, " ", content, "\n"]),
            Role::Assistant => text.extend([ASSISTANT, " ", content, "\n"]),
        }
    }
    text.push_str(ASSISTANT);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_template_turns_become_lines() {
        let messages = [
            ChatMessage::new(Role::System, "Be brief."),
            ChatMessage::new(Role::User, "Hello"),
            ChatMessage::new(Role::Assistant, "Hi."),
            ChatMessage::new(Role::User, " And now? \n"),
        ];
        assert_eq!(
            plain_chat(&messages),
            "Be brief.\n\nUser: Hello\nAssistant: Hi.\nUser: And now?\nAssistant:"
        );
    }
}
