//! Host calls in words, one line each.

use hearth_base::{
    Answer, GuestError, Handle, HostCall, HostReply, Message, MessageRole, ModelOptions, Node,
    Part, Quota, Schema, SettingValue, Sort,
};

use super::report::Call;

/// Longest piece of the plugin's own words in a line.
const WORDS: usize = 60;

/// A call and its answer.
pub(super) fn call(call: &HostCall, reply: &HostReply) -> Call {
    let (name, arguments) = spoken(call);
    let (reply, refused) = match reply {
        Ok(answer) => (answered(answer), false),
        Err(error) => (refusal(error), true),
    };
    Call { name: name.to_owned(), arguments, reply, refused }
}

fn spoken(call: &HostCall) -> (&'static str, String) {
    match call {
        HostCall::TextLiteral(text) => ("text.literal", quoted(text)),
        HostCall::TextConcat(parts) => ("text.concat", handles(parts)),
        HostCall::TextChunk { text, max_tokens } => {
            ("text.chunk", format!("{} by {max_tokens} tokens", handle(*text)))
        }
        HostCall::CollectionOf(parts) => ("collection.of", handles(parts)),
        HostCall::CollectionTake { collection, count } => {
            ("collection.take", format!("{count} of {}", handle(*collection)))
        }
        HostCall::CollectionJoin { collection, separator } => {
            ("collection.join", format!("{} by {}", handle(*collection), quoted(separator)))
        }
        HostCall::CollectionZip { left, right, separator } => (
            "collection.zip",
            format!("{} with {} by {}", handle(*left), handle(*right), quoted(separator)),
        ),
        HostCall::CollectionCount { collection, up_to } => {
            ("collection.count", format!("{} up to {up_to}", handle(*collection)))
        }
        HostCall::ChoiceSelect { choice, options } => {
            ("choice.select", format!("{} among {}", handle(*choice), handles(options)))
        }
        HostCall::Keep { name, value } => {
            ("values.keep", format!("{} = {}", quoted(name), handle(*value)))
        }
        HostCall::Kept { name } => ("values.kept", quoted(name)),
        HostCall::Drop(dropped) => ("drop", handle(*dropped)),
        HostCall::DocumentGet { document, field } => {
            ("document.get", format!("{} of {}", name_of(field), handle(*document)))
        }
        HostCall::Granted { slot, order, limit } => {
            ("documents.granted", format!("{slot}, {}, at most {limit}", order_of(*order)))
        }
        HostCall::Pick { purpose, limit } => {
            ("documents.pick", format!("{}, at most {limit}", quoted(purpose)))
        }
        HostCall::Search { slot, query, limit } => {
            ("documents.search", format!("{slot} for {}, at most {limit}", handle(*query)))
        }
        HostCall::Save { title, body } => {
            ("documents.save", format!("{} under {}", handle(*body), handle(*title)))
        }
        HostCall::SaveEach { titles, bodies } => {
            ("documents.save-each", format!("{} under {}", handle(*bodies), handle(*titles)))
        }
        HostCall::FillEach { over, parts } => {
            let parts: Vec<String> = parts.iter().map(part).collect();
            ("model.fill-each", format!("over {}: {}", handle(*over), parts.join(" + ")))
        }
        call => spoken_of_model(call),
    }
}

fn spoken_of_model(call: &HostCall) -> (&'static str, String) {
    match call {
        HostCall::Generate { prompt, options } => ("model.generate", asked(prompt, options)),
        HostCall::GenerateEach { over, prompt, options } => {
            ("model.generate-each", format!("over {}: {}", handle(*over), asked(prompt, options)))
        }
        HostCall::Reduce { over, prompt, options } => {
            ("model.reduce", format!("{}: {}", handle(*over), asked(prompt, options)))
        }
        HostCall::Decide { prompt, answer } => {
            ("model.decide", format!("{}; {}", messages(prompt), outcomes(answer)))
        }
        HostCall::DecideEach { over, prompt, answer } => (
            "model.decide-each",
            format!("over {}: {}; {}", handle(*over), messages(prompt), outcomes(answer)),
        ),
        HostCall::CompletionStart { prompt, options } => {
            ("completion.start", asked(prompt, options))
        }
        HostCall::CompletionNext(completion) => ("completion.next", handle(*completion)),
        HostCall::RevealChoice(choice) => ("declassify.reveal-choice", handle(*choice)),
        HostCall::RevealText { text, purpose } => {
            ("declassify.reveal-text", format!("{}, {}", handle(*text), quoted(purpose)))
        }
        HostCall::Remaining => ("declassify.remaining", String::new()),
        call => spoken_of_window(call),
    }
}

fn spoken_of_window(call: &HostCall) -> (&'static str, String) {
    match call {
        HostCall::PanelShow { panel, nodes } => {
            let nodes: Vec<String> = nodes.iter().map(node).collect();
            ("panel.show", format!("{panel}: {}", nodes.join(", ")))
        }
        HostCall::Notify { message, .. } => ("panel.notify", quoted(message)),
        HostCall::StorageGet(key) => ("storage.get", quoted(key)),
        HostCall::StorageSet { key, value } => {
            ("storage.set", format!("{} = {} bytes", quoted(key), value.len()))
        }
        HostCall::StorageDelete(key) => ("storage.delete", quoted(key)),
        HostCall::StorageKeys => ("storage.keys", String::new()),
        HostCall::SettingGet(key) => ("settings.get", key.clone()),
        HostCall::Log { level, message } => {
            ("host.log", format!("{}: {}", name_of(level), quoted(message)))
        }
        HostCall::Progress { percent, message } => {
            let percent = percent.map_or("working".to_owned(), |percent| format!("{percent} %"));
            ("host.progress", format!("{percent}, {}", quoted(message)))
        }
        // Everything else has been spoken of.
        _ => ("call", String::new()),
    }
}

