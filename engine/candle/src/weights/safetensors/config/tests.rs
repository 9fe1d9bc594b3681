//! Published configurations, and what is refused.

use hearth_engine_api::LoadError;
use serde_json::{Value, json};

use super::json_config;
use crate::models::{Activation, DecoderConfig, LocalLayers, RopeScaling};

/// The fields of Llama 3.2 1B, as published.
const LLAMA_3_2: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
    "eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu",
    "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 131072,
    "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
    "num_hidden_layers": 16, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
    "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3", "type": "llama3"},
    "rope_theta": 500000.0, "tie_word_embeddings": true, "vocab_size": 128256}"#;

#[test]
fn a_published_config_is_understood() {
    let config = json_config(LLAMA_3_2, false).unwrap();
    assert_eq!((config.heads, config.kv_heads, config.head_dim), (32, 8, 64));
    assert!(config.tied_embeddings && !config.qkv_bias && !config.qk_norm);
    assert!(matches!(
        config.rope_scaling,
        RopeScaling::Llama3 { original_context_tokens: 8192, .. }
    ));
}

#[test]
fn newer_files_keep_the_rotary_figures_together() {
    let json = r#"{"model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
        "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 40960,
        "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"}}"#;
    let config = json_config(json, false).unwrap();
    assert_eq!((config.rope_theta, config.rope_scaling), (1_000_000.0, RopeScaling::None));
    assert!(config.qk_norm && config.tied_embeddings);
    assert!(!json_config(json, true).unwrap().tied_embeddings);
}

fn read(json: &Value) -> DecoderConfig {
    json_config(&json.to_string(), false).unwrap()
}

fn refusal(json: &Value) -> String {
    match json_config(&json.to_string(), false) {
        Err(LoadError::Unsupported { what }) => what,
        other => panic!("{other:?}"),
    }
}

/// Gemma 2 2B, as published.
fn gemma_2() -> Value {
    json!({
        "architectures": ["Gemma2ForCausalLM"], "attention_bias": false,
        "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "head_dim": 256,
        "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 2304, "intermediate_size": 9216, "max_position_embeddings": 8192,
        "model_type": "gemma2", "num_attention_heads": 8, "num_hidden_layers": 26,
        "num_key_value_heads": 4, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "sliding_window": 4096, "vocab_size": 256_000,
    })
}

/// Gemma 3 1B, as published.
fn gemma_3() -> Value {
    json!({
        "architectures": ["Gemma3ForCausalLM"], "attention_bias": false,
        "attn_logit_softcapping": null, "final_logit_softcapping": null, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 6912,
        "max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4,
        "num_hidden_layers": 26, "num_key_value_heads": 1, "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-6, "rope_local_base_freq": 10000, "rope_scaling": null,
        "rope_theta": 1_000_000, "sliding_window": 512, "sliding_window_pattern": 6,
        "vocab_size": 262_144,
    })
}

/// Phi-4 mini, as published but for its 48 factors of each kind.
fn phi_4_mini() -> Value {
    json!({
        "architectures": ["Phi3ForCausalLM"], "attention_bias": false, "hidden_act": "silu",
        "hidden_size": 3072, "intermediate_size": 8192, "max_position_embeddings": 131_072,
        "model_type": "phi3", "num_attention_heads": 24, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "original_max_position_embeddings": 4096,
        "partial_rotary_factor": 0.75, "rms_norm_eps": 1e-5,
        "rope_scaling": {"long_factor": vec![1.5; 48], "short_factor": vec![1.0; 48], "type": "longrope"},
        "rope_theta": 10000.0, "sliding_window": 262_144, "tie_word_embeddings": true,
        "vocab_size": 200_064,
    })
}

