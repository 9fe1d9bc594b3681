use std::{collections::BTreeSet, path::Path};

use candle_core::quantized::{GgmlDType, QTensor};
use hearth_engine_api::LoraSettings;
use hearth_engine_candle::models::{Architecture, LocalLayers};

use super::*;
use crate::CpuLearner;

mod bases;

use bases::{gguf, tensors};

const VOCAB: usize = 48;

fn families() -> [DecoderConfig; 5] {
    let of = |architecture| DecoderConfig {
        layers: 2,
        kv_heads: 2,
        tied_embeddings: false,
        ..DecoderConfig::family(architecture, VOCAB, 32, 4, 48, 64)
    };
    [
        of(Architecture::Llama),
        of(Architecture::Qwen2),
        DecoderConfig { head_dim: 16, tied_embeddings: true, ..of(Architecture::Qwen3) },
        DecoderConfig { sliding_window: Some(3), ..of(Architecture::Phi3) },
        DecoderConfig {
            sliding_window: Some(3),
            local_layers: LocalLayers::AllButEvery(2),
            attention_softcap: Some(20.0),
            final_softcap: Some(10.0),
            tied_embeddings: true,
            ..of(Architecture::Gemma2)
        },
    ]
}

fn settings() -> LoraSettings {
    LoraSettings {
        rank: 3,
        alpha: 6.0,
        rslora: false,
        dropout: 0.0,
        targets: BTreeSet::from(Target::ALL),
    }
}

/// An adapter with numbers in B too.
fn adapter(config: &DecoderConfig) -> Adapter {
    let mut adapter = Adapter::zeros(config, &settings()).unwrap().random_a(5);
    for (layer, target, pair) in adapter.pairs_mut() {
        for (i, b) in pair.b.iter_mut().enumerate() {
            *b = ((i * 7 + layer * 3 + target as usize) as f32).sin() * 0.2;
        }
    }
    adapter
}

/// Three samples, the middle one of a single token.
fn batch() -> Batch {
    let ids: Vec<u32> = (0..14u32).map(|i| (i * i + 5) % VOCAB as u32).collect();
    let mut targets = ids[1..].to_vec();
    targets.push(3);
    let weights = vec![0.0, 1.0, 1.0, 0.5, 1.0, 0.0, 2.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.25, 0.0];
    Batch { ids, samples: vec![0..6, 6..7, 7..14], targets, weights }
}

fn load(path: &Path) -> CandleLearner {
    let checkpoint = Checkpoint::open(path).unwrap();
    let adapter = adapter(checkpoint.config());
    CandleLearner::load(&checkpoint, adapter, &Device::Cpu).unwrap()
}

fn breathe() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn gradients(learner: &mut CandleLearner, dropout: Option<Dropout>) -> (f64, Adapter) {
    let mut gradients = learner.adapter().zeros_like();
    let sum = learner.backward(&batch(), dropout, &mut gradients, &mut breathe).unwrap();
    (sum, gradients)
}

/// Moving each matrix of the adapter along its gradient changes the loss as the gradient says.
fn check_slopes(name: &str, learner: &mut CandleLearner, dropout: Option<Dropout>) {
    let (_, slopes) = gradients(learner, dropout);
    let start = learner.adapter().clone();
    for (place, slope) in slopes.parameters().enumerate() {
        let length = slope.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        assert!(length > 1e-4, "{name}: matrix {place} has a gradient of {length}");
        let mut loss_at = |distance: f64| {
            *learner.adapter_mut() = start.clone();
            let numbers = learner.adapter_mut().parameters_mut().nth(place).unwrap();
            for (number, slope) in numbers.iter_mut().zip(slope) {
                *number += (distance * f64::from(*slope) / length) as f32;
            }
            gradients(learner, dropout).0
        };
        // Far enough for 32-bit losses to differ, near enough for the curve to be straight.
        let distance = (0.05 / length).min(0.02);
        let measured = (loss_at(distance) - loss_at(-distance)) / (2.0 * distance);
        let gap = (measured - length).abs() / length.max(0.05);
        assert!(gap < 0.02, "{name}: matrix {place}: {measured} where {length} was reckoned");
    }
    *learner.adapter_mut() = start;
}

