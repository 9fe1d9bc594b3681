//! How a call that ended abnormally is told to the host.

use hearth_base::RunFault;
use wasmtime::Trap;

/// Longest description, in characters.
const MAX_WORDS: usize = 300;

/// The fault behind an error of wasmtime. `limit` is the limit the store remembers having refused.
pub(crate) fn classify(error: &wasmtime::Error, limit: Option<&'static str>) -> RunFault {
    let words = words(error);
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => RunFault::OutOfFuel,
        Some(Trap::Interrupt) => RunFault::TimedOut,
        Some(trap) => match limit {
            Some(limit) => RunFault::Limit(limit.into()),
            None => RunFault::Trap(trap.to_string()),
        },
        None if words.contains("fuel allocated for hostcalls") => {
            RunFault::Limit("1 MiB in one call".into())
        }
        None => match limit {
            Some(limit) => RunFault::Limit(limit.into()),
            None => RunFault::Trap(words),
        },
    }
}

/// An error's own words, shortened.
pub(crate) fn words(error: &wasmtime::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
        .chars()
        .take(MAX_WORDS)
        .collect()
}
