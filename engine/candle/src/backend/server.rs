//! Many requests on one model, step by step.

use std::ops::ControlFlow;

use hearth_engine_api::{EngineError, GenerateEvent, Priority, Report, RequestId, StopReason};

use super::{
    answer::Answer,
    forward::{Forward, PAGE_TOKENS, Part, Wanted},
    guide::Vocabulary,
    plan::{Share, Wish, shares},
    pool::{Found, Pool},
};
use crate::cpu::Applied;

mod request;
#[cfg(test)]
mod tests;

pub(super) use request::Sharing;
use request::{Request, Seat};

/// Requests of one priority that run at once: beyond that a step costs more in the same measure as it does more.
pub(super) const MOST_RUNNING: usize = 16;

/// Tokens of a common head for which a request waits until another one has read them, rather than read them at once.
const WORTH_WAITING_TOKENS: usize = 8;

/// Where the reports of a step go.
type Sink<'a> = &'a mut dyn FnMut(RequestId, Report) -> ControlFlow<()>;

/// Runs requests, and shares what their prompts have in common.
pub(super) struct Server<F: Forward> {
    forward: F,
    pool: Pool<F::Page>,
    /// In order of arrival.
    requests: Vec<Request<F>>,
    logits: Vec<f32>,
    passes: u64,
}

/// A request's priority, what it shares, and what it runs with.
pub(super) type Terms<F> = (Priority, Option<Sharing>, Vec<Applied<<F as Forward>::Adapter>>);

/// Whether a request got its place.
enum Seating {
    /// It did, or is over.
    Settled,
    /// Another one is reading what it would begin with.
    HeadUnderWay,
    NoRoom,
}

/// A request's part in a step.
struct Turn {
    place: usize,
    ids: Vec<u32>,
    /// How many of the ids are guesses.
    drafted: usize,
    wanted: Wanted,
}

impl<F: Forward> Server<F> {
    /// Keys and values take `limit_pages` at most.
    pub(super) fn new(forward: F, limit_pages: usize) -> Self {
        let pool = Pool::new(limit_pages);
        Self { forward, pool, requests: Vec::new(), logits: Vec::new(), passes: 0 }
    }

    pub(super) const fn forward(&self) -> &F {
        &self.forward
    }

    /// Passes over the weights so far.
    pub(super) const fn passes(&self) -> u64 {
        self.passes
    }

    /// Takes a request on.
    pub(super) fn begin(
        &mut self,
        id: RequestId,
        (priority, sharing, adapters): Terms<F>,
        answer: Answer,
    ) -> Result<(), EngineError> {
        let needed_pages = answer.room_tokens().div_ceil(PAGE_TOKENS);
        let limit_pages = self.pool.limit_pages();
        if needed_pages > limit_pages {
            let page_bytes = self.forward.page_bytes();
            let reason = format!(
                "keys and values of {} tokens take {} bytes, and may take {}; ask for fewer tokens, or load the \
                 model with more memory for them",
                answer.room_tokens(),
                needed_pages.saturating_mul(page_bytes),
                limit_pages.saturating_mul(page_bytes),
            );
            return Err(EngineError::Invalid { reason });
        }
        let sharing = sharing.filter(|_| F::EXACT);
        self.requests.push(Request {
            id,
            priority,
            sharing,
            adapters,
            answer,
            begun: false,
            seat: None,
            ended: None,
        });
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        for request in self.requests.iter_mut().filter(|request| request.id == id) {
            request.ended = Some(Ok(StopReason::Cancelled));
        }
    }

    /// See [`hearth_engine_api::LanguageModel::step`].
    pub(super) fn step(&mut self, vocabulary: Vocabulary<'_>, sink: Sink<'_>) {
        self.release(sink);
        self.seat_all(vocabulary, sink);
        let turns = self.turns();
        if !turns.is_empty() {
            self.passes += 1;
            match self.compute(&turns) {
                Ok(()) => self.advance(&turns, vocabulary, sink),
                Err(error) => self.fail(&turns, &error),
            }
        }
        self.release(sink);
    }

    /// Reports what is over, and gives its memory back.
    fn release(&mut self, sink: Sink<'_>) {
        let (over, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|request| request.ended.is_some());
        self.requests = going;
        for request in over {
            let Request { id, answer, seat, ended, .. } = request;
            if let Some(seat) = seat {
                self.pool.give(seat.own_pages);
            }
            let ended = ended.unwrap_or(Ok(StopReason::Cancelled));
            let done =
                ended.map(|stop| answer.end(stop, &mut |event| sink(id, Report::Event(event))));
            // It is over whoever listens.
            let _over = sink(id, Report::Ended(done));
        }
    }

