//! What plugins learn of private values: the question about a text, and how their accounts stand.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, IsTerminal},
};

use clap::ValueEnum;
use hearth_session::{Command, PluginView, RevealSource, RevealView, Standing, View, escape_text};
use serde_json::json;

use crate::{
    render::{Out, note, prompt},
    shell::{Outcome, Shell},
};

/// What is said to a plugin that wants to learn a text, where the user does not want to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reveal {
    /// It may have it.
    Yes,
    /// It may not.
    No,
}

/// Answers what plugins want to learn: as said beforehand, else by asking, else with no.
pub(crate) fn answer(
    shell: &Shell,
    view: &View,
    said: Option<Reveal>,
    answered: &mut BTreeSet<u64>,
) {
    for question in view.reveals.iter() {
        if !answered.insert(question.question) {
            continue;
        }
        note(&question_words(question));
        let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
        let allow = match said {
            Some(said) => said == Reveal::Yes,
            None if asks => {
                prompt("Let it have exactly this? [y/N] ");
                is_yes(&mut io::stdin().lock())
            }
            None => false,
        };
        note(if allow { "It may have it." } else { "It may not have it." });
        let answer = Command::AnswerReveal { question: question.question, allow };
        // A question that cannot be answered now stays, and Ctrl-C still ends the run.
        shell.handle().send(answer).ok();
    }
}

/// Whether a line says yes; no line is no.
fn is_yes(input: &mut impl BufRead) -> bool {
    let mut line = String::new();
    input.read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

/// The question as it is read: exactly the text, and no word of the plugin's without its name on it.
fn question_words(question: &RevealView) -> String {
    let mut words = format!(
        "{} ({}) wants to learn the text between the lines, {} bytes, {}.\n\
         It says, and nobody has checked, that this is for: {}\n{LINE}\n",
        question.plugin_name,
        question.plugin,
        question.text.len(),
        question.made_from,
        question.purpose,
    );
    words.push_str(&escape_text(&question.text));
    words.push_str(&format!("\n{LINE}\nIt comes from:"));
    for source in &question.sources {
        let of = match source {
            RevealSource::Document { id, title, made_of } => {
                let title = title.as_deref().unwrap_or("(no longer there)");
                let how = if *made_of { "" } else { ", which it was chosen by looking at" };
                format!("document {id}, {title}{how}")
            }
            RevealSource::UserInput => "what you entered".to_owned(),
            RevealSource::PrivateModel(name) => format!("the private model {name}"),
        };
        words.push_str(&format!("\n  {of}"));
    }
    if question.more_sources > 0 {
        words.push_str(&format!("\n  and {} more documents", question.more_sources));
    }
    words
}

const LINE: &str = "----------------------------------------";

/// How a plugin's accounts stand, for people.
pub(crate) fn standing_words(plugin: &PluginView) -> String {
    let Standing {
        spent_today_millibits,
        left_today_millibits,
        publisher_spent_millibits,
        publisher_left_millibits,
        gestures_left_millibits,
    } = plugin.standing;
    format!(
        "learnt today {} bits, {} left; its publisher ever {} bits, {} left; {} bits of gestures left today",
        bits(spent_today_millibits),
        bits(left_today_millibits),
        bits(publisher_spent_millibits),
        bits(publisher_left_millibits),
        bits(gestures_left_millibits),
    )
}

/// The same as JSON.
pub(crate) fn standing_json(standing: &Standing) -> serde_json::Value {
    json!({
        "spent_today_millibits": standing.spent_today_millibits,
        "left_today_millibits": standing.left_today_millibits,
        "publisher_spent_millibits": standing.publisher_spent_millibits,
        "publisher_left_millibits": standing.publisher_left_millibits,
        "gestures_left_millibits": standing.gestures_left_millibits,
    })
}

/// Lets a plugin hear more gestures today.
pub(crate) fn allow_gestures(shell: &Shell, plugin: &str, out: Out) -> Outcome {
    let id = shell.plugin(plugin)?.id;
    shell.run(Command::AllowGestures(id.clone()))?;
    let plugin = shell.plugin(plugin)?;
    let json = json!({"plugin": id, "standing": standing_json(&plugin.standing)});
    out.result(json, format!("{id}: {}.", standing_words(&plugin)));
    Ok(())
}

/// Thousandths as a decimal.
fn bits(millibits: u32) -> String {
    let (whole, rest) = (millibits / 1000, millibits % 1000);
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:03}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hearth_session::{DocumentId, PluginId};

    use super::*;

    #[test]
    fn the_question_holds_every_byte_and_each_source() {
        let question = RevealView {
            question: 1,
            plugin: PluginId::new("org.example.curious").unwrap(),
            plugin_name: "Curious".into(),
            purpose: "to print it".into(),
            text: "PIN\u{202e}4711\nand more".into(),
            hash: "00".into(),
            made_from: "made by Curious from 2 documents".into(),
            sources: vec![
                RevealSource::Document {
                    id: DocumentId(7),
                    title: Some("Tuesday".into()),
                    made_of: true,
                },
                RevealSource::Document { id: DocumentId(8), title: None, made_of: false },
                RevealSource::UserInput,
                RevealSource::PrivateModel("mine".into()),
            ],
            more_sources: 3,
        };
        let words = question_words(&question);
        let expected = "Curious (org.example.curious) wants to learn the text between the lines, 19 bytes, \
             made by Curious from 2 documents.\nIt says, and nobody has checked, that this is for: to print it\n\
             ----------------------------------------\nPIN\\u{202e}4711\nand more\n\
             ----------------------------------------\nIt comes from:\n  document 7, Tuesday\n  \
             document 8, (no longer there), which it was chosen by looking at\n  what you entered\n  \
             the private model mine\n  and 3 more documents";
        assert_eq!(words, expected);
    }

    #[test]
    fn only_a_yes_is_one() {
        for (line, yes) in [
            ("y\n", true),
            (" yes \n", true),
            ("Y", true),
            ("", false),
            ("\n", false),
            ("no\n", false),
            ("yy\n", false),
        ] {
            assert_eq!(is_yes(&mut line.as_bytes()), yes, "{line:?}");
        }
    }

    #[test]
    fn bits_are_told_to_the_thousandth() {
        for (millibits, words) in
            [(0, "0"), (1, "0.001"), (1_500, "1.5"), (64_000, "64"), (2_322, "2.322")]
        {
            assert_eq!(bits(millibits), words);
        }
    }
}