#[test]
fn gradients_are_slopes_in_every_family() {
    for config in families() {
        let folder = tempfile::tempdir().unwrap();
        tensors(&config, folder.path());
        let mut learner = load(folder.path());
        check_slopes(&config.architecture.to_string(), &mut learner, None);
    }
}

#[test]
fn gradients_pass_through_quantised_matrices() {
    for format in [GgmlDType::Q8_0, GgmlDType::Q4_0, GgmlDType::Q4K, GgmlDType::Q6K] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.gguf");
        let config = DecoderConfig {
            layers: 1,
            kv_heads: 2,
            ..DecoderConfig::llama(VOCAB, 256, 4, 256, 64)
        };
        gguf(&config, format, &path);
        let mut learner = load(&path);
        check_slopes(&format!("{format:?}"), &mut learner, None);
    }
}

#[test]
fn dropout_is_part_of_the_function() {
    let folder = tempfile::tempdir().unwrap();
    let [llama, ..] = families();
    tensors(&llama, folder.path());
    let mut learner = load(folder.path());
    let dropout = Some(Dropout { share: 0.3, seed: 9 });
    check_slopes("dropout", &mut learner, dropout);
    let (without, with) = (gradients(&mut learner, None).0, gradients(&mut learner, dropout).0);
    assert!((without - with).abs() > 1e-3);
}

#[test]
fn computing_again_changes_no_bit_and_samples_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let [llama, ..] = families();
    tensors(&llama, folder.path());
    let mut learner = load(folder.path());
    let kept = gradients(&mut learner, None);
    learner.set_recompute(true);
    assert_eq!(gradients(&mut learner, None), kept);

    let whole = batch();
    let losses = learner.losses(&whole, 1.0, &mut breathe).unwrap();
    assert_eq!(losses.len(), whole.learnt());
    let weights = whole.weights.iter().filter(|weight| **weight > 0.0);
    let sum: f64 = losses.iter().zip(weights).map(|(loss, weight)| f64::from(loss * weight)).sum();
    assert!((sum - kept.0).abs() < 1e-4, "{sum} {}", kept.0);
    // A sample's losses are the same alone.
    let alone = Batch {
        ids: whole.ids[7..].to_vec(),
        samples: std::iter::once(0..7).collect(),
        targets: whole.targets[7..].to_vec(),
        weights: whole.weights[7..].to_vec(),
    };
    let alone = learner.losses(&alone, 1.0, &mut breathe).unwrap();
    assert_eq!(alone, losses[losses.len() - alone.len()..]);
}

#[test]
fn at_no_strength_the_base_alone_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let [llama, ..] = families();
    tensors(&llama, folder.path());
    let mut learner = load(folder.path());
    let off = learner.losses(&batch(), 0.0, &mut breathe).unwrap();
    let on = learner.losses(&batch(), 1.0, &mut breathe).unwrap();
    *learner.adapter_mut() = learner.adapter().zeros_like();
    assert_eq!(learner.losses(&batch(), 1.0, &mut breathe).unwrap(), off);
    assert_ne!(on, off);
}

#[test]
fn whoever_breaks_off_is_heeded() {
    let folder = tempfile::tempdir().unwrap();
    let [llama, ..] = families();
    tensors(&llama, folder.path());
    let mut learner = load(folder.path());
    let mut asked = 0;
    let mut stop = || {
        asked += 1;
        if asked == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut gradients = learner.adapter().zeros_like();
    let result = learner.backward(&batch(), None, &mut gradients, &mut stop);
    assert!(matches!(result, Err(TuneError::Cancelled)));
    assert_eq!(asked, 3);
}

#[test]
fn adapters_of_other_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [llama, ..] = families();
    tensors(&llama, folder.path());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    for other in
        [DecoderConfig { layers: 3, ..llama.clone() }, DecoderConfig { ffn: 64, ..llama.clone() }]
    {
        let adapter = Adapter::zeros(&other, &settings()).unwrap();
        let refused = CandleLearner::load(&checkpoint, adapter, &Device::Cpu);
        assert!(matches!(refused, Err(TuneError::Adapter(AdapterError::OtherModel { .. }))));
    }
}

