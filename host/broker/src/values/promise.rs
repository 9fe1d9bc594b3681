//! Keeping a promise: computing a node once, with its label, when somebody needs it.

use std::{future::Future, pin::Pin, sync::Arc};

use hearth_base::{DocumentId, Field, Label, Source};
use hearth_vault::{Document, DocumentKind};
use tokio::task::JoinSet;

use super::{Fault, Flow, Kind, Node, Op};
use crate::{
    PickQuestion, escape_words,
    inner::Inner,
    ops::{
        documents::{self, ListSlot, Listing, Pick, ReadDocument, SearchSlot},
        storage::{self, ReadKept},
    },
};

/// What became of a node.
pub(crate) struct Outcome {
    pub(crate) value: Result<Value, Fault>,
    pub(crate) flow: Flow,
    /// What it was made from, for the user.
    pub(crate) words: Arc<str>,
}

/// A value.
#[derive(Clone)]
pub(crate) enum Value {
    Text(Arc<str>),
    Document(Arc<Document>),
    Items(Arc<[Arc<Node>]>),
    /// Place of an outcome.
    Index(usize),
    /// Elements by outcome.
    Parted(Arc<[Arc<[Arc<Node>]>]>),
}

impl Value {
    /// Bytes of text in it. A text that several values share counts for each.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Document(document) => document.body.len(),
            Self::Items(items) => items.len() * size_of::<Node>(),
            Self::Index(_) => 0,
            Self::Parted(parts) => {
                parts.iter().map(|part| part.len()).sum::<usize>() * size_of::<Node>()
            }
        }
    }
}

impl Outcome {
    /// Of a computation that was ended from outside.
    fn stopped() -> Self {
        Self { value: Err(Fault::Stopped), flow: Flow::default(), words: "".into() }
    }

    /// Bytes of text in it.
    pub(super) fn bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Value::bytes)
    }

    /// The text; a document counts as its body.
    pub(crate) fn text(&self) -> Result<Arc<str>, Fault> {
        self.field(Field::Body)
    }

    /// The text, on one line; of a document its title.
    pub(crate) fn title(&self) -> Result<Arc<str>, Fault> {
        let title = self.field(Field::Title)?;
        Ok(title.split_whitespace().collect::<Vec<_>>().join(" ").into())
    }

    /// A field of a document; of a text, the text.
    pub(super) fn field(&self, field: Field) -> Result<Arc<str>, Fault> {
        match self.value.as_ref().map_err(Clone::clone)? {
            Value::Text(text) => Ok(Arc::clone(text)),
            Value::Document(document) => Ok(field_of(document, field)),
            Value::Items(_) | Value::Index(_) | Value::Parted(_) => Err(Fault::Mismatch),
        }
    }
}

impl Node {
    /// Computes the node, or waits for whoever does. Where the one who computes gives up, the next begins anew.
    pub(crate) fn resolve<'a>(
        self: &'a Arc<Self>,
        inner: &'a Arc<Inner>,
    ) -> Pin<Box<dyn Future<Output = Arc<Outcome>> + Send + 'a>> {
        Box::pin(async move {
            let outcome = self.outcome.get_or_init(|| async {
                if !self.aside {
                    return compute(self, inner).await;
                }
                // The set ends the task when it is dropped, so giving up works as without it.
                let mut task = JoinSet::new();
                let (node, shared) = (Arc::clone(self), Arc::clone(inner));
                task.spawn(async move { compute(&node, &shared).await });
                match task.join_next().await {
                    Some(Ok(outcome)) => outcome,
                    _ => Arc::new(Outcome::stopped()),
                }
            });
            Arc::clone(outcome.await)
        })
    }
}

async fn compute(node: &Arc<Node>, inner: &Arc<Inner>) -> Arc<Outcome> {
    node.partial(|partial| *partial = super::graph::Partial::default());
    let mut making = Making { node, inner, flow: Flow::default() };
    let mut value = making.make().await;
    let Making { mut flow, .. } = making;
    flow.share();
    let words = flow.words(&node.scope.name).into();
    let limit_bytes = inner.limits.run_bytes;
    let bytes = value.as_ref().map_or(0, Value::bytes).saturating_add(flow.bytes());
    if !node.take_room(bytes, limit_bytes) {
        // Nothing may pass over this fault, so nothing depends on what it depends on, for which there is no room.
        (value, flow) = (Err(Fault::TooMuch { limit_bytes }), Flow::default());
    }
    inner.panels_changed();
    Arc::new(Outcome { value, flow, words })
}

/// A node being computed. Whatever goes in is joined to the flow first, so that even a fault carries its label.
pub(super) struct Making<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) inner: &'a Arc<Inner>,
    pub(super) flow: Flow,
}

