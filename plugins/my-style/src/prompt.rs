//! The plugin's own words. They are those of Hearth's own training examples for writing like the user, as far as they go:
//! with the same words before it, a fine-tuned model writes as it learnt to. So there are no instructions in front.

use hearth_plugin_sdk::{Message, Part, user, words};

/// A mail from notes.
pub(crate) fn mail(notes: Part<'_>) -> [Message<'_>; 1] {
    [user([words("Write a mail.\n\nWhat it shall say: "), notes])]
}

/// A note.
pub(crate) fn note(title: Part<'_>) -> [Message<'_>; 1] {
    [user([words("Write a note titled \""), title, words("\".")])]
}

/// A reply.
pub(crate) fn reply<'a>(author: Part<'a>, body: Part<'a>, notes: Part<'a>) -> [Message<'a>; 1] {
    let parts = [
        words("Reply to this mail from "),
        author,
        words(":\n\n"),
        body,
        words("\n\nWhat the reply shall say: "),
        notes,
    ];
    [user(parts)]
}

/// A text anew.
pub(crate) fn rewrite(text: Part<'_>) -> [Message<'_>; 1] {
    [user([
        words("Write this anew in my own style, and change nothing of what it says:\n\n"),
        text,
    ])]
}

/// A draft changed.
pub(crate) fn change<'a>(draft: Part<'a>, wish: Part<'a>) -> [Message<'a>; 1] {
    let head = words("Write this anew in my own style, changed as follows: ");
    [user([head, wish, words("\n\n"), draft])]
}

/// A change that has a button.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) id: &'static str,
    pub(crate) button: &'static str,
    words: &'static str,
}

pub(crate) const WISHES: [Wish; 3] = [
    Wish { id: "shorter", button: "Shorter", words: "half as long" },
    Wish { id: "warmer", button: "Warmer", words: "friendlier, with a kind word at the end" },
    Wish { id: "formal", button: "More formal", words: "more formal" },
];

/// What a button asks for.
pub(crate) fn wish<'a>(button: &str) -> Option<Part<'a>> {
    WISHES.iter().find(|wish| wish.id == button).map(|wish| words(wish.words))
}

#[cfg(test)]
mod tests {
    use hearth_plugin_sdk::each;

    use super::*;

    #[test]
    fn prompts_begin_as_the_training_examples_do() {
        let first = |prompt: &[Message<'_>]| match prompt[0].parts.first() {
            Some(Part::Literal(words)) => words.clone(),
            _ => String::new(),
        };
        assert!(first(&mail(each())).starts_with("Write a mail."));
        assert_eq!(first(&note(each())), "Write a note titled \"");
        assert_eq!(first(&reply(each(), each(), each())), "Reply to this mail from ");
    }

    #[test]
    fn each_button_has_its_wish() {
        for one in &WISHES {
            assert!(matches!(wish(one.id), Some(Part::Literal(words)) if words == one.words));
        }
        assert!(wish("louder").is_none());
    }
}
