//! Interface `values`: texts, collections, choices.

use hearth_base::{Answer, HostCall};
use wasmtime::component::Resource;

use super::handles;
use crate::{
    bindings::{Choice, Collection, Text, types::Error, values},
    context::{Context, Told, handle, resource},
};

impl values::Host for Context {
    fn keep(&mut self, name: String, value: Resource<Text>) -> Told<()> {
        self.ask_unit(HostCall::Keep { name, value: handle(&value) })
    }

    fn kept(&mut self, name: String) -> wasmtime::Result<Option<Resource<Text>>> {
        let kept = self.ask(HostCall::Kept { name }, |answer| match answer {
            Answer::MaybeHandle(handle) => Some(handle.map(resource)),
            _ => None,
        })?;
        // The function has no error: what cannot be had was not kept.
        Ok(kept.unwrap_or(None))
    }
}

impl values::HostText for Context {
    fn literal(&mut self, s: String) -> Told<Resource<Text>> {
        self.ask_handle(HostCall::TextLiteral(s))
    }

    fn concat(&mut self, parts: Vec<Resource<Text>>) -> Told<Resource<Text>> {
        self.ask_handle(HostCall::TextConcat(handles(&parts)))
    }

    fn chunk(&mut self, text: Resource<Text>, max_tokens: u16) -> Told<Resource<Collection>> {
        self.ask_handle(HostCall::TextChunk { text: handle(&text), max_tokens })
    }

    fn drop(&mut self, text: Resource<Text>) -> wasmtime::Result<()> {
        self.dropped(handle(&text))
    }
}

impl values::HostCollection for Context {
    fn of(&mut self, parts: Vec<Resource<Text>>) -> Told<Resource<Collection>> {
        self.ask_handle(HostCall::CollectionOf(handles(&parts)))
    }

    fn take(&mut self, collection: Resource<Collection>, n: u16) -> Told<Resource<Collection>> {
        self.ask_handle(HostCall::CollectionTake { collection: handle(&collection), count: n })
    }

    fn join(
        &mut self,
        collection: Resource<Collection>,
        separator: String,
    ) -> Told<Resource<Text>> {
        self.ask_handle(HostCall::CollectionJoin { collection: handle(&collection), separator })
    }

    fn zip(
        &mut self,
        left: Resource<Collection>,
        right: Resource<Collection>,
        separator: String,
    ) -> Told<Resource<Collection>> {
        let (left, right) = (handle(&left), handle(&right));
        self.ask_handle(HostCall::CollectionZip { left, right, separator })
    }

    fn count(&mut self, collection: Resource<Collection>, up_to: u8) -> Told<Resource<Choice>> {
        self.ask_handle(HostCall::CollectionCount { collection: handle(&collection), up_to })
    }

    fn drop(&mut self, collection: Resource<Collection>) -> wasmtime::Result<()> {
        self.dropped(handle(&collection))
    }
}

impl values::HostChoice for Context {
    fn select(
        &mut self,
        choice: Resource<Choice>,
        options: Vec<Resource<Text>>,
    ) -> wasmtime::Result<Result<Resource<Text>, Error>> {
        self.ask_handle(HostCall::ChoiceSelect {
            choice: handle(&choice),
            options: handles(&options),
        })
    }

    fn drop(&mut self, choice: Resource<Choice>) -> wasmtime::Result<()> {
        self.dropped(handle(&choice))
    }
}
