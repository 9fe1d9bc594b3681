//! Nodes of the graph: what is to be computed from what. Immutable once made; the result is filled in once.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use hearth_base::{DocumentId, Field, Sort, Style, Weights};
use tokio::sync::OnceCell;

use super::{Flow, Outcome, Template};
use crate::scope::Scope;

/// So many nodes are computed within one another on one stack.
const MOST_HEIGHT: u8 = 8;

/// Names a node for as long as the broker lives.
pub(crate) type NodeId = u64;

/// What a node's value is. Known without computing it, and so no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Texts,
    Documents,
    Document,
    Choice {
        outcomes: usize,
    },
    /// Collections by outcome; no handle names it.
    Parted,
}

impl Kind {
    pub(crate) fn is_collection(self) -> bool {
        matches!(self, Self::Texts | Self::Documents)
    }
}

/// Settings of a model call.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_tokens: u32,
    pub(crate) style: Style,
    pub(crate) stop: Vec<String>,
    pub(crate) weights: Weights,
}

/// What to compute.
pub(crate) enum Op {
    /// A text that is there, with what it depends on.
    Given(Arc<str>, Flow),
    Concat(Vec<Arc<Node>>),
    Chunk {
        text: Arc<Node>,
        max_tokens: u16,
    },
    Of(Vec<Arc<Node>>),
    Take {
        collection: Arc<Node>,
        count: u16,
    },
    Join {
        collection: Arc<Node>,
        separator: Arc<str>,
    },
    Zip {
        left: Arc<Node>,
        right: Arc<Node>,
        separator: Arc<str>,
    },
    Count {
        collection: Arc<Node>,
        up_to: usize,
    },
    Select {
        choice: Arc<Node>,
        options: Vec<Arc<Node>>,
    },
    /// A document that was found, picked or in focus, and what that depended on.
    Document {
        id: DocumentId,
        via: Flow,
    },
    Field {
        document: Arc<Node>,
        field: Field,
    },
    Granted {
        slot: String,
        order: Sort,
        limit: u16,
    },
    Pick {
        purpose: String,
        limit: u16,
    },
    Search {
        slot: String,
        query: Arc<Node>,
        limit: u16,
    },
    Thread {
        document: Arc<Node>,
        slot: String,
        limit: u16,
    },
    Threads {
        slot: String,
        limit: u16,
    },
    FillEach {
        over: Arc<Node>,
        template: Arc<Template>,
    },
    /// A template filled from an element, and what putting that element into its collection depended on.
    Fill {
        template: Arc<Template>,
        item: Arc<Node>,
        via: Flow,
    },
    Generate {
        prompt: Arc<Template>,
        item: Option<Arc<Node>>,
        via: Flow,
        settings: Arc<Settings>,
    },
    GenerateEach {
        over: Arc<Node>,
        prompt: Arc<Template>,
        settings: Arc<Settings>,
    },
    Reduce {
        over: Arc<Node>,
        prompt: Arc<Template>,
        settings: Arc<Settings>,
    },
    Decide {
        prompt: Arc<Template>,
        item: Option<Arc<Node>>,
        outcomes: Arc<[String]>,
    },
    Part {
        over: Arc<Node>,
        prompt: Arc<Template>,
        outcomes: Arc<[String]>,
    },
    Outcome {
        parted: Arc<Node>,
        index: usize,
    },
    /// A value kept by an earlier run: one that is still being made, or else the vault's.
    Kept {
        name: String,
        pending: Option<Arc<Node>>,
    },
    /// An element of an earlier run's panel that the user picked, and what that choice depends on.
    Picked {
        element: Arc<Node>,
        flow: Flow,
    },
}

impl Op {
    /// The nodes of the same run it is computed from.
    fn inputs(&self) -> Vec<&Arc<Node>> {
        match self {
            Self::Given(..)
            | Self::Document { .. }
            | Self::Granted { .. }
            | Self::Threads { .. }
            | Self::Pick { .. }
            | Self::Kept { .. }
            | Self::Picked { .. } => Vec::new(),
            Self::Concat(parts) | Self::Of(parts) => parts.iter().collect(),
            Self::Chunk { text: input, .. }
            | Self::Take { collection: input, .. }
            | Self::Join { collection: input, .. }
            | Self::Count { collection: input, .. }
            | Self::Field { document: input, .. }
            | Self::Thread { document: input, .. }
            | Self::Search { query: input, .. }
            | Self::Outcome { parted: input, .. } => vec![input],
            Self::Zip { left, right, .. } => vec![left, right],
            Self::Fill { template, item, .. } => template.values().chain([item]).collect(),
            Self::FillEach { over, template } => template.values().chain([over]).collect(),
            Self::Select { choice, options } => std::iter::once(choice).chain(options).collect(),
            Self::Generate { prompt, item, .. } | Self::Decide { prompt, item, .. } => {
                prompt.values().chain(item).collect()
            }
            Self::GenerateEach { over, prompt, .. }
            | Self::Reduce { over, prompt, .. }
            | Self::Part { over, prompt, .. } => prompt.values().chain([over]).collect(),
        }
    }
}

/// How far a text has come while it is being made.
#[derive(Default)]
pub(crate) struct Partial {
    pub(crate) text: String,
    /// What it will depend on, in words, once that is known.
    pub(crate) words: Option<Arc<str>>,
}

/// A promise.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) scope: Arc<Scope>,
    pub(crate) kind: Kind,
    pub(crate) op: Op,
    /// Longest way down to a node without inputs. Bounds every recursion over the graph.
    pub(crate) depth: u16,
    /// Longest way down to a node that is computed on a task, and so on a stack, of its own.
    height: u8,
    /// Whether this is such a node.
    pub(crate) aside: bool,
    pub(crate) outcome: OnceCell<Arc<Outcome>>,
    partial: Mutex<Partial>,
    saved: AtomicBool,
    /// Bytes it takes of its run's room.
    bytes: AtomicUsize,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.scope.release(*self.bytes.get_mut());
    }
}

impl Node {
    pub(crate) fn new(id: NodeId, scope: &Arc<Scope>, kind: Kind, op: Op) -> Arc<Self> {
        let depth = op.inputs().iter().map(|input| input.depth).max().map_or(0, |d| d + 1);
        let height = op.inputs().iter().map(|input| input.height).max().map_or(0, |h| h + 1);
        let aside = height >= MOST_HEIGHT;
        Arc::new(Self {
            id,
            scope: Arc::clone(scope),
            kind,
            op,
            depth,
            height: if aside { 0 } else { height },
            aside,
            outcome: OnceCell::new(),
            partial: Mutex::default(),
            saved: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
        })
    }

    /// Reads or changes the text so far.
    pub(crate) fn partial<T>(&self, f: impl FnOnce(&mut Partial) -> T) -> T {
        f(&mut self.partial.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes room in the run for a value of so many bytes, until the node goes.
    pub(crate) fn take_room(&self, bytes: usize, limit_bytes: usize) -> bool {
        let fits = self.scope.reserve(bytes, limit_bytes);
        if fits {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    pub(crate) fn mark_saved(&self) {
        self.saved.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_saved(&self) -> bool {
        self.saved.load(Ordering::Relaxed)
    }
}