/// Two implementations that share nothing but the weights.
#[test]
fn the_processors_own_passes_come_to_the_same() {
    for config in families() {
        let folder = tempfile::tempdir().unwrap();
        tensors(&config, folder.path());
        agree(&config.architecture.to_string(), folder.path(), None);
        agree("dropout", folder.path(), Some(Dropout { share: 0.3, seed: 9 }));
    }
    let config = DecoderConfig { kv_heads: 2, ..DecoderConfig::llama(VOCAB, 256, 4, 256, 64) };
    for format in [GgmlDType::Q8_0, GgmlDType::Q4K, GgmlDType::Q6K, GgmlDType::F16] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base.gguf");
        gguf(&config, format, &path);
        agree(&format!("{format:?}"), &path, None);
    }
}

fn agree(name: &str, path: &Path, dropout: Option<Dropout>) {
    let mut ours = load(path);
    let checkpoint = Checkpoint::open(path).unwrap();
    let team = hearth_engine_kernels::Team::new(2).unwrap();
    let precision = hearth_engine_api::Precision::F32;
    let adapter = ours.adapter().clone();
    let mut theirs = CpuLearner::load(&checkpoint, adapter, precision, false, team).unwrap();
    let one = ours.losses(&batch(), 0.5, &mut breathe).unwrap();
    let other = theirs.losses(&batch(), 0.5, &mut breathe).unwrap();
    close(&other, &one, &format!("{name}: losses"));
    let (sum, slopes) = gradients(&mut ours, dropout);
    let mut other = slopes.zeros_like();
    let other_sum = theirs.backward(&batch(), dropout, &mut other, &mut breathe).unwrap();
    assert!((sum - other_sum).abs() < 1e-4 * sum.max(1.0), "{name}: {sum} {other_sum}");
    for (place, (one, other)) in slopes.parameters().zip(other.parameters()).enumerate() {
        close(other, one, &format!("{name}: gradient {place}"));
    }
}

/// The product alone, in 64-bit floats, where differences show more digits.
#[test]
fn a_frozen_product_has_the_slope_it_says() {
    let number = |i: usize| (i as f64 * 1.7).sin();
    let of = |count: usize, shape: (usize, usize)| {
        Tensor::from_vec((0..count).map(number).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
    };
    let weight = of(35, (5, 7));
    let frozen = Frozen::Dense(weight.clone());
    let x = Var::from_tensor(&of(21, (3, 7))).unwrap();
    let upstream = of(15, (3, 5));
    let y = frozen.product(&x).unwrap();
    let gap = |a: &Tensor, b: &Tensor| {
        let gap = (a - b).unwrap().abs().unwrap().max_all().unwrap();
        gap.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap()
    };
    assert!(gap(&y, &x.matmul(&weight.t().unwrap()).unwrap()) < 1e-12);
    let store = (y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();
    let slope = store.get(&x).unwrap().clone();
    let along = of(21, (3, 7));
    let value = |distance: f64| {
        let moved = (x.as_tensor() + (&along * distance).unwrap()).unwrap();
        let value = (frozen.product(&moved).unwrap() * &upstream).unwrap().sum_all().unwrap();
        value.to_scalar::<f64>().unwrap()
    };
    let measured = (value(1e-3) - value(-1e-3)) / 2e-3;
    let expected = (slope * along).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
    assert!((measured - expected).abs() < 1e-9, "{measured} {expected}");
}

#[test]
fn a_quantised_product_is_that_of_what_its_blocks_stand_for() {
    let values: Vec<f32> = (0..4 * 256).map(|i| (i as f32 * 0.37).sin()).collect();
    let dense = Tensor::from_vec(values, (4, 256), &Device::Cpu).unwrap();
    let x = (0..2 * 256).map(|i| (i as f32 * 0.11).cos()).collect::<Vec<_>>();
    let x = Var::from_vec(x, (2, 256), &Device::Cpu).unwrap();
    for format in [GgmlDType::Q8_0, GgmlDType::Q4K, GgmlDType::Q6K] {
        let blocks = QTensor::quantize(&dense, format).unwrap();
        let plain = blocks.dequantize(&Device::Cpu).unwrap();
        let one = Frozen::Quantised(Arc::new(blocks));
        let other = Frozen::Dense(plain);
        let both = [one, other].map(|frozen| {
            let y = frozen.product(&x).unwrap();
            let store = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let slope = store.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), slope)
        });
        assert_eq!(both[0], both[1], "{format:?}");
    }
}

