//! The same weights through every format come to the same logits.

use std::{ops::ControlFlow, path::Path};

use candle_core::{DType, Device, Tensor, quantized::GgmlDType, quantized::QTensor};
use hearth_engine_api::{Backend, LoadError, LoadOptions};
use hearth_engine_candle::{
    CandleBackend, Checkpoint,
    inspect::{Probe, probe},
    models::{DecoderConfig, RopeScaling},
};

use crate::toy::{Toy, config, families};

const IDS: [u32; 7] = [1, 40, 41, 42, 200, 7, 40];

fn probed(path: &Path) -> Probe {
    probe(path, &IDS, 12, None).unwrap()
}

/// Largest difference among the logits both list, relative to how far the logits spread.
fn gap(a: &Probe, b: &Probe) -> f32 {
    let spread = a.top20[0].1 - a.top20[19].1;
    let mut gap = (a.logsumexp - b.logsumexp).abs() as f32;
    let mut shared = 0;
    for (id, logit) in &a.top20 {
        if let Some((_, other)) = b.top20.iter().find(|(other, _)| other == id) {
            gap = gap.max((logit - other).abs());
            shared += 1;
        }
    }
    assert!(shared >= 15, "only {shared} of the largest logits in common");
    gap / spread
}

#[test]
fn every_family_is_the_same_in_safetensors_and_gguf() {
    let folder = tempfile::tempdir().unwrap();
    for config in families() {
        let toy = Toy::new(config);
        let name = toy.config.architecture.to_string();
        let tensors = toy.write_folder(&folder.path().join(&name), DType::F32);
        let gguf = folder.path().join(format!("{name}.gguf"));
        toy.write_gguf(&gguf, GgmlDType::F32, &[]);
        let (a, b) = (probed(&tensors), probed(&gguf));
        assert!(gap(&a, &b) < 1e-4, "{name}");
        assert_eq!(a.greedy_ids, b.greedy_ids, "{name}");
    }
}

#[test]
fn shards_a_folder_and_a_file_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(config());
    let whole = toy.write_folder(&folder.path().join("whole"), DType::F32);
    let shards = toy.write_shards(&folder.path().join("shards"));
    let expected = probed(&whole);
    assert_eq!(probed(&whole.join("model.safetensors")), expected);
    assert_eq!(probed(&shards), expected);
    assert_eq!(probed(&shards.join("model-00002-of-00002.safetensors")), expected);
}

#[test]
fn half_precision_is_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(config());
    for (dtype, ggml) in [(DType::F16, GgmlDType::F16), (DType::BF16, GgmlDType::BF16)] {
        let name = format!("{dtype:?}");
        let half = toy.write_folder(&folder.path().join(&name), dtype);
        let wide = toy.rounded(dtype);
        let wide = wide.write_folder(&folder.path().join(name + "-wide"), DType::F32);
        assert_eq!(probed(&half), probed(&wide));
        // A GGUF keeps its norms in F32, so only the matrices are rounded.
        let gguf = folder.path().join("half.gguf");
        toy.write_gguf(&gguf, ggml, &[]);
        assert!(gap(&probed(&half), &probed(&gguf)) < 0.02);
    }
}

/// A product with a quantised matrix also rounds what it is multiplied with, to 8 bits: hence the tolerance.
#[test]
fn every_quantised_format_is_near_its_own_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(DecoderConfig { hidden: 256, ffn: 256, head_dim: 64, ..config() });
    for dtype in [
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q2K,
        GgmlDType::Q3K,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ] {
        let gguf = folder.path().join("quantised.gguf");
        toy.write_gguf(&gguf, dtype, &[]);
        // Rows are permuted before they are quantised, which is row by row: it makes no difference.
        let wide = toy.quantised(dtype).write_folder(&folder.path().join("wide"), DType::F32);
        let difference = gap(&probed(&wide), &probed(&gguf));
        assert!(difference < 0.1, "{dtype:?}: {difference}");
    }
}

#[test]
fn stretched_rotary_frequencies_agree_between_config_and_factors() {
    let folder = tempfile::tempdir().unwrap();
    let scaling = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_context_tokens: 32,
    };
    let toy = Toy::new(DecoderConfig { rope_scaling: scaling, rope_theta: 100.0, ..config() });
    let by_config = toy.write_folder(&folder.path().join("config"), DType::F32);
    // Figures of `_compute_llama3_parameters` of transformers for the four frequencies of a head of eight:
    // turns within 32 tokens are 5.09, 1.61, 0.51 and 0.16.
    let kept = (32.0 / std::f64::consts::TAU / 100f64.powf(0.25) - 1.0) / 3.0;
    let ramp = (1.0 / (kept + (1.0 - kept) / 8.0)) as f32;
    let factors = Tensor::new(&[1f32, ramp, 8.0, 8.0], &Device::Cpu).unwrap();
    let factors = QTensor::quantize(&factors, GgmlDType::F32).unwrap();
    let plain = folder.path().join("plain.gguf");
    toy.write_gguf(&plain, GgmlDType::F32, &[]);
    let by_factors = folder.path().join("factors.gguf");
    toy.write_gguf(&by_factors, GgmlDType::F32, &[("rope_freqs.weight", factors)]);
    let expected = probed(&by_config);
    assert!(gap(&expected, &probed(&by_factors)) < 1e-4);
    assert!(gap(&expected, &probed(&plain)) > 1e-3, "the factors made no difference");
}

