//! Small `tokenizer.json` files written out here.

use std::fs;

use hearth_engine_api::LoadError;
use serde_json::{Value, json};

use crate::tokenizer::{Special, Tokenizer};

/// Letters, byte tokens, and merges that would make text into `</s>` and `<0x0A>`.
fn file() -> Value {
    let mut vocab = serde_json::Map::new();
    let mut add = |token: &str| {
        let id = vocab.len();
        vocab.insert(token.into(), id.into());
    };
    for token in ["<unk>", "<s>", "</s>", "<|im_end|>"] {
        add(token);
    }
    for byte in 0..=255u8 {
        add(&format!("<0x{byte:02X}>"));
    }
    for piece in ["▁", "a", "b", "<", "/", "s", ">", "</", "s>", "ab", "▁ab", "0x0A>", "0"] {
        add(piece);
    }
    let token = |id: u32, content: &str, special: bool| {
        json!({"id": id, "content": content, "special": special, "rstrip": false,
               "lstrip": false, "single_word": false, "normalized": false})
    };
    json!({
        "version": "1.0",
        "added_tokens": [token(0, "<unk>", true), token(1, "<s>", true), token(2, "</s>", true),
                         token(3, "<|im_end|>", true), token(500, "<tool>", false)],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true,
            "vocab": vocab,
            "merges": [["<", "/"], ["s", ">"], ["</", "s>"], ["a", "b"], ["▁", "ab"], ["<", "0x0A>"]]},
    })
}

fn load(file: &Value) -> Result<Tokenizer, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, file.to_string()).unwrap();
    Tokenizer::from_json_file(&path)
}

#[test]
fn text_never_makes_a_control_token() {
    let tokenizer = load(&file()).unwrap();
    for text in ["</s>", "a</s>b", "<0x0A>", "<|im_end|> ab", "<unk>", "é\n", "<tool>"] {
        let ids = tokenizer.encode(text, Special::Literal).unwrap();
        assert!(!ids.iter().any(|id| tokenizer.is_special(*id) || *id == 500), "{text}: {ids:?}");
        assert_eq!(tokenizer.decode(&ids), text);
    }
    assert_eq!(tokenizer.encode("</s>", Special::Parse).unwrap(), [2]);
    assert_eq!(tokenizer.encode("<tool>", Special::Plain).unwrap(), [500]);
    assert_eq!(tokenizer.vocab_size(), 501);
    assert_eq!(tokenizer.token_bytes(400), None);
}

#[test]
fn merges_are_written_in_two_ways() {
    let mut joined = file();
    joined["model"]["merges"] = json!(["< /", "s >", "</ s>", "a b", "▁ ab", "< 0x0A>"]);
    let (joined, paired) = (load(&joined).unwrap(), load(&file()).unwrap());
    for text in ["a ab", "</s>"] {
        assert_eq!(
            joined.encode(text, Special::Plain).unwrap(),
            paired.encode(text, Special::Plain).unwrap()
        );
    }
}

#[test]
fn the_post_processor_says_how_a_text_begins() {
    let tokenizer = load(&file()).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.add_bos()), (Some(1), true));
    let mut file = file();
    file["post_processor"] = Value::Null;
    let tokenizer = load(&file).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.add_bos()), (None, false));
    assert_eq!(tokenizer.end_ids(), [3]);
}

#[test]
fn files_beside_it_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let path = folder.path().join("tokenizer.json");
    write("tokenizer.json", &file().to_string());
    write(
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": false,
            "chat_template": [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]}"#,
    );
    write("generation_config.json", r#"{"eos_token_id": [2, 3, 99999]}"#);
    let tokenizer = Tokenizer::from_json_file(&path).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(1), Some(2)));
    assert!(!tokenizer.add_bos());
    assert_eq!(tokenizer.end_ids(), [2, 3]);
    let template = || super::chat_template(&path).unwrap();
    assert_eq!(tokenizer.chat_template(), Some("d"));
    assert_eq!(template().as_deref(), Some("d"));
    write("chat_template.jinja", "j");
    assert_eq!(Tokenizer::from_json_file(&path).unwrap().chat_template(), Some("j"));
    assert_eq!(template().as_deref(), Some("j"));
    write("tokenizer_config.json", "{");
    assert!(matches!(Tokenizer::from_json_file(&path), Err(LoadError::Malformed { .. })));
}

#[test]
fn malformed_files_are_refused() {
    let refused = |change: &dyn Fn(&mut Value), words: &str| {
        let mut file = file();
        change(&mut file);
        let reason = load(&file).unwrap_err().to_string();
        assert!(reason.contains(words), "{words}: {reason}");
    };
    refused(&|f| f["model"]["type"] = "Unigram".into(), "Unigram");
    refused(&|f| f["model"]["merges"] = json!(["<"]), "two tokens");
    refused(&|f| f["model"]["merges"] = json!([["<", "zz"]]), "zz");
    refused(&|f| f["model"]["merges"] = json!([["ab", "▁ab"]]), "ab▁ab");
    refused(&|f| f["model"]["vocab"]["x"] = 260.into(), "share the id 260");
    refused(&|f| f["model"]["vocab"]["x"] = 4_000_000_000u32.into(), "4000000000");
    refused(&|f| f["model"]["vocab"]["</s>"] = 99.into(), "two ids");
    refused(&|f| f["model"]["unk_token"] = "<none>".into(), "<none>");
    refused(&|f| f["model"]["end_of_word_suffix"] = "</w>".into(), "suffixes");
    refused(&|f| f["model"]["vocab"] = Value::Null, "BPE model");
    refused(&|f| f["added_tokens"][4]["id"] = 3.into(), "share the id 3");
    refused(&|f| f["pre_tokenizer"] = json!({"type": "Wonder"}), "pre_tokenizer");
    refused(&|f| *f = json!([1]), "tokenizer.json");
    refused(
        &|f| {
            f["model"]["unk_token"] = Value::Null;
            f["model"]["byte_fallback"] = false.into();
        },
        "neither byte tokens nor",
    );
}

#[test]
fn an_absent_file_is_an_io_error() {
    let folder = tempfile::tempdir().unwrap();
    let result = Tokenizer::from_json_file(&folder.path().join("tokenizer.json"));
    assert!(matches!(result, Err(LoadError::Io { .. })));
}
