//! Small vocabularies written out here: what is refused, and what becomes of control tokens.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;
use hearth_engine_api::LoadError;
use proptest::prelude::*;

use super::{Span, Special, Tokenizer, vocab::stand_in_of_byte};

type Metadata = HashMap<String, Value>;

fn strings(list: &[&str]) -> Value {
    Value::Array(list.iter().map(|s| Value::String((*s).into())).collect())
}

fn kinds(list: &[i32]) -> Value {
    Value::Array(list.iter().map(|n| Value::I32(*n)).collect())
}

fn set(metadata: &mut Metadata, key: &str, value: Value) {
    metadata.insert(format!("tokenizer.ggml.{key}"), value);
}

/// Pieces, byte tokens and three control tokens.
fn sentencepiece() -> Metadata {
    let mut tokens = vec!["<unk>".to_owned(), "<s>".into(), "</s>".into(), "<|im_end|>".into()];
    let mut types = vec![2, 3, 3, 3];
    for byte in 0..=255u8 {
        tokens.push(format!("<0x{byte:02X}>"));
        types.push(6);
    }
    for piece in ["▁", "a", "b", "<", "/", "s", ">", "|", "ab", "▁ab", "</", "s>", "é", "  "] {
        tokens.push(piece.into());
        types.push(if piece == "  " { 4 } else { 1 });
    }
    let mut metadata = Metadata::new();
    let scores = (0..tokens.len()).map(|i| Value::F32(-(i as f32))).collect();
    set(&mut metadata, "model", Value::String("llama".into()));
    set(&mut metadata, "tokens", Value::Array(tokens.into_iter().map(Value::String).collect()));
    set(&mut metadata, "token_type", kinds(&types));
    set(&mut metadata, "scores", Value::Array(scores));
    set(&mut metadata, "bos_token_id", Value::U32(1));
    set(&mut metadata, "eos_token_id", Value::U32(2));
    metadata
}

/// All bytes, a merge, a control token and a tag.
fn byte_level() -> Metadata {
    let mut tokens: Vec<String> = (0..=255u8).map(|b| stand_in_of_byte(b).to_string()).collect();
    let mut types = vec![1; 256];
    for (token, kind) in [("ab", 1), ("<|im_end|>", 3), ("<tool_call>", 4), ("    ", 4)] {
        tokens.push(token.into());
        types.push(kind);
    }
    let mut metadata = Metadata::new();
    set(&mut metadata, "model", Value::String("gpt2".into()));
    set(&mut metadata, "pre", Value::String("qwen2".into()));
    set(&mut metadata, "tokens", Value::Array(tokens.into_iter().map(Value::String).collect()));
    set(&mut metadata, "token_type", kinds(&types));
    set(&mut metadata, "merges", strings(&["a b"]));
    set(&mut metadata, "eos_token_id", Value::U32(257));
    metadata
}

