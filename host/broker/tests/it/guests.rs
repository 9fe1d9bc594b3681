//! Guests as sequences of calls: those of the plugins that come with Hearth, and one that tries everything.

use hearth_base::{
    Answer, Button, Field, Glyph, Handle, HostCall, Input, LogLevel, Message, MessageRole,
    ModelOptions, Node, Part, Schema, Sort, Style, Weights,
};

use super::t0::Guest;

pub(crate) fn options(max_tokens: u16) -> ModelOptions {
    ModelOptions { max_tokens, style: Style::Exact, weights: Weights::Base, stop: Vec::new() }
}

/// The same of personal weights.
pub(crate) fn personal(max_tokens: u16) -> ModelOptions {
    ModelOptions { weights: Weights::Personal, ..options(max_tokens) }
}

pub(crate) fn user(parts: Vec<Part>) -> Vec<Message> {
    vec![Message { role: MessageRole::User, parts }]
}

pub(crate) fn words(text: &str) -> Part {
    Part::Literal(text.into())
}

pub(crate) fn button(id: &str) -> Node {
    Node::Button(Button { id: id.into(), label: id.into(), icon: Glyph::Check, enabled: true })
}

fn mail_prompt() -> Vec<Message> {
    let mut prompt = user(vec![
        words("From "),
        Part::Item(Some(Field::Author)),
        words("\nSubject "),
        Part::Item(Some(Field::Title)),
        words("\n\n"),
        Part::Item(Some(Field::Body)),
    ]);
    let system = Message { role: MessageRole::System, parts: vec![words("Sum up this mail.")] };
    prompt.insert(0, system);
    prompt
}

/// The mail summariser's command over its slot.
pub(crate) fn summarise_newest(guest: &mut Guest<'_>) {
    guest.call(HostCall::SettingGet("newest".into())).ok();
    let mails =
        guest.handle(HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 20 });
    let summaries = guest.handle(HostCall::GenerateEach {
        over: mails,
        prompt: mail_prompt(),
        options: options(96),
    });
    let joined =
        guest.handle(HostCall::CollectionJoin { collection: summaries, separator: "\n\n".into() });
    guest.call(HostCall::Keep { name: "summaries".into(), value: joined }).ok();
    let nodes = vec![
        Node::Heading("The newest mails".into()),
        Node::Items(summaries),
        Node::Divider,
        button("save-all"),
    ];
    guest.call(HostCall::PanelShow { panel: "main".into(), nodes }).ok();
}

/// The mail summariser's button.
pub(crate) fn save_all(guest: &mut Guest<'_>) {
    let summaries = guest.handle(HostCall::Kept { name: "summaries".into() });
    let title = guest.handle(HostCall::TextLiteral("Summaries".into()));
    guest.call(HostCall::Save { title, body: summaries }).ok();
    guest.call(HostCall::Notify { icon: Glyph::Check, message: "Saved.".into() }).ok();
}

/// The code helper's command on the document in focus.
pub(crate) fn explain(guest: &mut Guest<'_>) {
    let file = guest.given.unwrap();
    let title = guest.handle(HostCall::DocumentGet { document: file, field: Field::Title });
    let body = guest.handle(HostCall::DocumentGet { document: file, field: Field::Body });
    let prompt = user(vec![words("Explain this:\n\n"), Part::Value(body)]);
    let answer = guest.handle(HostCall::Generate { prompt, options: options(256) });
    let nodes = vec![Node::Heading("Explanation".into()), Node::Value(title), Node::Value(answer)];
    guest.call(HostCall::PanelShow { panel: "main".into(), nodes }).ok();
}

