//! Keys and values of the tokens already read.

use candle_core::{DType, Device, Result, Tensor};

use super::config::DecoderConfig;

/// Keys and values of one sequence, in memory set aside once.
///
/// The memory is `config.kv_bytes_per_token() * capacity`; the system hands it over page by page as it is filled.
pub struct KvCache {
    /// Keys and values by layer, each `(1, kv_heads, capacity, head_dim)` F32.
    layers: Vec<(Tensor, Tensor)>,
    tokens: usize,
    capacity: usize,
}

impl KvCache {
    /// Room for `capacity` tokens, on the processor.
    ///
    /// # Errors
    /// Where the memory cannot be had.
    pub fn new(config: &DecoderConfig, capacity: usize) -> Result<Self> {
        Self::on(&Device::Cpu, config, capacity)
    }

    /// Room for `capacity` tokens, where a decoder's weights lie.
    ///
    /// # Errors
    /// Where the memory cannot be had.
    pub fn on(device: &Device, config: &DecoderConfig, capacity: usize) -> Result<Self> {
        let shape = (1, config.kv_heads, capacity, config.head_dim);
        let zeros = || Tensor::zeros(shape, DType::F32, device);
        let layers = (0..config.layers).map(|_| Ok((zeros()?, zeros()?))).collect::<Result<_>>()?;
        Ok(Self { layers, tokens: 0, capacity })
    }

    /// Tokens held.
    pub const fn tokens(&self) -> usize {
        self.tokens
    }

    /// Tokens there is room for.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all but the first `tokens` tokens.
    pub fn truncate(&mut self, tokens: usize) {
        self.tokens = self.tokens.min(tokens);
    }

    /// Fails where `more` tokens do not fit.
    pub(crate) fn check_room(&self, more: usize) -> Result<()> {
        if more > self.capacity - self.tokens {
            candle_core::bail!(
                "{more} tokens do not fit a cache of {} that holds {}",
                self.capacity,
                self.tokens
            )
        }
        Ok(())
    }

    /// Puts `k` and `v`, each `(1, kv_heads, seq, head_dim)`, behind what `layer` holds;
    /// returns views of all of the layer. [`KvCache::advance`] follows once all layers have theirs.
    pub(crate) fn append(
        &mut self,
        layer: usize,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let Some((keys, values)) = self.layers.get(layer) else {
            candle_core::bail!("the cache has {} layers", self.layers.len())
        };
        keys.slice_set(&k.contiguous()?, 2, self.tokens)?;
        values.slice_set(&v.contiguous()?, 2, self.tokens)?;
        let tokens = self.tokens + k.dim(2)?;
        Ok((keys.narrow(2, 0, tokens)?, values.narrow(2, 0, tokens)?))
    }

    /// Counts `tokens` more as held.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.tokens += tokens;
    }
}
