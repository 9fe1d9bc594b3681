//! How a call that ended abnormally is told to the host.

use hearth_base::RunFault;
use wasmtime::Trap;

/// Longest description, in characters.
const MAX_WORDS: usize = 300;

/// The fault behind an error of wasmtime. `limit` is the limit the store remembers having refused.
pub(crate) fn classify(error: &wasmtime::Error, limit: Option<&'static str>) -> RunFault {
    // Whatever is wrapped around it, a dump of the guest's state included, is for nobody to read.
    let words = shortened(&error.root_cause().to_string());
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => RunFault::OutOfFuel,
        Some(Trap::Interrupt) => RunFault::TimedOut,
        _ if words.contains("fuel allocated for hostcalls") => {
            RunFault::Limit("1 MiB in one call".into())
        }
        _ if words.contains("store handle limit exceeded") => {
            RunFault::Limit("4,096 values at once".into())
        }
        _ if words.contains("resource limit exceeded") => {
            RunFault::Limit("160 instances, 64 tables, 4 memories".into())
        }
        _ => match limit {
            Some(limit) => RunFault::Limit(limit.into()),
            None => RunFault::Trap(words),
        },
    }
}

/// An error's own words, shortened.
pub(crate) fn words(error: &wasmtime::Error) -> String {
    shortened(&error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

fn shortened(words: &str) -> String {
    words.chars().take(MAX_WORDS).collect()
}
