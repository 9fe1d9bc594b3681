//! What a server needs of whatever computes logits.

use std::sync::Arc;

use hearth_engine_api::{AdapterError, AdapterFile, AdapterSlot, EngineError};

mod candle;
mod cpu;

use crate::cpu::Applied;

pub(super) use candle::CandleForward;
pub(super) use cpu::CpuForward;

/// Tokens whose keys and values make up a page: what is shared is shared by whole pages.
pub(crate) const PAGE_TOKENS: usize = hearth_engine_kernels::PAGE_TOKENS;

/// Computes the logits of several sequences.
pub(crate) trait Forward {
    /// Keys and values of one sequence.
    type Sequence;
    /// Keys and values of [`PAGE_TOKENS`] tokens.
    type Page;
    /// An adapter made ready.
    type Adapter;

    /// Whether a token's logits are bitwise the same whatever else a step reads and however its sequence was cut
    /// into steps. Where they are not, every sequence is read in one fixed way, and nothing is shared or guessed.
    const EXACT: bool;

    /// Size of the vocabulary, which is the length of a row of logits.
    fn vocab(&self) -> usize;

    /// Tokens of a prompt that are worth reading at once, where it is `total_tokens` long.
    fn block_tokens(&self, total_tokens: usize) -> usize;

    /// Memory for the keys and values of a page.
    fn page_bytes(&self) -> usize;

    /// A sequence that begins with `tokens` tokens, which `pages` hold, and will hold `room_tokens` at most.
    ///
    /// # Errors
    /// [`EngineError::Compute`] where there is no memory for it.
    fn sequence(
        &self,
        pages: Vec<Arc<Self::Page>>,
        tokens: usize,
        room_tokens: usize,
    ) -> Result<Self::Sequence, EngineError>;

    /// Makes an adapter ready. Where a sequence has several, they are added in the order of their slots.
    ///
    /// # Errors
    /// [`AdapterError`] where it is damaged or cannot be applied whole.
    fn adapter(&self, slot: AdapterSlot, file: &AdapterFile)
    -> Result<Self::Adapter, AdapterError>;

    /// Tokens that a sequence holds.
    fn tokens(sequence: &Self::Sequence) -> usize;

    /// A page, which may hold more than the tokens of now; nothing where pages cannot be shared.
    fn page(sequence: &Self::Sequence, index: usize) -> Option<Arc<Self::Page>>;

    /// Forgets all but the first `tokens` tokens.
    fn truncate(sequence: &mut Self::Sequence, tokens: usize);

    /// Reads the tokens of all parts. `logits` then holds a row for each token that wanted one, in the order of `parts`.
    ///
    /// # Errors
    /// [`EngineError`]. The sequences are of no more use then.
    fn step(
        &mut self,
        parts: &mut [Part<'_, Self::Sequence, Self::Adapter>],
        logits: &mut Vec<f32>,
    ) -> Result<(), EngineError>;
}

/// What a step reads of one sequence.
pub(crate) struct Part<'a, S, A> {
    pub(crate) sequence: &'a mut S,
    /// At least one token.
    pub(crate) ids: Vec<u32>,
    pub(crate) wanted: Wanted,
    /// The same for all steps of a sequence.
    pub(crate) adapters: &'a [Applied<A>],
}

/// Which tokens of a part get logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    None,
    Last,
    All,
}

impl Wanted {
    /// Rows of logits that `tokens` tokens get.
    pub(crate) const fn rows(self, tokens: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Last => 1,
            Self::All => tokens,
        }
    }
}
