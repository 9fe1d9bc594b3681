//! Seven real vocabularies against the ids that the models' own tokenizers give.

use std::{collections::HashMap, fs, fs::File, io::BufReader, path::Path};

use candle_core::quantized::gguf_file::{Content, Value};
use hearth_engine_candle::tokenizer::{Special, Tokenizer};

use crate::data::test_data;

const VOCABULARIES: &[&str] =
    &["bert-bge", "deepseek-llm", "falcon", "gpt-2", "llama-spm", "phi-3", "starcoder"];

/// Cases that are known to fail, as (vocabulary, number of the text), with the reason.
const KNOWN_FAILURES: &[(&str, usize, &str)] = &[];

pub(crate) fn metadata(path: &Path) -> HashMap<String, Value> {
    let mut reader = BufReader::new(File::open(path).unwrap());
    Content::read(&mut reader).unwrap().metadata
}

fn texts(base: &Path) -> Vec<String> {
    let text = fs::read_to_string(base.with_extension("gguf.inp")).unwrap();
    text.split("\n__ggml_vocab_test__\n").map(str::to_owned).collect()
}

fn expected(base: &Path) -> Vec<Vec<u32>> {
    let text = fs::read_to_string(base.with_extension("gguf.out")).unwrap();
    let numbers = |line: &str| line.split_whitespace().map(|n| n.parse().unwrap()).collect();
    // The last text is empty, and so is its line, which ends the file.
    text.split('\n').map(numbers).collect()
}

#[test]
fn every_vector_gives_the_reference_ids() {
    let Some(folder) = test_data("every_vector_gives_the_reference_ids", "tokenizers") else {
        return;
    };
    let mut wrong = Vec::new();
    for name in VOCABULARIES {
        let base = folder.join(format!("ggml-vocab-{name}.gguf"));
        let tokenizer = Tokenizer::from_gguf(&metadata(&base)).unwrap();
        let (texts, expected) = (texts(&base), expected(&base));
        assert_eq!((texts.len(), expected.len()), (47, 47), "{name}");
        for (number, (text, ids)) in texts.iter().zip(&expected).enumerate() {
            let known = KNOWN_FAILURES.iter().any(|(v, n, _)| v == name && *n == number);
            let got = tokenizer.encode(text, Special::Plain).unwrap();
            if (got == *ids) == known {
                wrong.push(format!("{name} {number}: {text:?}\n  want {ids:?}\n  got  {got:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases differ from the table:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn ids_decode_to_the_text_they_came_from() {
    let Some(folder) = test_data("ids_decode_to_the_text_they_came_from", "tokenizers") else {
        return;
    };
    // WordPiece keeps neither case nor blanks.
    for name in VOCABULARIES.iter().filter(|name| **name != "bert-bge") {
        let base = folder.join(format!("ggml-vocab-{name}.gguf"));
        let tokenizer = Tokenizer::from_gguf(&metadata(&base)).unwrap();
        for text in texts(&base) {
            let ids = tokenizer.encode(&text, Special::Plain).unwrap();
            assert_eq!(tokenizer.decode(&ids), text, "{name}");
            let mut stream = tokenizer.stream(None);
            let mut streamed = String::new();
            for id in &ids {
                streamed.extend(stream.push(*id));
            }
            streamed.extend(stream.finish());
            assert_eq!(streamed, text, "{name}");
        }
    }
}

/// Prompts of the golden records: a `tokenizer.json` and the same vocabulary inside GGUF files.
#[test]
fn prompts_give_the_golden_ids() {
    let Some(folder) = test_data("prompts_give_the_golden_ids", "models") else { return };
    let text = fs::read_to_string(folder.join("golden.jsonl")).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = folder.join(record["model"].as_str().unwrap());
        let tokenizer = match path.extension().and_then(|e| e.to_str()) {
            Some("gguf") => Tokenizer::from_gguf(&metadata(&path)),
            Some("safetensors") => {
                Tokenizer::from_json_file(&path.with_file_name("tokenizer.json"))
            }
            _ => continue,
        }
        .unwrap();
        let mut ids: Vec<u32> =
            tokenizer.bos().filter(|_| tokenizer.add_bos()).into_iter().collect();
        let (text, expected) = match record["prompt"].as_str() {
            Some(prompt) => (prompt, &record["prompt_ids"]),
            None => (record["nll_text"].as_str().unwrap(), &record["ids"]),
        };
        ids.extend(tokenizer.encode(text, Special::Plain).unwrap());
        let expected: Vec<u32> = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(ids, expected, "{} {text:?}", path.display());
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} records");
}
