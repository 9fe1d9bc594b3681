//! A whole Hearth plugin. Build it with `hearth plugin build`, try it with `hearth plugin test`.

use hearth_plugin_sdk::{
    Document, Failure, Field, Options, Plugin, Text, generate, panel, register_plugin, system, user,
    value, words,
};
use panel::Node;

struct Hello;

impl Plugin for Hello {
    fn run(_command: &str, focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
        let note = focus.ok_or_else(|| Failure::BadInput("choose a note first".into()))?;
        // `body` is a promise. It can go to the model and to a panel; this code never sees what it says.
        let body = note.get(Field::Body)?;
        let prompt = [
            system("You write haiku: three lines of five, seven and five syllables."),
            user([words("Write a haiku about this note.\n\n"), value(&body)]),
        ];
        let haiku = generate(&prompt, &Options::exact(60))?;
        panel::show("haiku", &[Node::Heading("Your haiku".into()), Node::Value(&haiku)])?;
        Ok(())
    }
}

register_plugin!(Hello);
