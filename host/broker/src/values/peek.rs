//! Looking at a node without computing it: what a panel draws.

use std::sync::Arc;

use super::{Fault, Kind, Node, Op, Value};

/// Nodes looked at for one value. A graph may name one node very many times.
const GLANCES: usize = 1024;

/// A value as far as it has come.
pub(crate) enum Glance {
    Waiting,
    Partial(String),
    Done(Arc<str>),
    Failed(Fault),
}

/// Looks at a text, or at the title of a document. Of a longer one than `most_bytes` the rest is there for Save and
/// Copy, and the end of what is shown says so.
pub(crate) fn glance(node: &Node, most_bytes: usize) -> Glance {
    if let Some(outcome) = node.outcome.get() {
        return match &outcome.value {
            Ok(Value::Text(text)) => Glance::Done(shown(text, most_bytes)),
            Ok(Value::Document(document)) if node.kind == Kind::Document => {
                Glance::Done(document.head.title.as_str().into())
            }
            Ok(_) => Glance::Failed(Fault::Mismatch),
            Err(fault) => Glance::Failed(fault.clone()),
        };
    }
    let mut text = String::new();
    collect(node, &mut text, &mut { GLANCES }, most_bytes);
    if text.is_empty() { Glance::Waiting } else { Glance::Partial(text) }
}

/// Appends what is there of a text from its beginning; true where that is all of it.
fn collect(node: &Node, text: &mut String, glances: &mut usize, most_bytes: usize) -> bool {
    if *glances == 0 || text.len() > most_bytes {
        return false;
    }
    *glances -= 1;
    if let Some(outcome) = node.outcome.get() {
        return match &outcome.value {
            Ok(Value::Text(whole)) => {
                text.push_str(&shown(whole, most_bytes));
                true
            }
            _ => false,
        };
    }
    match &node.op {
        Op::Given(given, _) => {
            text.push_str(&shown(given, most_bytes));
            true
        }
        Op::Concat(parts) => parts.iter().all(|part| collect(part, text, glances, most_bytes)),
        Op::Select { choice, options } => match choice.outcome.get().map(|o| &o.value) {
            Some(Ok(Value::Index(index))) => {
                options.get(*index).is_some_and(|option| collect(option, text, glances, most_bytes))
            }
            _ => false,
        },
        Op::Join { collection, separator } => match collection.outcome.get().map(|o| &o.value) {
            Some(Ok(Value::Items(items))) => items.iter().enumerate().all(|(index, item)| {
                if index > 0 {
                    text.push_str(separator);
                }
                collect(item, text, glances, most_bytes)
            }),
            _ => false,
        },
        Op::Picked { element, .. } => collect(element, text, glances, most_bytes),
        _ => {
            node.partial(|partial| text.push_str(&partial.text));
            false
        }
    }
}

fn shown(text: &Arc<str>, most_bytes: usize) -> Arc<str> {
    if text.len() <= most_bytes {
        return Arc::clone(text);
    }
    let end = text.floor_char_boundary(most_bytes);
    let rest = text[end..].chars().count();
    format!("{}\n… ({rest} more characters: save or copy it to have them all)", &text[..end]).into()
}
