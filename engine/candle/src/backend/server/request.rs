//! A request as the server holds it.

use std::{ops::ControlFlow, sync::Arc};

use hearth_engine_api::{EngineError, Priority, RequestId, StopReason};

use crate::{
    backend::{
        answer::Answer,
        forward::{Forward, PAGE_TOKENS},
    },
    cpu::Applied,
};

pub(super) struct Request<F: Forward> {
    pub(super) id: RequestId,
    pub(super) priority: Priority,
    pub(super) sharing: Option<Sharing>,
    pub(super) adapters: Vec<Applied<F::Adapter>>,
    pub(super) answer: Answer,
    pub(super) begun: bool,
    /// Nothing while it waits.
    pub(super) seat: Option<Seat<F::Sequence>>,
    pub(super) ended: Option<Result<StopReason, EngineError>>,
}

/// What a request shares with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Sharing {
    /// With whom. Keys and values follow from the adapters too, so it tells these as well.
    pub(in crate::backend) key: Arc<str>,
    /// As far as that goes.
    pub(in crate::backend) most_tokens: usize,
}

impl Sharing {
    /// Those of `ids` that are shared.
    pub(super) fn shared<'i>(&self, ids: &'i [u32]) -> &'i [u32] {
        ids.get(..self.most_tokens).unwrap_or(ids)
    }

    /// Those of `ids` whose pages can be kept: whole pages, or all that is ever shared.
    pub(super) fn kept<'i>(&self, ids: &'i [u32]) -> &'i [u32] {
        let whole = ids.len() / PAGE_TOKENS * PAGE_TOKENS;
        ids.get(..self.most_tokens).or_else(|| ids.get(..whole)).unwrap_or_default()
    }
}

/// A request's place in memory.
pub(super) struct Seat<S> {
    pub(super) sequence: S,
    /// Pages there is room for, without those that are kept in the pool.
    pub(super) own_pages: usize,
    /// Tokens whose pages the pool keeps.
    pub(super) kept_tokens: usize,
}

impl<F: Forward> Request<F> {
    pub(super) fn interactive(&self) -> bool {
        self.priority == Priority::Interactive
    }

    pub(super) fn held_tokens(&self) -> usize {
        self.seat.as_ref().map_or(0, |seat| F::tokens(&seat.sequence))
    }

    /// The tokens it could find in pages. The last one is always read, since its logits are wanted.
    pub(super) fn page_ids(&self) -> &[u32] {
        let Some(sharing) = &self.sharing else { return &[] };
        let history = self.answer.history();
        sharing.shared(history.get(..history.len().saturating_sub(1)).unwrap_or_default())
    }

    pub(super) fn end_if(&mut self, flow: Result<ControlFlow<StopReason>, EngineError>) {
        match flow {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(stop)) => self.ended = Some(Ok(stop)),
            Err(error) => self.ended = Some(Err(error)),
        }
    }
}