/// Every call there is, well and badly used.
pub(crate) fn everything(guest: &mut Guest<'_>) {
    let literal = guest.handle(HostCall::TextLiteral("words".into()));
    let granted =
        guest.handle(HostCall::Granted { slot: "inbox".into(), order: Sort::Oldest, limit: 7 });
    let found = guest.handle(HostCall::Search { slot: "inbox".into(), query: literal, limit: 3 });
    let picked = guest.handle(HostCall::Pick { purpose: "to see".into(), limit: 2 });
    let item = || user(vec![words("Is it? "), Part::Item(None)]);
    let mut parts = Vec::new();
    for over in [granted, found, picked] {
        parts.extend(guest.handles(HostCall::DecideEach {
            over,
            prompt: item(),
            answer: Schema::OneOf(vec!["tok1".into(), "tok2".into(), "none".into()]),
        }));
    }
    let reduced =
        guest.handle(HostCall::Reduce { over: granted, prompt: item(), options: options(8) });
    let say = || user(vec![words("Say something")]);
    let own = guest.handle(HostCall::Generate { prompt: say(), options: personal(8) });
    let owns = HostCall::GenerateEach { over: granted, prompt: item(), options: personal(8) };
    let owns = guest.handle(owns);
    let taken = guest.handle(HostCall::CollectionTake { collection: granted, count: 1 });
    let first = guest.handle(HostCall::CollectionJoin { collection: taken, separator: "".into() });
    let choice = guest.handle(HostCall::Decide {
        prompt: user(vec![words("Is it? "), Part::Value(first)]),
        answer: Schema::Boolean,
    });
    let zipped = HostCall::CollectionZip { left: granted, right: owns, separator: ": ".into() };
    let zipped = guest.handle(zipped);
    let threads = guest.handles(HostCall::Threads { slot: "inbox".into(), limit: 4 });
    let filled = vec![words("= "), Part::Item(Some(Field::Title))];
    let filled = guest.handle(HostCall::FillEach { over: granted, parts: filled });
    let number = guest.handle(HostCall::CollectionCount { collection: granted, up_to: 3 });
    guest.call(HostCall::RevealChoice(number)).ok();
    let both = vec![literal, reduced];
    let selected = guest.handle(HostCall::ChoiceSelect { choice, options: both.clone() });
    let chunks = guest.handle(HostCall::TextChunk { text: first, max_tokens: 50 });
    let all = guest.handle(HostCall::TextConcat(vec![selected, literal, first]));
    let of = guest.handle(HostCall::CollectionOf(vec![all, selected]));
    guest.call(HostCall::RevealChoice(choice)).ok();
    guest.call(HostCall::RevealText { text: first, purpose: "to know".into() }).ok();
    guest.call(HostCall::Remaining).ok();
    guest.call(HostCall::SaveEach { titles: chunks, bodies: of }).ok();
    guest.call(HostCall::Keep { name: "all".into(), value: all }).ok();
    guest.call(HostCall::Kept { name: "all".into() }).ok();
    guest.call(HostCall::Kept { name: "nothing".into() }).ok();
    guest.call(HostCall::StorageGet("runs".into())).ok();
    guest.call(HostCall::StorageSet { key: "runs".into(), value: vec![1; 10] }).ok();
    guest.call(HostCall::StorageSet { key: "much".into(), value: vec![1; 1024] }).ok();
    guest.call(HostCall::StorageKeys).ok();
    guest.call(HostCall::Log { level: LogLevel::Info, message: "hello".into() }).ok();
    guest.call(HostCall::Progress { percent: Some(101), message: "far".into() }).ok();
    let mut nodes: Vec<Node> = parts.into_iter().map(Node::Items).collect();
    nodes.extend(threads.into_iter().map(Node::Items));
    nodes.extend([
        Node::Value(own),
        Node::Items(owns),
        Node::Items(zipped),
        Node::Items(filled),
        Node::Value(all),
        Node::Picker("which".into(), granted),
        Node::Items(chunks),
        button("again"),
        Node::Input(Input {
            id: "ask".into(),
            label: "Ask".into(),
            placeholder: String::new(),
            multiline: false,
        }),
    ]);
    guest.call(HostCall::PanelShow { panel: "side".into(), nodes }).ok();
    // Once more, when they are shown and some may be there.
    guest.call(HostCall::StorageSet { key: "shown".into(), value: vec![2; 10] }).ok();
    guest.call(HostCall::Keep { name: "later".into(), value: all }).ok();
    guest.call(HostCall::RevealChoice(choice)).ok();
    guest.call(HostCall::RevealText { text: all, purpose: "to know".into() }).ok();
    guest.call(HostCall::Save { title: literal, body: all }).ok();
    // Used badly.
    guest.call(HostCall::PanelShow { panel: "other".into(), nodes: Vec::new() }).ok();
    guest.call(HostCall::ChoiceSelect { choice, options: vec![literal] }).ok();
    guest.call(HostCall::TextConcat(vec![granted])).ok();
    guest.call(HostCall::Generate { prompt: item(), options: options(8) }).ok();
    guest.call(HostCall::Drop(choice)).ok();
    guest.call(HostCall::RevealChoice(choice)).ok();
    let literals = user(vec![words("Say something")]);
    let completion =
        guest.handle(HostCall::CompletionStart { prompt: literals, options: options(4) });
    guest.call(HostCall::Drop(completion)).ok();
    guest.call(HostCall::CompletionStart { prompt: say(), options: personal(4) }).ok();
    let handle = Handle(0);
    guest.call(HostCall::CompletionNext(handle)).ok();
}

