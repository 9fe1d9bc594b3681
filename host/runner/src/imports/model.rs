//! Interface `model`: prompts and promises of answers.

use hearth_base::{
    Answer, HostCall, Message, MessageRole, ModelOptions, Part, Schema, Style, Weights,
};
use wasmtime::component::Resource;

use crate::{
    bindings::{Choice, Collection, Completion, Text, model},
    context::{Context, Told, handle, resource},
};

impl model::Host for Context {
    fn generate(
        &mut self,
        prompt: Vec<model::Message>,
        opts: model::Options,
    ) -> Told<Resource<Text>> {
        self.ask_handle(HostCall::Generate { prompt: messages(prompt), options: opts.into() })
    }

    fn generate_each(
        &mut self,
        over: Resource<Collection>,
        prompt: Vec<model::Message>,
        opts: model::Options,
    ) -> Told<Resource<Collection>> {
        let (over, prompt) = (handle(&over), messages(prompt));
        self.ask_handle(HostCall::GenerateEach { over, prompt, options: opts.into() })
    }

    fn fill_each(
        &mut self,
        over: Resource<Collection>,
        parts: Vec<model::Part>,
    ) -> Told<Resource<Collection>> {
        let parts = parts.into_iter().map(Part::from).collect();
        self.ask_handle(HostCall::FillEach { over: handle(&over), parts })
    }

    fn reduce(
        &mut self,
        over: Resource<Collection>,
        prompt: Vec<model::Message>,
        opts: model::Options,
    ) -> Told<Resource<Text>> {
        let (over, prompt) = (handle(&over), messages(prompt));
        self.ask_handle(HostCall::Reduce { over, prompt, options: opts.into() })
    }

    fn decide(
        &mut self,
        prompt: Vec<model::Message>,
        answer: model::Schema,
    ) -> Told<Resource<Choice>> {
        self.ask_handle(HostCall::Decide { prompt: messages(prompt), answer: answer.into() })
    }

    fn decide_each(
        &mut self,
        over: Resource<Collection>,
        prompt: Vec<model::Message>,
        answer: model::Schema,
    ) -> Told<Vec<Resource<Collection>>> {
        let (over, prompt) = (handle(&over), messages(prompt));
        let call = HostCall::DecideEach { over, prompt, answer: answer.into() };
        self.ask_told(call, |answer| match answer {
            Answer::Handles(handles) => Some(handles.into_iter().map(resource).collect()),
            _ => None,
        })
    }
}

impl model::HostCompletion for Context {
    fn start(
        &mut self,
        prompt: Vec<model::Message>,
        opts: model::Options,
    ) -> Told<Resource<Completion>> {
        self.ask_handle(HostCall::CompletionStart {
            prompt: messages(prompt),
            options: opts.into(),
        })
    }

    fn next(&mut self, completion: Resource<Completion>) -> Told<Option<String>> {
        self.ask_told(HostCall::CompletionNext(handle(&completion)), |answer| match answer {
            Answer::Token(token) => Some(token),
            _ => None,
        })
    }

    fn drop(&mut self, completion: Resource<Completion>) -> wasmtime::Result<()> {
        self.dropped(handle(&completion))
    }
}

fn messages(prompt: Vec<model::Message>) -> Vec<Message> {
    prompt.into_iter().map(Message::from).collect()
}

impl From<model::Message> for Message {
    fn from(message: model::Message) -> Self {
        let role = match message.role {
            model::Role::System => MessageRole::System,
            model::Role::User => MessageRole::User,
            model::Role::Assistant => MessageRole::Assistant,
        };
        Self { role, parts: message.parts.into_iter().map(Part::from).collect() }
    }
}

impl From<model::Part> for Part {
    fn from(part: model::Part) -> Self {
        match part {
            model::Part::Literal(words) => Self::Literal(words),
            model::Part::Value(text) => Self::Value(handle(&text)),
            model::Part::Item(field) => Self::Item(field.map(Into::into)),
        }
    }
}

impl From<model::Options> for ModelOptions {
    fn from(options: model::Options) -> Self {
        let style = match options.style {
            model::Style::Exact => Style::Exact,
            model::Style::Balanced => Style::Balanced,
            model::Style::Creative => Style::Creative,
        };
        let weights = match options.weights {
            model::Weights::Base => Weights::Base,
            model::Weights::Personal => Weights::Personal,
        };
        Self { max_tokens: options.max_tokens, style, weights, stop: options.stop }
    }
}

impl From<model::Schema> for Schema {
    fn from(schema: model::Schema) -> Self {
        match schema {
            model::Schema::Boolean => Self::Boolean,
            model::Schema::OneOf(options) => Self::OneOf(options),
            model::Schema::Range((low, high)) => Self::Range(low, high),
        }
    }
}
