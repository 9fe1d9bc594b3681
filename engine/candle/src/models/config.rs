//! What a decoder is, as data.

use std::fmt;

use hearth_engine_api::LoadError;

/// Family of models, which decides how files of it are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama and what shares its shape.
    Llama,
    /// Qwen2 and Qwen2.5: biases on Q, K and V.
    Qwen2,
    /// Qwen3: norms on each head of Q and K.
    Qwen3,
    /// Mistral: a Llama, in its first versions with a sliding window. Its GGUFs call themselves Llamas.
    Mistral,
    /// Phi-3 and Phi-4: Q, K and V are one matrix, and so are gate and up.
    Phi3,
    /// Gemma 2: norms behind attention and feed-forward too, capped scores, every other layer local.
    Gemma2,
    /// Gemma 3: as Gemma 2 with norms on each head of Q and K instead of caps, and five local layers to a global one.
    Gemma3,
}

impl Architecture {
    /// The family named `name` in a GGUF's `general.architecture` or a config's `model_type`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "llama" => Some(Self::Llama),
            "qwen2" => Some(Self::Qwen2),
            "qwen3" => Some(Self::Qwen3),
            "mistral" => Some(Self::Mistral),
            "phi3" => Some(Self::Phi3),
            "gemma2" => Some(Self::Gemma2),
            "gemma3" | "gemma3_text" => Some(Self::Gemma3),
            _ => None,
        }
    }

    /// The families the engine runs, in words, for those who brought another.
    pub const SUPPORTED: &str = "Llama, Mistral, Qwen2, Qwen3, Phi-3, Gemma 2 and Gemma 3";
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Mistral => "mistral",
            Self::Phi3 => "phi3",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3",
        })
    }
}

/// Which two numbers of a head are turned together by the rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeLayout {
    /// `i` and `i + head_dim / 2`, as in Hugging Face checkpoints.
    HalfSplit,
    /// `2i` and `2i + 1`, as in Llama GGUFs, whose Q and K rows are permuted for it.
    Interleaved,
}

/// How rotary frequencies are stretched for contexts longer than those first trained on.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All frequencies divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided, high ones kept, a ramp between.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Turns within the original context below which a frequency is low.
        low_freq_factor: f64,
        /// Turns within the original context above which a frequency is high.
        high_freq_factor: f64,
        /// Context first trained on.
        original_context_tokens: usize,
    },
    /// Divisors given one by one (`rope_freqs.weight` of a GGUF), `rotary_dim / 2` of them.
    Factors(Vec<f32>),
    /// Phi-3's LongRoPE: divisors one by one, others where the context is longer than that first trained on.
    Long {
        /// Divisors in contexts up to `original_context_tokens`.
        short: Vec<f32>,
        /// Divisors in longer ones.
        long: Vec<f32>,
        /// Context first trained on.
        original_context_tokens: usize,
        /// What queries and keys are multiplied by as they are turned, in short contexts too.
        magnitude: f64,
    },
}

impl RopeScaling {
    /// LongRoPE of a model whose longest context is `context_tokens`, with the magnitude its makers reckon from it
    /// (Ding et al. 2024) unless the file gives another.
    pub(crate) fn long(
        (short, long): (Vec<f32>, Vec<f32>),
        (original_context_tokens, context_tokens): (usize, usize),
        magnitude: Option<f64>,
    ) -> Self {
        let times = context_tokens as f64 / original_context_tokens as f64;
        let reckoned = (1.0 + times.ln() / (original_context_tokens as f64).ln()).sqrt();
        let magnitude = magnitude.unwrap_or(if times > 1.0 { reckoned } else { 1.0 });
        Self::Long { short, long, original_context_tokens, magnitude }
    }
}

