//! Answers that keep to a grammar.

use std::sync::Arc;

use hearth_engine_api::Constraint;
use hearth_engine_candle::{
    constrain::{Grammar, GrammarError, Grammars, Next, Tool, tool_prompt},
    tokenizer::Tokenizer,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{data::test_data, tokenizer::metadata, toy::vocabulary};

/// A small vocabulary in which everything can be spelled byte by byte.
pub(crate) fn byte_tokenizer() -> Arc<Tokenizer> {
    Arc::new(Tokenizer::from_gguf(&vocabulary().into_iter().collect()).unwrap())
}

fn bytes(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| tokenizer.token_bytes(*id).unwrap()).copied().collect()
}

fn allows(words: &[u32], id: u32) -> bool {
    words.get(id as usize / 32).is_some_and(|word| word >> (id % 32) & 1 == 1)
}

/// Walks `ids` through the grammar: whether they are allowed throughout, and may be all of an answer.
pub(crate) fn walk(tokenizer: &Tokenizer, grammar: &mut Grammar, ids: &[u32]) -> bool {
    let mut rest = ids;
    loop {
        match grammar.allowed().unwrap() {
            Next::Done => return rest.is_empty(),
            Next::Forced(forced) => {
                let forced_bytes = bytes(tokenizer, &forced);
                let same = |n: &usize| bytes(tokenizer, &rest[..*n]) == forced_bytes;
                let Some(length) = (0..=rest.len()).find(same) else { return false };
                rest = &rest[length..];
                forced.iter().for_each(|id| grammar.accept(*id).unwrap());
            }
            Next::OneOf { words, may_end } => {
                let Some((id, after)) = rest.split_first() else { return may_end };
                if !allows(words, *id) {
                    return false;
                }
                grammar.accept(*id).unwrap();
                rest = after;
            }
        }
    }
}

/// Reproducible chance.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) as usize % limit
    }
}

/// How making up an answer ends.
pub(crate) enum Made {
    /// In an answer.
    Answer(String),
    /// In nothing, within the tokens it had.
    TooLong,
    /// In the grammar's giving up after this text.
    Lost(String),
}

/// An answer of allowed tokens drawn by chance, which comes to an end sooner the longer it gets.
pub(crate) fn random_answer(
    tokenizer: &Tokenizer,
    grammar: &mut Grammar,
    mut chance: Chance,
    most_tokens: usize,
) -> Made {
    let mut ids = Vec::new();
    let text = |ids: &[u32]| String::from_utf8_lossy(&bytes(tokenizer, ids)).into_owned();
    while ids.len() < most_tokens {
        let id = match grammar.allowed() {
            Err(_) => return Made::Lost(text(&ids)),
            Ok(Next::Done) => return Made::Answer(text(&ids)),
            Ok(Next::Forced(forced)) => {
                forced.iter().for_each(|id| grammar.accept(*id).unwrap());
                ids.extend(forced);
                continue;
            }
            Ok(Next::OneOf { words, may_end }) => {
                let late = chance.below(most_tokens / 3) < ids.len();
                let allowed: Vec<u32> =
                    (0..words.len() as u32 * 32).filter(|id| allows(words, *id)).collect();
                if may_end && (late || allowed.is_empty()) {
                    return Made::Answer(text(&ids));
                }
                let mut closing = [b"\"", b"}", b"]", b"0"].into_iter();
                let close = |byte: &[u8; 1]| {
                    allowed.iter().find(|id| tokenizer.token_bytes(**id) == Some(byte))
                };
                match closing.find_map(|byte| close(byte).filter(|_| late)) {
                    Some(id) => *id,
                    None => allowed[chance.below(allowed.len())],
                }
            }
        };
        grammar.accept(id).unwrap();
        ids.push(id);
    }
    Made::TooLong
}

