//! The plugin's own words: prompts, headings, titles.

use hearth_plugin_sdk::{
    Date, Field, Message, Part, Text, item, settings::Setting, system, user, value, words,
};

const INSTRUCTIONS: &str = "You summarise e-mail for its reader. \
    Answer in one to three short lines: who wants what, and by when.";

/// For each mail of a collection.
pub(crate) fn each_mail() -> [Message<'static>; 2] {
    prompt(item(Field::Author), item(Field::Title), item(Field::Body))
}

/// For one mail at hand.
pub(crate) fn one_mail<'a>(author: &'a Text, title: &'a Text, body: &'a Text) -> [Message<'a>; 2] {
    prompt(value(author), value(title), value(body))
}

fn prompt<'a>(author: Part<'a>, title: Part<'a>, body: Part<'a>) -> [Message<'a>; 2] {
    let mail = [words("From: "), author, words("\nSubject: "), title, words("\n\n"), body];
    [system(INSTRUCTIONS), user(mail)]
}

/// How many mails the setting asks for. The manifest gives its range and default.
pub(crate) fn mail_count(setting: Option<Setting>) -> u16 {
    match setting {
        Some(Setting::Number(count)) => u16::try_from(count).unwrap_or(1).max(1),
        _ => 10,
    }
}

/// Over the summaries.
pub(crate) fn heading(count: u16) -> String {
    if count == 1 { "The newest mail".into() } else { format!("The {count} newest mails") }
}

/// Of the saved document.
pub(crate) fn saved_title(today: Date) -> String {
    format!("Mail summaries, {:04}-{:02}-{:02}", today.year, today.month, today.day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_names_sender_subject_and_body() {
        let [instructions, mail] = each_mail();
        assert!(matches!(&instructions.parts[..], [Part::Literal(words)] if words == INSTRUCTIONS));
        let shape: String = mail
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(words) => words.clone(),
                Part::Item(field) => format!("{field:?}"),
                Part::Value(_) => "value".into(),
            })
            .collect();
        assert_eq!(
            shape,
            "From: Some(Field::Author)\nSubject: Some(Field::Title)\n\nSome(Field::Body)"
        );
    }

    #[test]
    fn settings_and_dates_become_words() {
        assert_eq!(mail_count(Some(Setting::Number(25))), 25);
        assert_eq!(mail_count(Some(Setting::Number(-3))), 1);
        assert_eq!(mail_count(None), 10);
        assert_eq!(heading(1), "The newest mail");
        assert_eq!(
            saved_title(Date { year: 2026, month: 3, day: 9 }),
            "Mail summaries, 2026-03-09"
        );
    }
}
