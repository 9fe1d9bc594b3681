//! The plugin's own words.

use hearth_plugin_sdk::{Date, Field, Message, Part, item, system, user, words};

use crate::topics::Topics;

/// What a mail is, in the order of the outcomes.
pub(crate) const KINDS: [&str; 5] = ["work", "personal", "bill", "newsletter", "urgent"];
/// As the manifest's options are.
pub(crate) const TONES: [&str; 3] = ["friendly", "brief", "formal"];

/// A question about a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    instructions: String,
    question: String,
}

/// The starter model was trained on these two questions.
pub(crate) const KIND: Fixed = Fixed {
    instructions: "You sort e-mail. Answer with one word.",
    question: "Label this mail: work, personal, newsletter, bill or urgent?",
};
pub(crate) const NEEDS_ANSWER: Fixed = Fixed {
    instructions: "You sort e-mail. Answer with one word.",
    question: "Does this mail need an answer from me? Answer yes or no.",
};

/// A question that is always the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    instructions: &'static str,
    question: &'static str,
}

impl Fixed {
    pub(crate) fn each(self) -> [Message<'static>; 2] {
        Mail { instructions: self.instructions.into(), question: self.question.into() }.each()
    }
}

/// Which topic. For the topics that are set at first, the starter model was trained on this question too.
pub(crate) fn topic(topics: &Topics) -> Mail {
    Mail {
        instructions: "You label mail. Answer with the label only.".into(),
        question: format!("Label this mail: {}?", topics.listed()),
    }
}

/// A draft of a reply.
pub(crate) fn reply(tone: &str) -> Mail {
    Mail {
        instructions: format!(
            "You draft replies to e-mail for the person it was sent to. Write the reply alone, {tone} and short, in the \
             language of the mail. Promise nothing: where that person has to decide, leave it open in [brackets]."
        ),
        question: "Draft a reply to this mail.".into(),
    }
}

/// A line or two on a mail.
pub(crate) fn summary() -> [Message<'static>; 2] {
    let mail = [
        words("From: "),
        item(Field::Author),
        words("\nSubject: "),
        item(Field::Title),
        words("\n\n"),
        item(Field::Body),
    ];
    let instructions = "You summarise e-mail for its reader. Answer in one to three short lines: \
        who wants what, and by when.";
    [system(instructions), user(mail)]
}

impl Mail {
    /// Of each mail of a collection.
    pub(crate) fn each(&self) -> [Message<'static>; 2] {
        self.of(item(Field::Author), item(Field::Title), item(Field::Body))
    }

    /// Of one mail. The question stands before it: what a mail says, it says below.
    pub(crate) fn of<'a>(
        &self,
        author: Part<'a>,
        title: Part<'a>,
        body: Part<'a>,
    ) -> [Message<'a>; 2] {
        let head = format!("{}\n\nFrom: ", self.question);
        let mail = [words(&head), author, words("\nSubject: "), title, words("\n\n"), body];
        [system(&self.instructions), user(mail)]
    }
}

/// Of the saved drafts.
pub(crate) fn saved_title(today: Date) -> String {
    format!("Drafts of replies, {:04}-{:02}-{:02}", today.year, today.month, today.day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_topics_ask_what_a_mail_is() {
        let topics = Topics::parse("work, personal, newsletter, bill, urgent").unwrap();
        assert_eq!(topic(&topics).question, KIND.question);
    }

    #[test]
    fn every_kind_is_named_in_the_question() {
        for kind in KINDS {
            assert!(KIND.question.contains(kind), "{kind}");
        }
    }

    #[test]
    fn a_question_stands_before_the_mail() {
        let [_, mail] = reply("brief").each();
        let Some(Part::Literal(first)) = mail.parts.first() else { panic!() };
        assert_eq!(first, "Draft a reply to this mail.\n\nFrom: ");
        assert!(matches!(mail.parts.last(), Some(Part::Item(Some(Field::Body)))));
    }
}