#[test]
fn gemma_2_has_caps_and_every_other_layer_local() {
    let config = read(&gemma_2());
    assert_eq!((config.attention_softcap, config.final_softcap), (Some(50.0), Some(30.0)));
    assert_eq!((config.window(0), config.window(1)), (Some(4096), None));
    assert_eq!((config.norm_offset, config.embedding_scale), (1.0, 48.0));
    assert_eq!((config.attention_scale(), config.activation), (1.0 / 16.0, Activation::GeluTanh));
    assert!(config.post_norms && config.tied_embeddings && !config.qk_norm);
    // What the file leaves out is as transformers has it.
    let mut bare = gemma_2();
    for field in ["head_dim", "sliding_window", "attn_logit_softcapping", "query_pre_attn_scalar"] {
        bare.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(read(&bare), config);
}

#[test]
fn gemma_3_has_two_rotary_embeddings() {
    let config = read(&gemma_3());
    assert_eq!((config.rope_theta, config.local_rope_theta), (1_000_000.0, Some(10_000.0)));
    assert_eq!(
        (config.window(4), config.window(5), config.window(25)),
        (Some(512), None, Some(512))
    );
    assert_eq!((config.attention_softcap, config.final_softcap), (None, None));
    assert!(config.qk_norm && config.post_norms);
    // As newer versions of transformers write the same.
    let mut newer = gemma_3();
    let fields = newer.as_object_mut().unwrap();
    for field in ["rope_theta", "rope_local_base_freq", "rope_scaling", "sliding_window_pattern"] {
        fields.remove(field);
    }
    let kind = |layer: i32| if layer % 6 == 0 { "full_attention" } else { "sliding_attention" };
    fields.insert("layer_types".into(), (1..=26).map(kind).collect());
    fields.insert(
        "rope_parameters".into(),
        json!({
            "full_attention": {"rope_type": "default", "rope_theta": 1_000_000},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000},
        }),
    );
    assert_eq!(read(&newer), config);
}

#[test]
fn phi_turns_part_of_a_head() {
    let config = read(&phi_4_mini());
    assert_eq!((config.head_dim, config.rotary_dim()), (128, 96));
    assert!(config.joined_projections && config.tied_embeddings);
    assert!(matches!(
        config.rope_scaling,
        RopeScaling::Long { original_context_tokens: 4096, magnitude, .. }
            if (magnitude - 1.190_238).abs() < 1e-6
    ));
    let mut wrong = phi_4_mini();
    wrong["rope_scaling"]["long_factor"] = json!([1.0]);
    assert!(matches!(
        json_config(&wrong.to_string(), false),
        Err(LoadError::Malformed { reason }) if reason.contains("rope scaling")
    ));
}

#[test]
fn mistral_has_the_window_it_says() {
    let mut json = json!({
        "architectures": ["MistralForCausalLM"], "hidden_act": "silu", "hidden_size": 4096,
        "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "sliding_window": 4096,
        "tie_word_embeddings": false, "vocab_size": 32000,
    });
    let config = read(&json);
    assert_eq!((config.window(0), config.local_layers), (Some(4096), LocalLayers::All));
    json["sliding_window"] = Value::Null;
    assert_eq!(read(&json).window(0), None);
}

#[test]
fn what_does_not_run_is_named() {
    let changed = |field: &str, value: Value| {
        let mut json = gemma_3();
        json[field] = value;
        refusal(&json)
    };
    let unknown = changed("model_type", "gemma3n".into());
    assert!(unknown.contains("gemma3n") && unknown.contains("Gemma 3"), "{unknown}");
    assert!(changed("text_config", json!({})).contains("images"));
    assert!(changed("hidden_activation", "gelu".into()).contains("gelu"));
    assert!(changed("use_bidirectional_attention", true.into()).contains("embeddings"));
    let kinds = |global: &[usize]| -> Value {
        let kind =
            |layer| if global.contains(&layer) { "full_attention" } else { "sliding_attention" };
        (0..26).map(kind).collect()
    };
    assert!(changed("layer_types", kinds(&[5, 7])).contains("irregularly"));
    assert!(changed("layer_types", json!(vec!["chunked_attention"; 26])).contains("chunked"));
}
