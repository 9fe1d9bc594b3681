//! Finds documents by meaning: other words for the query, a search for any of them, a look at each that was found, and an
//! answer from those that help.

mod prompt;

use hearth_plugin_sdk::{
    Document, Event, Failure, Field, Options, Plugin, Schema, Text, decide_each, field, generate,
    heading, item, keep, kept, label, needed, panel, reduce, register_plugin, search, settings,
    value,
};
use panel::Node;

const PANEL: &str = "found";
const LIBRARY: &str = "library";
/// The list to pick from, the field to ask again, and the name under which the question waits for them.
const OPEN: &str = "open";
const AGAIN: &str = "again";
const QUESTION: &str = "question";
/// Tokens of other words for a query. A search takes 64 words.
const WIDER_TOKENS: u16 = 32;
const ANSWER_TOKENS: u16 = 200;
/// Documents that the answer is made from, where none or some of them help.
const LIKELIEST: u16 = 3;
const HELPFUL: u16 = 8;

struct Finder;

impl Plugin for Finder {
    fn run(command: &str, _focus: Option<Document>, input: Option<Text>) -> Result<(), Failure> {
        match command {
            "find" => find(&needed(input, "say what you are looking for")?),
            _ => Err(Failure::Unsupported),
        }
    }

    fn on_event(_panel: &str, event: Event) -> Result<(), Failure> {
        match event {
            Event::Entered((id, question)) if id == AGAIN => find(&question),
            Event::Picked((id, document)) if id == OPEN => look_into(&document),
            _ => Err(Failure::Unsupported),
        }
    }
}

register_plugin!(Finder);

fn find(question: &Text) -> Result<(), Failure> {
    keep(QUESTION, question)?;
    let most = settings::number("most", 12);
    let found = search(LIBRARY, &query(question)?, most)?;
    let prompt = prompt::helps(value(question), item(Field::Title), item(Field::Body));
    let [rest, helpful]: [_; 2] = decide_each(&found, &prompt, &Schema::Boolean)?
        .try_into()
        .map_err(|_parts| Failure::Internal("a decision came in other parts".into()))?;

    let ask = prompt::answer(value(question), item(Field::Title), item(Field::Body));
    let options = Options::exact(ANSWER_TOKENS);
    let from_helpful = reduce(&helpful.take(HELPFUL)?, &ask, &options)?;
    let from_likeliest = reduce(&found.take(LIKELIEST)?, &ask, &options)?;
    // Which of these it is, the plugin never hears; the one not chosen is not made.
    let nothing = Text::literal(prompt::NOTHING)?;
    let doubtful = Text::concat(&[&Text::literal(prompt::DOUBTFUL)?, &from_likeliest])?;
    let otherwise = found.count(1)?.select(&[&nothing, &doubtful])?;
    let answer = helpful.count(1)?.select(&[&otherwise, &from_helpful])?;

    let nodes = [
        heading("Answer"),
        Node::Value(question),
        Node::Value(&answer),
        heading("Where it may stand"),
        label("Choose one to read it, with the question in mind."),
        Node::Picker((OPEN.into(), &helpful)),
        heading("Also found"),
        Node::Items(&rest),
        Node::Divider,
        field(AGAIN, "Look for something else", ""),
    ];
    Ok(panel::show(PANEL, &nodes)?)
}

/// The question's own words, and others of the same meaning.
fn query(question: &Text) -> Result<Text, Failure> {
    if !settings::flag("widen") {
        return Ok(Text::concat(&[question])?);
    }
    let options = Options::exact(WIDER_TOKENS).until(["\n"]);
    let wider = generate(&prompt::wider(value(question)), &options)?;
    Ok(Text::concat(&[question, &Text::literal(" ")?, &wider])?)
}

fn look_into(document: &Text) -> Result<(), Failure> {
    let question = needed(kept(QUESTION), "what you looked for is no longer known; search again")?;
    let prompt = prompt::read(value(&question), value(document));
    let answer = generate(&prompt, &Options::exact(ANSWER_TOKENS))?;
    let nodes = [
        heading("What it says"),
        Node::Value(&question),
        Node::Value(&answer),
        heading("The document"),
        Node::Value(document),
        Node::Divider,
        field(AGAIN, "Look for something else", ""),
    ];
    Ok(panel::show(PANEL, &nodes)?)
}
