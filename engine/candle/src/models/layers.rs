//! The parts of a block: linear maps, norms, attention, feed-forward.

use candle_core::{Device, Tensor};
use candle_nn::ops;
use hearth_engine_api::LoadError;

use super::{
    config::{Activation, DecoderConfig},
    differentiable,
    kv_cache::KvCache,
    pass::{Pass, Sight},
};
use crate::weights::{Matrix, WeightSource};

/// Which kernels compute norms, softmax and rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// candle-nn's fused kernels, for inference. They have no backward and drop gradients silently.
    Fused,
    /// Operations with a backward each.
    Differentiable,
}

/// `x W^T + b`.
pub(crate) struct Linear {
    weight: Matrix,
    bias: Option<Tensor>,
}

impl Linear {
    pub(crate) fn load(
        source: &mut dyn WeightSource,
        prefix: &str,
        (outputs, inputs): (usize, usize),
        bias: bool,
    ) -> Result<Self, LoadError> {
        let weight = source.matrix(&format!("{prefix}.weight"), outputs, inputs)?;
        let bias = bias.then(|| source.vector(&format!("{prefix}.bias"), outputs)).transpose()?;
        Ok(Self { weight, bias })
    }

    /// `(batch, seq, in)` to `(batch, seq, out)`.
    pub(crate) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let y = self.weight.project(x)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

/// Root-mean-square norm over the last dimension.
pub(crate) struct RmsNorm {
    weight: Tensor,
    /// Added to the weight each time, since a trainer may change what is stored.
    offset: f64,
    eps: f64,
}

impl RmsNorm {
    pub(super) fn device(&self) -> &Device {
        self.weight.device()
    }

    pub(crate) fn load(
        source: &mut dyn WeightSource,
        name: &str,
        size: usize,
        config: &DecoderConfig,
    ) -> Result<Self, LoadError> {
        let weight = source.vector(name, size)?;
        Ok(Self { weight, offset: config.norm_offset, eps: config.rms_eps })
    }

    pub(crate) fn forward(&self, x: &Tensor, route: Route) -> candle_core::Result<Tensor> {
        let shifted;
        let weight = if self.offset == 0.0 {
            &self.weight
        } else {
            shifted = (&self.weight + self.offset)?;
            &shifted
        };
        match route {
            Route::Fused => ops::rms_norm(&x.contiguous()?, weight, self.eps as f32),
            Route::Differentiable => differentiable::rms_norm(x, weight, self.eps),
        }
    }
}

/// Several linear maps of the same input, whose matrices may lie in the file as one.
enum Projections {
    Apart(Vec<Linear>),
    Joined { all: Linear, outputs: Vec<usize> },
}

impl Projections {
    /// The maps named `apart`, or all of them as `joined` where the model has them so.
    fn load(
        source: &mut dyn WeightSource,
        prefix: &str,
        apart: &[(&str, usize)],
        joined: Option<&str>,
        (inputs, bias): (usize, bool),
    ) -> Result<Self, LoadError> {
        let outputs: Vec<usize> = apart.iter().map(|(_, outputs)| *outputs).collect();
        let mut linear = |name: &str, outputs| {
            Linear::load(source, &format!("{prefix}.{name}"), (outputs, inputs), bias)
        };
        if let Some(name) = joined {
            return Ok(Self::Joined { all: linear(name, outputs.iter().sum())?, outputs });
        }
        let each = apart.iter().map(|(name, outputs)| linear(name, *outputs));
        each.collect::<Result<_, _>>().map(Self::Apart)
    }

