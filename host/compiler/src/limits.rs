//! Limits this process sets on itself. On systems without them the parent's clock is the only limit.

use std::io;

/// Processor time, in seconds.
#[cfg(unix)]
const MAX_CPU_SECS: u64 = 30;
/// Writable memory, in bytes.
#[cfg(unix)]
const MAX_DATA_BYTES: u64 = 1 << 30;
/// Address space, in bytes: the program itself and untouched reservations count here too.
#[cfg(unix)]
const MAX_ADDRESS_SPACE_BYTES: u64 = 2 << 30;

/// Sets them; they cannot be lifted again.
#[cfg(unix)]
pub(crate) fn set() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    for (resource, limit) in [
        (Resource::Cpu, MAX_CPU_SECS),
        (Resource::Data, MAX_DATA_BYTES),
        (Resource::As, MAX_ADDRESS_SPACE_BYTES),
        (Resource::Core, 0),
    ] {
        let ceiling = getrlimit(resource).maximum;
        let limit = Some(ceiling.map_or(limit, |ceiling| ceiling.min(limit)));
        setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
    }
    Ok(())
}

/// Nothing to set.
#[cfg(not(unix))]
pub(crate) fn set() -> io::Result<()> {
    Ok(())
}
