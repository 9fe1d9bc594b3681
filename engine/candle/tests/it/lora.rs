//! Adapters through files and into models.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use candle_core::{Device, Tensor, quantized::GgmlDType};
use hearth_engine_api::{
    AdapterError, AdapterFile, Fingerprint, LoraSettings, MergeFormat, Target,
};
use hearth_engine_candle::{
    Checkpoint,
    lora::{Adapter, HearthMeta, hearth_meta, merge, read_peft, write_peft},
    models::{Decoder, DecoderConfig},
};
use serde_json::{Value, json};

use crate::toy::{Toy, config, families};

const IDS: [u32; 6] = [1, 40, 7, 263, 100, 5];

fn settings(rank: u32, targets: &[Target]) -> LoraSettings {
    LoraSettings {
        rank,
        alpha: 7.0,
        rslora: false,
        dropout: 0.1,
        targets: targets.iter().copied().collect(),
    }
}

/// An adapter with numbers in B too.
pub(crate) fn trained(config: &DecoderConfig, settings: &LoraSettings) -> Adapter {
    let mut adapter = Adapter::zeros(config, settings).unwrap().random_a(3);
    let mut state = 1u32;
    for (_, _, pair) in adapter.pairs_mut() {
        for b in &mut pair.b {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *b = (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32 * 0.4;
        }
    }
    adapter
}

fn go_on(_share: f32) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let ids = Tensor::new(&[IDS], &Device::Cpu).unwrap();
    decoder.forward(&ids).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn logits_of(path: &Path) -> Vec<f32> {
    logits(&Checkpoint::open(path).unwrap().decoder(&mut go_on).unwrap())
}

/// The toy with the adapter, which has Hugging Face's order of rows, added to its matrices one by one.
fn added(toy: &Toy, adapter: &Adapter, strength: f32) -> Toy {
    let mut toy = toy.clone();
    for (name, weight) in &mut toy.weights {
        let Some((layer, path)) =
            name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let targets: &[Target] = match path {
            "self_attn.q_proj.weight" => &[Target::Q],
            "self_attn.k_proj.weight" => &[Target::K],
            "self_attn.v_proj.weight" => &[Target::V],
            "self_attn.o_proj.weight" => &[Target::O],
            "mlp.gate_proj.weight" => &[Target::Gate],
            "mlp.up_proj.weight" => &[Target::Up],
            "mlp.down_proj.weight" => &[Target::Down],
            "self_attn.qkv_proj.weight" => &[Target::Q, Target::K, Target::V],
            "mlp.gate_up_proj.weight" => &[Target::Gate, Target::Up],
            _ => continue,
        };
        let mut numbers = weight.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mut row = 0;
        for target in targets {
            let pair = adapter.pair(layer.parse().unwrap(), *target).unwrap();
            for b in pair.b.chunks(pair.rank()) {
                for (column, number) in
                    numbers[row * pair.inputs()..][..pair.inputs()].iter_mut().enumerate()
                {
                    let products =
                        b.iter().enumerate().map(|(r, b)| b * pair.a[r * pair.inputs() + column]);
                    *number += strength * adapter.scale() * products.sum::<f32>();
                }
                row += 1;
            }
        }
        *weight = Tensor::from_vec(numbers, weight.dims(), &Device::Cpu).unwrap();
    }
    toy
}

fn close(got: &[f32], expected: &[f32], limit: f32, what: &str) {
    assert_eq!(got.len(), expected.len());
    let gap = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap < limit, "{what}: off by {gap}");
}

