//! What the inspection commands print.

use std::collections::BTreeSet;

use candle_core::quantized::GgmlDType;
use hearth_engine_api::{EngineError, KvFormat, LoadError};
use hearth_engine_candle::inspect::{
    Bench, BenchOptions, InspectError, bench, open_tokenizer, probe, tokenize_line,
};

use crate::toy::{Toy, config};

fn toy_file(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let path = folder.path().join("toy.gguf");
    Toy::new(config()).write_gguf(&path, GgmlDType::F32, &[]);
    path
}

#[test]
fn a_probe_prints_the_agreed_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = toy_file(&folder);
    let json = serde_json::to_value(probe(&path, &[1, 5], 3, Some("ban one")).unwrap()).unwrap();
    let keys: BTreeSet<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(Vec::from_iter(keys), ["greedy_ids", "logsumexp", "nll", "top20"]);
    assert_eq!(json["top20"].as_array().unwrap().len(), 20);
    assert!(json["top20"][0][0].is_u64() && json["top20"][0][1].is_f64());
    assert!(json["nll"].as_f64().unwrap() > 0.0);
    let json = serde_json::to_value(probe(&path, &[1, 5], 0, None).unwrap()).unwrap();
    assert!(json.get("nll").is_none() && json["greedy_ids"].as_array().unwrap().is_empty());
}

#[test]
fn a_probe_refuses_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = toy_file(&folder);
    let refused = |ids: &[u32], greedy| match probe(&path, ids, greedy, None) {
        Err(InspectError::Engine(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(&[], 1), EngineError::Invalid { .. }));
    assert!(matches!(refused(&[5000], 1), EngineError::Invalid { .. }));
    assert!(matches!(refused(&[1; 90], 7), EngineError::ContextOverflow { .. }));
    assert_eq!(probe(&path, &[1; 90], 0, None).unwrap().top20.len(), 20);
}

/// The likelihood of a text longer than the context is that of its pieces.
#[test]
fn a_long_text_has_a_likelihood_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = toy_file(&folder);
    let text = "ban one no none ".repeat(40);
    let nll = probe(&path, &[1], 0, Some(&text)).unwrap().nll.unwrap();
    assert!(nll.is_finite() && nll > 0.0);
    let refused = probe(&path, &[1], 0, Some(""));
    assert!(matches!(refused, Err(InspectError::Engine(EngineError::Invalid { .. }))));
}

#[test]
fn a_bench_has_a_figure_for_every_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let path = toy_file(&folder);
    let options = BenchOptions {
        prompt_tokens: 20,
        generate_tokens: 4,
        repeat: 3,
        threads: Some(2),
        kv_format: KvFormat::F16,
    };
    let figures = bench(&path, &options).unwrap();
    let Bench { prefill_tok_s, decode_tok_s, load_s, first_token_s, .. } = &figures;
    assert_eq!((prefill_tok_s.len(), decode_tok_s.len()), (3, 3));
    assert!(prefill_tok_s.iter().chain(decode_tok_s).all(|&rate| rate > 0.0));
    assert!(*load_s > 0.0 && *first_token_s > 0.0);
    let json = serde_json::to_value(&figures).unwrap();
    let keys: BTreeSet<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        Vec::from_iter(keys),
        ["decode_tok_s", "first_token_s", "load_s", "peak_rss_bytes", "prefill_tok_s"]
    );
}

#[test]
fn lines_of_json_become_lines_of_ids() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = open_tokenizer(&toy_file(&folder)).unwrap();
    let ids = tokenize_line(&tokenizer, r#"{"text": "no </s>"}"#).unwrap();
    let json = serde_json::to_string(&ids).unwrap();
    assert!(json.starts_with(r#"{"ids":["#));
    assert!(!ids.ids.is_empty() && ids.ids.iter().all(|&id| !tokenizer.is_special(id)));
    assert!(matches!(tokenize_line(&tokenizer, "no json"), Err(InspectError::Line { .. })));
    let absent = open_tokenizer(&folder.path().join("absent.json"));
    assert!(matches!(absent, Err(LoadError::Io { .. })));
}
