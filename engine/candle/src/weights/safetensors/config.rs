//! A decoder's description from `config.json`.

use hearth_engine_api::LoadError;
use serde::Deserialize;

use crate::{
    models::{
        Activation, Architecture, DecoderConfig, LocalLayers, RopeLayout, RopeScaling, malformed,
    },
    weights::unsupported,
};

/// The fields that matter, as transformers writes them.
#[derive(Deserialize)]
struct Fields {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_scaling: Option<Rope>,
    /// Where newer versions keep both of the above.
    rope_parameters: Option<Rope>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    tie_word_embeddings: Option<bool>,
    use_sliding_window: Option<bool>,
    hidden_act: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
    /// The older name of `rope_type`; some files have both.
    r#type: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
}

/// Describes the model of a `config.json`; `has_head` tells whether its weights include an output head.
pub(crate) fn json_config(json: &str, has_head: bool) -> Result<DecoderConfig, LoadError> {
    let fields: Fields =
        serde_json::from_str(json).map_err(|error| malformed(format!("config.json: {error}")))?;
    let architecture = Architecture::from_name(&fields.model_type)
        .ok_or_else(|| unsupported(format!("architecture {:?}", fields.model_type)))?;
    refuse_variants(&fields)?;
    let heads = fields.num_attention_heads;
    let head_dim = match fields.head_dim {
        Some(size) => size,
        None if heads > 0 && fields.hidden_size.is_multiple_of(heads) => fields.hidden_size / heads,
        None => {
            return Err(malformed(format!(
                "{} numbers cannot be shared by {heads} heads",
                fields.hidden_size
            )));
        }
    };
    let bias = fields.attention_bias.unwrap_or(false);
    let rope = fields.rope_parameters.clone().or_else(|| fields.rope_scaling.clone());
    let rope_theta = rope.as_ref().and_then(|rope| rope.rope_theta).or(fields.rope_theta);
    let config = DecoderConfig {
        architecture,
        hidden: fields.hidden_size,
        layers: fields.num_hidden_layers,
        heads,
        kv_heads: fields.num_key_value_heads.unwrap_or(heads),
        head_dim,
        ffn: fields.intermediate_size,
        vocab: fields.vocab_size,
        context_tokens: fields.max_position_embeddings,
        rope_theta: rope_theta.unwrap_or(10_000.0),
        rope_scaling: scaling(rope)?,
        rope_layout: RopeLayout::HalfSplit,
        rms_eps: fields.rms_norm_eps.unwrap_or(1e-6),
        qkv_bias: bias || architecture == Architecture::Qwen2,
        output_bias: bias && architecture != Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
        tied_embeddings: fields.tie_word_embeddings.unwrap_or(!has_head),
        activation: Activation::Silu,
        norm_offset: 0.0,
        post_norms: false,
        embedding_scale: 1.0,
        attention_scale: None,
        attention_softcap: None,
        final_softcap: None,
        sliding_window: None,
        local_layers: LocalLayers::All,
        local_rope_theta: None,
    };
    config.validate()?;
    Ok(config)
}

fn refuse_variants(fields: &Fields) -> Result<(), LoadError> {
    if fields.hidden_act.as_deref().is_some_and(|name| name != "silu") {
        return Err(unsupported(format!("activation {:?}", fields.hidden_act)));
    }
    if fields.mlp_bias == Some(true) {
        return Err(unsupported("biases in the feed-forward layers"));
    }
    if fields.use_sliding_window == Some(true) {
        return Err(unsupported("sliding-window attention"));
    }
    Ok(())
}

fn scaling(rope: Option<Rope>) -> Result<RopeScaling, LoadError> {
    let Some(rope) = rope else { return Ok(RopeScaling::None) };
    let needed = |what: &str, value: Option<f64>| {
        value.ok_or_else(|| malformed(format!("config.json: rope scaling lacks {what}")))
    };
    match rope.rope_type.or(rope.r#type).as_deref() {
        None | Some("default") => Ok(RopeScaling::None),
        Some("linear") => Ok(RopeScaling::Linear { factor: needed("factor", rope.factor)? }),
        Some("llama3") => Ok(RopeScaling::Llama3 {
            factor: needed("factor", rope.factor)?,
            low_freq_factor: needed("low_freq_factor", rope.low_freq_factor)?,
            high_freq_factor: needed("high_freq_factor", rope.high_freq_factor)?,
            original_context_tokens: rope.original_max_position_embeddings.ok_or_else(|| {
                malformed("config.json: rope scaling lacks original_max_position_embeddings")
            })?,
        }),
        Some(other) => Err(unsupported(format!("rope scaling {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
