//! Looking at a node without computing it: what a panel draws.

use std::borrow::Cow;

use super::{Fault, Kind, Node, Op, Value};

/// What is left of the room for values in one view of a panel. A plugin may show a value as often as it likes, and a
/// graph may name one node very many times.
pub(crate) struct Room {
    pub(crate) values: usize,
    pub(crate) bytes: usize,
    /// Nodes still to be looked at where a value is not there yet.
    pub(crate) glances: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { values: 2048, bytes: 4 << 20, glances: 16 << 10 }
    }
}

/// Longest text a panel draws for one value.
const VALUE_BYTES: usize = 256 << 10;

/// A value as far as it has come.
pub(crate) enum Glance<'a> {
    Waiting,
    Partial(Cow<'a, str>),
    Done(Cow<'a, str>),
    Failed(Fault),
}

/// Looks at a text, or at the title of a document, as far as there is room. Of a longer one the rest is there for Save
/// and Copy, and the end of what is shown says so.
pub(crate) fn glance<'a>(node: &'a Node, room: &mut Room) -> Glance<'a> {
    let most_bytes = VALUE_BYTES.min(room.bytes);
    if let Some(outcome) = node.outcome.get() {
        return match &outcome.value {
            Ok(Value::Text(text)) => Glance::Done(shown(text, most_bytes)),
            Ok(Value::Document(document)) if node.kind == Kind::Document => {
                Glance::Done(shown(&document.head.title, most_bytes))
            }
            Ok(_) => Glance::Failed(Fault::Mismatch),
            Err(fault) => Glance::Failed(fault.clone()),
        };
    }
    if most_bytes == 0 {
        return Glance::Partial(NO_ROOM.into());
    }
    let mut text = String::new();
    collect(node, &mut text, &mut room.glances, most_bytes);
    if text.is_empty() { Glance::Waiting } else { Glance::Partial(text.into()) }
}

/// In place of a text that is not there yet, where the panel is full.
const NO_ROOM: &str = "… (no more room in this panel)";

/// Appends what is there of a text from its beginning; true where that is all of it.
fn collect(node: &Node, text: &mut String, glances: &mut usize, most_bytes: usize) -> bool {
    let left_bytes = most_bytes.saturating_sub(text.len());
    if *glances == 0 || left_bytes == 0 {
        return false;
    }
    *glances -= 1;
    let mut append = |whole: &str| {
        text.push_str(&shown(whole, left_bytes));
        whole.len() <= left_bytes
    };
    if let Some(outcome) = node.outcome.get() {
        return match &outcome.value {
            Ok(Value::Text(whole)) => append(whole),
            _ => false,
        };
    }
    match &node.op {
        Op::Given(given, _) => append(given),
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
            node.partial(|partial| append(&partial.text));
            false
        }
    }
}

/// The beginning of a text. What is left of it is told in bytes: to count characters would be to read all of it.
fn shown(text: &str, most_bytes: usize) -> Cow<'_, str> {
    if text.len() <= most_bytes {
        return text.into();
    }
    let end = text.floor_char_boundary(most_bytes);
    let rest = text.len() - end;
    format!("{}\n… ({rest} more bytes: save it to have them all)", &text[..end]).into()
}