/// Everything that tells one decoder from another.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Family.
    pub architecture: Architecture,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even. `heads * head_dim` need not be `hidden`.
    pub head_dim: usize,
    /// Values of a head that are turned, from the first on, where those are not all; even.
    pub rotary_dim: Option<usize>,
    /// Width of the feed-forward layer.
    pub ffn: usize,
    /// Size of the vocabulary.
    pub vocab: usize,
    /// Longest context the model was made for.
    pub context_tokens: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies.
    pub rope_scaling: RopeScaling,
    /// Pairing of the rotary embedding.
    pub rope_layout: RopeLayout,
    /// Added to the mean square in every RMS norm.
    pub rms_eps: f64,
    /// Whether Q, K and V have biases.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has a bias.
    pub output_bias: bool,
    /// Whether each head of Q and K passes an RMS norm.
    pub qk_norm: bool,
    /// Whether Q, K and V are the rows of one matrix, in this order, and gate and up those of another (Phi-3).
    pub joined_projections: bool,
    /// Whether the head shares the embedding's weights.
    pub tied_embeddings: bool,
    /// What the feed-forward layer's gate passes through.
    pub activation: Activation,
    /// Added to every norm's stored weight: 1 for Gemma's safetensors, whose norms multiply by `1 + weight`; else 0.
    pub norm_offset: f64,
    /// Whether the outputs of attention and feed-forward pass a norm each before they are added to the stream (Gemma 2 and 3).
    pub post_norms: bool,
    /// What embeddings are multiplied by on their way in (Gemma: the root of the width); 1 is off.
    pub embedding_scale: f64,
    /// What scores are multiplied by, where that is not `1 / sqrt(head_dim)`.
    pub attention_scale: Option<f64>,
    /// Scores become `cap * tanh(score / cap)` (Gemma 2).
    pub attention_softcap: Option<f64>,
    /// Logits become `cap * tanh(logit / cap)` (Gemma 2).
    pub final_softcap: Option<f64>,
    /// Tokens that a position of a local layer sees, itself included.
    pub sliding_window: Option<usize>,
    /// Which layers are local where there is a sliding window.
    pub local_layers: LocalLayers,
    /// Base of the rotary frequencies in local layers, which are not stretched there, where it differs (Gemma 3).
    pub local_rope_theta: Option<f64>,
}

/// What the feed-forward layer's gate passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// GELU in its tanh form (Hendrycks and Gimpel 2016).
    GeluTanh,
}

/// Which layers see a sliding window only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalLayers {
    /// Every layer (Mistral 7B v0.1, Phi-3).
    All,
    /// All but each `n`th, counted from 1 (Gemma 2: 2, Gemma 3: 6).
    AllButEvery(usize),
}

impl LocalLayers {
    const fn is_local(self, layer: usize) -> bool {
        match self {
            Self::All => true,
            Self::AllButEvery(n) => n == 0 || !(layer + 1).is_multiple_of(n),
        }
    }
}

/// Bounds no real model comes near; they keep products of sizes within `usize`.
const LIMITS: [(&str, usize); 6] = [
    ("hidden size", 1 << 17),
    ("layer count", 1 << 10),
    ("head count", 1 << 12),
    ("head size", 1 << 12),
    ("feed-forward size", 1 << 20),
    ("vocabulary", 1 << 22),
];
const MAX_CONTEXT_TOKENS: usize = 1 << 26;

impl DecoderConfig {
    /// A Llama with as many key heads as query heads, one layer and tied embeddings.
    /// Meant as a base for struct update syntax.
    pub fn llama(vocab: usize, hidden: usize, heads: usize, ffn: usize, context: usize) -> Self {
        Self {
            architecture: Architecture::Llama,
            hidden,
            layers: 1,
            heads,
            kv_heads: heads,
            head_dim: hidden / heads.max(1),
            rotary_dim: None,
            ffn,
            vocab,
            context_tokens: context,
            rope_theta: 10_000.0,
            rope_scaling: RopeScaling::None,
            rope_layout: RopeLayout::HalfSplit,
            rms_eps: 1e-5,
            qkv_bias: false,
            output_bias: false,
            qk_norm: false,
            joined_projections: false,
            tied_embeddings: true,
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
        }
    }

    /// What all models of a family have in common, with as many key heads as query heads and one layer.
    /// Meant as a base for struct update syntax. Gemma's sliding window and caps are a model's own figures.
    pub fn family(
        architecture: Architecture,
        vocab: usize,
        hidden: usize,
        heads: usize,
        ffn: usize,
        context: usize,
    ) -> Self {
        let base = Self { architecture, ..Self::llama(vocab, hidden, heads, ffn, context) };
        match architecture {
            Architecture::Llama | Architecture::Mistral => base,
            Architecture::Qwen2 => Self { qkv_bias: true, ..base },
            Architecture::Qwen3 => Self { qk_norm: true, ..base },
            Architecture::Phi3 => Self { joined_projections: true, ..base },
            Architecture::Gemma2 => base.gemma(2),
            Architecture::Gemma3 => Self {
                qk_norm: true,
                rope_theta: 1_000_000.0,
                local_rope_theta: Some(10_000.0),
                ..base.gemma(6)
            },
        }
    }