#[test]
fn every_familys_adapters_go_through_every_file_and_into_every_base() {
    for config in families() {
        let name = config.architecture;
        let folder = tempfile::tempdir().unwrap();
        let toy = Toy::new(config.clone());
        let tensors = toy.write_folder(&folder.path().join("base"), candle_core::DType::F32);
        let gguf = folder.path().join("base.gguf");
        toy.write_gguf(&gguf, GgmlDType::F32, &[]);
        let (of_tensors, of_gguf) =
            (Checkpoint::open(&tensors).unwrap(), Checkpoint::open(&gguf).unwrap());
        let adapter = trained(of_tensors.config(), &settings(3, &Target::ALL));
        let expected = logits(&decoder(&added(&toy, &adapter, 0.5)));
        let plain = logits(&decoder(&toy));
        let effect = expected.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(effect > 0.1, "{name}: {effect}");

        let file = adapter.to_peft("base", None).unwrap();
        let again = Adapter::from_peft(&file, of_tensors.config()).unwrap();
        assert_eq!(again, adapter, "{name}");
        let beside_gguf = Adapter::from_peft(&file, of_gguf.config()).unwrap();
        assert_eq!(beside_gguf.to_peft("base", None).unwrap(), file, "{name}");
        for (one, other) in [(&adapter, &of_gguf), (&beside_gguf, &of_tensors)] {
            let (read, _) =
                Adapter::from_gguf(&one.to_gguf(None).unwrap(), other.config()).unwrap();
            let expected =
                if std::ptr::eq(other, &raw const of_gguf) { &beside_gguf } else { &adapter };
            assert_eq!(read.settings().targets, expected.settings().targets);
            assert_eq!(read.rank(), expected.rank(), "{name}");
            for (got, expected) in read.parameters().zip(expected.parameters()) {
                close(got, expected, 1e-6, &name.to_string());
            }
        }

        let merged = folder.path().join("merged.gguf");
        merge(&of_gguf, &beside_gguf, (0.5, MergeFormat::Same), &merged, &mut go_on).unwrap();
        close(&logits_of(&merged), &expected, 2e-4, &format!("{name}, merged into a GGUF"));
        let merged = folder.path().join("merged");
        merge(&of_tensors, &adapter, (0.5, MergeFormat::Same), &merged, &mut go_on).unwrap();
        close(&logits_of(&merged), &expected, 2e-4, &format!("{name}, merged into tensors"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "{name}: something is left");
    }
}

fn decoder(toy: &Toy) -> Decoder {
    let mut weights = toy.weights.clone().into_iter().collect::<std::collections::HashMap<_, _>>();
    Decoder::new(toy.config.clone(), &mut weights).unwrap()
}

/// Wide enough for blocks of 256.
fn wide() -> DecoderConfig {
    let base = config();
    DecoderConfig { hidden: 256, heads: 4, kv_heads: 2, head_dim: 64, ffn: 512, ..base }
}

#[test]
fn quantised_bases_stay_in_their_formats_and_all_else_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.gguf");
    let toy = Toy::new(wide());
    for format in [
        GgmlDType::F16,
        GgmlDType::BF16,
        GgmlDType::Q8_0,
        GgmlDType::Q6K,
        GgmlDType::Q5K,
        GgmlDType::Q4K,
        GgmlDType::Q3K,
        GgmlDType::Q2K,
        GgmlDType::Q5_1,
        GgmlDType::Q5_0,
        GgmlDType::Q4_1,
        GgmlDType::Q4_0,
    ] {
        toy.write_gguf(&base, format, &[]);
        let checkpoint = Checkpoint::open(&base).unwrap();
        let adapter = trained(checkpoint.config(), &settings(4, &[Target::Q, Target::Down]));
        let merged = folder.path().join("merged.gguf");
        merge(&checkpoint, &adapter, (1.0, MergeFormat::Same), &merged, &mut go_on).unwrap();
        let (before, after) = (fs::read(&base).unwrap(), fs::read(&merged).unwrap());
        assert_eq!(before.len(), after.len());
        let header = hearth_engine_candle::weights::GgufHeader::open(&base).unwrap();
        let start = header.data_start() as usize;
        assert_eq!(before[..start], after[..start], "{format:?}: the header differs");
        for (name, entry) in header.tensors() {
            let place =
                start + entry.offset as usize..start + (entry.offset + entry.bytes) as usize;
            let changed = name.contains("attn_q.") || name.contains("ffn_down.");
            assert_eq!(before[place.clone()] != after[place], changed, "{format:?}: {name}");
        }
        let hf = Adapter::from_peft(&adapter.to_peft("", None).unwrap(), &toy.config).unwrap();
        let exact = added_partly(&toy, &hf);
        let length = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
        let off = |got: &[f32], expected: &[f32]| {
            let gap: Vec<f32> = got.iter().zip(expected).map(|(a, b)| a - b).collect();
            length(&gap) / length(expected)
        };
        // What the format costs the base alone.
        let own = off(&logits_of(&base), &logits(&decoder(&toy)));
        let merged = off(&logits_of(&merged), &logits(&decoder(&exact)));
        assert!(merged < 1.5 * own, "{format:?}: {merged} where the base is off by {own}");

        let nothing = folder.path().join("nothing.gguf");
        merge(&checkpoint, &adapter, (0.0, MergeFormat::Same), &nothing, &mut go_on).unwrap();
        assert_eq!(fs::read(&nothing).unwrap(), before, "{format:?}");
    }
}

