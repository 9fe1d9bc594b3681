//! A decoder's description from a GGUF's metadata.

use std::{fs::File, path::Path};

use candle_core::quantized::gguf_file::Value;
use hearth_engine_api::LoadError;

use super::{GgufHeader, unsupported};
use crate::{
    models::{Architecture, DecoderConfig, LocalLayers, RopeLayout, RopeScaling, malformed},
    weights::{
        Progress, io_error,
        reading::{Place, Plain},
        wrong_shape,
    },
};

const ROPE_FACTORS: &str = "rope_freqs.weight";
const ROPE_FACTORS_SHORT_LONG: [&str; 2] =
    ["rope_factors_short.weight", "rope_factors_long.weight"];

/// Describes the model in the file at `path`. Of the tensors' data, only the rotary factors are read.
pub(crate) fn gguf_config(header: &GgufHeader, path: &Path) -> Result<DecoderConfig, LoadError> {
    let name = header
        .text("general.architecture")
        .ok_or_else(|| malformed("general.architecture is missing"))?;
    let architecture = Architecture::from_name(name).ok_or_else(|| unknown_architecture(name))?;
    let fields = Fields { header, prefix: name };
    refuse_variants(&fields)?;
    let (hidden, heads) =
        (fields.required("embedding_length")?, fields.required("attention.head_count")?);
    let vocab = vocabulary(header, hidden)?;
    let context_tokens = fields.required("context_length")?;
    let ffn = fields.required("feed_forward_length")?;
    let family = DecoderConfig::family(architecture, vocab, hidden, heads, ffn, context_tokens);
    let head_dim = head_size(&fields, hidden, heads)?;
    let turned = fields.optional("rope.dimension_count")?.filter(|&turned| turned != head_dim);
    let pairs = turned.unwrap_or(head_dim) / 2;
    let has = |tensor: &str| header.tensors().contains_key(tensor);
    let mut config = DecoderConfig {
        layers: fields.required("block_count")?,
        kv_heads: fields.optional("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        rotary_dim: turned,
        rope_theta: fields.float("rope.freq_base").unwrap_or(family.rope_theta),
        rope_scaling: scaling(&fields, path, (pairs, context_tokens))?,
        rope_layout: match architecture {
            Architecture::Llama | Architecture::Mistral => RopeLayout::Interleaved,
            _ => RopeLayout::HalfSplit,
        },
        rms_eps: fields.float("attention.layer_norm_rms_epsilon").unwrap_or(family.rms_eps),
        qkv_bias: has("blk.0.attn_q.bias"),
        output_bias: has("blk.0.attn_output.bias"),
        qk_norm: has("blk.0.attn_q_norm.weight"),
        joined_projections: has("blk.0.attn_qkv.weight"),
        tied_embeddings: !has("output.weight"),
        ..family
    };
    local_layers(&mut config, &fields)?;
    gemma_figures(&mut config, &fields);
    config.validate()?;
    Ok(config)
}

fn unknown_architecture(name: &str) -> LoadError {
    unsupported(format!("architecture {name:?}; it is {} that run", Architecture::SUPPORTED))
}

fn refuse_variants(fields: &Fields<'_>) -> Result<(), LoadError> {
    let header = fields.header;
    if let Some(count) = header.integer("split.count").filter(|&count| count > 1) {
        return Err(unsupported(format!("a GGUF split into {count} files; merge them into one")));
    }
    let unknown = header.tensors().iter().find(|(_, entry)| entry.kind.supported().is_none());
    if let Some((tensor, entry)) = unknown {
        return Err(unsupported(format!("tensor type {} ({tensor})", entry.kind)));
    }
    if fields.optional("expert_count")?.is_some_and(|count| count > 0) {
        return Err(unsupported("a mixture of experts"));
    }
    Ok(())
}

fn head_size(fields: &Fields<'_>, hidden: usize, heads: usize) -> Result<usize, LoadError> {
    let head_dim = match fields.optional("attention.key_length")? {
        Some(length) => length,
        None if heads > 0 && hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            return Err(malformed(format!("{hidden} numbers cannot be shared by {heads} heads")));
        }
    };
    if fields.optional("attention.value_length")?.is_some_and(|length| length != head_dim) {
        return Err(unsupported("values of another size than keys"));
    }
    Ok(head_dim)
}

/// The sliding window and the layers that have one.
fn local_layers(config: &mut DecoderConfig, fields: &Fields<'_>) -> Result<(), LoadError> {
    const PATTERN: &str = "attention.sliding_window_pattern";
    config.sliding_window = match fields.optional("attention.sliding_window")? {
        // Its oldest files leave out what all models of the family have in common.
        None if config.architecture == Architecture::Gemma2 => Some(4096),
        window => window.filter(|&window| window > 0),
    };
    match fields.header.metadata.get(&fields.key(PATTERN)) {
        None => {}
        Some(Value::Array(layers)) => {
            let local = |value: &Value| match value {
                Value::Bool(local) => Ok(*local),
                _ => Err(malformed(format!("{PATTERN} holds something else than yes and no"))),
            };
            let layers = layers.iter().map(local).collect::<Result<Vec<bool>, _>>()?;
            config.set_local_layers(&layers)?;
        }
        Some(_) => {
            config.local_layers = match fields.required(PATTERN)? {
                0 => LocalLayers::All,
                every => LocalLayers::AllButEvery(every),
            };
        }
    }
    if let Some(theta) = fields.float("rope.freq_base_swa") {
        config.local_rope_theta = Some(theta);
    }
    Ok(())
}