    fn gemma(self, global_every: usize) -> Self {
        Self {
            activation: Activation::GeluTanh,
            post_norms: true,
            embedding_scale: (self.hidden as f64).sqrt(),
            local_layers: LocalLayers::AllButEvery(global_every),
            rms_eps: 1e-6,
            ..self
        }
    }

    /// Values of a head that are turned, from the first on.
    pub fn rotary_dim(&self) -> usize {
        self.rotary_dim.unwrap_or(self.head_dim)
    }

    /// What scores are multiplied by.
    pub fn attention_scale(&self) -> f64 {
        self.attention_scale.unwrap_or_else(|| (self.head_dim as f64).sqrt().recip())
    }

    /// Sets which layers are local by a list of them, as newer files have it.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] where the global ones do not stand at regular distances, `Malformed` where the list is
    /// not as long as there are layers.
    pub(crate) fn set_local_layers(&mut self, local: &[bool]) -> Result<(), LoadError> {
        if local.len() != self.layers {
            return Err(malformed(format!(
                "kinds of attention for {} layers, of which there are {}",
                local.len(),
                self.layers
            )));
        }
        self.local_layers = match local.iter().position(|&local| !local) {
            None => LocalLayers::All,
            Some(first) => LocalLayers::AllButEvery(first + 1),
        };
        if !local.contains(&true) {
            self.sliding_window = None;
        }
        let as_listed =
            |(layer, &local): (usize, &bool)| local == self.local_layers.is_local(layer);
        if local.iter().enumerate().all(as_listed) {
            return Ok(());
        }
        Err(LoadError::Unsupported {
            what: "local and global attention that change irregularly".into(),
        })
    }

    /// The sliding window of `layer`, counted from 0, where it has one.
    pub const fn window(&self, layer: usize) -> Option<usize> {
        if self.local_layers.is_local(layer) { self.sliding_window } else { None }
    }

    /// Checks that the figures fit together.
    ///
    /// # Errors
    /// [`LoadError::Malformed`] with the figure that does not.
    pub fn validate(&self) -> Result<(), LoadError> {
        let sizes = [self.hidden, self.layers, self.heads, self.head_dim, self.ffn, self.vocab];
        for ((what, limit), size) in LIMITS.into_iter().zip(sizes) {
            if size == 0 || size > limit {
                return Err(malformed(format!("{what} is {size}, expected 1 to {limit}")));
            }
        }
        if self.kv_heads == 0 || !self.heads.is_multiple_of(self.kv_heads) {
            return Err(malformed(format!(
                "{} query heads cannot share {} key heads",
                self.heads, self.kv_heads
            )));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(malformed(format!("head size {} is odd", self.head_dim)));
        }
        let turned = self.rotary_dim();
        if !turned.is_multiple_of(2) || !(2..=self.head_dim).contains(&turned) {
            return Err(malformed(format!(
                "a rotary embedding of {turned} numbers in heads of {}",
                self.head_dim
            )));
        }
        if self.context_tokens == 0 || self.context_tokens > MAX_CONTEXT_TOKENS {
            return Err(malformed(format!("context of {} tokens", self.context_tokens)));
        }
        if !(self.rms_eps.is_finite() && self.rms_eps >= 0.0) {
            return Err(malformed(format!("norm epsilon is {}", self.rms_eps)));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return Err(malformed(format!("rope theta is {}", self.rope_theta)));
        }
        self.validate_attention()?;
        self.validate_scaling()
    }

    fn validate_attention(&self) -> Result<(), LoadError> {
        let figures = [
            ("embedding scale", Some(self.embedding_scale)),
            ("attention scale", self.attention_scale),
            ("cap of the scores", self.attention_softcap),
            ("cap of the logits", self.final_softcap),
            ("local rope theta", self.local_rope_theta),
        ];
        for (what, figure) in figures {
            if let Some(figure) = figure.filter(|x| !(x.is_finite() && *x > 0.0)) {
                return Err(malformed(format!("{what} is {figure}")));
            }
        }
        if !self.norm_offset.is_finite() {
            return Err(malformed(format!("norm offset is {}", self.norm_offset)));
        }
        if self.sliding_window == Some(0) || self.local_layers == LocalLayers::AllButEvery(0) {
            return Err(malformed(format!(
                "sliding window of {:?} tokens in layers {:?}",
                self.sliding_window, self.local_layers
            )));
        }
        if self.joined_projections && self.qkv_bias {
            return Err(malformed("biases on queries, keys and values that are one matrix"));
        }
        Ok(())
    }

