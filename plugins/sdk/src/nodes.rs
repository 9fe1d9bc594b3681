//! Panels in few words.

use crate::panel::{Button, Glyph, Input, Node};

/// A heading.
pub fn heading<'a>(words: &str) -> Node<'a> {
    Node::Heading(words.into())
}

/// A line of the plugin's own words.
pub fn label<'a>(words: &str) -> Node<'a> {
    Node::Label(words.into())
}

/// A button that can be pressed: an [`crate::Event::Pressed`] with its id.
pub fn button<'a>(id: &str, label: &str, icon: Glyph) -> Node<'a> {
    Node::Button(Button { id: id.into(), label: label.into(), icon, enabled: true })
}

/// A field of one line: an [`crate::Event::Entered`] with its id.
pub fn field<'a>(id: &str, label: &str, placeholder: &str) -> Node<'a> {
    let (label, placeholder) = (label.into(), placeholder.into());
    Node::Input(Input { id: id.into(), label, placeholder, multiline: false })
}

/// These side by side.
pub fn row<'a>(nodes: impl IntoIterator<Item = Node<'a>>) -> Vec<Node<'a>> {
    std::iter::once(Node::Row).chain(nodes).chain([Node::End]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_closed() {
        let nodes = row([button("a", "A", Glyph::Check), field("b", "B", "")]);
        assert!(matches!(
            nodes.as_slice(),
            [Node::Row, Node::Button(a), Node::Input(b), Node::End]
                if a.enabled && a.id == "a" && !b.multiline
        ));
    }
}
