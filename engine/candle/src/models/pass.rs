//! What the blocks of one pass over a model share: positions turned to angles, and who sees whom.

use candle_core::{Device, Result, Tensor};

use super::{
    config::DecoderConfig,
    layers::Route,
    rope::{Angles, Rope},
};

/// Rotary embeddings of a model's global and local layers.
pub(crate) struct Ropes {
    global: Rope,
    /// The window of local layers, and their embedding.
    local: Option<(usize, Rope)>,
}

impl Ropes {
    pub(crate) fn new(config: &DecoderConfig) -> Self {
        let local = config.sliding_window.map(|window| (window, Rope::local(config)));
        Self { global: Rope::new(config), local }
    }

    /// A pass over `seq` positions behind `past` others, with numbers as in `like` and where it lies.
    pub(crate) fn pass(
        &self,
        past: usize,
        seq: usize,
        like: &Tensor,
        route: Route,
    ) -> Result<Pass> {
        let global = Sight::new(&self.global, (past, seq), None, like)?;
        let local = self
            .local
            .as_ref()
            .map(|(window, rope)| Sight::new(rope, (past, seq), Some(*window), like))
            .transpose()?;
        Ok(Pass { global, local, route })
    }
}

/// What the blocks of one pass share.
pub(crate) struct Pass {
    global: Sight,
    local: Option<Sight>,
    pub(crate) route: Route,
}

impl Pass {
    /// What a block sees, which may be a local one.
    pub(crate) fn sight(&self, local: bool) -> &Sight {
        self.local.as_ref().filter(|_local| local).unwrap_or(&self.global)
    }
}

/// Where the positions of a pass are, and what they may look at.
pub(crate) struct Sight {
    rope: Rope,
    angles: Angles,
    /// Tokens at the start that no position of the pass sees any more.
    unseen: usize,
    /// `(seq, tokens - unseen)`: 0 where a position may look, minus infinity where not; `None` where all may.
    pub(crate) mask: Option<Tensor>,
    /// Tokens a position sees, itself included.
    pub(crate) window: Option<usize>,
}

impl Sight {
    fn new(
        rope: &Rope,
        (past, seq): (usize, usize),
        window: Option<usize>,
        like: &Tensor,
    ) -> Result<Self> {
        let unseen = window.map_or(0, |window| (past + 1).saturating_sub(window));
        let mask = causal_mask(past, seq, window, unseen)?;
        Ok(Self {
            rope: rope.clone(),
            angles: rope.angles(past, seq, like)?,
            unseen,
            mask: mask.map(|m| m.to_dtype(like.dtype())?.to_device(like.device())).transpose()?,
            window,
        })
    }

    /// Turns `x` of shape `(batch, heads, seq, head_dim)`, contiguous.
    pub(crate) fn turn(&self, x: &Tensor, route: Route) -> Result<Tensor> {
        self.rope.apply(x, &self.angles, route)
    }

    /// Of keys or values `(batch, kv_heads, tokens, head_dim)` those that are looked at.
    pub(crate) fn seen(&self, x: &Tensor) -> Result<Tensor> {
        match self.unseen {
            0 => Ok(x.clone()),
            unseen => x.narrow(2, unseen, x.dim(2)? - unseen),
        }
    }
}

/// `(seq, past + seq - unseen)` F32, or nothing where one position sees all there is.
fn causal_mask(
    past: usize,
    seq: usize,
    window: Option<usize>,
    unseen: usize,
) -> Result<Option<Tensor>> {
    if seq <= 1 {
        return Ok(None);
    }
    let tokens = unseen..past + seq;
    let width = tokens.len();
    let values: Vec<f32> = (past..past + seq)
        .flat_map(|row| {
            let first = window.map_or(0, |window| (row + 1).saturating_sub(window));
            tokens.clone().map(move |column| {
                if (first..=row).contains(&column) { 0.0 } else { f32::NEG_INFINITY }
            })
        })
        .collect();
    Tensor::from_vec(values, (seq, width), &Device::Cpu).map(Some)
}