    fn validate_scaling(&self) -> Result<(), LoadError> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let sound_divisors = |divisors: &[f32]| {
            divisors.len() == self.rotary_dim() / 2
                && divisors.iter().all(|&divisor| positive(f64::from(divisor)))
        };
        let sound = match &self.rope_scaling {
            RopeScaling::None => true,
            RopeScaling::Linear { factor } => positive(*factor),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, .. } => {
                positive(*factor)
                    && positive(*low_freq_factor)
                    && high_freq_factor.is_finite()
                    && high_freq_factor > low_freq_factor
            }
            RopeScaling::Factors(divisors) => sound_divisors(divisors),
            RopeScaling::Long { short, long, original_context_tokens, magnitude } => {
                sound_divisors(short)
                    && sound_divisors(long)
                    && *original_context_tokens > 0
                    && positive(*magnitude)
            }
        };
        if sound { Ok(()) } else { Err(malformed(format!("rope scaling {:?}", self.rope_scaling))) }
    }

    /// Name and shape of every parameter, in Hugging Face's names; matrices are `(out, in)`.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = vec![("model.embed_tokens.weight".into(), vec![self.vocab, self.hidden])];
        for layer in 0..self.layers {
            for (name, shape) in self.layer_parameters() {
                list.push((format!("model.layers.{layer}.{name}"), shape));
            }
        }
        list.push(("model.norm.weight".into(), vec![self.hidden]));
        if !self.tied_embeddings {
            list.push(("lm_head.weight".into(), vec![self.vocab, self.hidden]));
        }
        list
    }

    fn layer_parameters(&self) -> Vec<(&'static str, Vec<usize>)> {
        let (hidden, q) = (self.hidden, self.heads * self.head_dim);
        let kv = self.kv_heads * self.head_dim;
        let mut list = vec![("input_layernorm.weight", vec![hidden])];
        if self.joined_projections {
            list.push(("self_attn.qkv_proj.weight", vec![q + 2 * kv, hidden]));
        } else {
            list.push(("self_attn.q_proj.weight", vec![q, hidden]));
            list.push(("self_attn.k_proj.weight", vec![kv, hidden]));
            list.push(("self_attn.v_proj.weight", vec![kv, hidden]));
        }
        list.push(("self_attn.o_proj.weight", vec![hidden, q]));
        list.push(("post_attention_layernorm.weight", vec![hidden]));
        if self.joined_projections {
            list.push(("mlp.gate_up_proj.weight", vec![2 * self.ffn, hidden]));
        } else {
            list.push(("mlp.gate_proj.weight", vec![self.ffn, hidden]));
            list.push(("mlp.up_proj.weight", vec![self.ffn, hidden]));
        }
        list.push(("mlp.down_proj.weight", vec![hidden, self.ffn]));
        if self.qkv_bias {
            list.push(("self_attn.q_proj.bias", vec![q]));
            list.push(("self_attn.k_proj.bias", vec![kv]));
            list.push(("self_attn.v_proj.bias", vec![kv]));
        }
        if self.output_bias {
            list.push(("self_attn.o_proj.bias", vec![hidden]));
        }
        if self.qk_norm {
            list.push(("self_attn.q_norm.weight", vec![self.head_dim]));
            list.push(("self_attn.k_norm.weight", vec![self.head_dim]));
        }
        if self.post_norms {
            list.push(("pre_feedforward_layernorm.weight", vec![hidden]));
            list.push(("post_feedforward_layernorm.weight", vec![hidden]));
        }
        list
    }

    /// Bytes of keys and values for one token, held as F32.
    pub fn kv_bytes_per_token(&self) -> u64 {
        (2 * self.layers * self.kv_heads * self.head_dim * size_of::<f32>()) as u64
    }
}

pub(crate) fn malformed(reason: impl Into<String>) -> LoadError {
    LoadError::Malformed { reason: reason.into() }
}
