//! Small models with made-up weights, written to disk and loaded from there.

use std::{collections::BTreeSet, collections::HashMap, fs, path::Path};

use candle_core::{DType, Device, Tensor};
use hearth_engine_api::{LoraSettings, Precision, Target};
use hearth_engine_candle::{
    Checkpoint,
    lora::Adapter,
    models::{Architecture, DecoderConfig, LocalLayers, RopeScaling},
};
use hearth_engine_kernels::Team;
use serde_json::json;

use crate::{Batch, CpuLearner};

pub(super) const VOCAB: usize = 37;

/// A description, weights by Hugging Face's names, and the folder they lie in.
pub(super) struct Toy {
    pub(super) config: DecoderConfig,
    pub(super) weights: HashMap<String, Tensor>,
    folder: tempfile::TempDir,
}

/// Three layers, grouped queries, heads that do not add up to the width.
fn of(architecture: Architecture) -> DecoderConfig {
    let family = DecoderConfig::family(architecture, VOCAB, 24, 4, 40, 64);
    DecoderConfig { layers: 3, kv_heads: 2, head_dim: 16, tied_embeddings: false, ..family }
}

/// One of each family, with all there is to them.
pub(super) fn families() -> Vec<DecoderConfig> {
    vec![
        DecoderConfig { qkv_bias: true, output_bias: true, ..of(Architecture::Llama) },
        DecoderConfig { sliding_window: Some(4), ..of(Architecture::Mistral) },
        of(Architecture::Qwen2),
        DecoderConfig { tied_embeddings: true, ..of(Architecture::Qwen3) },
        DecoderConfig {
            rotary_dim: Some(8),
            rope_scaling: RopeScaling::Long {
                short: vec![1.0, 1.1, 1.2, 1.3],
                long: vec![1.0, 1.5, 2.0, 4.0],
                original_context_tokens: 16,
                magnitude: 1.3,
            },
            ..of(Architecture::Phi3)
        },
        DecoderConfig {
            sliding_window: Some(3),
            attention_softcap: Some(2.0),
            final_softcap: Some(3.0),
            attention_scale: Some(0.25),
            norm_offset: 1.0,
            ..of(Architecture::Gemma2)
        },
        DecoderConfig {
            sliding_window: Some(3),
            local_layers: LocalLayers::AllButEvery(3),
            attention_scale: Some(0.25),
            norm_offset: 1.0,
            tied_embeddings: true,
            ..of(Architecture::Gemma3)
        },
    ]
}

/// Reproducible numbers in -1..1.
pub(super) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let number = |i| (crate::learner::mix(seed ^ crate::learner::mix(i)) >> 40) as f32;
    (0..count as u64).map(|i| number(i) / (1 << 23) as f32 - 1.0).collect()
}

impl Toy {
    pub(super) fn new(config: DecoderConfig) -> Self {
        let mut weights = HashMap::new();
        for (seed, (name, shape)) in config.parameters().into_iter().enumerate() {
            let norm = name.ends_with("norm.weight");
            let scale = if norm { 0.2 } else { 1.5 / (config.hidden as f32).sqrt() };
            let around = if norm { 1.0 - config.norm_offset as f32 } else { 0.0 };
            let values = numbers(seed as u64, shape.iter().product());
            let values = values.into_iter().map(|value| around + scale * value).collect();
            weights.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
        }
        Self::with(config, weights)
    }

    pub(super) fn with(config: DecoderConfig, weights: HashMap<String, Tensor>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config_json(&config).to_string()).unwrap();
        candle_core::safetensors::save(&weights, folder.path().join("model.safetensors")).unwrap();
        Self { config, weights, folder }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn learner(&self, adapter: Adapter) -> CpuLearner {
        self.learner_on(adapter, (Precision::F32, false), 2)
    }