/// A public completion to its end, with private work beside it.
pub(crate) fn talk(guest: &mut Guest<'_>) {
    summarise_newest(guest);
    let prompt = user(vec![words("Say something")]);
    let completion = guest.handle(HostCall::CompletionStart { prompt, options: options(6) });
    while let Ok(Answer::Token(Some(_))) = guest.call(HostCall::CompletionNext(completion)) {}
}

/// Whatever can be left for a later run.
pub(crate) fn keep_notes(guest: &mut Guest<'_>) {
    guest.call(HostCall::StorageKeys).ok();
    guest.call(HostCall::StorageGet("runs".into())).ok();
    let runs = match guest.call(HostCall::StorageGet("count".into())) {
        Ok(Answer::Bytes(Some(bytes))) => bytes.len(),
        _ => 0,
    };
    guest.call(HostCall::StorageSet { key: "count".into(), value: vec![1; runs + 1] }).ok();
    guest.call(HostCall::StorageSet { key: format!("run {runs}"), value: vec![7; 20] }).ok();
    guest.call(HostCall::StorageDelete("run 1".into())).ok();
    let inbox = HostCall::Granted { slot: "inbox".into(), order: Sort::Oldest, limit: 3 };
    let collection = guest.handle(inbox);
    let value = guest.handle(HostCall::CollectionJoin { collection, separator: ";".into() });
    for name in ["notes", "summaries", "a"] {
        guest.call(HostCall::Kept { name: name.into() }).ok();
    }
    guest.call(HostCall::Keep { name: "notes".into(), value }).ok();
    let nodes = vec![Node::Value(value), button("again")];
    guest.call(HostCall::PanelShow { panel: "side".into(), nodes }).ok();
}

/// All that can be read of documents without the model.
pub(crate) fn read(guest: &mut Guest<'_>) {
    let inbox = HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 9 };
    let collection = guest.handle(inbox);
    let query = guest.handle(HostCall::TextLiteral("word w1 w2 w3".into()));
    let found = guest.handle(HostCall::Search { slot: "inbox".into(), query, limit: 3 });
    let joined = guest.handle(HostCall::CollectionJoin { collection, separator: ";".into() });
    let nodes = vec![Node::Value(joined), Node::Items(collection), Node::Items(found)];
    guest.call(HostCall::PanelShow { panel: "main".into(), nodes }).ok();
}

/// Uses up what it has, to see at which call it runs out.
pub(crate) fn spend(guest: &mut Guest<'_>) {
    let inbox = HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 9 };
    let over = guest.handle(inbox);
    let prompt = || user(vec![words("Is it? "), Part::Item(None)]);
    let each = |_| HostCall::GenerateEach { over, prompt: prompt(), options: options(3500) };
    let once = |max_tokens| HostCall::Generate {
        prompt: user(vec![words("Say something")]),
        options: options(max_tokens),
    };
    let calls: [&dyn Fn(u16) -> HostCall; 3] = [&each, &once, &once];
    for (call, max_tokens) in calls.into_iter().zip([0, 900, 1]) {
        while guest.call(call(max_tokens)).is_ok() {}
    }
    // As many bytes as one call may have, but for a few.
    let mut nodes = vec![Node::Label("x".repeat(4096)); 255];
    nodes.push(Node::Items(over));
    guest.call(HostCall::PanelShow { panel: "main".into(), nodes }).ok();
    let mut handles = 0;
    while guest.call(HostCall::CollectionTake { collection: over, count: 1 }).is_ok() {
        handles += 1;
        assert!(handles <= 4096);
    }
}
