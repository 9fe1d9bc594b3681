//! Writes in the user's own style, with what the user's model has learnt of it.

mod prompt;

use hearth_plugin_sdk::{
    Document, Event, Failure, Field, Message, Options, Plugin, Text, button, field, generate,
    heading, keep, kept, label, needed, panel, register_plugin, row, settings, value,
};
use panel::{Glyph, Node};

const PANEL: &str = "draft";
/// The field of the panel, and the name under which the draft waits for it and the buttons.
const CHANGE: &str = "change";

struct MyStyle;

impl Plugin for MyStyle {
    fn run(command: &str, focus: Option<Document>, input: Option<Text>) -> Result<(), Failure> {
        let notes = || needed(input.as_ref(), "say in a few words what it shall say");
        match command {
            "write" => draft(&prompt::mail(value(notes()?)), None),
            "note" => draft(&prompt::note(value(notes()?)), None),
            "reply" => {
                let mail = needed(focus, "choose the mail first")?;
                let (author, body) = (mail.get(Field::Author)?, mail.get(Field::Body)?);
                let title = mail.get(Field::Title)?;
                let prompt = prompt::reply(value(&author), value(&body), value(notes()?));
                draft(&prompt, Some(&title))
            }
            "rewrite" => {
                let document = needed(focus, "choose a text first")?;
                let (title, body) = (document.get(Field::Title)?, document.get(Field::Body)?);
                draft(&prompt::rewrite(value(&body)), Some(&title))
            }
            _ => Err(Failure::Unsupported),
        }
    }

    fn on_event(_panel: &str, event: Event) -> Result<(), Failure> {
        let before = needed(kept(PANEL), "there is no draft to change yet")?;
        match event {
            Event::Entered((id, wish)) if id == CHANGE => {
                draft(&prompt::change(value(&before), value(&wish)), None)
            }
            Event::Pressed(id) => {
                let wish = prompt::wish(&id).ok_or(Failure::Unsupported)?;
                draft(&prompt::change(value(&before), wish), None)
            }
            _ => Err(Failure::Unsupported),
        }
    }
}

register_plugin!(MyStyle);

fn draft(prompt: &[Message<'_>], of: Option<&Text>) -> Result<(), Failure> {
    let draft = generate(prompt, &Options::personal(settings::number("longest", 200)))?;
    keep(PANEL, &draft)?;
    let mut nodes = vec![heading("A draft")];
    nodes.extend(of.map(Node::Value));
    nodes.extend([Node::Value(&draft), label("Nothing is sent. Copy it, or have it changed:")]);
    nodes.extend(row(prompt::WISHES.iter().map(|w| button(w.id, w.button, Glyph::None))));
    nodes.push(field(CHANGE, "Change it", "Mention the invoice, and end with thanks"));
    Ok(panel::show(PANEL, &nodes)?)
}
