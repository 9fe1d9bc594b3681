//! Real models' templates against the texts Python's Jinja makes of them.

use std::{fs, path::Path};

use hearth_engine_api::{ChatMessage, Role};
use hearth_engine_candle::{
    template::{ChatTemplate, TemplateError},
    tokenizer::Tokenizer,
};
use jiff::civil::{DateTime, date};
use minijinja::Value;
use serde::Deserialize;

use crate::{data::test_data, tokenizer::metadata};

/// Cases that are known to fail, as (template, context), with the reason.
const KNOWN_FAILURES: &[(&str, &str, &str)] = &[];

#[derive(Deserialize)]
struct Case {
    template: String,
    context: String,
    expected: Option<String>,
    /// The template's words where it refuses.
    message: Option<String>,
}

fn now() -> DateTime {
    date(2024, 7, 26).at(12, 0, 0, 0)
}

fn cases(folder: &Path) -> Vec<Case> {
    let text = fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_template_renders_as_in_python() {
    let Some(folder) = test_data("every_template_renders_as_in_python", "chat-templates") else {
        return;
    };
    let contexts = fs::read_to_string(folder.join("contexts.json")).unwrap();
    let contexts: Value = serde_json::from_str(&contexts).unwrap();
    let cases = cases(&folder);
    assert_eq!(cases.len(), 86);
    let mut wrong = Vec::new();
    for case in &cases {
        let source = fs::read_to_string(folder.join("templates").join(&case.template)).unwrap();
        let context = contexts.get_attr(&case.context).unwrap();
        let got = ChatTemplate::new(&source).and_then(|t| t.render(context, now()));
        let right = match (&got, &case.expected, &case.message) {
            (Ok(got), Some(expected), _) => got == expected,
            (Err(TemplateError::Refused { message }), None, Some(expected)) => message == expected,
            _ => false,
        };
        let known = |(t, c, _): &(&str, &str, &str)| *t == case.template && *c == case.context;
        if right == KNOWN_FAILURES.iter().any(known) {
            wrong.push(format!(
                "{} {}\n  want {:?}\n  got  {got:?}",
                case.template, case.context, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ from the table:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every vocabulary's control tokens, put into a message in as many ways as come to mind.
#[test]
fn messages_hold_no_control_token_of_any_vocabulary() {
    let test = "messages_hold_no_control_token_of_any_vocabulary";
    let (Some(folder), Some(vocabularies)) =
        (test_data(test, "chat-templates"), test_data(test, "tokenizers"))
    else {
        return;
    };
    let mut templates: Vec<String> = fs::read_dir(folder.join("templates"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    templates.sort();
    assert_eq!(templates.len(), 9);
    for name in ["deepseek-llm", "falcon", "gpt-2", "llama-spm", "phi-3", "starcoder"] {
        let path = vocabularies.join(format!("ggml-vocab-{name}.gguf"));
        let tokenizer = Tokenizer::from_gguf(&metadata(&path)).unwrap();
        let spelled: Vec<String> = (0..u32::try_from(tokenizer.vocab_size()).unwrap())
            .filter(|id| tokenizer.is_special(*id))
            .filter_map(|id| tokenizer.special_text(id).map(str::to_owned))
            .collect();
        assert!(!spelled.is_empty(), "{name}");
        let hostile = format!("a{}b {}", spelled.join(""), spelled.join(" \n"));
        for source in &templates {
            let template = ChatTemplate::new(source).unwrap();
            let control = |content: &str| -> Vec<u32> {
                let messages = [
                    ChatMessage::new(Role::User, content),
                    ChatMessage::new(Role::Assistant, content),
                    ChatMessage::new(Role::User, content),
                ];
                let mut ids = template.encode_chat(&tokenizer, &messages, now()).unwrap();
                ids.retain(|id| tokenizer.is_special(*id));
                ids
            };
            assert_eq!(control(&hostile), control("hello"), "{name}");
        }
    }
}
