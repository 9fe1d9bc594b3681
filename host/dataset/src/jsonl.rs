//! Files of examples, a JSON object a line, in the forms that are in common use.

use hearth_engine_api::{ChatMessage, Example, Role};
use serde_json::{Map, Value, json};

use crate::DatasetError;

/// Reads examples. Each line may have a form of its own:
/// - `{"messages": [{"role": "user", "content": "…"}, …]}`, or `conversations` with `from` and `value`; of the answers,
///   those with `"weight": 0` are not learnt;
/// - `{"prompt": "…", "completion": "…"}`, each text or messages; `response` for `completion`;
/// - `{"instruction": "…", "input": "…", "output": "…"}`;
/// - `{"text": "…"}`.
///
/// Empty lines are passed over.
///
/// # Errors
/// [`DatasetError::Line`] names the first line that is none of these; nothing of the file is then used.
pub fn parse(text: &str) -> Result<Vec<Example>, DatasetError> {
    let mut examples = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fail = |reason| DatasetError::Line { line: n + 1, reason };
        let value: Value = serde_json::from_str(line)
            .map_err(|_json| fail("not JSON; each line is one object"))?;
        let Value::Object(object) = value else { return Err(fail("JSON, but no object")) };
        examples.push(example(&object).map_err(fail)?);
    }
    Ok(examples)
}

/// Writes examples, in the first of each of these forms.
pub fn write(examples: &[Example]) -> String {
    let mut text = String::new();
    for example in examples {
        let line = match example {
            Example::Chat(messages) => json!({ "messages": messages_value(messages) }),
            Example::Answers { messages, learnt } => {
                let mut values = messages_value(messages);
                for (turn, value) in values.iter_mut().enumerate() {
                    if messages[turn].role == Role::Assistant {
                        value["weight"] = u8::from(learnt.contains(&turn)).into();
                    }
                }
                json!({ "messages": values })
            }
            Example::Completion { prompt, completion } => {
                json!({ "prompt": prompt, "completion": completion })
            }
            Example::Text(whole) => json!({ "text": whole }),
        };
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

fn messages_value(messages: &[ChatMessage]) -> Vec<Value> {
    let role = |role| match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    messages.iter().map(|m| json!({ "role": role(m.role), "content": m.content })).collect()
}

fn example(object: &Map<String, Value>) -> Result<Example, &'static str> {
    let get = |name: &str| object.get(name).filter(|value| !value.is_null());
    if let Some(messages) = get("messages").or_else(|| get("conversations")) {
        let weights = messages.as_array().into_iter().flatten().map(weight);
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        return weighed(chat(messages_of(messages)?)?, &weights);
    }
    if let Some(instruction) = get("instruction") {
        let mut question = string(instruction)?.to_owned();
        let input = get("input").map(string).transpose()?.unwrap_or_default();
        if !input.is_empty() {
            question = format!("{question}\n\n{input}");
        }
        let output = get("output").or_else(|| get("response"));
        let answer = string(output.ok_or("`instruction` without `output`")?)?;
        let system = get("system").map(string).transpose()?.filter(|text| !text.is_empty());
        let mut messages: Vec<_> =
            system.into_iter().map(|text| ChatMessage::new(Role::System, text)).collect();
        messages.push(ChatMessage::new(Role::User, question));
        messages.push(ChatMessage::new(Role::Assistant, answer));
        return chat(messages);
    }
    if let Some(prompt) = get("prompt") {
        let completion = get("completion").or_else(|| get("response"));
        let completion = completion.ok_or("`prompt` without `completion`")?;
        if prompt.is_array() {
            let mut messages = messages_of(prompt)?;
            match completion {
                Value::String(answer) => {
                    messages.push(ChatMessage::new(Role::Assistant, answer.as_str()));
                }
                other => messages.extend(messages_of(other)?),
            }
            return chat(messages);
        }
        let (prompt, completion) = (string(prompt)?.to_owned(), string(completion)?.to_owned());
        return Ok(Example::Completion { prompt, completion });
    }
    let text = get("text").ok_or(
        "none of the known forms; expected `messages`, `prompt` and `completion`, `instruction` and `output`, or `text`",
    )?;
    Ok(Example::Text(string(text)?.to_owned()))
}

fn chat(messages: Vec<ChatMessage>) -> Result<Example, &'static str> {
    if messages.iter().any(|message| message.role == Role::Assistant) {
        Ok(Example::Chat(messages))
    } else {
        Err("a conversation without an answer of the assistant")
    }
}

/// Whether a message is to be learnt, where it says so.
fn weight(message: &Value) -> Result<Option<bool>, &'static str> {
    match message.get("weight").filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(0.0) => Ok(Some(false)),
            Some(1.0) => Ok(Some(true)),
            _ => Err("a weight other than 0 and 1"),
        },
    }
}

/// A conversation of which some answers may not be learnt.
fn weighed(example: Example, weights: &[Option<bool>]) -> Result<Example, &'static str> {
    let Example::Chat(messages) = example else { return Ok(example) };
    let answers = || messages.iter().enumerate().filter(|(_, m)| m.role == Role::Assistant);
    if answers().all(|(turn, _)| weights[turn].is_none()) {
        return Ok(Example::Chat(messages));
    }
    let learnt: Vec<usize> =
        answers().map(|(turn, _)| turn).filter(|turn| weights[*turn] != Some(false)).collect();
    if learnt.is_empty() {
        return Err("a conversation without an answer that is learnt");
    }
    Ok(Example::Answers { messages, learnt })
}

