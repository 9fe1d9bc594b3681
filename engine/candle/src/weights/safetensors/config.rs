//! A decoder's description from `config.json`.

use hearth_engine_api::LoadError;
use serde::Deserialize;

use crate::{
    models::{Architecture, DecoderConfig, RopeLayout, RopeScaling, malformed},
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
    #[serde(alias = "type")]
    rope_type: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
}

/// Describes the model of a `config.json`.
pub(crate) fn json_config(json: &str) -> Result<DecoderConfig, LoadError> {
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
        tied_embeddings: fields.tie_word_embeddings.unwrap_or(false),
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
    match rope.rope_type.as_deref() {
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