fn schemas() -> Vec<Value> {
    vec![
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
            "required": ["name"], "additionalProperties": false}),
        json!({"type": "array", "items": {"type": ["number", "null"]}, "minItems": 1, "maxItems": 4}),
        json!({"type": "object", "additionalProperties": {"type": "boolean"}, "properties": {"a": {"type": "integer"}}}),
        json!({"type": "object", "patternProperties": {"^x_[a-z]+$": {"type": "integer"}}, "additionalProperties": false, "minProperties": 1}),
        json!({"anyOf": [{"type": "string", "format": "date"}, {"type": "number", "multipleOf": 0.25, "exclusiveMaximum": 3}]}),
        json!({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"v": {"enum": ["ä", "\"\\", 1.5, null]},
            "kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}}, "required": ["v"], "additionalProperties": false}}}),
        json!({"type": "string", "pattern": "^[^a-z\\s]{2,5}$"}),
        json!({"allOf": [{"properties": {"k": {"const": "on"}}, "required": ["k"]}, {"type": "object", "properties": {"n": {"type": "integer"}}}]}),
        json!({}),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    /// Whatever a model prefers, what comes out keeps to the schema.
    #[test]
    fn whatever_is_drawn_keeps_to_the_schema(seed in any::<u64>(), number in 0..schemas().len()) {
        let grammars = Grammars::new(byte_tokenizer());
        let schema = &schemas()[number];
        let mut grammar = grammars.json_schema(&schema.to_string()).unwrap();
        let answer = random_answer(grammars.tokenizer(), &mut grammar, Chance(seed), 300);
        prop_assert!(!matches!(answer, Made::Lost(_)));
        if let Made::Answer(answer) = answer {
            let value: Value = serde_json::from_str(&answer).unwrap();
            let options = jsonschema::options().should_validate_formats(true);
            prop_assert!(options.build(schema).unwrap().is_valid(&value), "{schema} {answer}");
        }
    }
}

#[test]
fn a_model_that_always_wants_the_worst_token_is_held_as_well() {
    let grammars = Grammars::new(byte_tokenizer());
    let mut ended = 0;
    for schema in schemas() {
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        for from_the_end in [false, true] {
            let mut grammar = grammars.json_schema(&schema.to_string()).unwrap();
            let mut ids = Vec::new();
            let done = loop {
                match grammar.allowed().unwrap() {
                    Next::Done => break true,
                    Next::Forced(forced) => {
                        forced.iter().for_each(|id| grammar.accept(*id).unwrap());
                        ids.extend(forced);
                    }
                    Next::OneOf { words, may_end } => {
                        let mut allowed =
                            (0..words.len() as u32 * 32).filter(|id| allows(words, *id));
                        let id = if from_the_end { allowed.next_back() } else { allowed.next() };
                        let Some(id) = id else { break may_end };
                        grammar.accept(id).unwrap();
                        ids.push(id);
                    }
                }
                if ids.len() > 400 {
                    break false;
                }
            };
            let text = String::from_utf8_lossy(&bytes(grammars.tokenizer(), &ids)).into_owned();
            if done {
                ended += 1;
                assert!(
                    validator.is_valid(&serde_json::from_str(&text).unwrap()),
                    "{schema} {text}"
                );
            }
        }
    }
    assert!(ended > 4, "only {ended} answers came to an end");
}

#[test]
fn fixed_parts_are_forced_as_the_tokenizer_spells_them() {
    let grammars = Grammars::new(byte_tokenizer());
    let schema = json!({"properties": {"Grüße 😀 none": {"const": "no one"}}, "required": ["Grüße 😀 none"],
        "type": "object", "additionalProperties": false});
    let text = "{\"Grüße 😀 none\":\"no one\"}";
    let mut grammar = grammars.json_schema(&schema.to_string()).unwrap();
    let Next::Forced(ids) = grammar.allowed().unwrap() else { panic!("nothing is forced") };
    assert_eq!(ids, grammars.tokenizer().encode_within(text).unwrap());
    assert!(ids.len() < text.len(), "pieces are not used");
    ids.iter().for_each(|id| grammar.accept(*id).unwrap());
    assert_eq!(grammar.allowed().unwrap(), Next::Done);
}

/// Real vocabularies: what is forced is what the tokenizer makes of the whole, and what is drawn is held to.
#[test]
fn real_vocabularies_force_whole_words() {
    let Some(folder) = test_data("real_vocabularies_force_whole_words", "tokenizers") else {
        return;
    };
    let schema = json!({"type": "object", "properties": {"recipient": {"const": "Frau Müller"},
        "importance": {"enum": ["high", "low"]}, "words": {"type": "string", "maxLength": 20}},
        "required": ["recipient", "importance", "words"], "additionalProperties": false});
    let validator = jsonschema::options().build(&schema).unwrap();
    for name in ["gpt-2", "llama-spm", "deepseek-llm", "falcon", "phi-3", "starcoder"] {
        let metadata = metadata(&folder.join(format!("ggml-vocab-{name}.gguf")));
        let grammars = Grammars::new(Arc::new(Tokenizer::from_gguf(&metadata).unwrap()));
        let tokenizer = grammars.tokenizer();
        let mut grammar = grammars.json_schema(&schema.to_string()).unwrap();
        let Next::Forced(first) = grammar.allowed().unwrap() else { panic!("{name}: not forced") };
        let text = "{\"recipient\":\"Frau Müller\",\"importance\":\"";
        let whole = tokenizer.encode_within(text).unwrap();
        // The last of them are left open, where longer tokens may come of them.
        assert!(
            whole.starts_with(&first) && first.len() + 2 >= whole.len(),
            "{name}: {first:?} {whole:?}"
        );
        for seed in 0..4 {
            let mut grammar = grammars.json_schema(&schema.to_string()).unwrap();
            if let Made::Answer(answer) = random_answer(tokenizer, &mut grammar, Chance(seed), 120)
            {
                assert!(
                    validator.is_valid(&serde_json::from_str(&answer).unwrap()),
                    "{name}: {answer}"
                );
            }
        }
    }
}

#[test]
fn a_token_that_is_not_allowed_is_an_error() {
    let grammars = Grammars::new(byte_tokenizer());
    let mut grammar = grammars.regex("[0-9]+").unwrap();
    let Next::OneOf { words, may_end: false } = grammar.allowed().unwrap() else { panic!() };
    // Control tokens, the unknown token and ends are in no mask.
    assert!((0..3).all(|id| !allows(words, id)) && allows(words, 3 + u32::from(b'7')));
    assert!(grammar.accept(3 + u32::from(b'x')).is_err());
}

#[test]
fn patterns_cover_the_whole_answer() {
    let grammars = Grammars::new(byte_tokenizer());
    let matches = |pattern: &str, text: &str| {
        let ids: Vec<u32> = text.bytes().map(|byte| 3 + u32::from(byte)).collect();
        walk(grammars.tokenizer(), &mut grammars.regex(pattern).unwrap(), &ids)
    };
    assert!(matches("yes|no/maybe", "no/maybe") && !matches("yes|no/maybe", "yes|"));
    assert!(matches("^a+$", "aaa") && !matches("^a+$", "aab") && !matches("a", "ba"));
    assert!(matches(r"\d{3}-[^\s]+", "123-ß😀") && !matches(r"\d{3}-[^\s]+", "123- "));
    assert!(matches("é{2}", "éé") && !matches("é{2}", "é"));
    assert!(matches("(a|)b?", "") && matches("[\"\\\\]+", "\\\""));
    for refused in ["", "(?=a)b", "a(b", "\\bx", "a^b"] {
        assert!(grammars.regex(refused).is_err(), "{refused}");
    }
}

#[test]
fn what_cannot_be_held_to_is_refused_by_name() {
    let grammars = Grammars::new(byte_tokenizer());
    for (schema, name) in [
        (json!({"not": {"type": "string"}}), "not"),
        (json!({"items": {"uniqueItems": true}}), "uniqueItems"),
        (json!({"if": {}, "then": false}), "if"),
        (json!({"contains": {}}), "contains"),
        (json!({"properties": {"a": {"additonalProperties": false}}}), "additonalProperties"),
        (json!({"$ref": "http://example.org/schema"}), "$ref"),
        (json!({"$ref": "other.json#/a"}), "$ref"),
        (json!({"$schema": "http://example.org/meta"}), "$schema"),
        (json!({"x-guidance": {"lenient": true}}), "x-guidance"),
        (json!({"type": "string", "format": "colour"}), "format"),
        (json!({"unevaluatedProperties": false}), "unevaluatedProperties"),
        (json!({"oneOf": [{"type": "number"}, {"type": "integer"}]}), "oneOf"),
        (json!({"minimum": 9_007_199_254_740_995_i64}), "minimum"),
        (json!({"const": "a\u{0}b"}), "const"),
        (json!({"properties": {"a": {}}, "minProperties": 2}), "minProperties"),
        (json!({"type": "sting"}), "type"),
        (json!({"dependentRequired": {"a": ["b"]}}), "dependentRequired"),
    ] {
        match grammars.json_schema(&schema.to_string()) {
            Err(GrammarError::Keyword { keyword, .. }) => assert_eq!(keyword, name),
            other => panic!("{schema}: {other:?}"),
        }
    }
    assert!(matches!(grammars.json_schema("{"), Err(GrammarError::NotJson { .. })));
    assert!(matches!(grammars.json_schema("false"), Err(GrammarError::Unsatisfiable)));
}

/// Schemas made to take time, memory or the stack come to an end, as an error or as a grammar.
#[test]
fn hostile_schemas_come_to_an_end() {
    let grammars = Grammars::new(byte_tokenizer());
    let nested = |n: usize| format!("{}{{}}{}", "{\"items\":".repeat(n), "}".repeat(n));
    let chain: serde_json::Map<String, Value> = (0..5_000)
        .map(|i| (i.to_string(), json!({"items": {"$ref": format!("#/$defs/{}", i + 1)}})))
        .collect();
    let options: Vec<Value> =
        (0..300).map(|i| json!({"properties": {format!("p{i}"): {"type": "string"}}})).collect();
    let values: Vec<String> = (0..20_000).map(|i| format!("value {i}")).collect();
    for schema in [
        nested(100),
        nested(100_000),
        json!({"$ref": "#/$defs/0", "$defs": chain}).to_string(),
        json!({"$ref": "#"}).to_string(),
        json!({"allOf": [{"$ref": "#"}]}).to_string(),
        json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})
            .to_string(),
        json!({"minItems": 1_000_000_000_000_u64}).to_string(),
        json!({"type": "array", "minItems": 90_000, "items": {"minItems": 90_000}}).to_string(),
        json!({"type": "string", "maxLength": 100_000}).to_string(),
        json!({"allOf": [{"anyOf": options}, {"anyOf": options}, {"anyOf": options}]}).to_string(),
        json!({"enum": values}).to_string(),
        json!({"type": "string", "pattern": "((a{1000}){1000}){1000}"}).to_string(),
        json!({"type": "string", "pattern": "(a|aa|aaa)*b{500}(.*c){500}"}).to_string(),
        "x".repeat(1 << 20),
    ] {
        if let Ok(mut grammar) = grammars.json_schema(&schema) {
            for _ in 0..8 {
                match grammar.allowed() {
                    Ok(Next::Forced(ids)) => {
                        if ids.iter().any(|id| grammar.accept(*id).is_err()) {
                            break;
                        }
                    }
                    Ok(Next::OneOf { words, .. }) => {
                        let allowed = (0..words.len() as u32 * 32).find(|id| allows(words, *id));
                        let Some(id) = allowed else { break };
                        grammar.accept(id).unwrap();
                    }
                    Ok(Next::Done) | Err(_) => break,
                }
            }
        }
    }
}

