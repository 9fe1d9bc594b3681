//! The decoder.

use candle_core::{Device, Tensor};
use hearth_engine_api::LoadError;

use super::{
    config::DecoderConfig,
    kv_cache::KvCache,
    layers::{Block, RmsNorm, Route, capped},
    pass::{Pass, Ropes},
};
use crate::weights::{Matrix, WeightSource};

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// A decoder-only transformer with rotary embedding, grouped queries, RMS norms and a gated feed-forward layer.
pub struct Decoder {
    config: DecoderConfig,
    embedding: Matrix,
    blocks: Vec<Block>,
    norm: RmsNorm,
    head: Matrix,
    ropes: Ropes,
}

/// Positions of sequences, and which of them each may look at.
pub struct Positions(Pass);

impl Decoder {
    /// Takes the weights `config` asks for out of `source`.
    ///
    /// A tied model may hold its one matrix under either of its two names.
    ///
    /// # Errors
    /// [`LoadError`] where the figures do not fit together, a tensor is absent or misshapen, or `source` fails.
    pub fn new(config: DecoderConfig, source: &mut dyn WeightSource) -> Result<Self, LoadError> {
        config.validate()?;
        let (vocab, hidden) = (config.vocab, config.hidden);
        let name = match config.tied_embeddings && !source.contains(EMBEDDING) {
            true if source.contains(HEAD) => HEAD,
            _ => EMBEDDING,
        };
        let embedding = source.matrix(name, vocab, hidden)?;
        let blocks = (0..config.layers)
            .map(|layer| Block::load(source, layer, &config))
            .collect::<Result<_, _>>()?;
        let norm = RmsNorm::load(source, "model.norm.weight", hidden, &config)?;
        let head = if config.tied_embeddings {
            embedding.clone()
        } else {
            source.matrix(HEAD, vocab, hidden)?
        };
        let ropes = Ropes::new(&config);
        Ok(Self { config, embedding, blocks, norm, head, ropes })
    }

    /// What it is.
    pub const fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Where its weights lie.
    pub fn device(&self) -> &Device {
        self.norm.device()
    }

    /// Logits of every position, differentiable: `(batch, seq)` U32 to `(batch, seq, vocab)` in the weights' dtype.
    ///
    /// Every sequence starts at position 0 and each position sees those before it and itself.
    ///
    /// # Errors
    /// Where an id lies outside the vocabulary, or the computation fails.
    pub fn forward(&self, ids: &Tensor) -> candle_core::Result<Tensor> {
        self.forward_by(ids, Route::Differentiable)
    }

    /// [`Decoder::forward`] by the route of choice.
    ///
    /// # Errors
    /// As there.
    pub fn forward_by(&self, ids: &Tensor, route: Route) -> candle_core::Result<Tensor> {
        self.logits(&self.run(ids, None, route)?, route)
    }

    /// Embeddings of `(batch, seq)` ids as the first block takes them: `(batch, seq, hidden)`.
    ///
    /// # Errors
    /// Where an id lies outside the vocabulary, or the computation fails.
    pub fn embed(&self, ids: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.embedding.rows(ids)?;
        match self.config.embedding_scale {
            1.0 => Ok(x),
            scale => x * scale,
        }
    }

    /// What [`Decoder::block`] needs to know of sequences as long as those in `x`, which start at position 0.
    ///
    /// # Errors
    /// Where the computation fails.
    pub fn positions(&self, x: &Tensor) -> candle_core::Result<Positions> {
        let seq = x.dim(1)?;
        self.ropes.pass(0, seq, x, Route::Differentiable).map(Positions)
    }

    /// One block, differentiable: `(batch, seq, hidden)` to the same. Blocks beyond the last change nothing.
    ///
    /// # Errors
    /// Where the computation fails.
    pub fn block(
        &self,
        index: usize,
        x: &Tensor,
        positions: &Positions,
    ) -> candle_core::Result<Tensor> {
        match self.blocks.get(index) {
            Some(block) => block.forward(x, &positions.0, None),
            None => Ok(x.clone()),
        }
    }

    /// The norm before the head, differentiable: `(.., hidden)` to the same.
    ///
    /// # Errors
    /// Where the computation fails.
    pub fn last_norm(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.norm.forward(x, Route::Differentiable)
    }

    /// Logits of the last of `ids`, which follow the tokens in `cache`: `(vocab)` F32. Not differentiable.
    ///
    /// # Errors
    /// Where `ids` is empty, does not fit the cache or lies outside the vocabulary, or the computation fails.
    pub fn forward_cached(&self, ids: &[u32], cache: &mut KvCache) -> candle_core::Result<Tensor> {
        let hidden = self.run_cached(ids, cache)?;
        let last = hidden.narrow(1, ids.len() - 1, 1)?.contiguous()?;
        self.logits(&last, Route::Fused)?.flatten_all()
    }

    /// Logits of each of `ids`, which follow the tokens in `cache`: `(seq, vocab)` F32. Not differentiable.
    ///
    /// # Errors
    /// As [`Decoder::forward_cached`].
    pub fn forward_cached_all(
        &self,
        ids: &[u32],
        cache: &mut KvCache,
    ) -> candle_core::Result<Tensor> {
        let hidden = self.run_cached(ids, cache)?;
        self.logits(&hidden, Route::Fused)?.squeeze(0)
    }

    /// Reads `ids` into `cache` behind the tokens there, without the cost of logits.
    ///
    /// # Errors
    /// As [`Decoder::forward_cached`].
    pub fn prefill(&self, ids: &[u32], cache: &mut KvCache) -> candle_core::Result<()> {
        self.run_cached(ids, cache).map(|_hidden| ())
    }

    fn run_cached(&self, ids: &[u32], cache: &mut KvCache) -> candle_core::Result<Tensor> {
        if ids.is_empty() {
            candle_core::bail!("no tokens to read")
        }
        cache.check_room(ids.len())?;
        let ids_tensor = Tensor::new(ids, self.device())?.unsqueeze(0)?;
        let hidden = self.run(&ids_tensor, Some(&mut *cache), Route::Fused)?;
        cache.advance(ids.len());
        Ok(hidden)
    }

    /// `(batch, seq)` ids to `(batch, seq, hidden)`, before the last norm.
    fn run(
        &self,
        ids: &Tensor,
        mut cache: Option<&mut KvCache>,
        route: Route,
    ) -> candle_core::Result<Tensor> {
        let (_batch, seq) = ids.dims2()?;
        let past = cache.as_ref().map_or(0, |cache| cache.tokens());
        let mut x = self.embed(ids)?;
        let pass = self.ropes.pass(past, seq, &x, route)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, &pass, cache.as_deref_mut().map(|cache| (cache, layer)))?;
        }
        Ok(x)
    }

    fn logits(&self, hidden: &Tensor, route: Route) -> candle_core::Result<Tensor> {
        let logits = self.head.project(&self.norm.forward(hidden, route)?)?;
        capped(logits, self.config.final_softcap)
    }
}

#[cfg(test)]
mod tests;
