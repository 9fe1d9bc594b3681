//! Interface `documents`.

use hearth_base::{Answer, Field, HostCall, Sort};
use wasmtime::component::Resource;

use crate::{
    bindings::{Collection, Document, Text, documents},
    context::{Context, Told, handle, resource},
};

impl documents::Host for Context {
    fn granted(
        &mut self,
        slot: String,
        order: documents::Sort,
        limit: u16,
    ) -> Told<Resource<Collection>> {
        self.ask_handle(HostCall::Granted { slot, order: order.into(), limit })
    }

    fn pick(&mut self, purpose: String, limit: u16) -> Told<Resource<Collection>> {
        self.ask_handle(HostCall::Pick { purpose, limit })
    }

    fn search(
        &mut self,
        slot: String,
        query: Resource<Text>,
        limit: u16,
    ) -> Told<Resource<Collection>> {
        self.ask_handle(HostCall::Search { slot, query: handle(&query), limit })
    }

    fn thread(
        &mut self,
        of: Resource<Document>,
        slot: String,
        limit: u16,
    ) -> Told<Resource<Collection>> {
        self.ask_handle(HostCall::Thread { document: handle(&of), slot, limit })
    }

    fn threads(
        &mut self,
        slot: String,
        limit: u16,
    ) -> Told<(Resource<Collection>, Resource<Collection>)> {
        self.ask_told(HostCall::Threads { slot, limit }, |answer| match answer {
            Answer::Handles(handles) => {
                let [titles, texts] = handles[..] else { return None };
                Some((resource(titles), resource(texts)))
            }
            _ => None,
        })
    }

    fn save(&mut self, title: Resource<Text>, body: Resource<Text>) -> Told<()> {
        self.ask_unit(HostCall::Save { title: handle(&title), body: handle(&body) })
    }

    fn save_each(
        &mut self,
        titles: Resource<Collection>,
        bodies: Resource<Collection>,
    ) -> Told<()> {
        self.ask_unit(HostCall::SaveEach { titles: handle(&titles), bodies: handle(&bodies) })
    }
}

impl documents::HostDocument for Context {
    fn get(
        &mut self,
        document: Resource<Document>,
        which: documents::Field,
    ) -> Told<Resource<Text>> {
        self.ask_handle(HostCall::DocumentGet { document: handle(&document), field: which.into() })
    }

    fn drop(&mut self, document: Resource<Document>) -> wasmtime::Result<()> {
        self.dropped(handle(&document))
    }
}

impl From<documents::Field> for Field {
    fn from(field: documents::Field) -> Self {
        match field {
            documents::Field::Title => Self::Title,
            documents::Field::Body => Self::Body,
            documents::Field::Author => Self::Author,
            documents::Field::Date => Self::Date,
            documents::Field::Kind => Self::Kind,
            documents::Field::Summary => Self::Summary,
        }
    }
}

impl From<documents::Sort> for Sort {
    fn from(sort: documents::Sort) -> Self {
        match sort {
            documents::Sort::Newest => Self::Newest,
            documents::Sort::Oldest => Self::Oldest,
            documents::Sort::Relevance => Self::Relevance,
        }
    }
}
