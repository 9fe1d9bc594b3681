//! Summarises e-mail: the newest of a granted folder, or the one the user has chosen.

mod prompt;

use hearth_plugin_sdk::{
    Document, Event, Failure, Field, Options, Plugin, Sort, Text, generate, generate_each, granted,
    host, keep, kept, panel, register_plugin, save, settings,
};
use panel::Node;

/// The panel, the button and the name under which the summaries wait for that button.
const PANEL: &str = "summaries";
const SAVE_ALL: &str = "save-all";
/// New tokens for one mail.
const SUMMARY_TOKENS: u16 = 96;

struct MailSummariser;

impl Plugin for MailSummariser {
    fn run(command: &str, focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
        match (command, focus) {
            ("summarise", _) => summarise_newest(),
            ("summarise-one", Some(mail)) => summarise_one(&mail),
            ("summarise-one", None) => Err(Failure::BadInput("choose a mail first".into())),
            _ => Err(Failure::Unsupported),
        }
    }

    fn on_event(_panel: &str, event: Event) -> Result<(), Failure> {
        match event {
            Event::Pressed(button) if button == SAVE_ALL => save_all(),
            _ => Err(Failure::Unsupported),
        }
    }
}

register_plugin!(MailSummariser);

fn summarise_newest() -> Result<(), Failure> {
    let count = prompt::mail_count(settings::get("newest"));
    let mails = granted("inbox", Sort::Newest, count)?;
    let summaries = generate_each(&mails, &prompt::each_mail(), &Options::exact(SUMMARY_TOKENS))?;
    // The button's press comes to a fresh instance, which finds them here.
    keep(PANEL, &summaries.join("\n\n")?)?;
    panel::show(
        PANEL,
        &[
            Node::Heading(prompt::heading(count)),
            Node::Items(&summaries),
            Node::Divider,
            Node::Button(panel::Button {
                id: SAVE_ALL.into(),
                label: "Save all".into(),
                icon: panel::Glyph::Check,
                enabled: true,
            }),
        ],
    )?;
    Ok(())
}

fn summarise_one(mail: &Document) -> Result<(), Failure> {
    let (author, title, body) =
        (mail.get(Field::Author)?, mail.get(Field::Title)?, mail.get(Field::Body)?);
    let prompt = prompt::one_mail(&author, &title, &body);
    let summary = generate(&prompt, &Options::exact(SUMMARY_TOKENS))?;
    panel::show(
        PANEL,
        &[Node::Heading("Summary".into()), Node::Value(&title), Node::Value(&summary)],
    )?;
    Ok(())
}

fn save_all() -> Result<(), Failure> {
    let summaries = kept(PANEL)
        .ok_or_else(|| Failure::BadInput("there is nothing to save yet; summarise first".into()))?;
    let title = Text::literal(&prompt::saved_title(host::info().today))?;
    save(&title, &summaries)?;
    Ok(panel::notify(panel::Glyph::Check, "The summaries are saved in this plugin's folder.")?)
}
