//! A decoder's weights, as the kernels take them.

use hearth_engine_api::{LoadError, Target};
use hearth_engine_kernels::{Forms, Matrix};

use crate::{
    checkpoint::Checkpoint,
    models::{DecoderConfig, malformed},
    weights::MappedSource,
};

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// All of them, mapped from the model's file: read when they are first computed with, and never written.
pub struct Weights {
    /// A row for each id, not scaled yet.
    pub embedding: Matrix,
    /// The blocks, from the embedding's side on.
    pub layers: Vec<Layer>,
    /// Norm before the head, the family's offset added.
    pub norm: Vec<f32>,
    /// What makes logits; the embedding again in tied models.
    pub head: Matrix,
    pub(super) head_forms: Forms,
}

impl Weights {
    /// Maps the weights of `checkpoint`. The file must not be changed while they are in use.
    ///
    /// # Errors
    /// [`LoadError`] where a tensor is absent, misshapen or of a type the kernels do not know, or a file cannot be mapped.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        checkpoint.config().validate()?;
        Self::load(&*checkpoint.mapped()?, checkpoint.config())
    }

    pub(super) fn load(
        source: &dyn MappedSource,
        config: &DecoderConfig,
    ) -> Result<Self, LoadError> {
        let (vocab, hidden) = (config.vocab, config.hidden);
        // A tied model may hold its one matrix under either of its two names.
        let tied_as_head =
            config.tied_embeddings && !source.contains(EMBEDDING) && source.contains(HEAD);
        let name = if tied_as_head { HEAD } else { EMBEDDING };
        let embedding = source.matrix(name, vocab, hidden)?;
        let head = if config.tied_embeddings {
            embedding.clone()
        } else {
            source.matrix(HEAD, vocab, hidden)?
        };
        let loader = Loader { source, config };
        Ok(Self {
            layers: (0..config.layers)
                .map(|layer| loader.layer(layer))
                .collect::<Result<_, _>>()?,
            norm: loader.norm("model.norm", hidden)?,
            head_forms: Forms::of([&head]),
            embedding,
            head,
        })
    }
}

/// `x W^T + b`.
pub struct Linear {
    /// W.
    pub weight: Matrix,
    /// b.
    pub bias: Option<Vec<f32>>,
}

/// One block. Norms have the family's offset added already.
pub struct Layer {
    /// Norm before attention.
    pub attention_norm: Vec<f32>,
    /// Queries.
    pub q: Linear,
    /// Keys.
    pub k: Linear,
    /// Values.
    pub v: Linear,
    pub(super) qkv_forms: Forms,
    /// Norms of each head of Q and of K.
    pub head_norms: Option<(Vec<f32>, Vec<f32>)>,
    /// Attention's output.
    pub output: Linear,
    pub(super) output_forms: Forms,
    /// Norm of what attention gives, before it is added to the stream.
    pub attention_post_norm: Option<Vec<f32>>,
    /// Norm before the feed-forward layer.
    pub ffn_norm: Vec<f32>,
    /// The feed-forward layer's gate.
    pub gate: Matrix,
    /// What the gate lets through.
    pub up: Matrix,
    pub(super) gate_up_forms: Forms,
    /// Back to the width of the stream.
    pub down: Linear,
    pub(super) down_forms: Forms,
    /// Norm of what the feed-forward layer gives, before it is added to the stream.
    pub ffn_post_norm: Option<Vec<f32>>,
    /// Positions seen, where not all are.
    pub window: Option<usize>,
}

impl Layer {
    /// The matrix that an adapter's target names.
    pub const fn matrix(&self, target: Target) -> &Matrix {
        match target {
            Target::Q => &self.q.weight,
            Target::K => &self.k.weight,
            Target::V => &self.v.weight,
            Target::O => &self.output.weight,
            Target::Gate => &self.gate,
            Target::Up => &self.up,
            Target::Down => &self.down.weight,
        }
    }
}

struct Loader<'a> {
    source: &'a dyn MappedSource,
    config: &'a DecoderConfig,
}