    /// Gives places to those that wait, interactive ones first.
    fn seat_all(&mut self, vocabulary: Vocabulary<'_>, sink: Sink<'_>) {
        for priority in [Priority::Interactive, Priority::Background] {
            let mut seated = self.of(priority).filter(|request| request.seat.is_some()).count();
            for place in 0..self.requests.len() {
                let waits = |request: &Request<F>| {
                    request.priority == priority
                        && request.seat.is_none()
                        && request.ended.is_none()
                };
                if seated >= MOST_RUNNING || !self.requests.get(place).is_some_and(waits) {
                    continue;
                }
                loop {
                    match self.seat(place, vocabulary, sink) {
                        Seating::Settled => seated += 1,
                        Seating::HeadUnderWay => {}
                        // Whoever looks at the answer does not wait for those who do not.
                        Seating::NoRoom
                            if priority == Priority::Interactive && self.unseat_background() =>
                        {
                            continue;
                        }
                        // Those behind it must not pass it again and again.
                        Seating::NoRoom => return,
                    }
                    break;
                }
            }
        }
    }

    fn of(&self, priority: Priority) -> impl Iterator<Item = &Request<F>> {
        self.requests.iter().filter(move |request| request.priority == priority)
    }

    /// Takes the latest background request's place. It will read again what it has read.
    fn unseat_background(&mut self) -> bool {
        let latest = self
            .requests
            .iter_mut()
            .rev()
            .find(|request| !request.interactive() && request.seat.is_some());
        let Some(seat) = latest.and_then(|request| request.seat.take()) else { return false };
        self.pool.give(seat.own_pages);
        true
    }

    fn seat(&mut self, place: usize, vocabulary: Vocabulary<'_>, sink: Sink<'_>) -> Seating {
        let Some(request) = self.requests.get(place) else { return Seating::Settled };
        let found = match &request.sharing {
            Some(sharing) => self.pool.find(&sharing.key, request.page_ids()),
            None => Found::default(),
        };
        if self.is_head_under_way(place, found.tokens) {
            return Seating::HeadUnderWay;
        }
        let Some(request) = self.requests.get_mut(place) else { return Seating::Settled };
        let room_tokens = request.answer.room_tokens();
        let kept_tokens = found.tokens;
        // A page of which some tokens alone serve is copied when the next is read.
        let own_pages = room_tokens.div_ceil(PAGE_TOKENS) - kept_tokens / PAGE_TOKENS;
        if !self.pool.take(own_pages) {
            return Seating::NoRoom;
        }
        match self.forward.sequence(found.pages, kept_tokens, room_tokens) {
            Ok(sequence) => request.seat = Some(Seat { sequence, own_pages, kept_tokens }),
            Err(error) => {
                self.pool.give(own_pages);
                request.ended = Some(Err(error));
                return Seating::Settled;
            }
        }
        if !std::mem::replace(&mut request.begun, true) {
            let id = request.id;
            let say = &mut |event: GenerateEvent| sink(id, Report::Event(event));
            let mut flow = Ok(request.answer.begin(kept_tokens, say));
            if matches!(flow, Ok(ControlFlow::Continue(()))) {
                flow = request.answer.settle(vocabulary, say);
            }
            request.end_if(flow);
        }
        Seating::Settled
    }

    /// Whether another request of the same key is about to have read so much more of this one's head than is found that
    /// it is worth waiting for.
    fn is_head_under_way(&self, place: usize, found_tokens: usize) -> bool {
        let Some(request) = self.requests.get(place) else { return false };
        let Some(sharing) = &request.sharing else { return false };
        self.requests.iter().any(|other| {
            let theirs = other.sharing.as_ref().filter(|theirs| theirs.key == sharing.key);
            let Some(theirs) = theirs else { return false };
            if other.priority < request.priority || other.seat.is_none() || other.ended.is_some() {
                return false;
            }
            let theirs = theirs.kept(other.answer.history());
            let common = request.page_ids().iter().zip(theirs).take_while(|(a, b)| a == b).count();
            let until = common.next_multiple_of(PAGE_TOKENS).min(theirs.len());
            common >= found_tokens + WORTH_WAITING_TOKENS && other.held_tokens() < until
        })
    }

    /// What this step reads.
    fn turns(&mut self) -> Vec<Turn> {
        let alone = !self.requests.iter().any(Request::interactive);
        let forward = &self.forward;
        let (places, wishes): (Vec<usize>, Vec<Wish>) = self
            .requests
            .iter()
            .enumerate()
            .filter(|(_, request)| request.seat.is_some() && request.ended.is_none())
            .map(|(place, request)| {
                let tokens = request.answer.history().len();
                let wish = Wish {
                    interactive: request.interactive(),
                    unread_tokens: tokens - request.held_tokens(),
                    block_tokens: forward.block_tokens(tokens),
                };
                (place, wish)
            })
            .unzip();
        let shares = shares(&wishes, alone, F::EXACT);
        let turns = places.into_iter().zip(shares).filter(|(_, share)| share.tokens > 0);
        turns.filter_map(|(place, share)| self.turn(place, share)).collect()
    }

