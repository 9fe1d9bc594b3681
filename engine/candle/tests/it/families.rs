//! Every family against llama.cpp and a float64 implementation: `tests/data/families/generate.py` makes the models and
//! says how the figures come about.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use hearth_engine_candle::{
    Checkpoint,
    models::{Decoder, KvCache, Route},
};
use serde::Deserialize;

/// Logits reach from some -15 to 15. Weights and sums are F32 here.
const TOLERANCE: f32 = 2e-4;

#[derive(Deserialize)]
struct Record {
    case: String,
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
    assert_eq!(records.len(), 12);
    records
}

fn decoder(path: &Path) -> Decoder {
    let checkpoint = Checkpoint::open(path).unwrap();
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
            let decoder = decoder(&path);
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

/// Piece by piece through a cache, with borders before, at and behind the windows' ends.
#[test]
fn pieces_of_a_prompt_come_to_the_same() {
    for record in records() {
        let [path, _] = both_files(&record);
        let decoder = decoder(&path);
        let mut cache = KvCache::new(decoder.config(), record.ids.len()).unwrap();
        let mut done = 0;
        for size in [3, 1, 1, 4, 1, 7, 1, 1, 1] {
            let piece = &record.ids[done..done + size];
            let logits = decoder.forward_cached_all(piece, &mut cache).unwrap();
            check(&record, "cached", done, &logits);
            done += size;
        }
        assert_eq!(done, record.ids.len());
    }
}
