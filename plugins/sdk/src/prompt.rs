//! Prompts in few words.

use crate::{Field, Message, Options, Part, Role, Schema, Style, Text, Weights};

/// Instructions to the model, in the plugin's own words.
pub fn system<'a>(instructions: &str) -> Message<'a> {
    Message { role: Role::System, parts: vec![words(instructions)] }
}

/// What the person says: these parts in a row.
pub fn user<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> Message<'a> {
    Message { role: Role::User, parts: parts.into_iter().collect() }
}

/// The plugin's own words.
pub fn words<'a>(literal: &str) -> Part<'a> {
    Part::Literal(literal.into())
}

/// An opaque text.
pub fn value(text: &Text) -> Part<'_> {
    Part::Value(text)
}

/// A field of the document at hand, in a call over a collection of documents.
pub fn item<'a>(field: Field) -> Part<'a> {
    Part::Item(Some(field))
}

/// The text at hand, in a call over a collection of texts; of a document its body.
pub fn each<'a>() -> Part<'a> {
    Part::Item(None)
}

impl Options {
    /// The likeliest answer of the model the user has chosen, at most this long.
    pub fn exact(max_tokens: u16) -> Self {
        Self { max_tokens, style: Style::Exact, weights: Weights::Base, stop: Vec::new() }
    }

    /// The same by the model as the user has fine-tuned it, with a little freedom.
    pub fn personal(max_tokens: u16) -> Self {
        Self { style: Style::Balanced, weights: Weights::Personal, ..Self::exact(max_tokens) }
    }

    /// The same, ending before any of these.
    #[must_use]
    pub fn until<'a>(self, stop: impl IntoIterator<Item = &'a str>) -> Self {
        Self { stop: stop.into_iter().map(str::to_owned).collect(), ..self }
    }
}

/// One of these answers, in this order.
pub fn one_of<'a>(answers: impl IntoIterator<Item = &'a str>) -> Schema {
    Schema::OneOf(answers.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_keeps_its_parts_in_order() {
        let message = user([words("From: "), item(Field::Author), words("\n")]);
        assert!(matches!(
            message.parts.as_slice(),
            [Part::Literal(a), Part::Item(Some(Field::Author)), Part::Literal(b)]
                if a == "From: " && b == "\n"
        ));
    }
}
