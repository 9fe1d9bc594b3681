//! An encoder's description from its `config.json`.

use candle_transformers::models::{bert, nomic_bert};
use hearth_engine_api::LoadError;
use serde::Deserialize;

use crate::{models::malformed, weights::unsupported};

/// Bounds no real model comes near.
const MAX_WIDTH: usize = 1 << 16;
const MAX_LAYERS: usize = 1 << 9;
const MAX_VOCAB: usize = 1 << 22;
const MAX_POSITIONS: usize = 1 << 20;

/// What an encoder is.
#[derive(Debug)]
pub(super) struct EncoderConfig {
    pub(super) kind: Kind,
    pub(super) vocab: usize,
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) layers: usize,
    pub(super) ffn: usize,
    /// Longest row.
    pub(super) positions: usize,
    types: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Bert(Box<bert::Config>),
    Nomic(Box<NomicConfig>),
}

#[derive(Deserialize)]
struct Named {
    model_type: Option<String>,
}

#[derive(Deserialize)]
struct BertFields {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: Option<String>,
    max_position_embeddings: usize,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    position_embedding_type: Option<String>,
    is_decoder: Option<bool>,
}

#[derive(Deserialize)]
struct NomicFields {
    vocab_size: usize,
    n_embd: usize,
    n_head: usize,
    n_layer: usize,
    n_inner: Option<usize>,
    n_positions: usize,
    /// Beyond this many positions the model stretches its rotations, which is not done here.
    max_trained_positions: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_epsilon: Option<f64>,
    rotary_emb_fraction: Option<f64>,
    rotary_emb_base: Option<f64>,
    rotary_emb_interleaved: Option<bool>,
    rotary_emb_scale_base: Option<f64>,
    qkv_proj_bias: Option<bool>,
    mlp_fc1_bias: Option<bool>,
    mlp_fc2_bias: Option<bool>,
    activation_function: Option<String>,
    prenorm: Option<bool>,
    causal: Option<bool>,
    parallel_block: Option<bool>,
    use_rms_norm: Option<bool>,
    num_experts: Option<usize>,
}

/// A Nomic encoder, for a context still to be chosen.
#[derive(Debug)]
pub(super) struct NomicConfig(nomic_bert::Config);

impl NomicConfig {
    pub(super) fn for_context(&self, tokens: usize) -> nomic_bert::Config {
        nomic_bert::Config { n_positions: tokens, ..self.0.clone() }
    }
}

impl EncoderConfig {
    pub(super) fn parse(json: &str) -> Result<Self, LoadError> {
        let broken = |error: serde_json::Error| malformed(format!("config.json: {error}"));
        let named: Named = serde_json::from_str(json).map_err(broken)?;
        let config = match named.model_type.as_deref() {
            Some("bert") => bert(serde_json::from_str(json).map_err(broken)?)?,
            Some("nomic_bert") => nomic(serde_json::from_str(json).map_err(broken)?)?,
            Some(other) => {
                return Err(unsupported(format!("a sentence encoder of type {other:?}")));
            }
            None => return Err(malformed("config.json names no model_type")),
        };
        config.validate()?;
        Ok(config)
    }

