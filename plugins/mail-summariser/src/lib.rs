//! Summarises e-mail: the newest of a granted folder, by mail or by conversation, or what the user has chosen.

mod prompt;

use hearth_plugin_sdk::{
    Collection, Document, Event, Failure, Field, Part, Plugin, Sort, Text, button, each, fill_each,
    generate, generate_each, granted, heading, host, item, keep, kept, label, needed, panel,
    reduce, register_plugin, row, save, settings, thread, threads, value, words,
};
use panel::{Glyph, Node};

use crate::prompt::Manner;

const INBOX: &str = "inbox";
/// The panel, and the name under which the summaries wait for its buttons.
const PANEL: &str = "summaries";
const SAVE_ALL: &str = "save-all";
const IN_SHORT: &str = "in-short";
/// Mails of one conversation.
const THREAD_MAILS: u16 = 64;

struct MailSummariser;

impl Plugin for MailSummariser {
    fn run(command: &str, focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
        let manner = Manner::chosen();
        let mail = || needed(focus.as_ref(), "choose a mail first");
        match command {
            "summarise" => newest_mails(manner),
            "summarise-threads" => newest_threads(manner),
            "summarise-one" => one_mail(mail()?, manner),
            "summarise-thread" => one_thread(mail()?, manner),
            _ => Err(Failure::Unsupported),
        }
    }

    fn on_event(_panel: &str, event: Event) -> Result<(), Failure> {
        let summaries = || needed(kept(PANEL), "there are no summaries yet; summarise first");
        match event {
            Event::Pressed(button) if button == SAVE_ALL => save_all(&summaries()?),
            Event::Pressed(button) if button == IN_SHORT => in_short(&summaries()?),
            _ => Err(Failure::Unsupported),
        }
    }
}

register_plugin!(MailSummariser);

fn newest_mails(manner: Manner) -> Result<(), Failure> {
    let count = settings::number("newest", 10);
    let mails = granted(INBOX, Sort::Newest, count)?;
    let summaries = generate_each(&mails, &manner.each_mail(), &manner.options())?;
    let titles = fill_each(
        &mails,
        &[item(Field::Title), words(" (from "), item(Field::Author), words(")")],
    )?;
    // The panel has the title of what a summary was made from beside it; the saved text has not.
    show(&prompt::heading(count, "mail"), &summaries, &titles.zip(&summaries, "\n")?)
}

fn newest_threads(manner: Manner) -> Result<(), Failure> {
    let count = settings::number("newest", 10);
    let (titles, threads) = threads(INBOX, count)?;
    let subjects = fill_each(&titles, &[words("Subject: "), each()])?;
    let whole = subjects.zip(&threads, "\n\n")?;
    let summaries = generate_each(&whole, &manner.thread(each()), &manner.options())?;
    let titled = titles.zip(&summaries, "\n")?;
    show(&prompt::heading(count, "conversation"), &titled, &titled)
}

/// Shows summaries, and keeps them as they are to be saved: the press of a button comes to a fresh instance.
fn show(title: &str, summaries: &Collection, to_save: &Collection) -> Result<(), Failure> {
    keep(PANEL, &to_save.join("\n\n")?)?;
    let mut nodes = vec![heading(title), Node::Items(summaries), Node::Divider];
    nodes.extend(row([
        button(SAVE_ALL, "Save all", Glyph::Check),
        button(IN_SHORT, "All of it in short", Glyph::Listing),
    ]));
    Ok(panel::show(PANEL, &nodes)?)
}

fn one_mail(mail: &Document, manner: Manner) -> Result<(), Failure> {
    let (author, title, body) =
        (mail.get(Field::Author)?, mail.get(Field::Title)?, mail.get(Field::Body)?);
    let prompt = manner.mail(value(&author), value(&title), value(&body));
    let summary = generate(&prompt, &manner.options())?;
    Ok(panel::show(PANEL, &[heading("This mail in short"), Node::Value(&summary)])?)
}

fn one_thread(mail: &Document, manner: Manner) -> Result<(), Failure> {
    let mails = thread(mail, INBOX, THREAD_MAILS)?;
    let letters = fill_each(&mails, &letter())?;
    let summary = reduce(&letters, &manner.thread(each()), &manner.options())?;
    let nodes = [
        heading("This conversation in short"),
        Node::Value(&summary),
        Node::Divider,
        label("Its mails, the oldest first"),
        Node::Items(&mails),
    ];
    Ok(panel::show(PANEL, &nodes)?)
}

fn letter() -> [Part<'static>; 6] {
    let field = |name: &str| words(name);
    [
        field("From: "),
        item(Field::Author),
        field("\nDate: "),
        item(Field::Date),
        field("\n\n"),
        item(Field::Body),
    ]
}

fn save_all(summaries: &Text) -> Result<(), Failure> {
    save(&Text::literal(&prompt::saved_title(host::info().today))?, summaries)?;
    Ok(panel::notify(Glyph::Check, "The summaries are saved in this plugin's folder.")?)
}

fn in_short(summaries: &Text) -> Result<(), Failure> {
    let manner = Manner::chosen();
    let short = generate(&manner.all_in_short(summaries), &manner.options())?;
    let nodes = [
        heading("All of it in short"),
        Node::Value(&short),
        Node::Divider,
        heading("What it was made from"),
        Node::Value(summaries),
        button(SAVE_ALL, "Save all", Glyph::Check),
    ];
    Ok(panel::show(PANEL, &nodes)?)
}
