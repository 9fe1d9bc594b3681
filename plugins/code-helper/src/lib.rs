//! Explains or reviews the source file in focus.

mod task;

use hearth_plugin_sdk::{
    Document, Failure, Field, Options, Plugin, Text, generate, panel, register_plugin, system,
    user, value, words,
};
use panel::Node;

use crate::task::Task;

struct CodeHelper;

impl Plugin for CodeHelper {
    fn run(command: &str, focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
        let task = Task::named(command).ok_or(Failure::Unsupported)?;
        let file = focus.ok_or_else(|| Failure::BadInput("choose a source file first".into()))?;
        let (title, body) = (file.get(Field::Title)?, file.get(Field::Body)?);
        let prompt =
            [system(task.instructions), user([words(task.request), words("\n\n"), value(&body)])];
        let answer = generate(&prompt, &Options::exact(task.answer_tokens))?;
        let nodes = [Node::Heading(task.heading.into()), Node::Value(&title), Node::Value(&answer)];
        panel::show("answer", &nodes)?;
        Ok(())
    }
}

register_plugin!(CodeHelper);
