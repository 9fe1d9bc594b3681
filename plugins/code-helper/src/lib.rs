//! Explains, reviews, documents, tests or changes the source file in focus.

mod task;

use hearth_plugin_sdk::{
    Document, Event, Failure, Field, Options, Plugin, Text, button, field, generate, heading, keep,
    kept, needed, panel, register_plugin, row, settings, system, user, value, words,
};
use panel::Node;

use crate::task::{ASK, REWRITE, Task};

const PANEL: &str = "answer";
/// The fields of the panel.
const QUESTION: &str = "question";
const CHANGE: &str = "change";
/// The names under which the file waits for them.
const NAME: &str = "name";
const CODE: &str = "code";

struct CodeHelper;

impl Plugin for CodeHelper {
    fn run(command: &str, focus: Option<Document>, input: Option<Text>) -> Result<(), Failure> {
        let task = Task::named(command).ok_or(Failure::Unsupported)?;
        let file = needed(focus, "choose a source file first")?;
        let (name, code) = (file.get(Field::Title)?, file.get(Field::Body)?);
        // Buttons and fields of the panel work on the same file, in a fresh instance.
        keep(NAME, &name)?;
        keep(CODE, &code)?;
        let wish = match task.needs_words {
            true => Some(needed(input, "say what shall change")?),
            false => None,
        };
        answer(task, &name, &code, wish.as_ref())
    }

    fn on_event(_panel: &str, event: Event) -> Result<(), Failure> {
        let (task, wish) = match event {
            Event::Pressed(id) => (Task::named(&id), None),
            Event::Entered((id, text)) if id == QUESTION => (Some(&ASK), Some(text)),
            Event::Entered((id, text)) if id == CHANGE => (Some(&REWRITE), Some(text)),
            _ => (None, None),
        };
        let task = task.ok_or(Failure::Unsupported)?;
        let file = || "choose a source file again: what it worked on is no longer kept";
        let (name, code) = (needed(kept(NAME), file())?, needed(kept(CODE), file())?);
        answer(task, &name, &code, wish.as_ref())
    }
}

register_plugin!(CodeHelper);

fn answer(task: &Task, name: &Text, code: &Text, wish: Option<&Text>) -> Result<(), Failure> {
    let mut parts = vec![words(task.request)];
    if let Some(wish) = wish {
        parts.extend([words(" "), value(wish)]);
    }
    if task.names_the_file {
        parts.extend([words("\n\nFile: "), value(name)]);
    }
    parts.extend([words("\n\n"), value(code)]);
    let longest = settings::number("longest", 400);
    let prompt = [system(task.instructions), user(parts)];
    let answer = generate(&prompt, &Options::exact(task.tokens(longest)))?;

    let mut nodes = vec![heading(task.heading), Node::Value(name), Node::Value(&answer)];
    nodes.push(Node::Divider);
    let others = task::BUTTONS.iter().filter(|other| other.command != task.command);
    nodes.extend(row(others.map(|other| button(other.command, other.button, other.icon))));
    nodes.push(field(QUESTION, "Ask about this file", "What does the loop in line 20 do?"));
    nodes.push(field(CHANGE, "Change it, as a diff", "Handle the empty list"));
    Ok(panel::show(PANEL, &nodes)?)
}