#[test]
fn a_model_can_be_told_of_tools_and_held_to_them() {
    let tools = [
        Tool {
            name: "find".into(),
            description: "Finds mails.".into(),
            arguments: json!({"type": "object", "properties": {"words": {"$ref": "#/$defs/w"}}, "required": ["words"],
                "additionalProperties": false, "$defs": {"w": {"type": "string", "minLength": 1}}}).to_string(),
        },
        Tool { name: "stop".into(), description: "Stops.".into(), arguments: json!({"type": "object", "maxProperties": 0}).to_string() },
    ];
    let grammars = Grammars::new(byte_tokenizer());
    let allowed = |may_reply: bool, text: &str| {
        let made = tool_prompt(&tools, may_reply).unwrap();
        assert!(made.system.contains("Finds mails."));
        assert!(matches!(made.constraint, Constraint::JsonSchema(_)));
        let mut grammar = grammars.grammar(&made.constraint).unwrap().unwrap();
        let ids: Vec<u32> = text.bytes().map(|byte| 3 + u32::from(byte)).collect();
        walk(grammars.tokenizer(), &mut grammar, &ids)
    };
    assert!(allowed(false, r#"{"tool":"find","arguments":{"words":"rent"}}"#));
    assert!(allowed(false, r#"{"tool":"stop","arguments":{}}"#));
    assert!(!allowed(false, r#"{"tool":"find","arguments":{"words":""}}"#));
    assert!(!allowed(false, r#"{"tool":"drop","arguments":{}}"#));
    assert!(allowed(true, r#"{"reply":"Hello"}"#) && !allowed(false, r#"{"reply":"Hello"}"#));
}
