//! Requests with adapters: against weights they were added into, and bit by bit against themselves.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path, sync::Arc};

use candle_core::{DType, Device, Tensor, quantized::GgmlDType};
use hearth_engine_api::{AdapterSlot, EngineError, LoraSettings, Target};
use hearth_engine_candle::{
    Applied, Checkpoint, CpuDecoder, Step, Wanted, lora::Adapter, models::DecoderConfig,
};
use hearth_engine_kernels::{KvFormat, Sequence, Team};

use crate::toy::{Toy, VOCAB, config, families};

mod served;

pub(crate) fn settings(rank: u32, targets: &[Target]) -> LoraSettings {
    LoraSettings {
        rank,
        alpha: 8.0,
        rslora: rank == 8,
        dropout: 0.0,
        targets: BTreeSet::from_iter(targets.iter().copied()),
    }
}

/// An adapter whose two sides are far from zero.
pub(crate) fn made_up(config: &DecoderConfig, settings: &LoraSettings, seed: u64) -> Adapter {
    let mut adapter = Adapter::zeros(config, settings).unwrap().random_a(seed);
    let mut state = seed;
    for (_, _, pair) in adapter.pairs_mut() {
        for b in &mut pair.b {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *b = 0.1 * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0);
        }
    }
    adapter
}

/// The toy with adapters added into its matrices, in Hugging Face's order of rows.
fn merged(toy: &Toy, adapters: &[(&Adapter, f32)]) -> Toy {
    let mut toy = toy.clone();
    for (adapter, strength) in adapters {
        for (layer, target, pair) in adapter.pairs() {
            let tensor = |data: &[f32], rows, columns| {
                Tensor::from_slice(data, (rows, columns), &Device::Cpu).unwrap()
            };
            let a = tensor(&pair.a, pair.rank(), pair.inputs());
            let b = tensor(&pair.b, pair.outputs(), pair.rank());
            let factor = f64::from(strength * adapter.scale());
            let more = (b.matmul(&a).unwrap() * factor).unwrap();
            add_rows(&mut toy, layer, target, &more);
        }
    }
    toy
}

/// Adds to a target's rows, which may be part of a joined matrix.
fn add_rows(toy: &mut Toy, layer: usize, target: Target, more: &Tensor) {
    let &DecoderConfig { heads, kv_heads, head_dim, ffn, joined_projections, .. } = &toy.config;
    let (wide, narrow) = (heads * head_dim, kv_heads * head_dim);
    let (name, first) = match (target, joined_projections) {
        (Target::Q, true) => ("self_attn.qkv_proj", 0),
        (Target::K, true) => ("self_attn.qkv_proj", wide),
        (Target::V, true) => ("self_attn.qkv_proj", wide + narrow),
        (Target::Gate, true) => ("mlp.gate_up_proj", 0),
        (Target::Up, true) => ("mlp.gate_up_proj", ffn),
        (Target::Q, false) => ("self_attn.q_proj", 0),
        (Target::K, false) => ("self_attn.k_proj", 0),
        (Target::V, false) => ("self_attn.v_proj", 0),
        (Target::O, _) => ("self_attn.o_proj", 0),
        (Target::Gate, false) => ("mlp.gate_proj", 0),
        (Target::Up, false) => ("mlp.up_proj", 0),
        (Target::Down, _) => ("mlp.down_proj", 0),
    };
    let weight = toy.weights.get_mut(&format!("model.layers.{layer}.{name}.weight")).unwrap();
    let rows = weight.dim(0).unwrap();
    let (behind, here) = (rows - first - more.dim(0).unwrap(), more);
    let more = here.pad_with_zeros(0, first, behind).unwrap();
    *weight = (&*weight + more).unwrap();
}

fn load(path: &Path, kv: KvFormat, threads: usize) -> CpuDecoder {
    let checkpoint = Checkpoint::open(path).unwrap();
    let go_on = &mut |_share: f32| ControlFlow::Continue(());
    CpuDecoder::load(&checkpoint, Team::new(threads).unwrap(), kv, go_on).unwrap()
}

fn ids(seed: u32, count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i * i * 31 + i * 7 + seed * 57 + 3) % VOCAB as u32).collect()
}

/// Logits of each of `ids`, read in pieces of these sizes.
fn read(decoder: &mut CpuDecoder, adapters: &[Applied], ids: &[u32], sizes: &[usize]) -> Vec<f32> {
    let mut sequence = Sequence::new(decoder.kv_layout());
    let (mut all, mut logits, mut rest) = (Vec::new(), Vec::new(), ids);
    for &size in sizes {
        let (ids, later) = rest.split_at(size);
        let sequence = &mut sequence;
        let mut steps = [Step { sequence, ids, logits: Wanted::All, adapters }];
        decoder.step(&mut steps, &mut logits).unwrap();
        all.extend_from_slice(&logits);
        rest = later;
    }
    assert!(rest.is_empty());
    all
}