#[test]
fn what_few_bits_would_take_is_kept_in_more_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.gguf");
    let toy = Toy::new(wide());
    let merged = folder.path().join("merged.gguf");
    for (format, fine) in [
        (GgmlDType::Q4K, "Q8_0"),
        (GgmlDType::Q6K, "Q8_0"),
        (GgmlDType::Q8_0, "Q8_0"),
        (GgmlDType::F16, "F16"),
    ] {
        toy.write_gguf(&base, format, &[]);
        let checkpoint = Checkpoint::open(&base).unwrap();
        let adapter = trained(checkpoint.config(), &settings(4, &[Target::Q, Target::Down]));
        let as_it_was = logits_of(&base);
        let mut lost = Vec::new();
        for (wish, expected) in [
            (MergeFormat::Same, None),
            (MergeFormat::Fine, Some(fine)),
            (MergeFormat::Q8, Some("Q8_0")),
            (MergeFormat::F16, Some("F16")),
        ] {
            let done = merge(&checkpoint, &adapter, (1.0, wish), &merged, &mut go_on).unwrap();
            let header = hearth_engine_candle::weights::GgufHeader::open(&merged).unwrap();
            assert_eq!(done.bytes, merged.metadata().unwrap().len());
            let old = hearth_engine_candle::weights::GgufHeader::open(&base).unwrap();
            let (before, after) = (fs::read(&base).unwrap(), fs::read(&merged).unwrap());
            for (name, entry) in header.tensors() {
                let known = &old.tensors()[name];
                if name.contains("attn_q.") || name.contains("ffn_down.") {
                    let kind = expected.map_or_else(|| known.kind.to_string(), str::to_owned);
                    assert_eq!(entry.kind.to_string(), kind, "{format:?} {wish:?} {name}");
                    continue;
                }
                assert_eq!((entry.kind, entry.bytes), (known.kind, known.bytes));
                let data = |file: &[u8], start: u64, offset: u64| {
                    file[(start + offset) as usize..(start + offset + entry.bytes) as usize]
                        .to_vec()
                };
                let moved = data(&after, header.data_start(), entry.offset);
                assert!(moved == data(&before, old.data_start(), known.offset), "{name}");
            }
            assert_ne!(logits_of(&merged), as_it_was);
            lost.push(done.lost);
        }
        let [same, fine, q8, f16] = lost[..] else { panic!() };
        assert!(f16 < 0.01 && q8 < 0.05 && f16 <= q8, "{format:?}: {lost:?}");
        assert!(fine <= same, "{format:?}: {lost:?}");
        if format == GgmlDType::Q4K {
            assert!(fine < same / 8.0, "{lost:?}");
        }
    }
}

/// As [`added`], where not every matrix has a pair.
fn added_partly(toy: &Toy, adapter: &Adapter) -> Toy {
    let mut whole = Adapter::zeros(
        &toy.config,
        &LoraSettings { targets: Target::ALL.into(), ..adapter.settings().clone() },
    )
    .unwrap();
    for (layer, target, pair) in adapter.pairs() {
        *whole.pair_mut(layer, target).unwrap() = pair.clone();
    }
    added(toy, &whole, 1.0)
}

