//! A decoder's description from `config.json`.

use hearth_engine_api::LoadError;
use serde::{Deserialize, Deserializer};

use crate::{
    models::{Activation, Architecture, DecoderConfig, LocalLayers, RopeScaling, malformed},
    weights::unsupported,
};

/// The fields that matter, as transformers writes them.
#[derive(Deserialize)]
struct Fields {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    original_max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_scaling: Option<Rope>,
    /// Where newer versions keep both of the above, in some families by kind of layer.
    rope_parameters: Option<RopeParameters>,
    /// Base of the frequencies in local layers.
    rope_local_base_freq: Option<f64>,
    partial_rotary_factor: Option<f64>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    tie_word_embeddings: Option<bool>,
    use_sliding_window: Option<bool>,
    /// Absent means the family's own, null none.
    #[serde(default, deserialize_with = "given")]
    sliding_window: Option<Option<usize>>,
    /// Every how many layers one is global.
    #[serde(alias = "_sliding_window_pattern")]
    sliding_window_pattern: Option<usize>,
    layer_types: Option<Vec<String>>,
    hidden_act: Option<String>,
    /// Gemma's name of the same, which wins.
    hidden_activation: Option<String>,
    query_pre_attn_scalar: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    attn_logit_softcapping: Option<Option<f64>>,
    #[serde(default, deserialize_with = "given")]
    final_logit_softcapping: Option<Option<f64>>,
    use_bidirectional_attention: Option<bool>,
}

/// Tells null from absent.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum RopeParameters {
    ByKind { full_attention: Box<Rope>, sliding_attention: Box<Rope> },
    One(Rope),
}

#[derive(Clone, Default, Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
    /// The older name of `rope_type`; some files have both.
    r#type: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    partial_rotary_factor: Option<f64>,
    short_factor: Option<Vec<f32>>,
    long_factor: Option<Vec<f32>>,
    attention_factor: Option<f64>,
}

/// Describes the model of a `config.json`; `has_head` tells whether its weights include an output head.
pub(crate) fn json_config(json: &str, has_head: bool) -> Result<DecoderConfig, LoadError> {
    let architecture = architecture(json)?;
    let fields: Fields = parsed(json)?;
    let heads = fields.num_attention_heads;
    let family = DecoderConfig::family(
        architecture,
        fields.vocab_size,
        fields.hidden_size,
        heads,
        fields.intermediate_size,
        fields.max_position_embeddings,
    );
    refuse_variants(&fields, &family)?;
    let bias = fields.attention_bias.unwrap_or(false);
    let (rope, local_rope) = rope(&fields);
    let head_dim = head_size(&fields, &family)?;
    let mut config = DecoderConfig {
        layers: fields.num_hidden_layers,
        kv_heads: fields.num_key_value_heads.unwrap_or(heads),
        head_dim,
        rotary_dim: turned(&fields, &rope, head_dim),
        rope_theta: rope.rope_theta.or(fields.rope_theta).unwrap_or(family.rope_theta),
        local_rope_theta: local_rope.or(fields.rope_local_base_freq).or(family.local_rope_theta),
        rope_scaling: scaling(rope, &fields)?,
        rms_eps: fields.rms_norm_eps.unwrap_or(match architecture {
            Architecture::Phi3 => 1e-5,
            _ => 1e-6,
        }),
        qkv_bias: bias || family.qkv_bias,
        output_bias: bias && architecture != Architecture::Qwen2,
        norm_offset: if is_gemma(architecture) { 1.0 } else { 0.0 },
        tied_embeddings: fields.tie_word_embeddings.unwrap_or(!has_head),
        ..family
    };
    gemma_figures(&mut config, &fields);
    local_layers(&mut config, &fields)?;
    config.validate()?;
    Ok(config)
}

fn parsed<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, LoadError> {
    serde_json::from_str(json).map_err(|error| malformed(format!("config.json: {error}")))
}

/// Looked at first, since other architectures lack fields that are needed here.
fn architecture(json: &str) -> Result<Architecture, LoadError> {
    #[derive(Deserialize)]
    struct Kind {
        model_type: String,
        text_config: Option<serde::de::IgnoredAny>,
    }
    let Kind { model_type, text_config } = parsed(json)?;
    if text_config.is_some() {
        return Err(unsupported(format!(
            "{model_type:?} with images, as safetensors; a GGUF of its text part runs"
        )));
    }
    Architecture::from_name(&model_type).ok_or_else(|| {
        unsupported(format!(
            "architecture {model_type:?}; it is {} that run",
            Architecture::SUPPORTED
        ))
    })
}

const fn is_gemma(architecture: Architecture) -> bool {
    matches!(architecture, Architecture::Gemma2 | Architecture::Gemma3)
}