#[test]
fn inspecting_tells_what_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(DecoderConfig { hidden: 256, ffn: 256, head_dim: 64, ..config() });
    let path = folder.path().join("toy.gguf");
    toy.write_gguf(&path, GgmlDType::Q4K, &[]);
    let options = LoadOptions { context_tokens: Some(64), threads: None, ..LoadOptions::default() };
    let (info, estimate) = CandleBackend.inspect(&path, &options).unwrap();
    assert_eq!((info.name.as_str(), info.architecture.as_str()), ("Toy", "llama"));
    assert_eq!((info.weight_format.as_str(), info.context_tokens), ("Q4_K", 64));
    assert!(!info.has_chat_template);
    let parameters: usize = toy.weights.values().map(Tensor::elem_count).sum();
    assert_eq!(info.parameters, parameters as u64);
    assert_eq!(info.file_bytes, path.metadata().unwrap().len());
    // Two layers, keys and values, two heads of 64 numbers of two bytes, 64 tokens, for two contexts.
    assert_eq!(estimate.kv_cache_bytes, 2 * (2 * 2 * 2 * 64 * 2 * 64));
    let bounded = LoadOptions { kv_bytes: Some(10_000), ..options };
    let (_, estimate) = CandleBackend.inspect(&path, &bounded).unwrap();
    assert_eq!(estimate.kv_cache_bytes, 10_000);
    let boundless = LoadOptions { kv_bytes: Some(u64::MAX), ..bounded };
    let refused = CandleBackend.load(&path, &boundless, &mut |_| ControlFlow::Continue(()));
    assert!(
        matches!(refused.err(), Some(LoadError::OutOfMemory { needed_bytes: u64::MAX, .. }))
            || !cfg!(target_os = "linux")
    );
    assert!((info.parameters / 2..info.file_bytes).contains(&estimate.weights_bytes));
    let inspected = |context_tokens| {
        let options =
            LoadOptions { context_tokens: Some(context_tokens), ..LoadOptions::default() };
        CandleBackend.inspect(&path, &options)
    };
    // A model made for less gets its own.
    assert_eq!(inspected(97).unwrap().0.context_tokens, 96);
    assert!(matches!(inspected(0), Err(LoadError::Unsupported { .. })));
}

#[test]
fn what_is_not_supported_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(config());
    let path = toy.write_folder(folder.path(), DType::F32);
    let refusal = |field: &str, value: serde_json::Value| {
        let mut json = toy.config_json();
        json[field] = value;
        std::fs::write(path.join("config.json"), json.to_string()).unwrap();
        match Checkpoint::open(&path) {
            Err(LoadError::Unsupported { what }) => what,
            other => panic!("{field}: {other:?}"),
        }
    };
    assert!(refusal("model_type", "mamba".into()).contains("mamba"));
    assert!(refusal("hidden_act", "gelu".into()).contains("gelu"));
    assert!(refusal("use_sliding_window", true.into()).contains("sliding"));
    let yarn = serde_json::json!({"rope_type": "yarn", "factor": 4.0});
    assert!(refusal("rope_scaling", yarn).contains("yarn"));
}

#[test]
fn tensor_types_that_are_not_supported_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(DecoderConfig { hidden: 256, ffn: 256, head_dim: 64, ..config() });
    let gguf = folder.path().join("toy.gguf");
    // A type of activations, which candle writes but does not multiply with.
    toy.write_gguf(&gguf, GgmlDType::Q8K, &[]);
    let tensors = toy.write_folder(&folder.path().join("wide"), DType::F64);
    for (path, name) in [(gguf, "Q8_K"), (tensors, "F64")] {
        match Checkpoint::open(&path) {
            Err(LoadError::Unsupported { what }) => assert!(what.contains(name), "{what}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn an_index_must_not_lead_out_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = Toy::new(config()).write_shards(folder.path());
    for outside in ["../model.safetensors", "/etc/passwd", "..", "a/b.safetensors"] {
        let index = serde_json::json!({"weight_map": {"x": outside}});
        std::fs::write(path.join("model.safetensors.index.json"), index.to_string()).unwrap();
        assert!(matches!(Checkpoint::open(&path), Err(LoadError::Malformed { .. })), "{outside}");
    }
}