fn applied(decoder: &CpuDecoder, slot: u64, adapter: &Adapter, strength: f32) -> Applied {
    let adapter = Arc::new(decoder.adapter(AdapterSlot(slot), adapter).unwrap());
    Applied { adapter, strength }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn base_and_adapters_are_as_weights_they_are_added_into() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ids(1, 45);
    for config in families() {
        let toy = Toy::new(config);
        let name = toy.config.architecture.to_string();
        let path = toy.write_folder(&folder.path().join(&name), DType::F32);
        let mut decoder = load(&path, KvFormat::F32, 2);
        let base = read(&mut decoder, &[], &ids, &[45]);
        let one = made_up(decoder.config(), &settings(4, &Target::ALL), 3);
        let few = [Target::Q, Target::V, Target::Down];
        let two = made_up(decoder.config(), &settings(8, &few), 4);
        for (first, second) in [(0.5, 0.0), (1.0, 0.0), (-1.0, 0.5), (1.0, 1.0)] {
            let merged = merged(&toy, &[(&one, first), (&two, second)]);
            let path = merged.write_folder(&folder.path().join("merged"), DType::F32);
            let expected = read(&mut load(&path, KvFormat::F32, 2), &[], &ids, &[45]);
            let adapters = [applied(&decoder, 7, &one, first), applied(&decoder, 2, &two, second)];
            let found = read(&mut decoder, &adapters, &ids, &[45]);
            let difference = gap(&expected, &found);
            assert!(difference < 2e-4, "{name}, {first} and {second}: {difference}");
            assert!(gap(&base, &found) > 0.1, "{name}: it changes next to nothing");
        }
    }
}

#[test]
fn a_gguf_with_its_rows_in_another_order_gets_the_same_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ids(2, 40);
    for config in families() {
        let toy = Toy::new(config);
        let name = toy.config.architecture.to_string();
        let tensors = toy.write_folder(&folder.path().join(&name), DType::F32);
        let gguf = folder.path().join(format!("{name}.gguf"));
        toy.write_gguf(&gguf, GgmlDType::F32, &[]);
        let of_tensors = Checkpoint::open(&tensors).unwrap();
        let adapter = made_up(of_tensors.config(), &settings(4, &Target::ALL), 5);
        let file = adapter.to_peft("toy", None).unwrap();
        let [a, b] = [tensors, gguf].map(|path| {
            let mut decoder = load(&path, KvFormat::F32, 2);
            let adapter = Adapter::from_peft(&file, decoder.config()).unwrap();
            let adapters = [applied(&decoder, 1, &adapter, 1.0)];
            read(&mut decoder, &adapters, &ids, &[40])
        });
        assert!(gap(&a, &b) < 2e-4, "{name}: {}", gap(&a, &b));
    }
}

/// Shapes whose rows are whole blocks of every quantised format.
fn wide() -> DecoderConfig {
    DecoderConfig { hidden: 256, ffn: 512, head_dim: 64, context_tokens: 1024, ..config() }
}

const FORMATS: [(GgmlDType, KvFormat); 4] = [
    (GgmlDType::F32, KvFormat::F32),
    (GgmlDType::F16, KvFormat::F16),
    (GgmlDType::Q8_0, KvFormat::Q8),
    (GgmlDType::Q4K, KvFormat::F16),
];

#[test]
fn an_adapter_that_adds_nothing_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ids(3, 80);
    for (dtype, kv) in FORMATS {
        let path = folder.path().join(format!("{dtype:?}.gguf"));
        Toy::new(wide()).write_gguf(&path, dtype, &[]);
        let mut decoder = load(&path, kv, 2);
        let base = bits(&read(&mut decoder, &[], &ids, &[80]));
        let untrained =
            Adapter::zeros(decoder.config(), &settings(16, &Target::ALL)).unwrap().random_a(1);
        let trained = made_up(decoder.config(), &settings(4, &Target::ALL), 2);
        let nothing = applied(&decoder, 1, &untrained, 1.0);
        let off = applied(&decoder, 2, &trained, 0.0);
        for adapters in [vec![nothing.clone()], vec![off.clone()], vec![nothing, off]] {
            assert_eq!(bits(&read(&mut decoder, &adapters, &ids, &[50, 1, 29])), base, "{dtype:?}");
        }
        // And taking one off again leaves nothing behind.
        let adapters = [applied(&decoder, 3, &trained, 1.0)];
        assert_ne!(bits(&read(&mut decoder, &adapters, &ids, &[80])), base);
        assert_eq!(bits(&read(&mut decoder, &[], &ids, &[80])), base);
    }
}

