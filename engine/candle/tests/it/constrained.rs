//! Requests with constraints to a small model with made-up weights.

use std::ops::ControlFlow;

use candle_core::quantized::GgmlDType;
use hearth_engine_api::{
    Backend, Constraint, EngineError, GenerateEvent, GenerateRequest, Generated, LanguageModel,
    LoadOptions, Prompt, Sampling, StopReason,
};
use hearth_engine_candle::{CandleBackend, models::DecoderConfig};
use serde_json::{Value, json};

use crate::toy::{Toy, config};

fn toy_model() -> Box<dyn LanguageModel> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    let config = DecoderConfig { context_tokens: 512, ..config() };
    Toy::new(config).write_gguf(&path, GgmlDType::F32, &[]);
    let options = LoadOptions { threads: Some(2), ..LoadOptions::default() };
    CandleBackend.load(&path, &options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn request(constraint: Constraint, seed: u64) -> GenerateRequest {
    GenerateRequest {
        max_tokens: 300,
        constraint: Some(constraint),
        sampling: Sampling { temperature: 1.5, seed, ..Sampling::greedy() },
        ..GenerateRequest::new(Prompt::Text("ban one".into()))
    }
}

fn run(model: &mut dyn LanguageModel, request: &GenerateRequest) -> Generated {
    model.generate(request, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn person() -> Value {
    json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 150}}, "required": ["name", "age"],
        "additionalProperties": false})
}

#[test]
fn answers_keep_to_a_schema_whatever_the_seed() {
    let mut model = toy_model();
    let validator = jsonschema::options().build(&person()).unwrap();
    let mut texts = Vec::new();
    for seed in 0..8 {
        let request = request(Constraint::JsonSchema(person().to_string()), seed);
        let done = run(&mut *model, &request);
        assert_eq!(done.stop, StopReason::EndOfText);
        assert!(validator.is_valid(&serde_json::from_str(&done.text).unwrap()), "{}", done.text);
        assert_eq!(run(&mut *model, &request).text, done.text, "the same seed");
        texts.push(done.text);
    }
    texts.sort_unstable();
    texts.dedup();
    assert!(texts.len() > 4, "seeds make no difference: {texts:?}");
}

#[test]
fn an_answer_that_its_limit_cuts_off_says_so() {
    let mut model = toy_model();
    let whole = request(Constraint::JsonSchema(person().to_string()), 1);
    let tokens = u32::try_from(run(&mut *model, &whole).tokens.len()).unwrap();
    for max_tokens in [1, 4, tokens - 1] {
        let done = run(&mut *model, &GenerateRequest { max_tokens, ..whole.clone() });
        assert_eq!((done.stop, done.tokens.len()), (StopReason::MaxTokens, max_tokens as usize));
        assert!(serde_json::from_str::<Value>(&done.text).is_err());
    }
    let done = run(&mut *model, &GenerateRequest { max_tokens: tokens, ..whole });
    assert_eq!(done.stop, StopReason::EndOfText);
}

#[test]
fn fixed_parts_are_said_without_asking_the_model() {
    let mut model = toy_model();
    let schema = json!({"type": "object", "properties": {"Grüße 😀": {"const": "no \"one\""}},
        "required": ["Grüße 😀"], "additionalProperties": false});
    let mut said = String::new();
    let done = model
        .generate(&request(Constraint::JsonSchema(schema.to_string()), 3), &mut |event| {
            if let GenerateEvent::Text(text) = event {
                said.push_str(&text);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(done.text, r#"{"Grüße 😀":"no \"one\""}"#);
    assert_eq!((said, done.stop), (done.text, StopReason::EndOfText));
}

#[test]
fn a_pattern_may_ask_for_a_blank_in_front() {
    let mut model = toy_model();
    for seed in 0..6 {
        let done = run(&mut *model, &request(Constraint::Regex(" (no|nano) b{1,3}".into()), seed));
        let rest = done.text.strip_prefix(" no b").or(done.text.strip_prefix(" nano b")).unwrap();
        assert!(rest.len() < 3 && rest.bytes().all(|b| b == b'b'), "{:?}", done.text);
        assert_eq!(done.stop, StopReason::EndOfText);
    }
}

#[test]
fn it_can_be_broken_off_between_any_two_tokens() {
    let mut model = toy_model();
    let whole = request(Constraint::JsonSchema(person().to_string()), 2);
    let text = run(&mut *model, &whole).text;
    for after in 0..8 {
        let mut seen = 0;
        let done = model
            .generate(&whole, &mut |_| {
                seen += 1;
                if seen > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!((done.stop, seen), (StopReason::Cancelled, after + 1));
        assert!(text.starts_with(&done.text));
    }
    assert_eq!(run(&mut *model, &whole).text, text);
}

#[test]
fn what_cannot_be_held_to_is_refused_before_anything_is_read() {
    let mut model = toy_model();
    for (constraint, name) in [
        (Constraint::JsonSchema(r#"{"uniqueItems": true}"#.into()), "uniqueItems"),
        (Constraint::JsonSchema(r#"{"$ref": "https://example.org/"}"#.into()), "$ref"),
        (Constraint::JsonSchema("{".into()), "JSON"),
        (Constraint::Regex("(?=a)".into()), "look-around"),
    ] {
        let mut untouched = |_event| panic!("something was told");
        match model.generate(&request(constraint, 0), &mut untouched) {
            Err(EngineError::Invalid { reason }) => assert!(reason.contains(name), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
