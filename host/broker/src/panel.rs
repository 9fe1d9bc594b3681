//! Open panels: what they show, the work behind it, and how it looks by now.

use std::{collections::BTreeMap, sync::Arc};

use hearth_base::{Button, PluginId};
use tokio::task::{AbortHandle, JoinSet};

use crate::{
    PanelKey, PanelNode, PanelView, ValueId, ValueState, ValueView, escape_text,
    inner::Inner,
    scope::Scope,
    values::{Flow, Glance, Node, NodeId, Outcome, Room, Value, glance},
};

/// A panel the user can see.
pub(crate) struct OpenPanel {
    scope: Arc<Scope>,
    title: String,
    nodes: Vec<Shown>,
    /// The work for each value shown.
    tasks: BTreeMap<NodeId, AbortHandle>,
    /// Its work was ended: what is not there yet will not come.
    halted: bool,
}

/// One node of a panel.
pub(crate) enum Shown {
    /// The plugin's own words and widgets, escaped.
    Plain(PanelNode),
    Value(Arc<Node>),
    Items(Arc<Node>),
    Picker(String, Arc<Node>),
}

impl Shown {
    fn node(&self) -> Option<&Arc<Node>> {
        match self {
            Self::Plain(_) => None,
            Self::Value(node) | Self::Items(node) | Self::Picker(_, node) => Some(node),
        }
    }

    /// The text or document of this number in it, and the list that chose it.
    fn find(&self, value: ValueId) -> Option<(Arc<Node>, Option<Arc<Node>>)> {
        match self {
            Self::Plain(_) => None,
            Self::Value(node) => (node.id == value.0).then(|| (Arc::clone(node), None)),
            Self::Items(list) | Self::Picker(_, list) => {
                let element = items(list)?.iter().find(|element| element.id == value.0)?;
                Some((Arc::clone(element), Some(Arc::clone(list))))
            }
        }
    }
}

/// A value that an open panel shows.
pub(crate) struct ShownValue {
    pub(crate) scope: Arc<Scope>,
    pub(crate) panel_title: String,
    pub(crate) node: Arc<Node>,
    /// The list it stands in.
    list: Option<Arc<Node>>,
}

impl ShownValue {
    /// All it depends on; of an element also what put it into its list.
    pub(crate) fn flow(&self, outcome: &Outcome) -> Flow {
        let mut flow = outcome.flow.clone();
        if let Some(list) = self.list.as_ref().and_then(|list| list.outcome.get()) {
            flow.join(&list.flow);
        }
        flow
    }
}

impl OpenPanel {
    /// What the user can use in it. Which of them was used is all that a plugin hears of a gesture.
    pub(crate) fn controls(&self) -> usize {
        let is_control = |node: &&Shown| match node {
            Shown::Plain(PanelNode::Button(button)) => button.enabled,
            Shown::Plain(PanelNode::Input(_)) | Shown::Picker(..) => true,
            Shown::Plain(_) | Shown::Value(_) | Shown::Items(_) => false,
        };
        self.nodes.iter().filter(is_control).count()
    }

    /// Whether the user may see values in it.
    pub(crate) fn shows_values(&self) -> bool {
        self.nodes.iter().any(|node| node.node().is_some())
    }

    /// Whether it has an enabled button of this id.
    pub(crate) fn has_button(&self, id: &str) -> bool {
        let is_it = |button: &Button| button.enabled && button.id == id;
        self.nodes.iter().any(|n| matches!(n, Shown::Plain(PanelNode::Button(b)) if is_it(b)))
    }

    pub(crate) fn has_input(&self, id: &str) -> bool {
        self.nodes.iter().any(|n| matches!(n, Shown::Plain(PanelNode::Input(i)) if i.id == id))
    }

    /// The element of a list to pick from, and the list.
    pub(crate) fn picked(
        &self,
        picker: &str,
        value: ValueId,
    ) -> Option<(Arc<Node>, Option<Arc<Node>>)> {
        self.nodes.iter().find_map(|node| match node {
            Shown::Picker(id, _) if id == picker => node.find(value),
            _ => None,
        })
    }

    fn end_tasks(&mut self) {
        for task in std::mem::take(&mut self.tasks).into_values() {
            task.abort();
        }
    }

    fn view(&self, key: &PanelKey) -> PanelView {
        let mut room = Room::default();
        PanelView {
            key: key.clone(),
            run: self.scope.run,
            plugin_name: self.scope.name.clone(),
            title: self.title.clone(),
            nodes: self.nodes.iter().map(|node| self.view_node(node, &mut room)).collect(),
        }
    }

    fn view_node(&self, node: &Shown, room: &mut Room) -> PanelNode {
        match node {
            Shown::Plain(plain) => plain.clone(),
            Shown::Value(node) => PanelNode::Value(self.view_value(node, room)),
            Shown::Items(list) => PanelNode::Items(self.view_items(list, room)),
            Shown::Picker(id, list) => {
                PanelNode::Picker { id: id.clone(), items: self.view_items(list, room) }
            }
        }
    }

