//! Looking at a node without computing it: what a panel draws.

use std::sync::Arc;

use super::{Fault, Kind, Node, Op, Value};

/// Longest text a panel draws; the rest is there for Save and Copy, and the end says so.
const SHOWN_BYTES: usize = 256 << 10;
/// Nodes looked at for one value. A graph may name one node very many times.
const GLANCES: usize = 1024;

/// A value as far as it has come.
pub(crate) enum Glance {
    Waiting,
    Partial(String),
    Done(Arc<str>),
    Failed(Fault),
}

/// Looks at a text, or at the title of a document.
pub(crate) fn glance(node: &Node) -> Glance {
    if let Some(outcome) = node.outcome.get() {
        return match &outcome.value {
            Ok(Value::Text(text)) => Glance::Done(shown(text)),
            Ok(Value::Document(document)) if node.kind == Kind::Document => {
                Glance::Done(document.head.title.as_str().into())
            }
            Ok(_) => Glance::Failed(Fault::Mismatch),
            Err(fault) => Glance::Failed(fault.clone()),
        };
    }
    let mut text = String::new();
    collect(node, &mut text, &mut { GLANCES });
    if text.is_empty() { Glance::Waiting } else { Glance::Partial(text) }
}

/// Appends what is there of a text from its beginning; true where that is all of it.
fn collect(node: &Node, text: &mut String, glances: &mut usize) -> bool {
    if *glances == 0 || text.len() > SHOWN_BYTES {
        return false;
    }
    *glances -= 1;
    if let Some(outcome) = node.outcome.get() {
        return match &outcome.value {
            Ok(Value::Text(whole)) => {
                text.push_str(&shown(whole));
                true
            }
            _ => false,
        };
    }
    match &node.op {
        Op::Given(given, _) => {
            text.push_str(&shown(given));
            true
        }
        Op::Concat(parts) => parts.iter().all(|part| collect(part, text, glances)),
        Op::Select { choice, options } => match choice.outcome.get().map(|o| &o.value) {
            Some(Ok(Value::Index(index))) => {
                options.get(*index).is_some_and(|option| collect(option, text, glances))
            }
            _ => false,
        },
        Op::Join { collection, separator } => match collection.outcome.get().map(|o| &o.value) {
            Some(Ok(Value::Items(items))) => items.iter().enumerate().all(|(index, item)| {
                if index > 0 {
                    text.push_str(separator);
                }
                collect(item, text, glances)
            }),
            _ => false,
        },
        Op::Picked { element, .. } => collect(element, text, glances),
        _ => {
            node.partial(|partial| text.push_str(&partial.text));
            false
        }
    }
}

fn shown(text: &Arc<str>) -> Arc<str> {
    if text.len() <= SHOWN_BYTES {
        return Arc::clone(text);
    }
    let end = text.floor_char_boundary(SHOWN_BYTES);
    let rest = text[end..].chars().count();
    format!("{}\n… ({rest} more characters: save or copy it to have them all)", &text[..end]).into()
}
