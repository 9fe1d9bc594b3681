//! Digests what was talked about: first each part by itself, then all of it under three headings.

mod prompt;

use hearth_plugin_sdk::{
    Capability, Collection, Document, Error, Event, Failure, Field, Options, Plugin, Text, button,
    each, fill_each, generate_each, heading, host, item, keep, kept, label, needed, panel, reduce,
    register_plugin, save, settings, thread, threads, words,
};
use panel::{Glyph, Node};

use crate::prompt::SECTIONS;

const PANEL: &str = "digest";
const SLOT: &str = "mail";
/// The button that saves, and the name under which the digest waits for it.
const SAVE: &str = "save";
/// Mails of one conversation.
const MOST_MAILS: u16 = 256;
/// Tokens of a part that is read by itself, and of what is noted of it.
const PART_TOKENS: u16 = 400;
const NOTED_TOKENS: u16 = 120;
/// Tokens of an answer under a heading.
const SECTION_TOKENS: u16 = 160;

struct ThreadDigest;

impl Plugin for ThreadDigest {
    fn run(command: &str, focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
        match command {
            "notes" => {
                let note = needed(focus, "choose the notes first")?;
                let parts = note.get(Field::Body)?.chunk(PART_TOKENS)?;
                digest(&note.get(Field::Title)?, &parts, None)
            }
            "thread" => conversation(&needed(focus, "choose a mail first")?),
            "newest" => newest(),
            _ => Err(Failure::Unsupported),
        }
    }

    fn on_event(_panel: &str, event: Event) -> Result<(), Failure> {
        match event {
            Event::Pressed(button) if button == SAVE => save_digest(),
            _ => Err(Failure::Unsupported),
        }
    }
}

register_plugin!(ThreadDigest);

/// All mails of the conversation, where a folder of mail is granted; else this one alone.
fn conversation(mail: &Document) -> Result<(), Failure> {
    let title = mail.get(Field::Title)?;
    match thread(mail, SLOT, MOST_MAILS) {
        Ok(mails) => {
            let letters = fill_each(
                &mails,
                &[
                    words("From: "),
                    item(Field::Author),
                    words("\nDate: "),
                    item(Field::Date),
                    words("\n\n"),
                    item(Field::Body),
                ],
            )?;
            digest(&title, &letters, None)
        }
        Err(Error::Denied(Capability::DocumentsRead)) => {
            let alone = "This is the one mail alone. Grant this plugin a folder of mail, and it reads the whole conversation.";
            digest(&title, &mail.get(Field::Body)?.chunk(PART_TOKENS)?, Some(alone))
        }
        Err(other) => Err(other.into()),
    }
}

/// Parts to what is noted of each, and that to an answer under each heading.
fn digest(title: &Text, parts: &Collection, note: Option<&str>) -> Result<(), Failure> {
    let noted = generate_each(parts, &prompt::note(each()), &Options::exact(NOTED_TOKENS))?;
    let mut sections = Vec::with_capacity(SECTIONS.len());
    for section in &SECTIONS {
        let options = Options::exact(SECTION_TOKENS);
        sections.push(reduce(&noted, &prompt::section(section, each()), &options)?);
    }
    keep(PANEL, &whole(title, &sections)?)?;

    let mut nodes = vec![Node::Value(title)];
    nodes.extend(note.map(label));
    for (section, text) in SECTIONS.iter().zip(&sections) {
        nodes.extend([heading(section.heading), Node::Value(text)]);
    }
    nodes.extend([
        Node::Divider,
        button(SAVE, "Save the digest", Glyph::Check),
        heading("What it was made from, part by part"),
        Node::Items(&noted),
    ]);
    Ok(panel::show(PANEL, &nodes)?)
}

/// The digest as a document.
fn whole(title: &Text, sections: &[Text]) -> Result<Text, Failure> {
    let headings: Result<Vec<Text>, Error> =
        SECTIONS.iter().map(|section| Text::literal(&prompt::under(section.heading))).collect();
    let headings = headings?;
    let rows = headings.iter().zip(sections).flat_map(|(heading, text)| [heading, text]);
    Ok(Text::concat(&std::iter::once(title).chain(rows).collect::<Vec<_>>())?)
}

/// A few lines on each of the newest conversations.
fn newest() -> Result<(), Failure> {
    let count = settings::number("threads", 3);
    let (titles, texts) = threads(SLOT, count)?;
    let options = Options::exact(SECTION_TOKENS);
    let digests = titles.zip(&generate_each(&texts, &prompt::brief(each()), &options)?, "\n")?;
    keep(PANEL, &digests.join("\n\n")?)?;
    let nodes = [
        heading("The newest conversations"),
        Node::Items(&digests),
        Node::Divider,
        button(SAVE, "Save the digest", Glyph::Check),
    ];
    Ok(panel::show(PANEL, &nodes)?)
}

fn save_digest() -> Result<(), Failure> {
    let digest = needed(kept(PANEL), "there is no digest to save yet")?;
    save(&Text::literal(&prompt::saved_title(host::info().today))?, &digest)?;
    Ok(panel::notify(Glyph::Check, "The digest is saved in this plugin's folder.")?)
}