fn asked(prompt: &[Message], options: &ModelOptions) -> String {
    format!("{}; {} tokens, {}", messages(prompt), options.max_tokens, name_of(&options.style))
}

fn messages(prompt: &[Message]) -> String {
    let all: Vec<String> = prompt
        .iter()
        .map(|message| {
            let who = match message.role {
                MessageRole::System => "system",
                MessageRole::User => "user",
                MessageRole::Assistant => "assistant",
            };
            let parts: Vec<String> = message.parts.iter().map(part).collect();
            format!("{who} {}", parts.join(" + "))
        })
        .collect();
    all.join(" / ")
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => quoted(text),
        Part::Value(value) => handle(*value),
        Part::Item(None) => "item".into(),
        Part::Item(Some(field)) => format!("item.{}", name_of(field)),
    }
}

fn outcomes(schema: &Schema) -> String {
    match schema {
        Schema::Boolean => "no or yes".into(),
        Schema::OneOf(options) => format!("one of {}", options.join(", ")),
        Schema::Range(low, high) => format!("{low} to {high}"),
    }
}

fn node(node: &Node) -> String {
    match node {
        Node::Heading(text) => format!("heading {}", quoted(text)),
        Node::Label(text) => format!("label {}", quoted(text)),
        Node::Divider => "divider".into(),
        Node::Value(value) => format!("value {}", handle(*value)),
        Node::Items(items) => format!("items {}", handle(*items)),
        Node::Picker(id, items) => format!("picker {id} {}", handle(*items)),
        Node::Button(button) => format!("button {}", button.id),
        Node::Input(input) => format!("input {}", input.id),
        Node::Progress(_) => "progress".into(),
        Node::Row => "row".into(),
        Node::Column => "column".into(),
        Node::End => "end".into(),
    }
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Unit => "ok".into(),
        Answer::Handle(value) => handle(*value),
        Answer::MaybeHandle(value) => value.map_or_else(|| "none".into(), handle),
        Answer::Handles(values) => handles(values),
        Answer::Token(token) => token.as_deref().map_or_else(|| "end".into(), quoted),
        Answer::Text(text) => format!("revealed {}", quoted(text)),
        Answer::Number(number) => number.to_string(),
        Answer::Bytes(bytes) => {
            bytes.as_ref().map_or_else(|| "none".into(), |bytes| format!("{} bytes", bytes.len()))
        }
        Answer::Keys(keys) => keys.join(", "),
        Answer::Setting(setting) => match setting {
            None => "none".into(),
            Some(SettingValue::Flag(on)) => on.to_string(),
            Some(SettingValue::Number(number)) => number.to_string(),
            Some(SettingValue::Text(text)) => quoted(text),
            Some(SettingValue::Choice(index)) => format!("choice {index}"),
        },
    }
}

/// As in `denied(model)`, the way the interface spells it.
fn refusal(error: &GuestError) -> String {
    match error {
        GuestError::Denied(power) => format!("denied({})", name_of(power)),
        GuestError::OverQuota(quota) => format!("over-quota({})", quota_name(*quota)),
        GuestError::Invalid(words) => format!("invalid({words})"),
        GuestError::Refused => "refused".into(),
        GuestError::Unsupported => "unsupported".into(),
    }
}

fn quota_name(quota: Quota) -> String {
    name_of(&quota)
}

fn order_of(order: Sort) -> &'static str {
    match order {
        Sort::Newest => "newest first",
        Sort::Oldest => "oldest first",
        Sort::Relevance => "by relevance",
    }
}

/// The name of a plain variant, in lower case with `-`.
pub(super) fn name_of<T: std::fmt::Debug>(variant: &T) -> String {
    let mut name = String::new();
    for c in format!("{variant:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

fn handle(handle: Handle) -> String {
    format!("#{}", handle.0)
}

fn handles(all: &[Handle]) -> String {
    let all: Vec<String> = all.iter().copied().map(handle).collect();
    format!("[{}]", all.join(", "))
}

/// The plugin's own words, on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(WORDS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("\"{}\"", short.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use hearth_base::{Capability, Field, Style, Weights};

    use super::*;

    #[test]
    fn calls_read_as_the_interface_spells_them() {
        let options = ModelOptions {
            max_tokens: 60,
            style: Style::Exact,
            weights: Weights::Base,
            stop: Vec::new(),
        };
        let message = Message {
            role: MessageRole::User,
            parts: vec![Part::Literal("About:\n".into()), Part::Item(Some(Field::Body))],
        };
        let said = call(
            &HostCall::GenerateEach { over: Handle(2), prompt: vec![message], options },
            &Err(GuestError::Denied(Capability::PersonalModel)),
        );
        assert_eq!(said.name, "model.generate-each");
        assert_eq!(said.arguments, r#"over #2: user "About:\n" + item.body; 60 tokens, exact"#);
        assert_eq!(said.reply, "denied(personal-model)");
        assert!(said.refused);
    }
}