/// Caps and scales of Gemma. Files leave out the scale of the largest models, which is told from their layers.
fn gemma_figures(config: &mut DecoderConfig, fields: &Fields<'_>) {
    let cap = |key: &str, default: Option<f64>| match fields.float(key) {
        None => default,
        cap => cap.filter(|&cap| cap != 0.0),
    };
    let (default_scores, default_logits, largest_layers) = match config.architecture {
        Architecture::Gemma2 => (Some(50.0), Some(30.0), 46),
        Architecture::Gemma3 => (None, None, 62),
        _ => return,
    };
    config.attention_softcap = cap("attn_logit_softcapping", default_scores);
    config.final_softcap = cap("final_logit_softcapping", default_logits);
    if config.layers == largest_layers {
        let width = config.hidden as f64 / config.heads.max(1) as f64;
        config.attention_scale = Some(width.sqrt().recip());
    }
}

struct Fields<'a> {
    header: &'a GgufHeader,
    prefix: &'a str,
}

impl Fields<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn float(&self, name: &str) -> Option<f64> {
        self.header.float(&self.key(name))
    }

    fn optional(&self, name: &str) -> Result<Option<usize>, LoadError> {
        let key = self.key(name);
        match self.header.metadata.get(&key) {
            None => Ok(None),
            Some(Value::Array(_)) => Err(unsupported(format!("a {name} that differs by layer"))),
            Some(_) => match self.header.integer(&key).map(usize::try_from) {
                Some(Ok(number)) => Ok(Some(number)),
                _ => Err(malformed(format!("{key} is not a whole number"))),
            },
        }
    }

    fn required(&self, name: &str) -> Result<usize, LoadError> {
        self.optional(name)?.ok_or_else(|| malformed(format!("{} is missing", self.key(name))))
    }
}

fn vocabulary(header: &GgufHeader, hidden: usize) -> Result<usize, LoadError> {
    const NAME: &str = "token_embd.weight";
    let entry = header.tensors().get(NAME).ok_or_else(|| wrong_shape(NAME, &[0, hidden], &[]))?;
    match *entry.shape.as_slice() {
        [rows, columns] if columns == hidden => Ok(rows),
        _ => Err(wrong_shape(NAME, &[0, hidden], &entry.shape)),
    }
}

fn scaling(
    fields: &Fields<'_>,
    path: &Path,
    (pairs, context_tokens): (usize, usize),
) -> Result<RopeScaling, LoadError> {
    let header = fields.header;
    let has = |tensor: &str| header.tensors().contains_key(tensor);
    if has(ROPE_FACTORS) {
        return Ok(RopeScaling::Factors(rope_factors(header, path, ROPE_FACTORS, pairs)?));
    }
    if let [short, long] = ROPE_FACTORS_SHORT_LONG
        && (has(short) || has(long))
    {
        let short = rope_factors(header, path, short, pairs)?;
        let long = rope_factors(header, path, long, pairs)?;
        let original = fields.optional("rope.scaling.original_context_length")?;
        let original = original.unwrap_or(context_tokens);
        let magnitude = fields.float("rope.scaling.attn_factor");
        return Ok(RopeScaling::long((short, long), (original, context_tokens), magnitude));
    }
    let factor = fields.float("rope.scaling.factor");
    match header.text(&fields.key("rope.scaling.type")) {
        None | Some("none") => Ok(match fields.float("rope.scale_linear") {
            Some(factor) if factor != 1.0 => RopeScaling::Linear { factor },
            _ => RopeScaling::None,
        }),
        Some("linear") => {
            let factor = factor.ok_or_else(|| malformed("rope.scaling.factor is missing"))?;
            Ok(RopeScaling::Linear { factor })
        }
        Some(other) => Err(unsupported(format!("rope scaling {other:?}"))),
    }
}

fn rope_factors(
    header: &GgufHeader,
    path: &Path,
    name: &str,
    pairs: usize,
) -> Result<Vec<f32>, LoadError> {
    let shape = [pairs];
    let entry = header.tensors().get(name).ok_or_else(|| wrong_shape(name, &shape, &[]))?;
    if entry.shape != shape {
        return Err(wrong_shape(name, &shape, &entry.shape));
    }
    if entry.kind.to_string() != "F32" {
        return Err(unsupported(format!("{name} as {}", entry.kind)));
    }
    let mut file = File::open(path).map_err(|source| io_error(path, source))?;
    let place = Place { name, path, start: header.data_start() + entry.offset, shape: &shape };
    let mut ignore = |_share: f32| std::ops::ControlFlow::Continue(());
    let factors = place.read_plain(&mut file, Plain::F32, &mut Progress::new(1, &mut ignore))?;
    factors.to_vec1().map_err(|error| malformed(format!("{name}: {error}")))
}