#[test]
fn bits_depend_on_no_other_sequence_no_cut_and_no_thread() {
    let folder = tempfile::tempdir().unwrap();
    for (dtype, kv) in FORMATS {
        let path = folder.path().join(format!("{dtype:?}.gguf"));
        Toy::new(wide()).write_gguf(&path, dtype, &[]);
        let mut alone: Option<Vec<Vec<u32>>> = None;
        for threads in [1, 3] {
            let mut decoder = load(&path, kv, threads);
            let made = [
                made_up(decoder.config(), &settings(16, &Target::ALL), 1),
                made_up(decoder.config(), &settings(5, &[Target::K, Target::O, Target::Up]), 2),
            ];
            let [one, two] =
                [applied(&decoder, 4, &made[0], 1.0), applied(&decoder, 1, &made[1], 0.5)];
            let weaker = Applied { strength: 0.25, ..one.clone() };
            let sets: [Vec<Applied>; 6] = [
                vec![],
                vec![one.clone()],
                vec![two.clone(), one.clone()],
                vec![one, two.clone()],
                vec![weaker],
                vec![two],
            ];
            let prompts: Vec<Vec<u32>> =
                (0..6).map(|n| ids(n, if n == 3 { 37 } else { 20 + 7 * n as usize })).collect();
            let prompts = [&prompts[..2], &[prompts[3].clone()], &prompts[3..]].concat();
            let each: Vec<Vec<u32>> = prompts
                .iter()
                .zip(&sets)
                .map(|(ids, set)| bits(&read(&mut decoder, set, ids, &[ids.len()])))
                .collect();
            assert_eq!(*alone.get_or_insert_with(|| each.clone()), each, "{dtype:?}");
            // Adapters are added in one order, however they are named.
            assert_eq!(each[2], each[3]);
            for (ids, (set, expected)) in prompts.iter().zip(sets.iter().zip(&each)) {
                let sizes = [1, 16, ids.len() - 18, 1];
                assert_eq!(bits(&read(&mut decoder, set, ids, &sizes)), *expected, "{dtype:?}");
            }
            together(&mut decoder, &prompts, &sets, &each);
        }
    }
}

/// Reads all prompts side by side, each in pieces of its own, and compares the logits that come.
fn together(
    decoder: &mut CpuDecoder,
    prompts: &[Vec<u32>],
    sets: &[Vec<Applied>],
    expected: &[Vec<u32>],
) {
    let mut sequences: Vec<Sequence> =
        prompts.iter().map(|_| Sequence::new(decoder.kv_layout())).collect();
    let (mut round, mut logits) = (0, Vec::new());
    while sequences.iter().zip(prompts).any(|(sequence, ids)| sequence.tokens() < ids.len()) {
        let mut steps = Vec::new();
        let mut rows = Vec::new();
        for (n, ((sequence, ids), set)) in sequences.iter_mut().zip(prompts).zip(sets).enumerate() {
            let held = sequence.tokens();
            let end = ids.len().min(held + 1 + (n + 3 * round) % 14);
            let logits = [Wanted::None, Wanted::Last, Wanted::All][(n + round) % 3];
            if held < end {
                rows.push((n, end - logits.rows(end - held)..end));
                steps.push(Step { sequence, ids: &ids[held..end], logits, adapters: set });
            }
        }
        decoder.step(&mut steps, &mut logits).unwrap();
        let mut found = logits.chunks(VOCAB);
        for (n, at) in rows {
            for position in at {
                let expected = &expected[n][position * VOCAB..(position + 1) * VOCAB];
                assert_eq!(bits(found.next().unwrap()), expected, "sequence {n} at {position}");
            }
        }
        assert!(found.next().is_none());
        round += 1;
    }
}

#[test]
fn an_adapter_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [small, large] = [config(), wide()].map(|config| {
        let path = folder.path().join(config.hidden.to_string());
        load(&Toy::new(config).write_folder(&path, DType::F32), KvFormat::F32, 1)
    });
    let adapter = made_up(small.config(), &settings(4, &[Target::Q]), 1);
    let refused = large.adapter(AdapterSlot(1), &adapter).unwrap_err().to_string();
    assert!(refused.contains("q_proj of layer 0 is 32 x 32"), "{refused}");
    let adapters = [applied(&small, 1, &adapter, 1.0)];
    let mut large = large;
    let sequence = &mut Sequence::new(large.kv_layout());
    let steps = &mut [Step { sequence, ids: &[1], logits: Wanted::Last, adapters: &adapters }];
    let refused = large.step(steps, &mut Vec::new());
    assert!(matches!(refused, Err(EngineError::Invalid { .. })), "{refused:?}");
}
