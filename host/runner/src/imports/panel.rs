//! Interface `panel`.

use hearth_base::{Button, Glyph, HostCall, Input, Node};

use crate::{
    bindings::panel,
    context::{Context, Told, handle},
};

impl panel::Host for Context {
    fn show(&mut self, panel: String, nodes: Vec<panel::Node>) -> Told<()> {
        let nodes = nodes.into_iter().map(Node::from).collect();
        self.ask_unit(HostCall::PanelShow { panel, nodes })
    }

    fn notify(&mut self, icon: panel::Glyph, message: String) -> Told<()> {
        self.ask_unit(HostCall::Notify { icon: icon.into(), message })
    }
}

impl From<panel::Node> for Node {
    fn from(node: panel::Node) -> Self {
        match node {
            panel::Node::Heading(words) => Self::Heading(words),
            panel::Node::Label(words) => Self::Label(words),
            panel::Node::Divider => Self::Divider,
            panel::Node::Value(text) => Self::Value(handle(&text)),
            panel::Node::Items(collection) => Self::Items(handle(&collection)),
            panel::Node::Picker((id, collection)) => Self::Picker(id, handle(&collection)),
            panel::Node::Button(button) => Self::Button(button.into()),
            panel::Node::Input(input) => Self::Input(input.into()),
            panel::Node::Progress(percent) => Self::Progress(percent),
            panel::Node::Row => Self::Row,
            panel::Node::Column => Self::Column,
            panel::Node::End => Self::End,
        }
    }
}

impl From<panel::Button> for Button {
    fn from(button: panel::Button) -> Self {
        let panel::Button { id, label, icon, enabled } = button;
        Self { id, label, icon: icon.into(), enabled }
    }
}

impl From<panel::Input> for Input {
    fn from(input: panel::Input) -> Self {
        let panel::Input { id, label, placeholder, multiline } = input;
        Self { id, label, placeholder, multiline }
    }
}

impl From<panel::Glyph> for Glyph {
    fn from(glyph: panel::Glyph) -> Self {
        match glyph {
            panel::Glyph::None => Self::None,
            panel::Glyph::Check => Self::Check,
            panel::Glyph::Warning => Self::Warning,
            panel::Glyph::Info => Self::Info,
            panel::Glyph::Mail => Self::Mail,
            panel::Glyph::Code => Self::Code,
            panel::Glyph::Listing => Self::Listing,
            panel::Glyph::Star => Self::Star,
        }
    }
}