    fn view_items(&self, list: &Arc<Node>, room: &mut Room) -> Option<Vec<ValueView>> {
        let fate = |state: &str| {
            let made_from = words(list).to_string();
            let state = ValueState::Failed(state.to_owned());
            ValueView { id: ValueId(list.id), text: String::new(), state, made_from }
        };
        let Some(outcome) = list.outcome.get() else {
            return self.halted.then(|| vec![fate("stopped")]);
        };
        match &outcome.value {
            Ok(Value::Items(items)) => {
                let mut views = Vec::new();
                for item in items.iter() {
                    if room.values == 0 || room.bytes == 0 {
                        break;
                    }
                    views.push(self.view_value(item, room));
                }
                let fitting = views.len();
                if fitting < items.len() {
                    let more = items.len() - fitting;
                    views.push(fate(&format!("{more} more have no room in this panel")));
                }
                if outcome.flow.has_left_out() {
                    views.push(fate("some could not be decided on and are left out"));
                }
                Some(views)
            }
            Ok(_) => None,
            Err(fault) => Some(vec![fate(&fault.to_string())]),
        }
    }

    fn view_value(&self, node: &Arc<Node>, room: &mut Room) -> ValueView {
        let (text, state) = match glance(node, room) {
            Glance::Done(text) if node.is_saved() => (escape_text(&text), ValueState::Saved),
            Glance::Done(text) => (escape_text(&text), ValueState::Done),
            Glance::Failed(fault) => (String::new(), ValueState::Failed(fault.to_string())),
            Glance::Partial(text) if self.halted => {
                (escape_text(&text), ValueState::Failed("stopped".into()))
            }
            Glance::Waiting if self.halted => (String::new(), ValueState::Failed("stopped".into())),
            Glance::Partial(text) => (escape_text(&text), ValueState::Streaming),
            Glance::Waiting => (String::new(), ValueState::Waiting),
        };
        room.values = room.values.saturating_sub(1);
        room.bytes = room.bytes.saturating_sub(text.len());
        ValueView { id: ValueId(node.id), text, state, made_from: words(node).to_string() }
    }
}

impl Inner {
    /// Shows a panel in place of what it showed, and sets about the values in it.
    pub(crate) fn show(
        self: &Arc<Self>,
        scope: &Arc<Scope>,
        key: PanelKey,
        title: String,
        nodes: Vec<Shown>,
    ) {
        let mut panels = self.panels();
        let mut before = panels.remove(&key);
        let mut tasks = BTreeMap::new();
        for node in nodes.iter().filter_map(Shown::node) {
            if tasks.contains_key(&node.id) {
                continue;
            }
            let running = before.as_mut().and_then(|before| before.tasks.remove(&node.id));
            let task = running.unwrap_or_else(|| {
                self.runtime.spawn(fulfil(Arc::clone(node), Arc::clone(self))).abort_handle()
            });
            tasks.insert(node.id, task);
        }
        if let Some(mut before) = before {
            before.end_tasks();
        }
        let scope = Arc::clone(scope);
        panels.insert(key, OpenPanel { scope, title, nodes, tasks, halted: false });
        drop(panels);
        self.panels_changed();
    }

    /// Closes a panel and ends the work that only it needs.
    pub(crate) fn close(&self, key: &PanelKey) {
        if let Some(mut panel) = self.panels().remove(key) {
            panel.end_tasks();
        }
        self.panels_changed();
    }

    /// Ends the work for a plugin's panels. What they show stays.
    pub(crate) fn halt_panels(&self, plugin: Option<&PluginId>) {
        for (key, panel) in self.panels().iter_mut() {
            if plugin.is_none_or(|plugin| key.plugin == *plugin) {
                panel.end_tasks();
                panel.halted = true;
            }
        }
        self.panels_changed();
    }

    pub(crate) fn views(&self) -> Vec<PanelView> {
        self.panels().iter().map(|(key, panel)| panel.view(key)).collect()
    }

    /// A value that an open panel shows.
    pub(crate) fn shown(&self, value: ValueId) -> Option<ShownValue> {
        self.panels().values().find_map(|panel| {
            let (node, list) = panel.nodes.iter().find_map(|node| node.find(value))?;
            let (scope, panel_title) = (Arc::clone(&panel.scope), panel.title.clone());
            Some(ShownValue { scope, panel_title, node, list })
        })
    }
}

/// Computes a value, and the elements where it is a collection. Dropping it ends that work.
async fn fulfil(node: Arc<Node>, inner: Arc<Inner>) {
    let outcome = node.resolve(&inner).await;
    let Ok(Value::Items(items)) = &outcome.value else { return };
    let mut tasks = JoinSet::new();
    for item in items.iter() {
        let (item, inner) = (Arc::clone(item), Arc::clone(&inner));
        tasks.spawn(async move { drop(item.resolve(&inner).await) });
    }
    while tasks.join_next().await.is_some() {}
}

fn items(list: &Node) -> Option<&[Arc<Node>]> {
    match &list.outcome.get()?.value {
        Ok(Value::Items(items)) => Some(items),
        _ => None,
    }
}

fn words(node: &Node) -> Arc<str> {
    if let Some(outcome) = node.outcome.get() {
        return Arc::clone(&outcome.words);
    }
    let so_far = node.partial(|partial| partial.words.clone());
    so_far.unwrap_or_else(|| format!("made by {}", node.scope.name).into())
}
