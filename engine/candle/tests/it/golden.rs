//! Real weights against an independent float64 implementation: logits, greedy continuations, likelihoods.

use std::{fs, ops::ControlFlow, path::Path};

use hearth_engine_api::{Backend, GenerateRequest, KvFormat, LoadOptions, Prompt, StopReason};
use hearth_engine_candle::{
    CandleBackend,
    inspect::{Probe, probe, probe_with},
};
use serde_json::Value;

use crate::data::test_data;

/// How far from the reference a weight format may be.
struct Tolerance {
    logit: f64,
    /// Ids are compared up to the first step at which the reference was less sure than this.
    margin: f64,
    nll: f64,
}

/// The reference works on the weights as they are in the file. Quantised products also quantise the activations.
fn tolerance(model: &str) -> Tolerance {
    let plain = ["-f32.gguf", "-f16.gguf", "-bf16.gguf", ".safetensors"];
    if plain.iter().any(|end| model.ends_with(end)) {
        Tolerance { logit: 1e-3, margin: 0.005, nll: 0.002 }
    } else {
        Tolerance { logit: 0.5, margin: 0.1, nll: 0.02 }
    }
}

fn numbers<T>(value: &Value, convert: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    value.as_array().unwrap().iter().map(|item| convert(item).unwrap()).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    numbers(value, |id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
}

/// Ids the reference was sure of, and whether all of them were.
fn sure_ids(record: &Value, margin: f64) -> Vec<u32> {
    let margins = numbers(&record["ref_greedy_margin"], Value::as_f64);
    let sure = margins.iter().take_while(|&&gap| gap >= margin).count();
    ids(&record["ref_greedy_ids"])[..sure].to_vec()
}

fn check(record: &Value, got: &Probe, tolerance: &Tolerance) -> Vec<String> {
    let mut wrong = Vec::new();
    let reference = record["ref_last_top20"].as_array().unwrap();
    // At the border of the twenty, near ties may come in another order; logits are compared by id.
    for pair in reference {
        let (id, logit) = (pair[0].as_u64().unwrap() as u32, pair[1].as_f64().unwrap());
        let found = got.top20.iter().find(|(other, _)| *other == id);
        let last = f64::from(got.top20.last().unwrap().1);
        match found {
            Some((_, other)) if (f64::from(*other) - logit).abs() <= tolerance.logit => {}
            None if logit - last <= tolerance.logit => {}
            _ => wrong.push(format!("logit of {id}: {logit} expected, {found:?} found")),
        }
    }
    let expected = record["ref_last_logsumexp"].as_f64().unwrap();
    if (got.logsumexp - expected).abs() > tolerance.logit {
        wrong.push(format!("logsumexp: {expected} expected, {} found", got.logsumexp));
    }
    let sure = sure_ids(record, tolerance.margin);
    if !got.greedy_ids.starts_with(&sure) {
        wrong.push(format!("greedy: {sure:?} expected, {:?} found", got.greedy_ids));
    }
    if sure.len() == record["ref_greedy_ids"].as_array().unwrap().len()
        && got.greedy_ids.len() != sure.len()
    {
        wrong.push(format!("greedy: {} ids expected, {} found", sure.len(), got.greedy_ids.len()));
    }
    wrong
}

fn check_record(folder: &Path, record: &Value) -> Vec<String> {
    let model = record["model"].as_str().unwrap();
    let path = folder.join(model);
    let tolerance = tolerance(model);
    let wrong = if let Some(text) = record["nll_text"].as_str() {
        let got = probe(&path, &[1], 0, Some(text)).unwrap().nll.unwrap();
        let expected = record["ref_mean_nll"].as_f64().unwrap();
        if (got - expected).abs() <= tolerance.nll {
            Vec::new()
        } else {
            vec![format!("nll: {expected} expected, {got} found")]
        }
    } else {
        let got = probe(&path, &ids(&record["prompt_ids"]), 48, None).unwrap();
        check(record, &got, &tolerance)
    };
    let what = record["prompt"].as_str().unwrap_or("nll");
    wrong.into_iter().map(|line| format!("{model}, {what:?}: {line}")).collect()
}

#[test]
fn every_golden_record_is_met() {
    let Some(folder) = test_data("every_golden_record_is_met", "models") else { return };
    let text = fs::read_to_string(folder.join("golden.jsonl")).unwrap();
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // llama2.c checkpoints are not among the formats the engine reads.
    let read = |record: &&Value| !record["model"].as_str().unwrap().ends_with(".bin");
    let records: Vec<&Value> = records.iter().filter(read).collect();
    assert_eq!(records.len(), 60);
    let wrong: Vec<String> =
        records.iter().flat_map(|record| check_record(&folder, record)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Keys and values of fewer bits move the logits by little.
#[test]
fn rounded_keys_and_values_stay_near_the_reference() {
    let test = "rounded_keys_and_values_stay_near_the_reference";
    let Some(folder) = test_data(test, "models") else { return };
    let text = fs::read_to_string(folder.join("golden.jsonl")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let plain = records.filter(|record| {
        record["model"].as_str().unwrap().ends_with("-f32.gguf") && record["nll_text"].is_null()
    });
    let mut checked = 0;
    for record in plain {
        let path = folder.join(record["model"].as_str().unwrap());
        for (kv, logit, margin) in [(KvFormat::F16, 0.02, 0.05), (KvFormat::Q8, 0.3, 0.5)] {
            let tolerance = Tolerance { logit, margin, nll: 0.0 };
            let got = probe_with(&path, &ids(&record["prompt_ids"]), 48, None, kv).unwrap();
            let wrong = check(&record, &got, &tolerance);
            assert!(wrong.is_empty(), "{kv:?}, {}: {wrong:?}", record["prompt"]);
            checked += 1;
        }
    }
    assert_eq!(checked, 20);
}

/// The folder, and the file in it, are the same model.
#[test]
fn a_folder_is_its_file() {
    let Some(folder) = test_data("a_folder_is_its_file", "models/stories656k") else { return };
    let by_file = probe(&folder.join("model.safetensors"), &[1, 80, 147], 8, None).unwrap();
    assert_eq!(probe(&folder, &[1, 80, 147], 8, None).unwrap(), by_file);
}

/// From text to text, through the engine as the rest of the program uses it.
#[test]
fn the_backend_tells_the_story_the_reference_tells() {
    let test = "the_backend_tells_the_story_the_reference_tells";
    let Some(folder) = test_data(test, "models/stories656k") else { return };
    for path in [folder.clone(), folder.join("gguf/stories656k-f32.gguf")] {
        let keep_on = &mut |_share: f32| ControlFlow::Continue(());
        let mut model = CandleBackend.load(&path, &LoadOptions::default(), keep_on).unwrap();
        let info = model.info().clone();
        assert_eq!(
            (info.context_tokens, info.vocabulary, info.weight_format.as_str()),
            (512, 2048, "F32")
        );
        let story = Prompt::Text("Once upon a time".into());
        let request = GenerateRequest { max_tokens: 48, ..GenerateRequest::new(story) };
        let mut ignore = |_event| ControlFlow::Continue(());
        let done = model.generate(&request, &mut ignore).unwrap();
        assert_eq!(done.usage.prompt_tokens, 6);
        let start = ", a little girl named Lily lived in a small house with her mom, dad, and her dog, Spot, \
                     Spot, loved to play all day. One day, Lily saw a small bird on the ground. She picked it up";
        assert!(done.text.starts_with(start), "{:?}", done.text);
        let ends = GenerateRequest {
            prompt: Prompt::Text("\"Can I play with you?\" asked Tom.".into()),
            ..request
        };
        let done = model.generate(&ends, &mut ignore).unwrap();
        assert_eq!(
            (done.stop, done.tokens.as_slice()),
            (StopReason::EndOfText, [208, 183, 209, 210].as_slice())
        );
    }
}