fn head_size(fields: &Fields, family: &DecoderConfig) -> Result<usize, LoadError> {
    const GEMMA: usize = 256;
    match fields.head_dim {
        Some(size) => Ok(size),
        None if is_gemma(family.architecture) => Ok(GEMMA),
        None if family.heads > 0 && family.hidden.is_multiple_of(family.heads) => {
            Ok(family.hidden / family.heads)
        }
        None => Err(malformed(format!(
            "{} numbers cannot be shared by {} heads",
            family.hidden, family.heads
        ))),
    }
}

/// Caps and scales of Gemma, with the values transformers has where the file has none.
fn gemma_figures(config: &mut DecoderConfig, fields: &Fields) {
    let (scores, logits) = match config.architecture {
        Architecture::Gemma2 => (Some(50.0), Some(30.0)),
        Architecture::Gemma3 => (None, None),
        _ => return,
    };
    config.attention_softcap = fields.attn_logit_softcapping.unwrap_or(scores);
    config.final_softcap = fields.final_logit_softcapping.unwrap_or(logits);
    let width = fields.query_pre_attn_scalar.unwrap_or(256.0);
    config.attention_scale = Some(width.sqrt().recip());
}

/// The sliding window and the layers that have one.
fn local_layers(config: &mut DecoderConfig, fields: &Fields) -> Result<(), LoadError> {
    let own = match config.architecture {
        Architecture::Mistral | Architecture::Gemma2 | Architecture::Gemma3 => Some(4096),
        Architecture::Phi3 => None,
        // They have a window for show, which `use_sliding_window` switches off.
        Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => return Ok(()),
    };
    config.sliding_window = fields.sliding_window.unwrap_or(own);
    if let Some(every) = fields.sliding_window_pattern {
        config.local_layers = LocalLayers::AllButEvery(every);
    }
    if let Some(kinds) = &fields.layer_types {
        let local = |kind: &String| match kind.as_str() {
            "sliding_attention" => Ok(true),
            "full_attention" => Ok(false),
            other => Err(unsupported(format!("layers of kind {other:?}"))),
        };
        let local = kinds.iter().map(local).collect::<Result<Vec<bool>, _>>()?;
        config.set_local_layers(&local)?;
    }
    Ok(())
}

fn refuse_variants(fields: &Fields, family: &DecoderConfig) -> Result<(), LoadError> {
    let activation = fields.hidden_activation.as_deref().or(fields.hidden_act.as_deref());
    let expected = match family.activation {
        Activation::Silu => "silu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
    };
    if let Some(name) = activation.filter(|&name| name != expected) {
        return Err(unsupported(format!("activation {name:?}")));
    }
    if fields.mlp_bias == Some(true) {
        return Err(unsupported("biases in the feed-forward layers"));
    }
    if fields.use_sliding_window == Some(true) {
        return Err(unsupported("sliding-window attention in some layers, chosen by number"));
    }
    if fields.use_bidirectional_attention == Some(true) {
        return Err(unsupported("attention to what follows; it is a model of embeddings"));
    }
    Ok(())
}

/// The rotary figures of the global layers, and the base of the local ones where the file keeps them apart.
fn rope(fields: &Fields) -> (Rope, Option<f64>) {
    match fields.rope_parameters.clone() {
        Some(RopeParameters::ByKind { full_attention, sliding_attention }) => {
            (*full_attention, sliding_attention.rope_theta)
        }
        Some(RopeParameters::One(rope)) => (rope, None),
        None => (fields.rope_scaling.clone().unwrap_or_default(), None),
    }
}

/// Values of a head that are turned, where those are not all.
fn turned(fields: &Fields, rope: &Rope, head_dim: usize) -> Option<usize> {
    let share = rope.partial_rotary_factor.or(fields.partial_rotary_factor)?;
    Some((head_dim as f64 * share) as usize).filter(|&turned| turned != head_dim)
}

fn scaling(rope: Rope, fields: &Fields) -> Result<RopeScaling, LoadError> {
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
        // "su" is its older name.
        Some("longrope" | "su") => {
            let (Some(short), Some(long)) = (rope.short_factor, rope.long_factor) else {
                return Err(malformed("config.json: rope scaling lacks short or long factors"));
            };
            let context = fields.max_position_embeddings;
            let original = rope.original_max_position_embeddings;
            let original = original.or(fields.original_max_position_embeddings).unwrap_or(context);
            Ok(RopeScaling::long((short, long), (original, context), rope.attention_factor))
        }
        Some(other) => Err(unsupported(format!("rope scaling {other:?}"))),
    }
}

#[cfg(test)]
mod tests;
