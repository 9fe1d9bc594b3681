//! What a plugin's panels show, as a tool's result.

use hearth_base::Label;
use hearth_broker::{PanelNode, PanelView, ValueId, ValueState, ValueView};

use crate::UserError;

/// Longest result that goes into a conversation.
const RESULT_CHARS: usize = 12_000;
/// Words about where different values come from.
const MOST_ORIGINS: usize = 4;

/// A tool's result.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    /// What it was made from, in words.
    pub(super) made_from: String,
    pub(super) label: Label,
}

impl Shown {
    /// Hearth's own words in place of a result.
    pub(super) fn words(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// Reads panels in which everything has settled.
///
/// # Errors
/// Where they show nothing that could be told.
pub(super) fn shown(
    panels: &[PanelView],
    label_of: impl Fn(ValueId) -> Label,
) -> Result<Shown, UserError> {
    let mut lines: Vec<String> = Vec::new();
    let mut origins: Vec<&str> = Vec::new();
    let mut label = Label::public();
    for node in panels.iter().flat_map(|panel| &panel.nodes) {
        match node {
            PanelNode::Heading(words) | PanelNode::Label(words) => lines.push(words.clone()),
            PanelNode::Value(value) => tell(value, "", &mut lines),
            PanelNode::Items(Some(items)) | PanelNode::Picker { items: Some(items), .. } => {
                for item in items {
                    tell(item, "- ", &mut lines);
                }
            }
            _ => {}
        }
        for value in values(node) {
            label.join(&label_of(value.id));
            if !value.made_from.is_empty() && !origins.contains(&value.made_from.as_str()) {
                origins.push(&value.made_from);
            }
        }
    }
    let text = capped(lines.join("\n").trim());
    if text.is_empty() {
        return Err(UserError::input("The plugin ran and showed nothing.", ""));
    }
    Ok(Shown { text, made_from: origin_words(&origins), label })
}

fn tell(value: &ValueView, mark: &str, lines: &mut Vec<String>) {
    match &value.state {
        ValueState::Failed(reason) => lines.push(format!("{mark}[could not be made: {reason}]")),
        _ => lines.push(format!("{mark}{}", value.text.trim())),
    }
}

fn values(node: &PanelNode) -> &[ValueView] {
    match node {
        PanelNode::Value(value) => std::slice::from_ref(value),
        PanelNode::Items(Some(items)) | PanelNode::Picker { items: Some(items), .. } => items,
        _ => &[],
    }
}

/// Cuts a long result where everybody sees it.
fn capped(text: &str) -> String {
    match text.char_indices().nth(RESULT_CHARS) {
        Some((end, _)) => {
            let more = text[end..].chars().count();
            format!("{}\n… ({more} more characters: see the plugin's panel)", &text[..end])
        }
        None => text.to_owned(),
    }
}

fn origin_words(origins: &[&str]) -> String {
    let more = origins.len().saturating_sub(MOST_ORIGINS);
    let mut words = origins.iter().take(MOST_ORIGINS).copied().collect::<Vec<_>>().join("; ");
    if more > 0 {
        words.push_str(&format!("; and {more} more"));
    }
    words
}
