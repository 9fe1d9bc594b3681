//! What a store holds while a guest runs: the pipe, the frozen world, limits and clocks.

use std::time::{Duration, Instant};

use hearth_base::{Answer, GuestError, Handle, HostCall, InvocationInfo};
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder, component::Resource};

use crate::{bindings::types::Error, link::Link};

/// Longest a guest may be busy, host calls not counted. Fuel ends it far earlier; this is for what fuel does not count.
const MAX_BUSY: Duration = Duration::from_secs(20);
/// Linear memory of all of a guest's memories together, in bytes.
const MAX_MEMORY_BYTES: usize = 64 << 20;

/// The store's data.
pub(crate) struct Context {
    pub(crate) link: Link,
    pub(crate) info: InvocationInfo,
    pub(crate) limits: Limits,
    started: Instant,
    in_host_calls: Duration,
}

/// What a host call that can be refused returns: an error of the link ends the guest, a guest error is told to it.
pub(crate) type Told<T> = wasmtime::Result<Result<T, Error>>;

impl Context {
    pub(crate) fn new(link: Link, info: InvocationInfo) -> Self {
        Self {
            link,
            info,
            limits: Limits::new(),
            started: Instant::now(),
            in_host_calls: Duration::ZERO,
        }
    }

    /// Whether the guest itself has been busy too long.
    pub(crate) fn is_overdue(&self) -> bool {
        self.started.elapsed().saturating_sub(self.in_host_calls) > MAX_BUSY
    }

    /// Asks the host, and takes what `pick` finds in its answer. An answer of another kind is the host's fault and ends
    /// the call.
    pub(crate) fn ask<T>(
        &mut self,
        call: HostCall,
        pick: impl FnOnce(Answer) -> Option<T>,
    ) -> wasmtime::Result<Result<T, GuestError>> {
        let asked = Instant::now();
        let reply = self.link.ask(call);
        self.in_host_calls += asked.elapsed();
        match reply? {
            Ok(answer) => match pick(answer) {
                Some(value) => Ok(Ok(value)),
                None => Err(wasmtime::Error::msg("the host's answer does not fit the call")),
            },
            Err(error) => Ok(Err(error)),
        }
    }

    /// A call that makes a new value.
    pub(crate) fn ask_handle<R: 'static>(&mut self, call: HostCall) -> Told<Resource<R>> {
        self.ask_told(call, |answer| match answer {
            Answer::Handle(handle) => Some(resource(handle)),
            _ => None,
        })
    }

    /// A call that has nothing to tell.
    pub(crate) fn ask_unit(&mut self, call: HostCall) -> Told<()> {
        self.ask_told(call, |answer| matches!(answer, Answer::Unit).then_some(()))
    }

    /// A call whose refusal is told to the guest.
    pub(crate) fn ask_told<T>(
        &mut self,
        call: HostCall,
        pick: impl FnOnce(Answer) -> Option<T>,
    ) -> Told<T> {
        Ok(self.ask(call, pick)?.map_err(Error::from))
    }

    /// The guest let go of a value.
    pub(crate) fn dropped(&mut self, handle: Handle) -> wasmtime::Result<()> {
        // A refused drop leaves nothing to do: the host clears all handles when the call ends.
        self.ask(HostCall::Drop(handle), Some)?.ok();
        Ok(())
    }
}

/// The guest's side of a host value. The guest sees an index of its own table; this number stays outside it.
pub(crate) fn resource<R: 'static>(handle: Handle) -> Resource<R> {
    Resource::new_own(handle.0)
}

/// The host's name of a guest's value.
pub(crate) fn handle<R: 'static>(resource: &Resource<R>) -> Handle {
    Handle(resource.rep())
}

/// [`StoreLimits`] that count all memories together, and remember whether they were hit: a guest that cannot grow mostly
/// aborts with a bare trap.
pub(crate) struct Limits {
    limits: StoreLimits,
    memory_bytes: usize,
    pub(crate) hit: Option<&'static str>,
}

impl Limits {
    fn new() -> Self {
        let limits = StoreLimitsBuilder::new()
            .memory_size(MAX_MEMORY_BYTES)
            .table_elements(20_000)
            .instances(160)
            .tables(64)
            .memories(4)
            .build();
        Self { limits, memory_bytes: 0, hit: None }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let memory_bytes = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        let allowed = memory_bytes <= MAX_MEMORY_BYTES
            && self.limits.memory_growing(current, desired, maximum)?;
        if allowed {
            self.memory_bytes = memory_bytes;
        } else {
            self.hit = Some("64 MiB of memory");
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.limits.table_growing(current, desired, maximum)?;
        if !allowed {
            self.hit = Some("20,000 table elements");
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}