/// Against losses and gradients of real `peft`; `make.py` beside the files tells how they came about.
#[test]
fn losses_and_gradients_are_those_of_peft() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../candle/tests/data/peft");
    for (base, name) in [("llama", "llama-all"), ("llama", "llama-patterns"), ("phi3", "phi3-all")]
    {
        let text = std::fs::read_to_string(data.join(name).join("expected.json")).unwrap();
        let expected: Expected = serde_json::from_str(&text).unwrap();
        let checkpoint = Checkpoint::open(&data.join(base)).unwrap();
        let file = hearth_engine_candle::lora::read_peft(&data.join(name)).unwrap();
        let adapter = Adapter::from_peft(&file, checkpoint.config()).unwrap();
        let mut learner = CandleLearner::load(&checkpoint, adapter, &Device::Cpu).unwrap();
        let mut targets = expected.ids[1..].to_vec();
        targets.push(0);
        let mut weights = vec![1.0; targets.len() - 1];
        weights.push(0.0);
        let count = targets.len();
        let samples = std::iter::once(0..count).collect();
        let batch = Batch { ids: expected.ids, samples, targets, weights };
        let losses = learner.losses(&batch, 1.0, &mut breathe).unwrap();
        close(&losses, &expected.losses, name);
        let mut gradients = learner.adapter().zeros_like();
        let sum = learner.backward(&batch, None, &mut gradients, &mut breathe).unwrap();
        assert!((sum - losses.iter().map(|loss| f64::from(*loss)).sum::<f64>()).abs() < 1e-4);
        if name == "llama-patterns" {
            // Its ranks are evened out, so its matrices are not those of the file.
            continue;
        }
        for (key, expected) in &expected.gradients {
            let layer = usize::from(key.contains("layers.1."));
            let of = |target: Target| gradients.pair(layer, target).unwrap();
            let got: Vec<f32> = match (key.contains("down_proj"), key.contains("qkv_proj")) {
                (true, _) => side(key, of(Target::Down)).to_vec(),
                (_, false) => side(key, of(Target::Q)).to_vec(),
                // The parts of a joined projection share A, and have their own rows of B.
                (_, true) => {
                    let parts = [Target::Q, Target::K, Target::V].map(|part| side(key, of(part)));
                    match key.contains("lora_A") {
                        true => (0..parts[0].len())
                            .map(|i| parts.iter().map(|part| part[i]).sum())
                            .collect(),
                        false => parts.concat(),
                    }
                }
            };
            close(&got, expected, &format!("{name}: {key}"));
        }
    }
}

#[derive(serde::Deserialize)]
struct Expected {
    ids: Vec<u32>,
    losses: Vec<f32>,
    gradients: BTreeMap<String, Vec<f32>>,
}

fn side<'a>(key: &str, pair: &'a hearth_engine_candle::lora::Pair) -> &'a [f32] {
    if key.contains("lora_A") { &pair.a } else { &pair.b }
}

fn close(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let gap = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap < 5e-5 * largest.max(1.0), "{what}: off by {gap} of {largest}");
}