    /// `(batch, seq, in)` to as many `(batch, seq, out)` as there are maps.
    fn forward<const N: usize>(&self, x: &Tensor) -> candle_core::Result<[Tensor; N]> {
        let parts: Vec<Tensor> = match self {
            Self::Apart(maps) => maps.iter().map(|map| map.forward(x)).collect::<Result<_, _>>()?,
            Self::Joined { all, outputs } => {
                let all = all.forward(x)?;
                let mut start = 0;
                let cut = outputs.iter().map(|&size| {
                    start += size;
                    all.narrow(2, start - size, size)?.contiguous()
                });
                cut.collect::<Result<_, _>>()?
            }
        };
        let count = parts.len();
        parts.try_into().map_err(|_parts| {
            candle_core::Error::Msg(format!("{count} projections where {N} are needed"))
        })
    }
}

struct Attention {
    qkv: Projections,
    o: Linear,
    qk_norm: Option<(RmsNorm, RmsNorm)>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    scale: f64,
    softcap: Option<f64>,
}

impl Attention {
    fn load(
        source: &mut dyn WeightSource,
        prefix: &str,
        config: &DecoderConfig,
    ) -> Result<Self, LoadError> {
        let &DecoderConfig { hidden, heads, kv_heads, head_dim, .. } = config;
        let (wide, narrow) = (heads * head_dim, kv_heads * head_dim);
        let apart = [("q_proj", wide), ("k_proj", narrow), ("v_proj", narrow)];
        let joined = config.joined_projections.then_some("qkv_proj");
        let qkv = Projections::load(source, prefix, &apart, joined, (hidden, config.qkv_bias))?;
        let o = format!("{prefix}.o_proj");
        let o = Linear::load(source, &o, (hidden, wide), config.output_bias)?;
        let qk_norm = if config.qk_norm {
            let mut norm = |name: &str| {
                RmsNorm::load(source, &format!("{prefix}.{name}.weight"), head_dim, config)
            };
            Some((norm("q_norm")?, norm("k_norm")?))
        } else {
            None
        };
        let (scale, softcap) = (config.attention_scale(), config.attention_softcap);
        Ok(Self { qkv, o, qk_norm, heads, kv_heads, head_dim, scale, softcap })
    }

    /// `(batch, seq, hidden)` to the same; with a cache the batch is 1.
    fn forward(
        &self,
        x: &Tensor,
        (pass, sight): (&Pass, &Sight),
        cache: Option<(&mut KvCache, usize)>,
    ) -> candle_core::Result<Tensor> {
        let (batch, seq, _) = x.dims3()?;
        let split = |x: Tensor, heads| x.reshape((batch, seq, heads, self.head_dim));
        let [q, k, v] = self.qkv.forward(x)?;
        let (mut q, mut k) = (split(q, self.heads)?, split(k, self.kv_heads)?);
        let v = split(v, self.kv_heads)?.transpose(1, 2)?.contiguous()?;
        if let Some((q_norm, k_norm)) = &self.qk_norm {
            q = q_norm.forward(&q, pass.route)?;
            k = k_norm.forward(&k, pass.route)?;
        }
        let turn = |x: Tensor| sight.turn(&x.transpose(1, 2)?.contiguous()?, pass.route);
        let (q, k) = (turn(q)?, turn(k)?);
        let (k, v) = match cache {
            Some((cache, layer)) => cache.append(layer, &k, &v)?,
            None => (k, v),
        };
        let mixed = self.attend(&q, &sight.seen(&k)?, &sight.seen(&v)?, (pass, sight))?;
        let joined = mixed.transpose(1, 2)?.reshape((batch, seq, self.heads * self.head_dim))?;
        self.o.forward(&joined)
    }