impl Loader<'_> {
    fn layer(&self, layer: usize) -> Result<Layer, LoadError> {
        let config = self.config;
        let prefix = format!("model.layers.{layer}");
        let &DecoderConfig { hidden, head_dim, ffn, .. } = config;
        let norm = |name: &str| self.norm(&format!("{prefix}.{name}"), hidden);
        let post_norm = |name: &str| config.post_norms.then(|| norm(name)).transpose();
        let ffn_norm = match config.post_norms {
            true => "pre_feedforward_layernorm",
            false => "post_attention_layernorm",
        };
        let head_norm = |name: &str| self.norm(&format!("{prefix}.self_attn.{name}"), head_dim);
        let head_norms = match config.qk_norm {
            true => Some((head_norm("q_norm")?, head_norm("k_norm")?)),
            false => None,
        };
        let [q, k, v] = self.queries_keys_values(&prefix)?;
        let output = self.linear(
            &format!("{prefix}.self_attn.o_proj"),
            (hidden, config.heads * head_dim),
            config.output_bias,
        )?;
        let [gate, up] = self.gate_up(&prefix)?;
        let down = self.linear(&format!("{prefix}.mlp.down_proj"), (hidden, ffn), false)?;
        Ok(Layer {
            attention_norm: norm("input_layernorm")?,
            qkv_forms: Forms::of([&q.weight, &k.weight, &v.weight]),
            q,
            k,
            v,
            head_norms,
            output_forms: Forms::of([&output.weight]),
            output,
            attention_post_norm: post_norm("post_attention_layernorm")?,
            ffn_norm: norm(ffn_norm)?,
            gate_up_forms: Forms::of([&gate, &up]),
            gate,
            up,
            down_forms: Forms::of([&down.weight]),
            down,
            ffn_post_norm: post_norm("post_feedforward_layernorm")?,
            window: config.window(layer),
        })
    }

    fn queries_keys_values(&self, prefix: &str) -> Result<[Linear; 3], LoadError> {
        let &DecoderConfig { hidden, heads, kv_heads, head_dim, qkv_bias, .. } = self.config;
        let (wide, narrow) = (heads * head_dim, kv_heads * head_dim);
        let own = |part: &str| format!("{prefix}.self_attn.{part}_proj");
        if self.config.joined_projections {
            let name = format!("{}.weight", own("qkv"));
            let parts = self.parted(&name, [wide, narrow, narrow], hidden)?;
            return Ok(parts.map(|weight| Linear { weight, bias: None }));
        }
        Ok([
            self.linear(&own("q"), (wide, hidden), qkv_bias)?,
            self.linear(&own("k"), (narrow, hidden), qkv_bias)?,
            self.linear(&own("v"), (narrow, hidden), qkv_bias)?,
        ])
    }

    fn gate_up(&self, prefix: &str) -> Result<[Matrix; 2], LoadError> {
        let &DecoderConfig { hidden, ffn, .. } = self.config;
        let own = |part: &str| format!("{prefix}.mlp.{part}_proj.weight");
        if self.config.joined_projections {
            return self.parted(&own("gate_up"), [ffn, ffn], hidden);
        }
        let matrix = |part: &str| self.source.matrix(&own(part), ffn, hidden);
        Ok([matrix("gate")?, matrix("up")?])
    }

    /// Matrices that lie one below the other in a tensor.
    fn parted<const N: usize>(
        &self,
        name: &str,
        rows: [usize; N],
        columns: usize,
    ) -> Result<[Matrix; N], LoadError> {
        let whole = self.source.matrix(name, rows.iter().sum(), columns)?;
        let mut start = 0;
        let parts = rows.map(|rows| {
            start += rows;
            whole.rows_range(start - rows..start)
        });
        let parts: Option<Vec<Matrix>> = parts.into_iter().collect();
        parts
            .and_then(|parts| parts.try_into().ok())
            .ok_or_else(|| malformed(format!("tensor {name} cannot be parted")))
    }

    fn linear(
        &self,
        prefix: &str,
        (outputs, inputs): (usize, usize),
        bias: bool,
    ) -> Result<Linear, LoadError> {
        let weight = self.source.matrix(&format!("{prefix}.weight"), outputs, inputs)?;
        let bias = bias.then(|| self.source.vector(&format!("{prefix}.bias"), outputs));
        Ok(Linear { weight, bias: bias.transpose()? })
    }

    fn norm(&self, prefix: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        let mut weight = self.source.vector(&format!("{prefix}.weight"), len)?;
        let offset = self.config.norm_offset as f32;
        if offset != 0.0 {
            weight.iter_mut().for_each(|weight| *weight += offset);
        }
        Ok(weight)
    }
}