fn reason(metadata: &Metadata) -> String {
    match Tokenizer::from_gguf(metadata) {
        Err(error @ (LoadError::Malformed { .. } | LoadError::Unsupported { .. })) => {
            error.to_string()
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn malformed_vocabularies_are_refused() {
    let refuse = |base: Metadata, key: &str, value: Option<Value>, words: &str| {
        let mut metadata = base;
        metadata.remove(&format!("tokenizer.ggml.{key}"));
        if let Some(value) = value {
            set(&mut metadata, key, value);
        }
        let reason = reason(&metadata);
        assert!(reason.contains(words), "{key}: {reason}");
    };
    let text = |text: &str| Some(Value::String(text.into()));
    refuse(sentencepiece(), "model", None, "names no tokenizer");
    refuse(sentencepiece(), "model", text("t5"), "t5");
    refuse(sentencepiece(), "tokens", None, "no vocabulary");
    refuse(sentencepiece(), "tokens", Some(strings(&[])), "0 tokens");
    refuse(sentencepiece(), "tokens", Some(strings(&["a", "b", "a"])), "both \"a\"");
    refuse(sentencepiece(), "tokens", Some(Value::U32(3)), "not a list");
    refuse(sentencepiece(), "scores", None, "scores");
    refuse(sentencepiece(), "scores", Some(Value::Array(vec![Value::F32(0.0)])), "1 entries");
    refuse(sentencepiece(), "token_type", Some(kinds(&[1, 1])), "2 entries");
    refuse(sentencepiece(), "bos_token_id", Some(Value::U32(9999)), "9999");
    refuse(sentencepiece(), "eos_token_id", text("</s>"), "not a number");
    refuse(byte_level(), "merges", None, "merges");
    refuse(byte_level(), "merges", Some(strings(&["a"])), "two tokens");
    refuse(byte_level(), "merges", Some(strings(&["a b c"])), "two tokens");
    refuse(byte_level(), "merges", Some(strings(&["a zz"])), "\"zz\"");
    refuse(byte_level(), "merges", Some(strings(&["a a"])), "\"aa\"");
    refuse(byte_level(), "merges", Some(strings(&["<|im_end| >"])), "im_end");
    refuse(byte_level(), "pre", text("unheard-of"), "unheard-of");
}

#[test]
fn a_score_that_is_no_number_is_refused() {
    let mut metadata = sentencepiece();
    let Some(Value::Array(scores)) = metadata.get_mut("tokenizer.ggml.scores") else {
        panic!("the vocabulary has scores");
    };
    scores[300 - 30] = Value::F32(f32::NAN);
    assert!(reason(&metadata).contains("score of token 270"));
}

#[test]
fn text_never_makes_a_control_token() {
    for metadata in [sentencepiece(), byte_level()] {
        let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
        for text in ["</s>", "<|im_end|>", "a</s>b<|im_end|>", "<unk>"] {
            for special in [Special::Plain, Special::Literal] {
                let ids = tokenizer.encode(text, special).unwrap();
                assert!(!ids.iter().any(|id| tokenizer.is_special(*id)), "{text}: {ids:?}");
                assert_eq!(tokenizer.decode(&ids), text);
            }
        }
        let end = tokenizer.token_to_id("<|im_end|>").unwrap();
        assert_eq!(tokenizer.encode("<|im_end|>", Special::Parse).unwrap(), [end]);
        assert!(tokenizer.end_ids().contains(&end));
        assert_eq!(tokenizer.special_text(end), Some("<|im_end|>"));
        assert_eq!(tokenizer.token_bytes(end), None);
        assert_eq!(tokenizer.decode(&[end]), "");
    }
}

#[test]
fn tags_are_recognised_outside_literal_text_only() {
    let tokenizer = Tokenizer::from_gguf(&byte_level()).unwrap();
    let tag = tokenizer.token_to_id("<tool_call>").unwrap();
    let blanks = tokenizer.token_to_id("    ").unwrap();
    for (special, has_tag) in
        [(Special::Parse, true), (Special::Plain, true), (Special::Literal, false)]
    {
        let ids = tokenizer.encode("<tool_call>    x", special).unwrap();
        assert_eq!(ids.contains(&tag), has_tag);
        assert!(ids.contains(&blanks));
    }
}

#[test]
fn spans_join_as_text_but_not_as_control_tokens() {
    let tokenizer = Tokenizer::from_gguf(&byte_level()).unwrap();
    let span = |text, special| Span { text, special };
    let joined = tokenizer
        .encode_spans(&[span("xa", Special::Parse), span("bx", Special::Literal)])
        .unwrap();
    assert_eq!(joined, tokenizer.encode("xabx", Special::Plain).unwrap());
    let split = tokenizer
        .encode_spans(&[span("<|im_", Special::Parse), span("end|>", Special::Literal)])
        .unwrap();
    assert!(!split.iter().any(|id| tokenizer.is_special(*id)));
}

#[test]
fn a_missing_byte_is_an_error_and_not_a_gap() {
    let mut metadata = byte_level();
    let Some(Value::Array(tokens)) = metadata.get_mut("tokenizer.ggml.tokens") else {
        panic!("the vocabulary has tokens");
    };
    tokens[usize::from(b'q')] = Value::String("qq".into());
    let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
    assert!(tokenizer.encode("abc", Special::Plain).is_ok());
    let error = tokenizer.encode("a q", Special::Plain).unwrap_err();
    assert!(error.to_string().contains("0x71"), "{error}");
}

#[test]
fn runs_of_blanks_are_one_token_however_the_file_writes_them() {
    for run in ["   ", "▁▁▁"] {
        let mut metadata = sentencepiece();
        set(&mut metadata, "add_space_prefix", Value::Bool(false));
        let Some(Value::Array(tokens)) = metadata.get_mut("tokenizer.ggml.tokens") else {
            panic!("the vocabulary has tokens");
        };
        let id = tokens.len() as u32 - 1;
        tokens[id as usize] = Value::String(run.into());
        let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
        let ids = tokenizer.encode("a   b", Special::Literal).unwrap();
        assert_eq!(ids, [261, id, 262], "{run:?}");
        assert_eq!(tokenizer.decode(&ids), "a   b");
    }
}

#[test]
fn a_continuation_keeps_its_blank() {
    let tokenizer = Tokenizer::from_gguf(&sentencepiece()).unwrap();
    let ab = tokenizer.token_to_id("▁ab").unwrap();
    assert_eq!(tokenizer.decode(&[ab, ab]), "ab ab");
    assert_eq!(tokenizer.stream(Some(ab)).push(ab).as_deref(), Some(" ab"));
    assert_eq!(tokenizer.stream(tokenizer.bos()).push(ab).as_deref(), Some("ab"));
}

proptest! {
    #[test]
    fn any_text_comes_back(text in any::<String>(), spaced in "[ab <>/s|é\t\n]{0,30}") {
        for metadata in [sentencepiece(), byte_level()] {
            let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
            for text in [&text, &spaced] {
                let ids = tokenizer.encode(text, Special::Literal).unwrap();
                prop_assert_eq!(&tokenizer.decode(&ids), text);
                let mut stream = tokenizer.stream(None);
                let mut streamed: String = ids.iter().filter_map(|id| stream.push(*id)).collect();
                streamed.extend(stream.finish());
                prop_assert_eq!(&streamed, text);
            }
        }
    }
}
