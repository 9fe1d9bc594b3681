//! Small models with made-up weights, written to disk in every format the engine reads.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use candle_core::{
    DType, Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Value},
    },
};
use hearth_engine_candle::models::{Architecture, DecoderConfig, LocalLayers, RopeScaling};
use serde_json::json;

/// A description and weights to go with it, by Hugging Face's names.
#[derive(Clone)]
pub(crate) struct Toy {
    pub(crate) config: DecoderConfig,
    pub(crate) weights: BTreeMap<String, Tensor>,
}

/// Bytes, three special tokens before them and a few pieces behind: what [`Toy::write_gguf`] gives a vocabulary.
pub(crate) const PIECES: [&str; 9] = ["▁", "a", "b", "n", "o", "e", "no", "▁no", "▁none"];
pub(crate) const VOCAB: usize = 3 + 256 + PIECES.len();

/// A two-layer Llama with grouped queries.
pub(crate) fn config() -> DecoderConfig {
    DecoderConfig {
        layers: 2,
        kv_heads: 2,
        tied_embeddings: false,
        ..DecoderConfig::llama(VOCAB, 32, 4, 64, 96)
    }
}

/// One description of each family.
pub(crate) fn families() -> [DecoderConfig; 7] {
    let of = |architecture| {
        let DecoderConfig { layers, kv_heads, tied_embeddings, .. } = config();
        let family = DecoderConfig::family(architecture, VOCAB, 32, 4, 64, 96);
        DecoderConfig { layers, kv_heads, tied_embeddings, ..family }
    };
    [
        config(),
        of(Architecture::Mistral),
        DecoderConfig { sliding_window: Some(3), ..of(Architecture::Phi3) },
        DecoderConfig {
            sliding_window: Some(3),
            attention_softcap: Some(50.0),
            final_softcap: Some(30.0),
            tied_embeddings: true,
            ..of(Architecture::Gemma2)
        },
        DecoderConfig {
            layers: 3,
            sliding_window: Some(3),
            local_layers: LocalLayers::AllButEvery(3),
            head_dim: 16,
            tied_embeddings: true,
            ..of(Architecture::Gemma3)
        },
        DecoderConfig { architecture: Architecture::Qwen2, qkv_bias: true, ..config() },
        DecoderConfig {
            architecture: Architecture::Qwen3,
            qk_norm: true,
            head_dim: 16,
            tied_embeddings: true,
            ..config()
        },
    ]
}

/// Reproducible numbers in -1..1, without a random number generator.
fn number(seed: u64) -> f32 {
    let mixed = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0) as f32
}

impl Toy {
    pub(crate) fn new(config: DecoderConfig) -> Self {
        let mut seed = 0;
        let mut weights = BTreeMap::new();
        for (name, shape) in config.parameters() {
            let norm = name.ends_with("norm.weight");
            let scale = if norm { 0.2 } else { 1.5 / (config.hidden as f32).sqrt() };
            let around = if norm { 1.0 } else { 0.0 };
            let count: usize = shape.iter().product();
            let values: Vec<f32> =
                (0..count as u64).map(|i| around + scale * number(seed + i)).collect();
            seed += count as u64;
            weights.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
        }
        Self { config, weights }
    }

    /// The same with every matrix rounded to `dtype` and back.
    pub(crate) fn rounded(&self, dtype: DType) -> Self {
        let round = |tensor: &Tensor| tensor.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap();
        let weights = self.weights.iter().map(|(name, t)| (name.clone(), round(t))).collect();
        Self { config: self.config.clone(), weights }
    }

    /// The same with every matrix quantised and back.
    pub(crate) fn quantised(&self, dtype: GgmlDType) -> Self {
        let there_and_back = |tensor: &Tensor| match tensor.rank() {
            1 => tensor.clone(),
            _ => QTensor::quantize(tensor, dtype).unwrap().dequantize(&Device::Cpu).unwrap(),
        };
        let weights =
            self.weights.iter().map(|(name, t)| (name.clone(), there_and_back(t))).collect();
        Self { config: self.config.clone(), weights }
    }