    fn turn(&mut self, place: usize, share: Share) -> Option<Turn> {
        let request = self.requests.get_mut(place)?;
        let held = request.held_tokens();
        let mut ids = request.answer.history().get(held..held + share.tokens)?.to_vec();
        let is_last = held + share.tokens == request.answer.history().len();
        let draft = if F::EXACT { request.answer.draft(share.draft_tokens) } else { Vec::new() };
        let wanted = match is_last {
            false => Wanted::None,
            true if draft.is_empty() => Wanted::Last,
            true => Wanted::All,
        };
        ids.extend_from_slice(&draft);
        Some(Turn { place, ids, drafted: draft.len(), wanted })
    }

    fn compute(&mut self, turns: &[Turn]) -> Result<(), EngineError> {
        let mut next = turns.iter().peekable();
        let mut parts = Vec::with_capacity(turns.len());
        for (place, request) in self.requests.iter_mut().enumerate() {
            if let Some(turn) = next.next_if(|turn| turn.place == place)
                && let Some(seat) = &mut request.seat
            {
                let sequence = &mut seat.sequence;
                let (ids, adapters) = (turn.ids.clone(), &*request.adapters);
                parts.push(Part { sequence, ids, wanted: turn.wanted, adapters });
            }
        }
        self.forward.step(&mut parts, &mut self.logits)
    }

    /// Draws from the logits.
    fn advance(&mut self, turns: &[Turn], vocabulary: Vocabulary<'_>, sink: Sink<'_>) {
        let vocab = self.forward.vocab();
        let mut rows = self.logits.chunks_exact_mut(vocab);
        for turn in turns {
            let Some(request) = self.requests.get_mut(turn.place) else { continue };
            let id = request.id;
            let say = &mut |event: GenerateEvent| sink(id, Report::Event(event));
            let held = request.held_tokens();
            let before = held - turn.ids.len();
            if before < request.answer.prompt_tokens()
                && let flow @ ControlFlow::Break(_) = request.answer.read(held, say)
            {
                request.end_if(Ok(flow));
            }
            let count = turn.wanted.rows(turn.ids.len());
            let mut drawn = rows.by_ref().take(count);
            if count > 0 && request.ended.is_none() {
                let read = draw(request, turn, &mut drawn, vocabulary, say);
                if let Some(seat) = &mut request.seat {
                    F::truncate(&mut seat.sequence, before + read);
                }
            }
            drawn.for_each(drop);
            keep(&mut self.pool, request);
        }
    }

    fn fail(&mut self, turns: &[Turn], error: &EngineError) {
        for turn in turns {
            if let Some(request) = self.requests.get_mut(turn.place) {
                request.ended = Some(Err(again(error)));
            }
        }
    }
}

/// Draws a token from each row of logits for as long as they are what was guessed. Gives how many of the tokens read
/// belong to the history.
fn draw<F: Forward>(
    request: &mut Request<F>,
    turn: &Turn,
    rows: &mut dyn Iterator<Item = &mut [f32]>,
    vocabulary: Vocabulary<'_>,
    say: super::answer::Say<'_>,
) -> usize {
    let sure = turn.ids.len() - turn.drafted;
    let mut accepted = 0;
    for row in rows {
        let flow = request.answer.draw(vocabulary, row, say);
        let went_on = matches!(flow, Ok(ControlFlow::Continue(())));
        request.end_if(flow);
        let next = request.answer.history().get(request.answer.history().len() - 1);
        if !went_on || turn.ids.get(sure + accepted) != next {
            break;
        }
        accepted += 1;
    }
    request.answer.learn(turn.drafted, accepted);
    sure + accepted
}

/// Lets the pool keep the pages that are full, or that hold the end of what is shared.
fn keep<F: Forward>(pool: &mut Pool<F::Page>, request: &mut Request<F>) {
    let (Some(sharing), Some(seat)) = (&request.sharing, &mut request.seat) else { return };
    let held = F::tokens(&seat.sequence);
    let ids = sharing.kept(request.answer.history().get(..held).unwrap_or_default());
    if ids.len() <= seat.kept_tokens {
        return;
    }
    let sequence = &seat.sequence;
    let added = pool.keep(&sharing.key, ids, |index| F::page(sequence, index));
    seat.own_pages = seat.own_pages.saturating_sub(added);
    seat.kept_tokens = ids.len();
}

/// The same error for another request.
fn again(error: &EngineError) -> EngineError {
    match error {
        EngineError::Compute { op, reason } => EngineError::Compute { op, reason: reason.clone() },
        EngineError::Invalid { reason } => EngineError::Invalid { reason: reason.clone() },
        other => EngineError::Compute { op: "the forward pass", reason: other.to_string() },
    }
}
