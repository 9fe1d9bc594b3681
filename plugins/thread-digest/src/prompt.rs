//! The plugin's own words.

use hearth_plugin_sdk::{Date, Message, Part, system, user, words};

/// A part of the digest.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) heading: &'static str,
    /// What the model is to put under it.
    wanted: &'static str,
    /// What it writes where there is none.
    none: &'static str,
}

pub(crate) const SECTIONS: [Section; 4] = [
    Section {
        heading: "In short",
        wanted: "Say in two or three sentences what this was about and where it stands.",
        none: "Nothing was said.",
    },
    Section {
        heading: "Decisions",
        wanted: "List only what was decided, one line each, beginning with `- `.",
        none: "No decision.",
    },
    Section {
        heading: "Open questions",
        wanted: "List only the questions that were asked and not answered, one line each, beginning with `- `.",
        none: "No open question.",
    },
    Section {
        heading: "Who does what",
        wanted: "List only who is to do what and by when, one line each, as in `- Name: task (day)`.",
        none: "No task.",
    },
];

/// What is noted of a part.
pub(crate) fn note(part: Part<'_>) -> [Message<'_>; 2] {
    let instructions = "You take notes of a conversation. From the part you are given, note in short lines: what was \
        decided, what is still open, and who does what by when. Keep names, dates and sums. Add nothing.";
    [system(instructions), user([words("A part of the conversation:\n\n"), part])]
}

/// What stands under a heading.
pub(crate) fn section<'a>(section: &Section, notes: Part<'a>) -> [Message<'a>; 2] {
    let instructions = format!(
        "You write the minutes of a conversation from notes. {} Add nothing. If there is none, write `{}`",
        section.wanted, section.none
    );
    [system(&instructions), user([words("Notes:\n\n"), notes])]
}

/// A whole conversation in a few lines.
pub(crate) fn brief(text: Part<'_>) -> [Message<'_>; 2] {
    let instructions = "You write the minutes of a conversation. Answer in short lines beginning with `- `: what was \
        decided, what is still open, who does what by when. Add nothing.";
    [system(instructions), user([text])]
}

/// A heading inside the saved digest.
pub(crate) fn under(heading: &str) -> String {
    format!("\n\n## {heading}\n\n")
}

/// Of the saved document.
pub(crate) fn saved_title(today: Date) -> String {
    format!("Digest, {:04}-{:02}-{:02}", today.year, today.month, today.day)
}

#[cfg(test)]
mod tests {
    use hearth_plugin_sdk::each;

    use super::*;

    #[test]
    fn each_heading_has_its_own_words() {
        for (place, one) in SECTIONS.iter().enumerate() {
            let [instructions, notes] = section(one, each());
            let [Part::Literal(words)] = instructions.parts.as_slice() else { panic!() };
            assert!(words.contains(one.wanted) && words.contains(one.none), "{words}");
            assert!(matches!(notes.parts.last(), Some(Part::Item(None))));
            assert!(SECTIONS[..place].iter().all(|other| other.wanted != one.wanted));
        }
    }
}
