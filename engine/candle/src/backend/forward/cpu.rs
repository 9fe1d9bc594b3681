//! The engine's own kernels, on the processor.

use std::{ops::ControlFlow, sync::Arc};

use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterSlot, EngineError, LoadError, LoadOptions,
};
use hearth_engine_kernels::{Page, Sequence, Team};

use super::{Forward, Part, Wanted};
use crate::{
    checkpoint::Checkpoint,
    cpu::{self, CpuAdapter, CpuDecoder, Step},
    lora::Adapter,
    workers::thread_count,
};

/// Tokens of a prompt worth reading at once: enough that reading the weights is a small part of it, few enough that
/// others need not wait for long.
const BLOCK_TOKENS: usize = 256;

/// Reads all sequences in one pass over the weights.
pub(in crate::backend) struct CpuForward(CpuDecoder);

impl CpuForward {
    pub(in crate::backend) fn load(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, LoadError> {
        let threads = thread_count(options.threads)?;
        let team = Team::new(threads).map_err(|error| LoadError::Unsupported {
            what: format!("{threads} worker threads ({error})"),
        })?;
        let format = cpu::kernel_format(options.kv_format);
        CpuDecoder::load(checkpoint, team, format, on_progress).map(Self)
    }
}

impl Forward for CpuForward {
    type Sequence = Sequence;
    type Page = Page;
    type Adapter = CpuAdapter;

    const EXACT: bool = true;

    fn vocab(&self) -> usize {
        self.0.config().vocab
    }

    fn block_tokens(&self, _total_tokens: usize) -> usize {
        BLOCK_TOKENS
    }

    fn page_bytes(&self) -> usize {
        self.0.kv_layout().page_bytes()
    }

    fn sequence(
        &self,
        pages: Vec<Arc<Page>>,
        tokens: usize,
        _room_tokens: usize,
    ) -> Result<Sequence, EngineError> {
        Sequence::from_pages(self.0.kv_layout(), pages, tokens).ok_or_else(|| {
            EngineError::Compute {
                op: "going on from kept pages",
                reason: "they belong to another model".into(),
            }
        })
    }

    fn adapter(&self, slot: AdapterSlot, file: &AdapterFile) -> Result<CpuAdapter, AdapterError> {
        self.0.adapter(slot, &Adapter::from_peft(file, self.0.config())?)
    }

    fn tokens(sequence: &Sequence) -> usize {
        sequence.tokens()
    }

    fn page(sequence: &Sequence, index: usize) -> Option<Arc<Page>> {
        sequence.pages().get(index).cloned()
    }

    fn truncate(sequence: &mut Sequence, tokens: usize) {
        sequence.truncate(tokens);
    }

    fn step(
        &mut self,
        parts: &mut [Part<'_, Sequence, CpuAdapter>],
        logits: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        let mut steps: Vec<Step<'_>> = parts
            .iter_mut()
            .map(|part| Step {
                sequence: &mut *part.sequence,
                ids: &part.ids,
                logits: match part.wanted {
                    Wanted::None => cpu::Wanted::None,
                    Wanted::Last => cpu::Wanted::Last,
                    Wanted::All => cpu::Wanted::All,
                },
                adapters: part.adapters,
            })
            .collect();
        self.0.step(&mut steps, logits)
    }
}
