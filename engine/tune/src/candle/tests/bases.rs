//! Small models with made-up weights.

use std::{collections::HashMap, fs, path::Path};

use candle_core::{
    Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Value},
    },
};
use hearth_engine_candle::models::{Architecture, DecoderConfig, LocalLayers};
use serde_json::json;

fn weights(config: &DecoderConfig) -> Vec<(String, Tensor)> {
    let mut at = 0u64;
    let mut number = || {
        at += 1;
        let mixed = at.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0) as f32
    };
    let scale = 1.5 / (config.hidden as f32).sqrt();
    let of = |(name, shape): (String, Vec<usize>)| {
        let count: usize = shape.iter().product();
        let norm = name.ends_with("norm.weight");
        let values: Vec<f32> = (0..count)
            .map(|_| if norm { 1.0 + 0.2 * number() } else { scale * number() })
            .collect();
        (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
    };
    config.parameters().into_iter().map(of).collect()
}

/// A folder with `config.json` and `model.safetensors`.
pub(super) fn tensors(config: &DecoderConfig, folder: &Path) {
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
        "hidden_act": "silu",
    });
    if config.architecture == Architecture::Gemma2 {
        json["hidden_activation"] = "gelu_pytorch_tanh".into();
        json["query_pre_attn_scalar"] = config.head_dim.into();
        json["attn_logit_softcapping"] = config.attention_softcap.into();
        json["final_logit_softcapping"] = config.final_softcap.into();
    }
    if let LocalLayers::AllButEvery(every) = config.local_layers {
        let kinds = ["full_attention", "sliding_attention"];
        let kind = |layer: usize| kinds[usize::from(!layer.is_multiple_of(every))];
        json["layer_types"] = (1..=config.layers).map(kind).collect();
    }
    fs::write(folder.join("config.json"), json.to_string()).unwrap();
    let weights: HashMap<String, Tensor> = weights(config).into_iter().collect();
    candle_core::safetensors::save(&weights, folder.join("model.safetensors")).unwrap();
}

/// A Llama as a GGUF file without a vocabulary.
pub(super) fn gguf(config: &DecoderConfig, format: GgmlDType, path: &Path) {
    let number = |n: usize| Value::U32(n as u32);
    let metadata = [
        ("general.architecture", Value::String("llama".into())),
        ("llama.block_count", number(config.layers)),
        ("llama.embedding_length", number(config.hidden)),
        ("llama.feed_forward_length", number(config.ffn)),
        ("llama.context_length", number(config.context_tokens)),
        ("llama.vocab_size", number(config.vocab)),
        ("llama.attention.head_count", number(config.heads)),
        ("llama.attention.head_count_kv", number(config.kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(config.rms_eps as f32)),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(String, QTensor)> = weights(config)
        .into_iter()
        .map(|(name, tensor)| {
            let format = if tensor.rank() == 1 { GgmlDType::F32 } else { format };
            (gguf_name(&name), QTensor::quantize(&tensor, format).unwrap())
        })
        .collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = fs::File::create(path).unwrap();
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
}

fn gguf_name(name: &str) -> String {
    let mut own = name.to_owned();
    for (theirs, ours) in [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("post_attention_layernorm", "ffn_norm"),
        ("input_layernorm", "attn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ] {
        own = own.replace(theirs, ours);
    }
    own
}
