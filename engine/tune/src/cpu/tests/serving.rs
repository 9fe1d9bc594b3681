//! Against the decoder that serves.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use hearth_engine_api::{LoraSettings, Precision, Target};
use hearth_engine_candle::{Checkpoint, CpuDecoder, Step, Wanted, lora::Adapter};
use hearth_engine_kernels::{KvFormat, Sequence, Team};

use super::{
    go_on, merge,
    toy::{Toy, batch, families, numbers},
};
use crate::{Batch, CpuLearner, Learner};

/// `-ln p` of each learnt position, by the decoder that serves.
fn served(path: &Path, batch: &Batch) -> Vec<f32> {
    let checkpoint = Checkpoint::open(path).unwrap();
    let progress = &mut |_share: f32| ControlFlow::Continue(());
    let team = Team::new(2).unwrap();
    let mut decoder = CpuDecoder::load(&checkpoint, team, KvFormat::F32, progress).unwrap();
    let vocab = decoder.config().vocab;
    let (mut all, mut logits) = (Vec::new(), Vec::new());
    for sample in &batch.samples {
        let mut sequence = Sequence::new(decoder.kv_layout());
        let ids = &batch.ids[sample.clone()];
        let step = Step { sequence: &mut sequence, ids, logits: Wanted::All, adapters: &[] };
        decoder.step(&mut [step], &mut logits).unwrap();
        for (row, at) in logits.chunks_exact(vocab).zip(sample.clone()) {
            if batch.weights[at] > 0.0 {
                let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                all.push((sum.ln() - f64::from(row[batch.targets[at] as usize])) as f32);
            }
        }
    }
    all
}

fn check(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < tolerance, "{what}, {i}: {found} {expected}");
    }
}

#[test]
fn losses_are_those_of_serving_and_an_adapters_those_of_merging() {
    let batch = batch(21, &[20, 33, 2]);
    for config in families() {
        let toy = Toy::new(config);
        let name = toy.config.architecture.to_string();
        let adapter = toy.adapter(&Target::ALL);
        let mut learner = toy.learner(adapter.clone());
        let base = learner.losses(&batch, 0.0, &mut go_on).unwrap();
        check(&base, &served(toy.path(), &batch), 2e-4, &name);
        let adapted = learner.losses(&batch, 0.7, &mut go_on).unwrap();
        let mut weights = toy.weights.clone();
        merge(&toy.config, &mut weights, &adapter, 0.7);
        let merged = Toy::with(toy.config.clone(), weights);
        check(&adapted, &served(merged.path(), &batch), 1e-3, &name);
        assert!(base.iter().zip(&adapted).any(|(a, b)| (a - b).abs() > 0.01), "{name}");
        // Switched off, it is as if it were not there, bit for bit.
        let without = merged_nowhere(&toy, &adapter, &batch);
        assert!(base.iter().zip(&without).all(|(a, b)| a.to_bits() == b.to_bits()), "{name}");
    }
}

/// Losses beside an adapter of zeros.
fn merged_nowhere(toy: &Toy, adapter: &Adapter, batch: &Batch) -> Vec<f32> {
    toy.learner(adapter.zeros_like()).losses(batch, 0.0, &mut go_on).unwrap()
}

#[test]
fn a_real_model_has_the_losses_of_serving() {
    for file in ["model.safetensors", "gguf/stories656k-f16.gguf"] {
        let part = format!("models/stories656k/{file}");
        let Some(path) = test_data("a_real_model_has_the_losses_of_serving", &part) else { return };
        let checkpoint = Checkpoint::open(&path).unwrap();
        let settings = LoraSettings {
            rank: 4,
            alpha: 8.0,
            rslora: true,
            dropout: 0.0,
            targets: Target::ALL.into(),
        };
        let adapter = Adapter::zeros(checkpoint.config(), &settings).unwrap().random_a(3);
        let vocab = checkpoint.config().vocab;
        let ids: Vec<u32> = numbers(5, 121)
            .iter()
            .map(|x| ((x + 1.0) / 2.0 * vocab as f32) as u32 % vocab as u32)
            .collect();
        let batch = Batch {
            ids: ids[..120].to_vec(),
            samples: vec![0..50, 50..120],
            targets: ids[1..].to_vec(),
            weights: vec![1.0; 120],
        };
        let team = Team::new(2).unwrap();
        let mut learner =
            CpuLearner::load(&checkpoint, adapter, Precision::F32, false, team).unwrap();
        let expected = served(&path, &batch);
        // B is zero yet, so the adapter changes nothing at any strength.
        for strength in [0.0, 1.0] {
            let found = learner.losses(&batch, strength, &mut go_on).unwrap();
            check(&found, &expected, 2e-3, file);
        }
    }
}

/// The data folder's `part`; says that `test` is skipped where it is absent.
fn test_data(test: &str, part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HEARTH_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(part);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED {test}: no test data at {}", path.display());
    None
}