    pub(super) const fn architecture(&self) -> &'static str {
        match self.kind {
            Kind::Bert(_) => "bert",
            Kind::Nomic(_) => "nomic_bert",
        }
    }

    fn validate(&self) -> Result<(), LoadError> {
        let figures = [
            ("hidden size", self.hidden, MAX_WIDTH),
            ("feed-forward size", self.ffn, MAX_WIDTH),
            ("number of heads", self.heads, MAX_WIDTH),
            ("number of layers", self.layers, MAX_LAYERS),
            ("vocabulary", self.vocab, MAX_VOCAB),
            ("context", self.positions, MAX_POSITIONS),
            ("number of text types", self.types, MAX_WIDTH),
        ];
        for (what, figure, limit) in figures {
            if figure == 0 || figure > limit {
                return Err(malformed(format!("{what} is {figure}, expected 1 to {limit}")));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(malformed(format!(
                "{} numbers cannot be shared by {} heads",
                self.hidden, self.heads
            )));
        }
        let eps = match &self.kind {
            Kind::Bert(config) => config.layer_norm_eps,
            Kind::Nomic(config) => {
                let base = config.0.rotary_emb_base;
                if !(self.hidden / self.heads).is_multiple_of(2) {
                    return Err(malformed("the size of a head is odd"));
                }
                if !(base.is_finite() && base > 0.0) {
                    return Err(malformed(format!("rotary base is {base}")));
                }
                config.0.layer_norm_epsilon
            }
        };
        if eps.is_finite() && eps >= 0.0 {
            Ok(())
        } else {
            Err(malformed(format!("norm epsilon is {eps}")))
        }
    }

    /// Name and shape of every tensor the encoder reads; matrices are `(out, in)`.
    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let hidden = self.hidden;
        let mut list =
            vec![("embeddings.word_embeddings.weight".to_owned(), vec![self.vocab, hidden])];
        let mut add = |name: String, shape: &[usize]| list.push((name, shape.to_vec()));
        add("embeddings.token_type_embeddings.weight".into(), &[self.types, hidden]);
        let norm = match &self.kind {
            Kind::Bert(config) => {
                let positions = config.max_position_embeddings;
                add("embeddings.position_embeddings.weight".into(), &[positions, hidden]);
                "embeddings.LayerNorm"
            }
            Kind::Nomic(_) => "emb_ln",
        };
        add(format!("{norm}.weight"), &[hidden]);
        add(format!("{norm}.bias"), &[hidden]);
        for layer in 0..self.layers {
            match &self.kind {
                Kind::Bert(_) => self.bert_layer(layer, &mut add),
                Kind::Nomic(config) => self.nomic_layer(layer, &config.0, &mut add),
            }
        }
        list
    }

    fn bert_layer(&self, layer: usize, add: &mut dyn FnMut(String, &[usize])) {
        let (hidden, ffn) = (self.hidden, self.ffn);
        for (part, outputs, inputs) in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", ffn, hidden),
            ("output.dense", hidden, ffn),
        ] {
            add(format!("encoder.layer.{layer}.{part}.weight"), &[outputs, inputs]);
            add(format!("encoder.layer.{layer}.{part}.bias"), &[outputs]);
        }
        for part in ["attention.output", "output"] {
            add(format!("encoder.layer.{layer}.{part}.LayerNorm.weight"), &[hidden]);
            add(format!("encoder.layer.{layer}.{part}.LayerNorm.bias"), &[hidden]);
        }
    }

    fn nomic_layer(
        &self,
        layer: usize,
        config: &nomic_bert::Config,
        add: &mut dyn FnMut(String, &[usize]),
    ) {
        let (hidden, ffn) = (self.hidden, self.ffn);
        for (part, outputs, inputs, bias) in [
            ("attn.Wqkv", 3 * hidden, hidden, config.qkv_proj_bias),
            ("attn.out_proj", hidden, hidden, config.qkv_proj_bias),
            ("mlp.fc11", ffn, hidden, config.mlp_fc1_bias),
            ("mlp.fc12", ffn, hidden, config.mlp_fc1_bias),
            ("mlp.fc2", hidden, ffn, config.mlp_fc2_bias),
        ] {
            add(format!("encoder.layers.{layer}.{part}.weight"), &[outputs, inputs]);
            if bias {
                add(format!("encoder.layers.{layer}.{part}.bias"), &[outputs]);
            }
        }
        for part in ["norm1", "norm2"] {
            add(format!("encoder.layers.{layer}.{part}.weight"), &[hidden]);
            add(format!("encoder.layers.{layer}.{part}.bias"), &[hidden]);
        }
    }
}