fn messages_of(value: &Value) -> Result<Vec<ChatMessage>, &'static str> {
    let list = value.as_array().ok_or("the messages are no list")?;
    list.iter().map(message).collect()
}

fn message(value: &Value) -> Result<ChatMessage, &'static str> {
    let role = value.get("role").or_else(|| value.get("from")).and_then(Value::as_str);
    let role = match role.ok_or("a message without `role`")? {
        "system" | "developer" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "gpt" | "model" | "bot" => Role::Assistant,
        _ => {
            return Err(
                "a role other than system, user and assistant; calls of tools are not learnt",
            );
        }
    };
    if value.get("tool_calls").is_some_and(|calls| !calls.is_null()) {
        return Err("calls of tools are not learnt");
    }
    let content = value.get("content").or_else(|| value.get("value"));
    Ok(ChatMessage::new(role, content_of(content.ok_or("a message without `content`")?)?))
}

/// Text, or a list of pieces that are all text.
fn content_of(content: &Value) -> Result<String, &'static str> {
    let Some(pieces) = content.as_array() else { return string(content).map(str::to_owned) };
    pieces
        .iter()
        .map(|piece| match piece.get("type").and_then(Value::as_str) {
            Some("text") => piece.get("text").and_then(Value::as_str).ok_or("a text without text"),
            _ => Err("a message with something other than text in it"),
        })
        .collect()
}

fn string(value: &Value) -> Result<&str, &'static str> {
    value.as_str().ok_or("a value that is no text")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Example {
        parse(line).unwrap().remove(0)
    }

    fn talk(turns: &[(Role, &str)]) -> Example {
        Example::Chat(turns.iter().map(|(role, text)| ChatMessage::new(*role, *text)).collect())
    }

    #[test]
    fn the_common_forms_are_read() {
        let expected = talk(&[(Role::User, "a"), (Role::Assistant, "b")]);
        for line in [
            r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
            r#"{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}"#,
            r#"{"instruction":"a","input":"","output":"b"}"#,
            r#"{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b"}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":"b"}],"id":3}"#,
        ] {
            assert!(one(line) == expected, "{line}");
        }
        let with_input = one(r#"{"instruction":"a","input":"x","output":"b"}"#);
        assert!(with_input == talk(&[(Role::User, "a\n\nx"), (Role::Assistant, "b")]));
        let completion = Example::Completion { prompt: "a".into(), completion: "b".into() };
        assert!(one(r#"{"prompt":"a","completion":"b"}"#) == completion);
        assert!(one(r#"{"prompt":"a","response":"b"}"#) == completion);
        assert!(one("\u{feff}{\"text\":\"a\"}") == Example::Text("a".into()));
        assert_eq!(parse("\n{\"text\":\"a\"}\r\n\n").unwrap().len(), 1);
    }

    #[test]
    fn what_is_none_of_them_names_its_line() {
        for bad in [
            "{",
            "[]",
            "{}",
            r#"{"text":3}"#,
            r#"{"prompt":"a"}"#,
            r#"{"instruction":"a"}"#,
            r#"{"messages":"a"}"#,
            r#"{"messages":[]}"#,
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            r#"{"messages":[{"role":"tool","content":"a"},{"role":"assistant","content":"b"}]}"#,
            r#"{"messages":[{"role":"assistant","content":"a","weight":0}]}"#,
            r#"{"messages":[{"role":"assistant","content":"a","weight":0.5}]}"#,
            r#"{"messages":[{"role":"assistant","content":"","tool_calls":[{}]}]}"#,
            r#"{"messages":[{"role":"assistant","content":[{"type":"image_url"}]}]}"#,
        ] {
            let error = parse(&format!("{{\"text\":\"fine\"}}\n\n{bad}\n")).unwrap_err();
            assert!(matches!(error, DatasetError::Line { line: 3, .. }), "{bad}: {error}");
        }
    }

    fn examples() -> impl Strategy<Value = Vec<Example>> {
        let text = "[a\\\\\"\n\u{2028}ü]{0,6}";
        let role = prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant)];
        let chat = proptest::collection::vec((role, text), 0..4).prop_map(|turns| {
            let turns = turns.into_iter().chain([(Role::Assistant, "x".to_owned())]);
            Example::Chat(turns.map(|(role, text)| ChatMessage::new(role, text)).collect())
        });
        // Two questions of which one answer is learnt.
        let answers = (text, any::<bool>()).prop_map(|(text, first)| {
            let turns = [Role::User, Role::Assistant, Role::User, Role::Assistant];
            let messages =
                turns.iter().map(|role| ChatMessage::new(*role, text.as_str())).collect();
            Example::Answers { messages, learnt: vec![if first { 1 } else { 3 }] }
        });
        let completion = (text, text)
            .prop_map(|(prompt, completion)| Example::Completion { prompt, completion });
        let one = prop_oneof![chat, answers, completion, text.prop_map(Example::Text)];
        proptest::collection::vec(one, 0..6)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(examples in examples()) {
            prop_assert!(parse(&write(&examples)).unwrap() == examples);
        }
    }
}