#[test]
fn a_merge_that_is_broken_off_leaves_nothing_and_never_replaces_its_base() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.gguf");
    Toy::new(config()).write_gguf(&base, GgmlDType::Q8_0, &[]);
    let checkpoint = Checkpoint::open(&base).unwrap();
    let adapter = trained(checkpoint.config(), &settings(2, &[Target::V]));
    let out = folder.path().join("merged.gguf");
    let mut calls = 0;
    let stop = merge(&checkpoint, &adapter, (1.0, MergeFormat::Same), &out, &mut |share| {
        assert!((0.0..=1.0).contains(&share));
        calls += 1;
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stop, Err(AdapterError::Cancelled)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let onto = merge(&checkpoint, &adapter, (1.0, MergeFormat::Same), &base, &mut go_on);
    assert!(matches!(onto, Err(AdapterError::Unsupported { .. })));
    let far = merge(&checkpoint, &adapter, (f32::INFINITY, MergeFormat::Same), &out, &mut go_on);
    assert!(matches!(far, Err(AdapterError::Unsupported { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn what_remembers_private_texts_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.gguf");
    Toy::new(config()).write_gguf(&base, GgmlDType::Q8_0, &[]);
    let checkpoint = Checkpoint::open(&base).unwrap();
    let adapter = trained(checkpoint.config(), &settings(2, &[Target::V]));
    let out = folder.path().join("merged.gguf");
    merge(&checkpoint, &adapter, (1.0, MergeFormat::Same), &out, &mut go_on).unwrap();
    let peft = folder.path().join("adapter");
    write_peft(&adapter.to_peft("base", None).unwrap(), &peft).unwrap();
    let gguf = folder.path().join("adapter.gguf");
    adapter.write_gguf(&gguf, None).unwrap();
    let (read, _) = Adapter::read_gguf(&gguf, checkpoint.config()).unwrap();
    assert!(read.parameters().eq(adapter.parameters()));
    for path in
        [out, gguf, peft.join("adapter_config.json"), peft.join("adapter_model.safetensors")]
    {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_folder_is_written_and_read_with_what_is_said_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let rslora = LoraSettings { rslora: true, ..settings(4, &[Target::Q, Target::Up]) };
    let adapter = trained(&config(), &rslora);
    let meta = HearthMeta {
        fingerprint: Some(Fingerprint { base: "ab".into(), template: None }),
        steps: 12,
        tokens: 3456,
        ..HearthMeta::default()
    };
    let file = adapter.to_peft("Some/Base", Some(&meta)).unwrap();
    let path = folder.path().join("adapter");
    write_peft(&file, &path).unwrap();
    let read = read_peft(&path).unwrap();
    assert_eq!(read, file);
    assert_eq!(hearth_meta(&read), Some(meta.clone()));
    let description: Value = serde_json::from_str(&read.config).unwrap();
    assert_eq!(description["target_modules"], json!(["q_proj", "up_proj"]));
    assert_eq!(description["lora_alpha"], json!(7));
    assert_eq!(description["base_model_name_or_path"], json!("Some/Base"));
    let again = Adapter::from_peft(&read, &config()).unwrap();
    assert_eq!(again, adapter);
    assert_eq!(again.scale(), 3.5);

    let (of_gguf, told) =
        Adapter::from_gguf(&adapter.to_gguf(Some(&meta)).unwrap(), &config()).unwrap();
    assert_eq!(told, Some(meta));
    assert_eq!(of_gguf.scale(), 3.5);
    assert!(of_gguf.parameters().eq(adapter.parameters()));
}

/// The same file with parts of its description replaced.
fn described(file: &AdapterFile, changes: Value) -> AdapterFile {
    let mut config: Value = serde_json::from_str(&file.config).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    AdapterFile { config: config.to_string(), weights: file.weights.clone() }
}

#[test]
fn what_cannot_be_applied_whole_is_refused_by_name() {
    let file = trained(&config(), &settings(4, &[Target::Q])).to_peft("base", None).unwrap();
    for (changes, name) in [
        (json!({"use_dora": true}), "use_dora"),
        (json!({"bias": "lora_only"}), "bias"),
        (json!({"modules_to_save": ["lm_head"]}), "modules_to_save"),
        (json!({"peft_type": "LOHA"}), "LOHA"),
        (json!({"init_lora_weights": "pissa_niter_4"}), "pissa"),
        (json!({"lora_bias": true}), "lora_bias"),
        (json!({"layer_replication": [[0, 1]]}), "layer_replication"),
        (json!({"trainable_token_indices": [3]}), "trainable_token_indices"),
        (json!({"alora_invocation_tokens": [3]}), "alora_invocation_tokens"),
        (json!({"something_new": {"on": 1}}), "something_new"),
        (json!({"alpha_pattern": {".*q_proj": 3}}), "alpha_pattern"),
        (json!({"r": 0, "rank_pattern": {"q_proj": 4}, "lora_alpha": 1e300}), "alpha"),
    ] {
        let refused = Adapter::from_peft(&described(&file, changes.clone()), &config());
        let Err(AdapterError::Unsupported { what }) = refused else {
            panic!("{changes}: {refused:?}")
        };
        assert!(what.contains(name), "{changes}: {what}");
    }
    // What changes nothing is no hindrance.
    for changes in [
        json!({"init_lora_weights": "gaussian", "loftq_config": {"bits": 4}, "bias": null}),
        json!({"target_modules": ".*q_proj", "layers_to_transform": [0, 1], "lora_dropout": 0.5}),
        json!({"eva_config": null, "use_qalora": false, "qalora_group_size": 16, "corda_config": null}),
    ] {
        Adapter::from_peft(&described(&file, changes), &config()).unwrap();
    }
    let other = DecoderConfig { hidden: 64, ..config() };
    let refused = Adapter::from_peft(&file, &other);
    assert!(matches!(refused, Err(AdapterError::OtherModel { .. })), "{refused:?}");
    let shallow = DecoderConfig { layers: 1, ..config() };
    let refused = Adapter::from_peft(&file, &shallow);
    assert!(matches!(refused, Err(AdapterError::OtherModel { .. })), "{refused:?}");
    let phi = families().into_iter().find(|config| config.joined_projections).unwrap();
    let refused = Adapter::from_peft(&file, &phi);
    assert!(matches!(refused, Err(AdapterError::Unsupported { .. })), "{refused:?}");
}

/// Tensors under names of one's choice.
fn file_of(tensors: &[(&str, Vec<usize>, f32)]) -> AdapterFile {
    let data: BTreeMap<String, Vec<u8>> = tensors
        .iter()
        .map(|(name, shape, value)| {
            let count = shape.iter().product();
            ((*name).to_owned(), value.to_le_bytes().repeat(count))
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, _)| {
        let dtype = safetensors::Dtype::F32;
        let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), &data[*name]);
        (*name, view.unwrap())
    });
    let weights = safetensors::serialize(views, None).unwrap();
    let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4}).to_string();
    AdapterFile { config, weights: weights.into() }
}

#[test]
fn ranks_and_alphas_of_single_modules_are_heeded() {
    let q = "base_model.model.model.layers.0.self_attn.q_proj";
    let v = "base_model.model.model.layers.1.self_attn.v_proj";
    let tensors = [
        (format!("{q}.lora_A.weight"), vec![2, 32], 0.5),
        (format!("{q}.lora_B.weight"), vec![32, 2], 0.25),
        (format!("{v}.lora_A.weight"), vec![4, 32], 0.5),
        (format!("{v}.lora_B.weight"), vec![16, 4], 0.25),
    ];
    let tensors: Vec<(&str, Vec<usize>, f32)> =
        tensors.iter().map(|(name, shape, value)| (name.as_str(), shape.clone(), *value)).collect();
    let file = file_of(&tensors);
    let refused = Adapter::from_peft(&file, &config());
    assert!(matches!(refused, Err(AdapterError::Malformed { .. })), "a rank of its own, unsaid");
    let file = described(
        &file,
        json!({"rank_pattern": {"v_proj": 4}, "alpha_pattern": {"layers.1.self_attn.v_proj": 16}}),
    );
    let adapter = Adapter::from_peft(&file, &config()).unwrap();
    assert_eq!(adapter.rank(), 4);
    assert_eq!(adapter.settings().targets, [Target::Q, Target::V].into());
    assert!(adapter.pair(1, Target::Q).is_none());
    // B A is the rank times 1/8, and the scales are 2 and 4.
    for (layer, target, expected) in [(0, Target::Q, 0.5), (1, Target::V, 2.0)] {
        let pair = adapter.pair(layer, target).unwrap();
        let product: f32 = (0..4).map(|r| pair.b[r] * pair.a[r * 32]).sum();
        assert_eq!(adapter.scale() * product, expected);
    }
    // Not all layers have the same, so modules are named one by one.
    let again = adapter.to_peft("", None).unwrap();
    assert_eq!(Adapter::from_peft(&again, &config()).unwrap(), adapter);
    let description: Value = serde_json::from_str(&again.config).unwrap();
    assert_eq!(
        description["target_modules"],
        json!(["layers.0.self_attn.q_proj", "layers.1.self_attn.v_proj"])
    );
}

#[test]
fn tensors_that_do_not_belong_are_refused() {
    let q = |side: &str| format!("base_model.model.model.layers.0.self_attn.q_proj.{side}");
    let sound = [(q("lora_A.weight"), vec![2, 32]), (q("lora_B.weight"), vec![32, 2])];
    let with = |name: &str, shape: Vec<usize>, value: f32| {
        let mut tensors: Vec<(&str, Vec<usize>, f32)> =
            sound.iter().map(|(name, shape)| (name.as_str(), shape.clone(), 1.0)).collect();
        tensors.retain(|(other, ..)| *other != name);
        tensors.push((name, shape, value));
        Adapter::from_peft(&file_of(&tensors), &config())
    };
    for name in [
        q("lora_magnitude_vector"),
        q("lora_A.bias"),
        "base_model.model.model.embed_tokens.lora_embedding_A".into(),
        "base_model.model.lm_head.lora_A.weight".into(),
        "base_model.model.model.layers.0.self_attn.r_proj.lora_A.weight".into(),
        "model.layers.0.self_attn.q_proj.lora_A.weight".into(),
        "base_model.model.model.layers.x.self_attn.q_proj.lora_A.weight".into(),
    ] {
        let refused = with(&name, vec![2, 32], 1.0);
        assert!(matches!(refused, Err(AdapterError::Unsupported { .. })), "{name}: {refused:?}");
    }
    let twice = with(&q("lora_A.default.weight"), vec![2, 32], 1.0);
    assert!(matches!(twice, Err(AdapterError::Malformed { .. })), "{twice:?}");
    let k = "base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight";
    let alone = with(k, vec![2, 32], 1.0);
    assert!(matches!(alone, Err(AdapterError::Malformed { .. })), "{alone:?}");
    let not_a_number = with(&q("lora_B.weight"), vec![32, 2], f32::NAN);
    assert!(matches!(not_a_number, Err(AdapterError::Malformed { .. })), "{not_a_number:?}");
    let flat = with(&q("lora_B.weight"), vec![64], 1.0);
    assert!(matches!(flat, Err(AdapterError::OtherModel { .. })), "{flat:?}");
    let empty = Adapter::from_peft(&file_of(&[]), &config());
    assert!(matches!(empty, Err(AdapterError::Malformed { .. })), "{empty:?}");
}

/// Models and adapters that `data/peft/make.py` made with real `transformers` and `peft`.
fn made_by_peft() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/peft")
}

/// A safetensors model as a toy.
fn toy_of(folder: &Path) -> Toy {
    let config = Checkpoint::open(folder).unwrap().config().clone();
    let weights = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu);
    let wide = |tensor: Tensor| tensor.to_dtype(candle_core::DType::F32).unwrap();
    let weights = weights.unwrap().into_iter().map(|(name, tensor)| (name, wide(tensor)));
    Toy { config, weights: weights.collect() }
}

