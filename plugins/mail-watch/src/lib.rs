//! Looks whether any mail is urgent. The one thing it may learn, where the user lets it, is yes or no.

use hearth_plugin_sdk::{
    Choice, Collection, Document, Error, Failure, Field, Message, Options, Plugin, Sort, Text,
    decide_each, declassify, generate_each, granted, heading, item, label, needed, one_of, panel,
    register_plugin, settings, system, user, words,
};
use panel::{Glyph, Node};

const PANEL: &str = "urgent";
const SUMMARY_TOKENS: u16 = 64;

struct MailWatch;

impl Plugin for MailWatch {
    fn run(command: &str, _focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
        if command == "watch" { watch() } else { Err(Failure::Unsupported) }
    }
}

register_plugin!(MailWatch);

fn watch() -> Result<(), Failure> {
    let mails = granted("inbox", Sort::Newest, settings::number("newest", 20))?;
    // What is urgent comes last.
    let urgent = decide_each(&mails, &kind(), &one_of(KINDS))?.pop();
    let urgent = needed(urgent, "the decision came without parts")?;
    let lines = generate_each(&urgent, &summary(), &Options::exact(SUMMARY_TOKENS))?;
    // Everything is shown before anything is asked: the panel is there whatever the answer.
    show(&lines, None)?;
    let answer = Answer::learnt(&urgent.count(1)?);
    show(&lines, Some(answer))?;
    match answer.notice() {
        Some(notice) => Ok(panel::notify(Glyph::Mail, notice)?),
        None => Ok(()),
    }
}

fn show(lines: &Collection, answer: Option<Answer>) -> Result<(), Failure> {
    let mut nodes = vec![heading("Urgent mail"), Node::Items(lines)];
    if let Some(note) = answer.and_then(Answer::note) {
        nodes.extend([Node::Divider, label(note)]);
    }
    Ok(panel::show(PANEL, &nodes)?)
}

/// What it got to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Nothing,
    Something,
    /// The value failed, or one of the mails has no bits left.
    CannotTell,
    /// It may not learn it, or has learnt all it may today.
    NotAllowed,
}

impl Answer {
    fn learnt(any: &Choice) -> Self {
        Self::of(declassify::reveal_choice(any))
    }

    fn of(reply: Result<u32, Error>) -> Self {
        match reply {
            Ok(0) => Self::Nothing,
            Ok(1) => Self::Something,
            Ok(_) => Self::CannotTell,
            Err(_) => Self::NotAllowed,
        }
    }

    /// Said in the window.
    fn notice(self) -> Option<&'static str> {
        match self {
            Self::Something => Some("There is urgent mail."),
            Self::CannotTell => {
                Some("The mail was looked through. See whether any of it is urgent.")
            }
            Self::Nothing | Self::NotAllowed => None,
        }
    }

    /// Said below the list.
    fn note(self) -> Option<&'static str> {
        match self {
            Self::NotAllowed => Some(
                "This plugin does not know whether the list above is empty. Where you grant it 2 bits a day, it learns \
                 that once a day, and tells you.",
            ),
            Self::CannotTell => Some(
                "Some of this mail has been asked about as often as it ever may be, so whether any is urgent is no \
                 longer told.",
            ),
            Self::Nothing | Self::Something => None,
        }
    }
}

/// To choose among these comes out better with small models than to say yes or no; the starter model was trained on it.
const KINDS: [&str; 5] = ["work", "personal", "newsletter", "bill", "urgent"];

fn kind() -> [Message<'static>; 2] {
    let question = "Label this mail: work, personal, newsletter, bill or urgent?\n\n";
    mail("You sort e-mail. Answer with one word.", question)
}

fn summary() -> [Message<'static>; 2] {
    let instructions = "You summarise e-mail for its reader. Answer in one to three short lines: \
        who wants what, and by when.";
    mail(instructions, "")
}

fn mail(instructions: &str, question: &str) -> [Message<'static>; 2] {
    let head = format!("{question}From: ");
    let mail = [
        words(&head),
        item(Field::Author),
        words("\nSubject: "),
        item(Field::Title),
        words("\n\n"),
        item(Field::Body),
    ];
    [system(instructions), user(mail)]
}

#[cfg(test)]
mod tests {
    use hearth_plugin_sdk::{Capability, Quota};

    use super::*;

    #[test]
    fn whatever_is_answered_has_words() {
        for refused in [Error::Denied(Capability::RevealChoice), Error::OverQuota(Quota::Bits)] {
            let answer = Answer::of(Err(refused));
            assert!(answer.notice().is_none() && answer.note().unwrap().contains("2 bits"));
        }
        assert_eq!(Answer::of(Ok(0)).notice(), None);
        assert_eq!(Answer::of(Ok(1)).notice(), Some("There is urgent mail."));
        assert_ne!(Answer::of(Ok(2)).notice(), Answer::of(Ok(1)).notice());
    }
}
