//! Every family against llama.cpp and a float64 implementation: `tests/data/families/generate.py` makes the models and
//! says how the figures come about.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use hearth_engine_candle::{
    Checkpoint, CpuDecoder, Step, Wanted,
    models::{Decoder, KvCache, Route},
    tokenizer::{Special, Tokenizer},
};
use hearth_engine_kernels::{KvFormat, Sequence, Team};
use serde::Deserialize;

use crate::{data::test_data, tokenizer::metadata};

/// Logits reach from some -15 to 15. Weights and sums are F32 here.
const TOLERANCE: f32 = 2e-4;

#[derive(Deserialize)]
struct Record {
    case: String,
    /// What the context is limited to, if it is.
    context: Option<u32>,
    ids: Vec<u32>,
    /// Of every position.
    logits: Vec<Vec<f32>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/families")
}

fn records() -> Vec<Record> {
    let text = fs::read_to_string(folder().join("expected.jsonl")).unwrap();
    let records: Vec<Record> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 13);
    records
}

fn open(record: &Record, path: &Path) -> Checkpoint {
    let checkpoint = Checkpoint::open(path).unwrap();
    match record.context {
        Some(tokens) => checkpoint.with_context(tokens),
        None => checkpoint,
    }
}

fn decoder(record: &Record, path: &Path) -> Decoder {
    let checkpoint = open(record, path);
    checkpoint.decoder(&mut |_share| ControlFlow::Continue(())).unwrap()
}

/// The model of a case as GGUF and as a checkpoint's folder.
fn both_files(record: &Record) -> [PathBuf; 2] {
    [folder().join(format!("{}.gguf", record.case)), folder().join(&record.case)]
}

fn check(record: &Record, what: &str, first: usize, logits: &Tensor) {
    let rows: Vec<Vec<f32>> = logits.to_vec2().unwrap();
    for (position, row) in (first..).zip(&rows) {
        for (id, (got, expected)) in row.iter().zip(&record.logits[position]).enumerate() {
            assert!(
                (got - expected).abs() < TOLERANCE,
                "{} {what}: logit {id} at {position} is {got}, expected {expected}",
                record.case
            );
        }
    }
}

#[test]
fn logits_are_those_of_other_implementations() {
    for record in records() {
        for path in both_files(&record) {
            let decoder = decoder(&record, &path);
            let ids = Tensor::new(record.ids.as_slice(), &Device::Cpu).unwrap();
            let ids = ids.unsqueeze(0).unwrap();
            for route in [Route::Fused, Route::Differentiable] {
                let logits = decoder.forward_by(&ids, route).unwrap().squeeze(0).unwrap();
                assert_eq!(logits.dims(), [record.ids.len(), record.logits[0].len()]);
                check(&record, &format!("{} {route:?}", path.display()), 0, &logits);
            }
        }
    }
}

/// Sizes with borders before, at and behind the windows' ends.
fn pieces(record: &Record) -> Vec<usize> {
    let mut sizes = vec![3, 1, 1, 4, 1];
    sizes.push(record.ids.len() - 11);
    sizes.push(1);
    sizes
}

/// Piece by piece through a cache.
#[test]
fn pieces_of_a_prompt_come_to_the_same() {
    for record in records() {
        let [path, _] = both_files(&record);
        let decoder = decoder(&record, &path);
        let mut cache = KvCache::new(decoder.config(), record.ids.len()).unwrap();
        let mut done = 0;
        for size in pieces(&record) {
            let piece = &record.ids[done..done + size];
            let logits = decoder.forward_cached_all(piece, &mut cache).unwrap();
            check(&record, "cached", done, &logits);
            done += size;
        }
        assert_eq!(done, record.ids.len());
    }
}

/// A vocabulary as Gemma has it: no blank before a text, runs of blanks and tags as tokens of their own.
#[test]
fn a_vocabulary_like_gemmas_gives_the_ids_of_llama_cpp() {
    #[derive(Deserialize)]
    struct Line {
        text: String,
        special: bool,
        ids: Vec<u32>,
    }
    let tokenizer =
        Tokenizer::from_gguf(&metadata(&folder().join("gemma-vocabulary.gguf"))).unwrap();
    let lines = fs::read_to_string(folder().join("gemma-vocabulary.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 32);
    for line in lines.lines() {
        let Line { text, special, ids } = serde_json::from_str(line).unwrap();
        let kind = if special { Special::Parse } else { Special::Plain };
        assert_eq!(tokenizer.encode(&text, kind).unwrap(), ids, "{text:?} {kind:?}");
        if !special && !text.contains('▁') {
            assert_eq!(tokenizer.decode(&ids), text);
        }
    }
    assert!(tokenizer.add_bos());
    let end = tokenizer.token_to_id("<end_of_turn>").unwrap();
    assert_eq!(tokenizer.end_ids(), [tokenizer.eos().unwrap(), end]);
}

/// On the kernels, from either file, piece by piece.
#[test]
fn the_kernels_come_to_the_same() {
    for record in records() {
        for path in both_files(&record) {
            let checkpoint = open(&record, &path);
            let mut go_on = |_share: f32| ControlFlow::Continue(());
            let team = Team::new(2).unwrap();
            let mut decoder =
                CpuDecoder::load(&checkpoint, team, KvFormat::F32, &mut go_on).unwrap();
            let mut sequence = Sequence::new(decoder.kv_layout());
            let (mut done, mut logits) = (0, Vec::new());
            for size in pieces(&record) {
                let ids = &record.ids[done..done + size];
                let mut steps =
                    [Step { sequence: &mut sequence, ids, logits: Wanted::All, adapters: &[] }];
                decoder.step(&mut steps, &mut logits).unwrap();
                let shape = (size, record.logits[0].len());
                let rows = Tensor::from_slice(&logits, shape, &Device::Cpu).unwrap();
                check(&record, &format!("{} on kernels", path.display()), done, &rows);
                done += size;
            }
            assert_eq!(done, record.ids.len());
        }
    }
}

/// Ids that llama.cpp gives where it parses special tokens.
#[test]
fn marks_of_phi_3_swallow_the_blanks_behind_them() {
    let test = "marks_of_phi_3_swallow_the_blanks_behind_them";
    let Some(folder) = test_data(test, "tokenizers") else { return };
    let vocabulary = metadata(&folder.join("ggml-vocab-phi-3.gguf"));
    let tokenizer = Tokenizer::from_gguf(&vocabulary).unwrap();
    for (text, ids) in [
        ("<|user|>\nHello<|end|>\n<|assistant|>\n", &[32010, 15043, 32007, 32001][..]),
        (
            "<s><|system|>\nBe brief.<|end|>\n<|user|>  Hi  <|end|>\n<|assistant|>\n x</s> y",
            &[1, 32006, 1522, 11473, 29889, 32007, 32010, 6324, 259, 32007, 32001, 921, 2, 343],
        ),
        ("<unk> z<|endoftext|> w", &[0, 29871, 503, 32000, 29871, 281]),
        ("<s> a", &[1, 29871, 263]),
    ] {
        assert_eq!(tokenizer.encode(text, Special::Parse).unwrap(), ids, "{text:?}");
    }
    let end = tokenizer.token_to_id("<|end|>").unwrap();
    assert!(tokenizer.end_ids().contains(&end));
}