fn bert(fields: BertFields) -> Result<EncoderConfig, LoadError> {
    let hidden_act = match fields.hidden_act.as_deref() {
        None | Some("gelu") => bert::HiddenAct::Gelu,
        Some("gelu_new" | "gelu_pytorch_tanh") => bert::HiddenAct::GeluApproximate,
        Some("relu") => bert::HiddenAct::Relu,
        Some(other) => return Err(unsupported(format!("activation {other:?}"))),
    };
    if let Some(kind) = fields.position_embedding_type.filter(|kind| kind != "absolute") {
        return Err(unsupported(format!("positions of kind {kind:?}")));
    }
    if fields.is_decoder == Some(true) {
        return Err(unsupported("a BERT that is a decoder"));
    }
    let config = bert::Config {
        vocab_size: fields.vocab_size,
        hidden_size: fields.hidden_size,
        num_hidden_layers: fields.num_hidden_layers,
        num_attention_heads: fields.num_attention_heads,
        intermediate_size: fields.intermediate_size,
        hidden_act,
        max_position_embeddings: fields.max_position_embeddings,
        type_vocab_size: fields.type_vocab_size.unwrap_or(2),
        layer_norm_eps: fields.layer_norm_eps.unwrap_or(1e-12),
        ..bert::Config::default()
    };
    Ok(EncoderConfig {
        vocab: config.vocab_size,
        hidden: config.hidden_size,
        heads: config.num_attention_heads,
        layers: config.num_hidden_layers,
        ffn: config.intermediate_size,
        positions: config.max_position_embeddings,
        types: config.type_vocab_size,
        kind: Kind::Bert(Box::new(config)),
    })
}

fn nomic(fields: NomicFields) -> Result<EncoderConfig, LoadError> {
    if let Some(other) = fields.activation_function.filter(|name| name != "swiglu") {
        return Err(unsupported(format!("activation {other:?}")));
    }
    if fields.rotary_emb_fraction != Some(1.0) {
        return Err(unsupported("a rotary embedding of part of a head"));
    }
    let variants = [
        ("a norm before each layer", fields.prenorm),
        ("a causal encoder", fields.causal),
        ("attention and feed-forward side by side", fields.parallel_block),
        ("RMS norms in a BERT", fields.use_rms_norm),
        ("rotations that fade", fields.rotary_emb_scale_base.map(|_| true)),
        ("a mixture of experts", fields.num_experts.map(|count| count > 0)),
    ];
    if let Some((what, _)) = variants.into_iter().find(|(_, there)| *there == Some(true)) {
        return Err(unsupported(what));
    }
    let config = nomic_bert::Config {
        vocab_size: fields.vocab_size,
        n_embd: fields.n_embd,
        n_head: fields.n_head,
        n_layer: fields.n_layer,
        n_inner: fields.n_inner.unwrap_or_else(|| fields.n_embd.saturating_mul(4)),
        n_positions: fields.n_positions,
        type_vocab_size: fields.type_vocab_size.unwrap_or(2),
        layer_norm_epsilon: fields.layer_norm_epsilon.unwrap_or(1e-12),
        rotary_emb_base: fields.rotary_emb_base.unwrap_or(10_000.0),
        rotary_emb_interleaved: fields.rotary_emb_interleaved.unwrap_or(false),
        qkv_proj_bias: fields.qkv_proj_bias.unwrap_or(true),
        mlp_fc1_bias: fields.mlp_fc1_bias.unwrap_or(true),
        mlp_fc2_bias: fields.mlp_fc2_bias.unwrap_or(true),
        ..nomic_bert::Config::default()
    };
    Ok(EncoderConfig {
        vocab: config.vocab_size,
        hidden: config.n_embd,
        heads: config.n_head,
        layers: config.n_layer,
        ffn: config.n_inner,
        positions: config.n_positions.min(fields.max_trained_positions.unwrap_or(usize::MAX)),
        types: config.type_vocab_size,
        kind: Kind::Nomic(Box::new(NomicConfig(config))),
    })
}
