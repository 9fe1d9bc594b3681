//! The parts of a block: linear maps, norms, attention, feed-forward.

use candle_core::Tensor;
use candle_nn::ops;
use hearth_engine_api::LoadError;

use super::{
    config::DecoderConfig,
    differentiable,
    kv_cache::KvCache,
    rope::{Angles, Rope},
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
    eps: f64,
}

impl RmsNorm {
    pub(crate) fn load(
        source: &mut dyn WeightSource,
        name: &str,
        size: usize,
        eps: f64,
    ) -> Result<Self, LoadError> {
        Ok(Self { weight: source.vector(name, size)?, eps })
    }

    pub(crate) fn forward(&self, x: &Tensor, route: Route) -> candle_core::Result<Tensor> {
        match route {
            Route::Fused => ops::rms_norm(&x.contiguous()?, &self.weight, self.eps as f32),
            Route::Differentiable => differentiable::rms_norm(x, &self.weight, self.eps),
        }
    }
}

/// What the blocks of one pass share.
pub(crate) struct Pass<'a> {
    pub(crate) rope: &'a Rope,
    pub(crate) angles: Angles,
    /// `(seq, tokens)`: 0 where a position may look, minus infinity where not; `None` where all may.
    pub(crate) mask: Option<Tensor>,
    pub(crate) route: Route,
}

struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    qk_norm: Option<(RmsNorm, RmsNorm)>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    fn load(
        source: &mut dyn WeightSource,
        prefix: &str,
        config: &DecoderConfig,
    ) -> Result<Self, LoadError> {
        let &DecoderConfig { hidden, heads, kv_heads, head_dim, rms_eps, .. } = config;
        let (wide, narrow) = (heads * head_dim, kv_heads * head_dim);
        let mut linear = |name: &str, shape, bias| {
            Linear::load(source, &format!("{prefix}.{name}"), shape, bias)
        };
        let q = linear("q_proj", (wide, hidden), config.qkv_bias)?;
        let k = linear("k_proj", (narrow, hidden), config.qkv_bias)?;
        let v = linear("v_proj", (narrow, hidden), config.qkv_bias)?;
        let o = linear("o_proj", (hidden, wide), config.output_bias)?;
        let qk_norm = if config.qk_norm {
            let mut norm = |name: &str| {
                RmsNorm::load(source, &format!("{prefix}.{name}.weight"), head_dim, rms_eps)
            };
            Some((norm("q_norm")?, norm("k_norm")?))
        } else {
            None
        };
        Ok(Self { q, k, v, o, qk_norm, heads, kv_heads, head_dim })
    }

    /// `(batch, seq, hidden)` to the same; with a cache the batch is 1.
    fn forward(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        cache: Option<(&mut KvCache, usize)>,
    ) -> candle_core::Result<Tensor> {
        let (batch, seq, _) = x.dims3()?;
        let split = |x: Tensor, heads| x.reshape((batch, seq, heads, self.head_dim));
        let mut q = split(self.q.forward(x)?, self.heads)?;
        let mut k = split(self.k.forward(x)?, self.kv_heads)?;
        let v = split(self.v.forward(x)?, self.kv_heads)?.transpose(1, 2)?.contiguous()?;
        if let Some((q_norm, k_norm)) = &self.qk_norm {
            q = q_norm.forward(&q, pass.route)?;
            k = k_norm.forward(&k, pass.route)?;
        }
        let turn = |x: Tensor| {
            pass.rope.apply(&x.transpose(1, 2)?.contiguous()?, &pass.angles, pass.route)
        };
        let (q, k) = (turn(q)?, turn(k)?);
        let (k, v) = match cache {
            Some((cache, layer)) => cache.append(layer, &k, &v)?,
            None => (k, v),
        };
        let mixed = self.attend(&q, &k, &v, pass)?;
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
        pass: &Pass<'_>,
    ) -> candle_core::Result<Tensor> {
        let (batch, _, seq, head_dim) = q.dims4()?;
        let tokens = k.dim(2)?;
        let group = self.heads / self.kv_heads;
        let rows = (batch, self.kv_heads, group * seq, head_dim);
        let q = (q.reshape(rows)? * (head_dim as f64).sqrt().recip())?;
        let mut scores = q.matmul(&k.t()?)?;
        if let (Some(mask), Route::Fused) = (&pass.mask, pass.route) {
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
            Route::Differentiable => differentiable::causal_softmax(&scores, seq)?,
        };
        weights.matmul(v)?.reshape((batch, self.heads, seq, head_dim))
    }
}

/// One block: attention and feed-forward, each behind a norm and added to the stream.
pub(crate) struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    ffn_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Block {
    pub(crate) fn load(
        source: &mut dyn WeightSource,
        layer: usize,
        config: &DecoderConfig,
    ) -> Result<Self, LoadError> {
        let prefix = format!("model.layers.{layer}");
        let &DecoderConfig { hidden, ffn, rms_eps, .. } = config;
        let norm = |source: &mut dyn WeightSource, name: &str| {
            RmsNorm::load(source, &format!("{prefix}.{name}.weight"), hidden, rms_eps)
        };
        let linear = |source: &mut dyn WeightSource, name: &str, shape| {
            Linear::load(source, &format!("{prefix}.mlp.{name}"), shape, false)
        };
        Ok(Self {
            attention_norm: norm(source, "input_layernorm")?,
            attention: Attention::load(source, &format!("{prefix}.self_attn"), config)?,
            ffn_norm: norm(source, "post_attention_layernorm")?,
            gate: linear(source, "gate_proj", (ffn, hidden))?,
            up: linear(source, "up_proj", (ffn, hidden))?,
            down: linear(source, "down_proj", (hidden, ffn))?,
        })
    }

    /// `(batch, seq, hidden)` to the same.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        cache: Option<(&mut KvCache, usize)>,
    ) -> candle_core::Result<Tensor> {
        let attended =
            self.attention.forward(&self.attention_norm.forward(x, pass.route)?, pass, cache)?;
        let x = (x + attended)?;
        let normed = self.ffn_norm.forward(&x, pass.route)?;
        let (gate, up) = (self.gate.forward(&normed)?, self.up.forward(&normed)?);
        let gated = match pass.route {
            Route::Fused => (gate.silu()? * up)?,
            Route::Differentiable => differentiable::swiglu(&gate, &up)?,
        };
        x + self.down.forward(&gated)?
    }
}