fn logits_at(decoder: &Decoder, ids: &[u32]) -> Vec<f32> {
    let ids = Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    decoder.forward(&ids).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn adapters_that_peft_made_do_here_what_they_do_there() {
    for (base, name) in [("llama", "llama-all"), ("llama", "llama-patterns"), ("phi3", "phi3-all")]
    {
        let toy = toy_of(&made_by_peft().join(base));
        let folder = made_by_peft().join(name);
        let text = fs::read_to_string(folder.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let numbers =
            |key: &str| -> Vec<f32> { serde_json::from_value(expected[key].clone()).unwrap() };
        let ids: Vec<u32> = serde_json::from_value(expected["ids"].clone()).unwrap();
        close(&logits_at(&decoder(&toy), &ids), &numbers("base"), 2e-5, &format!("{name}: base"));
        let adapter = Adapter::from_peft(&read_peft(&folder).unwrap(), &toy.config).unwrap();
        let got = logits_at(&decoder(&added_partly(&toy, &adapter)), &ids);
        close(&got, &numbers("adapted"), 2e-5, name);
        // And again through a file of ours.
        let again = adapter.to_peft(base, None).unwrap();
        let again = Adapter::from_peft(&again, &toy.config).unwrap();
        let got = logits_at(&decoder(&added_partly(&toy, &again)), &ids);
        close(&got, &numbers("adapted"), 2e-5, &format!("{name}, written again"));
    }
}

/// A Python with `peft`: `HEARTH_PYTHON`, or the one on the path.
fn python_with_peft(test: &str) -> Option<std::ffi::OsString> {
    let python = std::env::var_os("HEARTH_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = "import peft, torch, transformers";
    let found = std::process::Command::new(&python).args(["-c", probe]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("SKIPPED {test}: {} has no peft; set HEARTH_PYTHON", python.display());
    None
}

#[test]
fn real_peft_loads_what_is_written_here() {
    let Some(python) = python_with_peft("real_peft_loads_what_is_written_here") else { return };
    let ids = [1u32, 17, 4, 30, 9, 22];
    for (base, rslora) in [("llama", true), ("phi3", false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = made_by_peft().join(base);
        let toy = toy_of(&path);
        let settings = LoraSettings { rslora, ..settings(3, &Target::ALL) };
        let adapter = trained(&toy.config, &settings);
        let meta = HearthMeta { tokens: 5, ..HearthMeta::default() };
        write_peft(&adapter.to_peft(base, Some(&meta)).unwrap(), folder.path()).unwrap();
        let output = std::process::Command::new(&python)
            .arg(made_by_peft().join("check.py"))
            .args([&path, folder.path()])
            .args(ids.map(|id| id.to_string()))
            .env("HF_HUB_OFFLINE", "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{base}: {told}");
        let theirs: Vec<f32> = serde_json::from_slice(&output.stdout).unwrap();
        let plain = logits_at(&decoder(&toy), &ids);
        let effect = plain.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(effect > 0.05, "{base}: the adapter changes next to nothing: {effect}\n{told}");
        close(&logits_at(&decoder(&added_partly(&toy, &adapter)), &ids), &theirs, 2e-5, base);
    }
}

/// llama.cpp's own program merges an adapter of ours, and the outcome is what it ought to be. `HEARTH_LLAMA_CPP` names the
/// folder with `llama-export-lora`.
#[test]
fn llama_cpp_merges_what_is_written_here() {
    let Some(folder) = std::env::var_os("HEARTH_LLAMA_CPP") else {
        println!("SKIPPED llama_cpp_merges_what_is_written_here: HEARTH_LLAMA_CPP is not set");
        return;
    };
    let program = Path::new(&folder).join("llama-export-lora");
    for config in families() {
        let name = config.architecture;
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        let toy = Toy::new(config);
        toy.write_gguf(&path("base.gguf"), GgmlDType::F32, &[]);
        let adapter = trained(&toy.config, &settings(3, &Target::ALL));
        adapter.write_gguf(&path("adapter.gguf"), Some(&HearthMeta::default())).unwrap();
        let output = std::process::Command::new(&program)
            .arg("-m")
            .arg(path("base.gguf"))
            .arg("--lora-scaled")
            .arg(format!("{}:0.5", path("adapter.gguf").display()))
            .arg("-o")
            .arg(path("merged.gguf"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {told}");
        let expected = logits(&decoder(&added(&toy, &adapter, 0.5)));
        // It writes matrices as F16.
        close(&logits_of(&path("merged.gguf")), &expected, 0.02, &name.to_string());
    }
}