    pub(super) fn learner_on(
        &self,
        adapter: Adapter,
        (precision, recompute): (Precision, bool),
        threads: usize,
    ) -> CpuLearner {
        let checkpoint = Checkpoint::open(self.path()).unwrap();
        // What the file could not say would be tested in vain.
        assert_eq!(checkpoint.config(), &self.config);
        let team = Team::new(threads).unwrap();
        CpuLearner::load(&checkpoint, adapter, precision, recompute, team).unwrap()
    }

    /// An adapter of rank 3 beside these targets, none of its numbers zero.
    pub(super) fn adapter(&self, targets: &[Target]) -> Adapter {
        let settings = LoraSettings {
            rank: 3,
            alpha: 4.0,
            rslora: false,
            dropout: 0.0,
            targets: targets.iter().copied().collect::<BTreeSet<_>>(),
        };
        let mut adapter = Adapter::zeros(&self.config, &settings).unwrap();
        for (seed, part) in adapter.parameters_mut().enumerate() {
            let values = numbers(1000 + seed as u64, part.len());
            part.iter_mut().zip(values).for_each(|(part, value)| *part = 0.2 * value);
        }
        adapter
    }

    /// Weights as an autograd takes them.
    pub(super) fn doubles(&self) -> HashMap<String, Tensor> {
        let double = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap();
        self.weights.iter().map(|(name, tensor)| (name.clone(), double(tensor))).collect()
    }
}

/// Samples of these lengths, of whose positions two in three are learnt, each with a weight of its own.
pub(super) fn batch(seed: u64, lengths: &[usize]) -> Batch {
    let mut batch = Batch::default();
    for (sample, &length) in lengths.iter().enumerate() {
        let start = batch.ids.len();
        let ids = numbers(seed + 77 * sample as u64, length + 1);
        let ids: Vec<u32> =
            ids.iter().map(|x| ((x + 1.0) / 2.0 * VOCAB as f32) as u32 % VOCAB as u32).collect();
        batch.ids.extend(&ids[..length]);
        batch.targets.extend(&ids[1..]);
        let weight = |i: usize| if i % 3 == 1 { 0.0 } else { 0.05 + 0.01 * (i % 4) as f32 };
        batch.weights.extend((0..length).map(weight));
        batch.samples.push(start..start + length);
    }
    batch
}

fn config_json(config: &DecoderConfig) -> serde_json::Value {
    let gemma = matches!(config.architecture, Architecture::Gemma2 | Architecture::Gemma3);
    let mut json = json!({
        "model_type": config.architecture.to_string(),
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn,
        "vocab_size": config.vocab,
        "max_position_embeddings": config.context_tokens,
        "rms_norm_eps": config.rms_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.tied_embeddings,
        "sliding_window": config.sliding_window,
        "attention_bias": config.output_bias,
        "hidden_act": if gemma { "gelu_pytorch_tanh" } else { "silu" },
    });
    if gemma {
        json["query_pre_attn_scalar"] = config.attention_scale.map(|scale| scale.powi(-2)).into();
        json["attn_logit_softcapping"] = config.attention_softcap.into();
        json["final_logit_softcapping"] = config.final_softcap.into();
    }
    if let LocalLayers::AllButEvery(every) = config.local_layers {
        let kinds = ["full_attention", "sliding_attention"];
        let kind = |layer: usize| kinds[usize::from(!layer.is_multiple_of(every))];
        json["layer_types"] = (1..=config.layers).map(kind).collect();
    }
    if let Some(turned) = config.rotary_dim {
        json["partial_rotary_factor"] = (turned as f64 / config.head_dim as f64).into();
    }
    if let RopeScaling::Long { short, long, original_context_tokens, magnitude } =
        &config.rope_scaling
    {
        json["original_max_position_embeddings"] = (*original_context_tokens).into();
        json["rope_scaling"] = json!({
            "type": "longrope",
            "short_factor": short,
            "long_factor": long,
            "attention_factor": magnitude,
        });
    }
    json
}