    /// A folder with `config.json` and `model.safetensors`.
    pub(crate) fn write_folder(&self, folder: &Path, dtype: DType) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("config.json"), self.config_json().to_string()).unwrap();
        self.write_safetensors(&folder.join("model.safetensors"), dtype, |_| true);
        folder.to_path_buf()
    }

    /// A folder with the weights in two files and an index.
    pub(crate) fn write_shards(&self, folder: &Path) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("config.json"), self.config_json().to_string()).unwrap();
        let first = |name: &str| name.contains("layers.0");
        let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
        self.write_safetensors(&folder.join(one), DType::F32, first);
        self.write_safetensors(&folder.join(two), DType::F32, |name| !first(name));
        let map: BTreeMap<&String, &str> =
            self.weights.keys().map(|name| (name, if first(name) { one } else { two })).collect();
        let index = json!({"metadata": {}, "weight_map": map});
        fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
        folder.to_path_buf()
    }

    fn write_safetensors(&self, path: &Path, dtype: DType, keep: impl Fn(&str) -> bool) {
        let tensors: std::collections::HashMap<String, Tensor> = self
            .weights
            .iter()
            .filter(|(name, _)| keep(name))
            .map(|(name, tensor)| {
                (name.clone(), self.stored(name, tensor).to_dtype(dtype).unwrap())
            })
            .collect();
        candle_core::safetensors::save(&tensors, path).unwrap();
    }

    fn is_gemma(&self) -> bool {
        matches!(self.config.architecture, Architecture::Gemma2 | Architecture::Gemma3)
    }

    /// Gemma's checkpoints hold what norms are above one.
    fn stored(&self, name: &str, tensor: &Tensor) -> Tensor {
        let from_one = self.is_gemma() && name.ends_with("norm.weight");
        if from_one { (tensor - 1.0).unwrap() } else { tensor.clone() }
    }

    pub(crate) fn config_json(&self) -> serde_json::Value {
        let config = &self.config;
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
        });
        if self.is_gemma() {
            json["hidden_activation"] = "gelu_pytorch_tanh".into();
            json["query_pre_attn_scalar"] = config.head_dim.into();
            json["attn_logit_softcapping"] = config.attention_softcap.into();
            json["final_logit_softcapping"] = config.final_softcap.into();
        } else {
            json["hidden_act"] = "silu".into();
        }
        if let LocalLayers::AllButEvery(every) = config.local_layers {
            let kinds = ["full_attention", "sliding_attention"];
            let kind = |layer: usize| kinds[usize::from(!layer.is_multiple_of(every))];
            json["layer_types"] = (1..=config.layers).map(kind).collect();
        }
        if let RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_context_tokens,
        } = config.rope_scaling
        {
            json["rope_scaling"] = json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original_context_tokens,
            });
        }
        json
    }

    /// A GGUF file with matrices as `dtype`, and `more` metadata and tensors besides.
    pub(crate) fn write_gguf(&self, path: &Path, dtype: GgmlDType, more: &[(&str, QTensor)]) {
        let config = &self.config;
        let metadata = self.gguf_metadata();
        let metadata: Vec<(&str, &Value)> =
            metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let mut tensors: Vec<(String, QTensor)> = Vec::new();
        for (name, tensor) in &self.weights {
            let tensor = self.gguf_layout(name, tensor);
            let dtype = if tensor.rank() == 1 { GgmlDType::F32 } else { dtype };
            tensors.push((
                gguf_name(name, config.post_norms),
                QTensor::quantize(&tensor, dtype).unwrap(),
            ));
        }
        let mut tensors: Vec<(&str, &QTensor)> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        tensors.extend(more.iter().map(|(name, tensor)| (*name, tensor)));
        let mut file = File::create(path).unwrap();
        gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    }

    /// Llama's query and key rows are permuted in GGUF files, so that pairs to be turned lie side by side.
    fn gguf_layout(&self, name: &str, tensor: &Tensor) -> Tensor {
        let config = &self.config;
        let heads = match name {
            _ if !matches!(config.architecture, Architecture::Llama | Architecture::Mistral) => {
                return tensor.clone();
            }
            _ if name.contains("q_proj") => config.heads,
            _ if name.contains("k_proj") => config.kv_heads,
            _ => return tensor.clone(),
        };
        let inputs = tensor.elem_count() / (heads * config.head_dim);
        let halves = tensor.reshape((heads, 2, config.head_dim / 2, inputs)).unwrap();
        halves.transpose(1, 2).unwrap().contiguous().unwrap().reshape(tensor.dims()).unwrap()
    }

    fn gguf_metadata(&self) -> Vec<(String, Value)> {
        let config = &self.config;
        let name = match config.architecture {
            Architecture::Mistral => "llama".to_owned(),
            other => other.to_string(),
        };
        let number = |n: usize| Value::U32(n as u32);
        let mut metadata = vec![
            ("general.architecture".to_owned(), Value::String(name.clone())),
            ("general.name".to_owned(), Value::String("Toy".into())),
        ];
        for (key, value) in [
            ("block_count", number(config.layers)),
            ("embedding_length", number(config.hidden)),
            ("feed_forward_length", number(config.ffn)),
            ("context_length", number(config.context_tokens)),
            ("attention.head_count", number(config.heads)),
            ("attention.head_count_kv", number(config.kv_heads)),
            ("attention.key_length", number(config.head_dim)),
            ("attention.layer_norm_rms_epsilon", Value::F32(config.rms_eps as f32)),
            ("rope.freq_base", Value::F32(config.rope_theta as f32)),
        ] {
            metadata.push((format!("{name}.{key}"), value));
        }
        let caps = [
            ("attn_logit_softcapping", config.attention_softcap),
            ("final_logit_softcapping", config.final_softcap),
        ];
        for (key, cap) in caps {
            let cap = cap.map(|cap| (format!("{name}.{key}"), Value::F32(cap as f32)));
            metadata.extend(cap);
        }
        if let Some(window) = config.sliding_window {
            metadata.push((format!("{name}.attention.sliding_window"), number(window)));
        }
        if let LocalLayers::AllButEvery(every) = config.local_layers {
            // Files have it as a number or as a list.
            let pattern = match config.architecture {
                Architecture::Gemma2 => number(every),
                _ => Value::Array(
                    (1..=config.layers)
                        .map(|layer| Value::Bool(!layer.is_multiple_of(every)))
                        .collect(),
                ),
            };
            metadata.push((format!("{name}.attention.sliding_window_pattern"), pattern));
        }
        metadata.extend(vocabulary());
        metadata
    }
}