    /// `q` is `(batch, heads, seq, head_dim)`, `k` and `v` are `(batch, kv_heads, tokens, head_dim)`.
    /// The query heads that share a key head are laid side by side along `seq`, so that keys are never copied.
    fn attend(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        (pass, sight): (&Pass, &Sight),
    ) -> candle_core::Result<Tensor> {
        let (batch, _, seq, head_dim) = q.dims4()?;
        let tokens = k.dim(2)?;
        let group = self.heads / self.kv_heads;
        let rows = (batch, self.kv_heads, group * seq, head_dim);
        let q = (q.reshape(rows)? * self.scale)?;
        let mut scores = capped(q.matmul(&k.t()?)?, self.softcap)?;
        if let (Some(mask), Route::Fused) = (&sight.mask, pass.route) {
            let apart = (batch, self.kv_heads, group, seq, tokens);
            scores = scores.reshape(apart)?.broadcast_add(mask)?.reshape((
                batch,
                self.kv_heads,
                group * seq,
                tokens,
            ))?;
        }
        let weights = match pass.route {
            Route::Fused => ops::softmax_last_dim(&scores)?,
            Route::Differentiable => differentiable::causal_softmax(&scores, seq, sight.window)?,
        };
        weights.matmul(v)?.reshape((batch, self.heads, seq, head_dim))
    }
}

/// `cap * tanh(x / cap)`, where there is a cap.
pub(crate) fn capped(x: Tensor, cap: Option<f64>) -> candle_core::Result<Tensor> {
    match cap {
        Some(cap) => (x / cap)?.tanh()? * cap,
        None => Ok(x),
    }
}

/// The feed-forward layer: `down(activation(gate x) * up x)`.
struct FeedForward {
    gate_up: Projections,
    down: Linear,
    activation: Activation,
}

impl FeedForward {
    fn load(
        source: &mut dyn WeightSource,
        prefix: &str,
        config: &DecoderConfig,
    ) -> Result<Self, LoadError> {
        let &DecoderConfig { hidden, ffn, activation, .. } = config;
        let apart = [("gate_proj", ffn), ("up_proj", ffn)];
        let joined = config.joined_projections.then_some("gate_up_proj");
        let gate_up = Projections::load(source, prefix, &apart, joined, (hidden, false))?;
        let down = Linear::load(source, &format!("{prefix}.down_proj"), (hidden, ffn), false)?;
        Ok(Self { gate_up, down, activation })
    }

    fn forward(&self, x: &Tensor, route: Route) -> candle_core::Result<Tensor> {
        let [gate, up] = self.gate_up.forward(x)?;
        let gated = match (route, self.activation) {
            (Route::Fused, Activation::Silu) => (gate.silu()? * up)?,
            (Route::Fused, Activation::GeluTanh) => (gate.gelu()? * up)?,
            (Route::Differentiable, activation) => differentiable::gated(&gate, &up, activation)?,
        };
        self.down.forward(&gated)
    }
}

/// One block: attention and feed-forward, each behind a norm and added to the stream.
pub(crate) struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    ffn_norm: RmsNorm,
    ffn: FeedForward,
    /// Norms on what attention and feed-forward add to the stream.
    post_norms: Option<(RmsNorm, RmsNorm)>,
    local: bool,
}

impl Block {
    pub(crate) fn load(
        source: &mut dyn WeightSource,
        layer: usize,
        config: &DecoderConfig,
    ) -> Result<Self, LoadError> {
        let prefix = format!("model.layers.{layer}");
        let norm = |source: &mut dyn WeightSource, name: &str| {
            RmsNorm::load(source, &format!("{prefix}.{name}.weight"), config.hidden, config)
        };
        // Where there are norms behind, the usual name of the one before the feed-forward layer belongs to one of them.
        let (ffn_norm, post_norms) = if config.post_norms {
            let after_attention = norm(source, "post_attention_layernorm")?;
            let after_ffn = norm(source, "post_feedforward_layernorm")?;
            (norm(source, "pre_feedforward_layernorm")?, Some((after_attention, after_ffn)))
        } else {
            (norm(source, "post_attention_layernorm")?, None)
        };
        Ok(Self {
            attention_norm: norm(source, "input_layernorm")?,
            attention: Attention::load(source, &format!("{prefix}.self_attn"), config)?,
            ffn_norm,
            ffn: FeedForward::load(source, &format!("{prefix}.mlp"), config)?,
            post_norms,
            local: config.window(layer).is_some(),
        })
    }

    /// `(batch, seq, hidden)` to the same.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
    ) -> candle_core::Result<Tensor> {
        let sight = pass.sight(self.local);
        let normed = self.attention_norm.forward(x, pass.route)?;
        let mut attended = self.attention.forward(&normed, (pass, sight), cache)?;
        if let Some((after_attention, _)) = &self.post_norms {
            attended = after_attention.forward(&attended, pass.route)?;
        }
        let x = (x + attended)?;
        let mut fed = self.ffn.forward(&self.ffn_norm.forward(&x, pass.route)?, pass.route)?;
        if let Some((_, after_ffn)) = &self.post_norms {
            fed = after_ffn.forward(&fed, pass.route)?;
        }
        x + fed
    }
}
