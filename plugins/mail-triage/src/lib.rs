//! Sorts mail and drafts replies, without learning which mail went where.

mod prompt;
mod topics;

use hearth_plugin_sdk::{
    Collection, Document, Event, Failure, Field, Options, Plugin, Schema, Sort, Text, button,
    decide_each, fill_each, generate, generate_each, granted, heading, host, item, keep, kept,
    label, needed, one_of, panel, register_plugin, save, settings, value, words,
};
use panel::{Glyph, Node};

use crate::{prompt::Mail, topics::Topics};

const INBOX: &str = "inbox";
const SORTED: &str = "sorted";
const REPLY: &str = "reply";
/// The button that saves all replies, and the name under which they wait for it.
const SAVE_REPLIES: &str = "save-replies";
const SUMMARY_TOKENS: u16 = 64;
const REPLY_TOKENS: u16 = 160;

struct MailTriage;

impl Plugin for MailTriage {
    fn run(command: &str, focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
        match command {
            "triage" => triage(),
            "desk" => desk(),
            "reply" => reply(&needed(focus, "choose a mail first")?),
            _ => Err(Failure::Unsupported),
        }
    }

    fn on_event(_panel: &str, event: Event) -> Result<(), Failure> {
        match event {
            Event::Pressed(button) if button == SAVE_REPLIES => save_replies(),
            _ => Err(Failure::Unsupported),
        }
    }
}

register_plugin!(MailTriage);

fn newest() -> Result<Collection, Failure> {
    Ok(granted(INBOX, Sort::Newest, settings::number("newest", 20))?)
}

/// Mails parted by whether they need an answer: those that do not, those that do.
fn by_answer(mails: &Collection) -> Result<[Collection; 2], Failure> {
    parted(decide_each(mails, &prompt::NEEDS_ANSWER.each(), &Schema::Boolean)?)
}

/// A decision has as many parts as outcomes.
fn parted<const N: usize>(parts: Vec<Collection>) -> Result<[Collection; N], Failure> {
    parts.try_into().map_err(|_parts| Failure::Internal("a decision came in other parts".into()))
}

/// Two questions a mail, each of few words: what it is, and, where that leaves it open, whether it needs an answer.
fn triage() -> Result<(), Failure> {
    let mails = newest()?;
    let kinds = decide_each(&mails, &prompt::KIND.each(), &one_of(prompt::KINDS))?;
    let [work, personal, bills, newsletters, urgent] = parted::<5>(kinds)?;
    let mut later = Vec::new();
    let mut to_answer = Vec::new();
    for mails in [&work, &personal, &bills] {
        let [no, yes] = by_answer(mails)?;
        later.push(fill_each(&no, &line())?);
        to_answer.push(generate_each(&yes, &prompt::summary(), &Options::exact(SUMMARY_TOKENS))?);
    }
    let urgent = generate_each(&urgent, &prompt::summary(), &Options::exact(SUMMARY_TOKENS))?;
    let newsletters = fill_each(&newsletters, &line())?;

    let mut nodes = vec![heading("Urgent"), Node::Items(&urgent), heading("Needs a reply")];
    groups(&mut nodes, &to_answer);
    nodes.push(heading("Read later"));
    groups(&mut nodes, &later);
    nodes.extend([heading("Newsletters"), Node::Items(&newsletters)]);
    Ok(panel::show(SORTED, &nodes)?)
}

/// Work, personal mail and bills under one heading.
fn groups<'a>(nodes: &mut Vec<Node<'a>>, groups: &'a [Collection]) {
    for (name, group) in ["Work", "Personal", "Bills"].into_iter().zip(groups) {
        nodes.extend([label(name), Node::Items(group)]);
    }
}

/// All the mail: a summary of each, by topic, and a draft for each that needs an answer.
fn desk() -> Result<(), Failure> {
    let topics = Topics::parse(&settings::text("topics")).map_err(Failure::BadInput)?;
    let mails = newest()?;
    let mut groups = Vec::new();
    for mails in decide_each(&mails, &prompt::topic(&topics).each(), &one_of(topics.names()))? {
        groups.push(generate_each(&mails, &prompt::summary(), &Options::exact(SUMMARY_TOKENS))?);
    }
    let [_, to_answer] = by_answer(&mails)?;
    let drafts = generate_each(&to_answer, &tone().each(), &Options::exact(REPLY_TOKENS))?;
    let titles = fill_each(&to_answer, &[words("Re: "), item(Field::Title)])?;
    let drafts = titles.zip(&drafts, "\n\n")?;
    keep(REPLY, &drafts.join("\n\n----\n\n")?)?;

    let mut nodes = Vec::new();
    for (name, group) in topics.names().zip(&groups) {
        nodes.extend([heading(&topics::title(name)), Node::Items(group)]);
    }
    nodes.extend([
        Node::Divider,
        heading("Drafts of replies"),
        label("Nothing is sent: copy what you like."),
        Node::Items(&drafts),
        button(SAVE_REPLIES, "Save all drafts", Glyph::Check),
    ]);
    Ok(panel::show(SORTED, &nodes)?)
}

fn reply(mail: &Document) -> Result<(), Failure> {
    let (author, title, body) =
        (mail.get(Field::Author)?, mail.get(Field::Title)?, mail.get(Field::Body)?);
    let prompt = tone().of(value(&author), value(&title), value(&body));
    let draft = generate(&prompt, &Options::exact(REPLY_TOKENS))?;
    let nodes = [
        heading("A draft of a reply"),
        Node::Value(&draft),
        label("Nothing is sent: copy it, and mend it where [brackets] leave something to you."),
    ];
    Ok(panel::show(REPLY, &nodes)?)
}

fn tone() -> Mail {
    prompt::reply(settings::choice("tone", &prompt::TONES).unwrap_or(prompt::TONES[0]))
}

/// A mail in a list.
fn line() -> [hearth_plugin_sdk::Part<'static>; 3] {
    [item(Field::Title), words(", from "), item(Field::Author)]
}

fn save_replies() -> Result<(), Failure> {
    let drafts = needed(kept(REPLY), "there are no drafts yet")?;
    save(&Text::literal(&prompt::saved_title(host::info().today))?, &drafts)?;
    Ok(panel::notify(Glyph::Check, "The drafts are saved in this plugin's folder.")?)
}
