//! Collections made from collections without the model: side by side, filled in, and by conversation.

use std::sync::Arc;

use hearth_base::{Field, MessageRole};

use super::{Fault, Kind, Node, Op, Piece, Template, Turn, Value, promise::Making};
use crate::ops::threads::{self, ListThread, ListThreads};

/// Between the documents of a conversation.
const BETWEEN: &str = "\n\n---\n\n";

impl Making<'_> {
    pub(super) async fn zip(
        &mut self,
        left: &Arc<Node>,
        right: &Arc<Node>,
        separator: &Arc<str>,
    ) -> Result<Value, Fault> {
        let (left, right) = (self.items(left).await?, self.items(right).await?);
        self.flow.share();
        let mut via = self.flow.clone();
        via.join_label(&self.node.scope.literal());
        let between = Op::Given(Arc::clone(separator), via);
        let between = self.inner.node(&self.node.scope, Kind::Text, between);
        let made = left.iter().zip(right.iter()).map(|(left, right)| {
            let parts = vec![Arc::clone(left), Arc::clone(&between), Arc::clone(right)];
            self.inner.node(&self.node.scope, Kind::Text, Op::Concat(parts))
        });
        Ok(Value::Items(made.collect()))
    }

    pub(super) async fn fill_each(
        &mut self,
        over: &Arc<Node>,
        template: &Arc<Template>,
    ) -> Result<Value, Fault> {
        let items = self.items(over).await?;
        self.flow.share();
        let made: Vec<_> = items.iter().map(|item| self.fill_of(template, item)).collect();
        Ok(Value::Items(made.into()))
    }

    fn fill_of(&self, template: &Arc<Template>, item: &Arc<Node>) -> Arc<Node> {
        let (template, item) = (Arc::clone(template), Arc::clone(item));
        let op = Op::Fill { template, item, via: self.flow.clone() };
        self.inner.node(&self.node.scope, Kind::Text, op)
    }

    pub(super) async fn thread(
        &mut self,
        document: &Arc<Node>,
        slot: &str,
        limit: u16,
    ) -> Result<Value, Fault> {
        let outcome = document.resolve(self.inner).await;
        self.flow.join(&outcome.flow);
        let operation = ListThread { slot: slot.to_owned(), title: outcome.title()?, limit };
        let listing = self.inner.permitted(&self.node.scope, operation, threads::thread).await?;
        // Which they are depends on the document, but they are not made of it.
        self.flow = std::mem::take(&mut self.flow).into_selection();
        Ok(self.listed(listing))
    }

    /// Titles and texts of a slot's conversations.
    pub(super) async fn threads(&mut self, slot: &str, limit: u16) -> Result<Value, Fault> {
        let operation = ListThreads { slot: slot.to_owned(), limit };
        let found = self.inner.permitted(&self.node.scope, operation, threads::threads).await?;
        self.flow.join_selection(found.whole);
        self.flow.share();
        let template = letter();
        let mut titles = Vec::with_capacity(found.threads.len());
        let mut texts = Vec::with_capacity(found.threads.len());
        let node = |kind, op| self.inner.node(&self.node.scope, kind, op);
        for thread in found.threads {
            let documents: Vec<_> = thread
                .iter()
                .map(|id| node(Kind::Document, Op::Document { id: *id, via: self.flow.clone() }))
                .collect();
            let Some(first) = documents.first() else { continue };
            let title = Op::Field { document: Arc::clone(first), field: Field::Title };
            titles.push(node(Kind::Text, title));
            let letters = documents.iter().map(|document| self.fill_of(&template, document));
            let collection = node(Kind::Texts, Op::Of(letters.collect()));
            texts.push(node(Kind::Text, Op::Join { collection, separator: BETWEEN.into() }));
        }
        Ok(Value::Parted([titles.into(), texts.into()].into()))
    }
}

/// A document of a conversation.
fn letter() -> Arc<Template> {
    let words = |words: &str| Piece::Literal(words.into());
    let pieces = vec![
        words("From: "),
        Piece::Item(Some(Field::Author)),
        words("\nDate: "),
        Piece::Item(Some(Field::Date)),
        words("\n\n"),
        Piece::Item(Some(Field::Body)),
    ];
    Arc::new(Template(vec![Turn { role: MessageRole::User, pieces }]))
}
