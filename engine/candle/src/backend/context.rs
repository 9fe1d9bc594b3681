//! A decoder with the tokens it has read.

use hearth_engine_api::EngineError;

use crate::{
    checkpoint::prefill_block_tokens,
    compute_error,
    models::{Decoder, KvCache},
    workers::Workers,
};

/// Runs the decoder over one sequence of tokens, and knows which tokens the cache holds.
pub(super) struct Context {
    decoder: Decoder,
    workers: Workers,
    cache: KvCache,
    /// The tokens in the cache.
    ids: Vec<u32>,
}

impl Context {
    pub(super) fn new(
        decoder: Decoder,
        workers: Workers,
        capacity_tokens: usize,
    ) -> candle_core::Result<Self> {
        let cache = KvCache::new(decoder.config(), capacity_tokens)?;
        Ok(Self { decoder, workers, cache, ids: Vec::new() })
    }

    pub(super) const fn capacity(&self) -> usize {
        self.cache.capacity()
    }

    pub(super) const fn vocab(&self) -> usize {
        self.decoder.config().vocab
    }

    /// Forgets all tokens.
    pub(super) fn forget(&mut self) {
        self.ids.clear();
        self.cache.truncate(0);
    }

    /// Keeps what the tokens read so far have in common with the start of `prompt`, and returns its length.
    /// The prompt's last token is always left to be read, since its logits are wanted.
    pub(super) fn keep_common_start(&mut self, prompt: &[u32]) -> usize {
        let same = self.ids.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let kept = same.min(prompt.len().saturating_sub(1));
        self.ids.truncate(kept);
        self.cache.truncate(kept);
        kept
    }

    /// How many tokens to read at once when `total` will have been read at the end.
    pub(super) fn block_tokens(&self, total: usize) -> usize {
        prefill_block_tokens(self.decoder.config(), total)
    }

    /// Reads tokens of a prompt that more will follow.
    pub(super) fn read(&mut self, ids: &[u32]) -> Result<(), EngineError> {
        let Self { decoder, workers, cache, .. } = self;
        workers
            .run(|| decoder.prefill(ids, cache))
            .map_err(|error| compute_error("reading the prompt", &error))?;
        self.ids.extend_from_slice(ids);
        Ok(())
    }

    /// Reads tokens and returns the logits after the last of them, one for each id of the vocabulary.
    pub(super) fn logits(&mut self, ids: &[u32]) -> Result<Vec<f32>, EngineError> {
        let Self { decoder, workers, cache, .. } = self;
        let logits = workers
            .run(|| decoder.forward_cached(ids, cache)?.to_vec1())
            .map_err(|error| compute_error("the forward pass", &error))?;
        self.ids.extend_from_slice(ids);
        Ok(logits)
    }
}