impl Making<'_> {
    async fn make(&mut self) -> Result<Value, Fault> {
        if self.node.scope.is_stopped() {
            return Err(Fault::Stopped);
        }
        match &self.node.op {
            Op::Given(text, flow) => {
                self.flow.join(flow);
                Ok(Value::Text(Arc::clone(text)))
            }
            Op::Concat(parts) => self.concat(parts).await,
            Op::Chunk { text, max_tokens } => self.chunk(text, *max_tokens).await,
            Op::Of(parts) => Ok(Value::Items(parts.clone().into())),
            Op::Take { collection, count } => {
                let items = self.items(collection).await?;
                let count = usize::from(*count).min(items.len());
                Ok(Value::Items(items[..count].into()))
            }
            Op::Join { collection, separator } => self.join(collection, separator).await,
            Op::Zip { left, right, separator } => self.zip(left, right, separator).await,
            Op::Count { collection, up_to } => {
                let count = self.items(collection).await?.len().min(*up_to);
                // It tells of who is in there, and is made of none of them.
                self.flow = std::mem::take(&mut self.flow).into_selection();
                Ok(Value::Index(count))
            }
            Op::Select { choice, options } => {
                let index = self.index(choice).await?;
                let option = options.get(index).ok_or(Fault::Mismatch)?;
                self.text(option).await.map(Value::Text)
            }
            Op::Document { id, via } => self.document(*id, via).await,
            Op::Field { document, field } => {
                let outcome = document.resolve(self.inner).await;
                self.flow.join(&outcome.flow);
                outcome.field(*field).map(Value::Text)
            }
            Op::Granted { slot, order, limit } => {
                let operation = ListSlot { slot: slot.clone(), order: *order, limit: *limit };
                let scope = &self.node.scope;
                let listing = self.inner.permitted(scope, operation, documents::list).await?;
                Ok(self.listed(listing))
            }
            Op::Search { slot, query, limit } => {
                let query = self.text(query).await?;
                let operation = SearchSlot { slot: slot.clone(), query, limit: *limit };
                let scope = &self.node.scope;
                let listing = self.inner.permitted(scope, operation, documents::search).await?;
                Ok(self.listed(listing))
            }
            Op::Thread { document, slot, limit } => self.thread(document, slot, *limit).await,
            Op::Threads { slot, limit } => self.threads(slot, *limit).await,
            Op::FillEach { over, template } => self.fill_each(over, template).await,
            Op::Fill { template, item, via } => {
                self.flow.join(via);
                let text = self.filled(template, item).await?;
                Ok(Value::Text(text.into()))
            }
            Op::Pick { purpose, limit } => self.pick(purpose, *limit).await,
            Op::Kept { name, pending } => self.kept(name, pending.as_ref()).await,
            Op::Picked { element, flow } => {
                self.flow.join(flow);
                let outcome = self.aside(element).await?;
                self.flow.join(&outcome.flow);
                outcome.text().map(Value::Text)
            }
            _ => self.make_by_model().await,
        }
    }

    async fn make_by_model(&mut self) -> Result<Value, Fault> {
        match &self.node.op {
            Op::Generate { prompt, item, via, settings } => {
                self.flow.join(via);
                let text = self.generate(prompt, item.as_ref(), settings).await?;
                Ok(Value::Text(text.into()))
            }
            Op::GenerateEach { over, prompt, settings } => {
                let items = self.items(over).await?;
                self.flow.share();
                let made = items.iter().map(|item| {
                    let op = Op::Generate {
                        prompt: Arc::clone(prompt),
                        item: Some(Arc::clone(item)),
                        via: self.flow.clone(),
                        settings: Arc::clone(settings),
                    };
                    self.inner.node(&self.node.scope, Kind::Text, op)
                });
                Ok(Value::Items(made.collect()))
            }
            Op::Reduce { over, prompt, settings } => {
                let items = self.items(over).await?;
                self.reduce(prompt, &items, settings).await.map(|text| Value::Text(text.into()))
            }
            Op::Decide { prompt, item, outcomes } => {
                self.decide(prompt, item.as_ref(), outcomes).await.map(Value::Index)
            }
            Op::Part { over, prompt, outcomes } => {
                let items = self.items(over).await?;
                let decisions: Vec<Arc<Node>> = items
                    .iter()
                    .map(|item| {
                        let op = Op::Decide {
                            prompt: Arc::clone(prompt),
                            item: Some(Arc::clone(item)),
                            outcomes: Arc::clone(outcomes),
                        };
                        let kind = Kind::Choice { outcomes: outcomes.len() };
                        self.inner.node(&self.node.scope, kind, op)
                    })
                    .collect();
                self.part(&items, &decisions, outcomes.len()).await
            }
            Op::Outcome { parted, index } => {
                let outcome = parted.resolve(self.inner).await;
                self.flow.join(&outcome.flow);
                match outcome.value.as_ref().map_err(Clone::clone)? {
                    Value::Parted(parts) => {
                        parts.get(*index).cloned().map(Value::Items).ok_or(Fault::Mismatch)
                    }
                    _ => Err(Fault::Mismatch),
                }
            }
            _ => Err(Fault::Mismatch),
        }
    }

    async fn concat(&mut self, parts: &[Arc<Node>]) -> Result<Value, Fault> {
        let mut whole = String::new();
        for part in parts {
            let text = self.text(part).await?;
            self.append(&mut whole, &text)?;
        }
        Ok(Value::Text(whole.into()))
    }

    async fn chunk(&mut self, text: &Arc<Node>, max_tokens: u16) -> Result<Value, Fault> {
        let text = self.text(text).await?;
        let slot = self.inner.model_slot(text.len()).await?;
        let pieces = self.split(&slot, text, max_tokens.into()).await?;
        drop(slot);
        self.flow.share();
        let made = pieces.into_iter().map(|piece| {
            let op = Op::Given(piece.into(), self.flow.clone());
            self.inner.node(&self.node.scope, Kind::Text, op)
        });
        let items = Value::Items(made.collect());
        // How many pieces there are depends on the text, but the collection is not made of it.
        self.flow = std::mem::take(&mut self.flow).into_selection();
        Ok(items)
    }

    /// All elements in a row. Those that could not be made are left out, and the words about the value say so.
    async fn join(&mut self, collection: &Arc<Node>, separator: &str) -> Result<Value, Fault> {
        let items = self.items(collection).await?;
        let mut whole = String::new();
        let mut first = true;
        for outcome in self.all(&items).await {
            self.flow.join(&outcome.flow);
            let text = match outcome.text() {
                Ok(text) => text,
                Err(fault) if fault.is_final() || items.len() == 1 => return Err(fault),
                Err(_) => {
                    self.flow.note_left_out();
                    continue;
                }
            };
            if !std::mem::take(&mut first) {
                self.append(&mut whole, separator)?;
            }
            self.append(&mut whole, &text)?;
        }
        Ok(Value::Text(whole.into()))
    }

    async fn part(
        &mut self,
        items: &[Arc<Node>],
        decisions: &[Arc<Node>],
        outcomes: usize,
    ) -> Result<Value, Fault> {
        let mut parts: Vec<Vec<Arc<Node>>> = vec![Vec::new(); outcomes];
        for (item, outcome) in items.iter().zip(self.all(decisions).await) {
            self.flow.join(&outcome.flow);
            match &outcome.value {
                Ok(Value::Index(index)) => {
                    parts.get_mut(*index).ok_or(Fault::Mismatch)?.push(Arc::clone(item));
                }
                Ok(_) => return Err(Fault::Mismatch),
                Err(fault) if fault.is_final() => return Err(fault.clone()),
                Err(_) => self.flow.note_left_out(),
            }
        }
        // Who is in a part depends on everybody's content, by way of the decisions.
        self.flow = std::mem::take(&mut self.flow).into_selection();
        Ok(Value::Parted(parts.into_iter().map(Into::into).collect()))
    }

    async fn document(&mut self, id: DocumentId, via: &Flow) -> Result<Value, Fault> {
        self.flow.join(via);
        // Even that it is no longer there depends on it.
        self.flow.join_label(&Label { sources: [Source::Document(id)].into(), ..Label::public() });
        let scope = &self.node.scope;
        let document = self.inner.permitted(scope, ReadDocument(id), documents::read).await?;
        self.inner.spent.read_document(scope);
        let limit_bytes = self.inner.limits.value_bytes;
        if document.body.len() > limit_bytes {
            return Err(Fault::TooLarge { limit_bytes });
        }
        self.flow.join(&Flow::document(id, &document.head.title, document.label.clone()));
        Ok(Value::Document(Arc::new(document)))
    }

    pub(super) fn listed(&mut self, listing: Listing) -> Value {
        self.flow.join_selection(listing.whole);
        self.flow.share();
        let made = listing.documents.into_iter().map(|id| {
            let op = Op::Document { id, via: self.flow.clone() };
            self.inner.node(&self.node.scope, Kind::Document, op)
        });
        Value::Items(made.collect())
    }

    async fn pick(&mut self, purpose: &str, limit: u16) -> Result<Value, Fault> {
        let scope = &self.node.scope;
        self.inner.permitted(scope, Pick, |_, permit| Ok(permit.redeem().0)).await?;
        let question = PickQuestion {
            plugin: scope.plugin.clone(),
            plugin_name: scope.name.clone(),
            purpose: escape_words(purpose),
            limit,
        };
        self.flow.join_label(&Label { sources: [Source::UserInput].into(), ..Label::public() });
        let picked = self.inner.asker.pick(question).await.ok_or(Fault::NobodyToAsk)?;
        if picked.len() > usize::from(limit) {
            return Err(Fault::TooMany { limit });
        }
        let mut whole = self.flow.label();
        whole.sources.extend(picked.iter().map(|id| Source::Document(*id)));
        Ok(self.listed(Listing { documents: picked, whole }))
    }

    async fn kept(&mut self, name: &str, pending: Option<&Arc<Node>>) -> Result<Value, Fault> {
        let scope = &self.node.scope;
        if let Some(pending) = pending {
            // It may be there, made under a grant that is gone.
            let operation = ReadKept(name.to_owned());
            self.inner.permitted(scope, operation, |_, permit| Ok(permit.redeem().0)).await?;
            let outcome = self.aside(pending).await?;
            self.flow.join(&outcome.flow);
            return outcome.text().map(Value::Text);
        }
        let kept = self.inner.permitted(scope, ReadKept(name.to_owned()), storage::kept).await?;
        self.flow.join_label(&kept.label);
        Ok(Value::Text(kept.text.into()))
    }

    /// A value of another run, on a task of its own: run upon run would nest without bound.
    async fn aside(&self, node: &Arc<Node>) -> Result<Arc<Outcome>, Fault> {
        let (node, inner) = (Arc::clone(node), Arc::clone(self.inner));
        let resolved = tokio::spawn(async move { node.resolve(&inner).await });
        resolved.await.map_err(|_ended| Fault::Stopped)
    }

    /// A text that this value is made of.
    pub(super) async fn text(&mut self, node: &Arc<Node>) -> Result<Arc<str>, Fault> {
        let outcome = node.resolve(self.inner).await;
        self.flow.join(&outcome.flow);
        outcome.text()
    }

    pub(super) async fn items(&mut self, node: &Arc<Node>) -> Result<Arc<[Arc<Node>]>, Fault> {
        let outcome = node.resolve(self.inner).await;
        self.flow.join(&outcome.flow);
        match outcome.value.as_ref().map_err(Clone::clone)? {
            Value::Items(items) => Ok(Arc::clone(items)),
            _ => Err(Fault::Mismatch),
        }
    }

    async fn index(&mut self, choice: &Arc<Node>) -> Result<usize, Fault> {
        let outcome = choice.resolve(self.inner).await;
        self.flow.join(&outcome.flow);
        match outcome.value.as_ref().map_err(Clone::clone)? {
            Value::Index(index) => Ok(*index),
            _ => Err(Fault::Mismatch),
        }
    }

    /// Outcomes of all nodes, in their order. They are computed side by side.
    pub(super) async fn all(&mut self, nodes: &[Arc<Node>]) -> Vec<Arc<Outcome>> {
        let mut tasks = JoinSet::new();
        for node in nodes {
            let (node, inner) = (Arc::clone(node), Arc::clone(self.inner));
            tasks.spawn(async move { drop(node.resolve(&inner).await) });
        }
        while tasks.join_next().await.is_some() {}
        let mut outcomes = Vec::with_capacity(nodes.len());
        for node in nodes {
            outcomes.push(node.resolve(self.inner).await);
        }
        outcomes
    }

    fn append(&self, whole: &mut String, text: &str) -> Result<(), Fault> {
        let limit_bytes = self.inner.limits.value_bytes;
        if whole.len() + text.len() > limit_bytes {
            return Err(Fault::TooLarge { limit_bytes });
        }
        whole.push_str(text);
        Ok(())
    }

    /// Lets the panel say where the value comes from while it is still being made.
    pub(super) fn show_words(&self) {
        let words: Arc<str> = self.flow.words(&self.node.scope.name).into();
        self.node.partial(|partial| partial.words = Some(words));
    }
}

fn field_of(document: &Document, field: Field) -> Arc<str> {
    match field {
        Field::Title => document.head.title.as_str().into(),
        Field::Body => document.body.as_str().into(),
        Field::Author => document.head.author.as_str().into(),
        Field::Date => document.head.date_secs.map(day).unwrap_or_default().into(),
        Field::Kind => match document.head.kind {
            DocumentKind::Mail => "mail",
            DocumentKind::Note => "note",
            DocumentKind::Code => "code",
            DocumentKind::Saved => "saved",
        }
        .into(),
        Field::Summary => document.head.snippet.as_str().into(),
    }
}

/// The day in UTC, `2024-07-26`; empty outside the calendar.
fn day(secs: i64) -> String {
    jiff::Timestamp::from_second(secs)
        .map(|at| at.strftime("%Y-%m-%d").to_string())
        .unwrap_or_default()
}