/// A SentencePiece vocabulary that can spell everything.
pub(crate) fn vocabulary() -> Vec<(String, Value)> {
    let specials = ["<unk>", "<s>", "</s>"].map(str::to_owned);
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let pieces = PIECES.map(str::to_owned);
    let tokens: Vec<Value> =
        specials.into_iter().chain(bytes).chain(pieces).map(Value::String).collect();
    let scores = (0..VOCAB).map(|i| Value::F32(-(i as f32))).collect();
    let kinds = (0..VOCAB).map(|i| match i {
        0 => 2,
        1 | 2 => 3,
        3..=258 => 6,
        _ => 1,
    });
    [
        ("model", Value::String("llama".into())),
        ("tokens", Value::Array(tokens)),
        ("scores", Value::Array(scores)),
        ("token_type", Value::Array(kinds.map(Value::I32).collect())),
        ("bos_token_id", Value::U32(1)),
        ("eos_token_id", Value::U32(2)),
        ("unknown_token_id", Value::U32(0)),
        ("add_bos_token", Value::Bool(true)),
    ]
    .into_iter()
    .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
    .collect()
}

fn gguf_name(name: &str, post_norms: bool) -> String {
    let after_attention = if post_norms { "post_attention_norm" } else { "ffn_norm" };
    let renamed = [
        ("pre_feedforward_layernorm", "ffn_norm"),
        ("post_feedforward_layernorm", "post_ffw_norm"),
        ("self_attn.qkv_proj", "attn_qkv"),
        ("mlp.gate_up_proj", "ffn_up"),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", after_attention),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    renamed.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}
