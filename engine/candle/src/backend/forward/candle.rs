//! The tensor library's decoder, for devices that the engine's own kernels do not know.

use std::{convert::Infallible, ops::ControlFlow, sync::Arc};

use candle_core::Device;
use hearth_engine_api::{AdapterError, AdapterFile, AdapterSlot, EngineError, LoadError};

use super::{Forward, PAGE_TOKENS, Part, Wanted};
use crate::{
    checkpoint::{Checkpoint, prefill_block_tokens},
    compute_error,
    models::{Decoder, KvCache},
};

/// Reads one sequence after another, each by itself.
pub(in crate::backend) struct CandleForward {
    decoder: Decoder,
}

impl CandleForward {
    pub(in crate::backend) fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, LoadError> {
        Ok(Self { decoder: checkpoint.decoder_on(device, on_progress)? })
    }
}

impl Forward for CandleForward {
    type Sequence = KvCache;
    /// None are shared.
    type Page = ();
    type Adapter = Infallible;

    const EXACT: bool = false;

    fn vocab(&self) -> usize {
        self.decoder.config().vocab
    }

    fn block_tokens(&self, total_tokens: usize) -> usize {
        prefill_block_tokens(self.decoder.config(), total_tokens)
    }

    fn page_bytes(&self) -> usize {
        let token_bytes = self.decoder.config().kv_bytes_per_token();
        usize::try_from(token_bytes).unwrap_or(usize::MAX).saturating_mul(PAGE_TOKENS)
    }

    fn sequence(
        &self,
        _pages: Vec<Arc<()>>,
        _tokens: usize,
        room_tokens: usize,
    ) -> Result<KvCache, EngineError> {
        KvCache::on(self.decoder.device(), self.decoder.config(), room_tokens)
            .map_err(|error| compute_error("making room for keys and values", &error))
    }

    fn adapter(&self, _slot: AdapterSlot, _file: &AdapterFile) -> Result<Infallible, AdapterError> {
        Err(AdapterError::Unsupported {
            what: "adapters of models that run on a graphics card; load the model on the processor"
                .into(),
        })
    }

    fn tokens(sequence: &KvCache) -> usize {
        sequence.tokens()
    }

    fn page(_sequence: &KvCache, _index: usize) -> Option<Arc<()>> {
        None
    }

    fn truncate(sequence: &mut KvCache, tokens: usize) {
        sequence.truncate(tokens);
    }

    fn step(
        &mut self,
        parts: &mut [Part<'_, KvCache, Infallible>],
        logits: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        logits.clear();
        let Self { decoder } = self;
        for Part { sequence, ids, wanted, adapters: _ } in parts {
            let rows = match wanted {
                Wanted::None => decoder.prefill(ids, sequence).map(|()| Vec::<f32>::new()),
                Wanted::Last => decoder.forward_cached(ids, sequence).and_then(|row| row.to_vec1()),
                Wanted::All => decoder
                    .forward_cached_all(ids, sequence)
                    .and_then(|rows| rows.flatten_all()?.to_vec1()),
            };
            logits.extend(rows.map_err(|error| compute_error("the forward pass", &error))?);
        }
        Ok(())
    }
}
