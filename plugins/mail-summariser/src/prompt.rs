//! The plugin's own words: prompts, headings, titles.

use hearth_plugin_sdk::{
    Date, Field, Message, Options, Part, Text, item, settings, system, user, value, words,
};

/// How summaries shall be, as the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    length: Length,
    /// In which language, unless the mail's own.
    language: Option<&'static str>,
}

/// Length of a summary, in the words for the model and in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Length {
    words: &'static str,
    tokens: u16,
}

/// As the manifest's options are.
const LENGTHS: [Length; 3] = [
    Length { words: "one short line", tokens: 48 },
    Length { words: "one to three short lines", tokens: 96 },
    Length { words: "a short paragraph", tokens: 200 },
];
/// As the manifest's options are.
const LANGUAGES: [Option<&str>; 7] = [
    None,
    Some("English"),
    Some("French"),
    Some("German"),
    Some("Italian"),
    Some("Portuguese"),
    Some("Spanish"),
];

impl Manner {
    /// What the user has chosen.
    pub(crate) fn chosen() -> Self {
        Self {
            length: settings::choice("length", &LENGTHS).unwrap_or(LENGTHS[1]),
            language: settings::choice("language", &LANGUAGES).flatten(),
        }
    }

    pub(crate) fn options(self) -> Options {
        Options::exact(self.length.tokens)
    }

    /// For each mail of a collection.
    pub(crate) fn each_mail(self) -> [Message<'static>; 2] {
        self.mail(item(Field::Author), item(Field::Title), item(Field::Body))
    }

    /// For one mail.
    pub(crate) fn mail<'a>(
        self,
        author: Part<'a>,
        title: Part<'a>,
        body: Part<'a>,
    ) -> [Message<'a>; 2] {
        let instructions = self.instructions("e-mail", "who wants what, and by when");
        let mail = [words("From: "), author, words("\nSubject: "), title, words("\n\n"), body];
        [system(&instructions), user(mail)]
    }

    /// For a whole conversation.
    pub(crate) fn thread(self, text: Part<'_>) -> [Message<'_>; 2] {
        let about = "where things stand, and who has to do what by when";
        let instructions = self.instructions("conversations by e-mail", about);
        [system(&instructions), user([text])]
    }

    /// For all summaries together.
    pub(crate) fn all_in_short(self, summaries: &Text) -> [Message<'_>; 2] {
        let instructions =
            self.instructions("a day's e-mail", "what matters most, and what must be done first");
        [system(&instructions), user([value(summaries)])]
    }

    fn instructions(self, what: &str, about: &str) -> String {
        let language =
            self.language.map_or(String::new(), |language| format!(" Write in {language}."));
        let length = self.length.words;
        format!("You summarise {what} for its reader. Answer in {length}: {about}.{language}")
    }
}

/// Over the summaries.
pub(crate) fn heading(count: u16, what: &str) -> String {
    if count == 1 { format!("The newest {what}") } else { format!("The {count} newest {what}s") }
}

/// Of the saved document.
pub(crate) fn saved_title(today: Date) -> String {
    format!("Mail summaries, {:04}-{:02}-{:02}", today.year, today.month, today.day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(message: &Message<'_>) -> String {
        let part = |part: &Part<'_>| match part {
            Part::Literal(words) => words.clone(),
            Part::Item(field) => format!("<{field:?}>"),
            Part::Value(_) => "<value>".into(),
        };
        message.parts.iter().map(part).collect()
    }

    #[test]
    fn the_prompt_names_sender_subject_and_body() {
        let [instructions, mail] = Manner { length: LENGTHS[1], language: None }.each_mail();
        // The starter model was trained on these very words.
        assert_eq!(
            shape(&instructions),
            "You summarise e-mail for its reader. Answer in one to three short lines: who wants what, and by when."
        );
        assert_eq!(
            shape(&mail),
            "From: <Some(Field::Author)>\nSubject: <Some(Field::Title)>\n\n<Some(Field::Body)>"
        );
    }

    #[test]
    fn length_and_language_are_told() {
        let manner = Manner { length: LENGTHS[0], language: Some("German") };
        let [instructions, _] = manner.thread(item(Field::Body));
        let instructions = shape(&instructions);
        assert!(instructions.contains("in one short line: where"), "{instructions}");
        assert!(instructions.ends_with("Write in German."), "{instructions}");
        assert_eq!(manner.options().max_tokens, 48);
    }

    #[test]
    fn options_of_the_manifest_are_those_of_the_code() {
        let manifest = include_str!("../plugin.toml");
        let line = |key: &str| {
            manifest.lines().find(|line| line.contains(&format!("key = \"{key}\""))).unwrap()
        };
        assert_eq!(line("length").split("options").nth(1).unwrap().matches(", \"").count(), 2);
        for language in LANGUAGES.iter().flatten() {
            assert!(line("language").contains(&format!("\"{language}\"")), "{language}");
        }
        assert_eq!(line("language").split("options").nth(1).unwrap().matches(", \"").count(), 6);
    }

    #[test]
    fn numbers_and_dates_become_words() {
        assert_eq!(heading(1, "mail"), "The newest mail");
        assert_eq!(heading(7, "conversation"), "The 7 newest conversations");
        assert_eq!(
            saved_title(Date { year: 2026, month: 3, day: 9 }),
            "Mail summaries, 2026-03-09"
        );
    }
}
