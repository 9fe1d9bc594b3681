//! Limits that a process sets on itself and cannot lift again.

/// How much a process may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Address space, in bytes: the program itself and untouched reservations count here too.
    pub address_space_bytes: u64,
    /// Writable memory, in bytes.
    pub data_bytes: u64,
    /// Processor time, in seconds; `None` where the parent's clock is enough.
    pub cpu_secs: Option<u64>,
}

#[cfg(unix)]
mod unix {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::Limits;

    /// Sets what can be set before threads start. Says whether all of it holds.
    pub(crate) fn set(limits: &Limits) -> bool {
        let mut table = vec![
            (Resource::Data, limits.data_bytes),
            (Resource::As, limits.address_space_bytes),
            (Resource::Core, 0),
            (Resource::Fsize, 0),
            // The three pipes; whatever would be opened finds no number.
            (Resource::Nofile, 3),
        ];
        #[cfg(target_os = "linux")]
        table.extend([(Resource::Memlock, 0), (Resource::Msgqueue, 0)]);
        if let Some(secs) = limits.cpu_secs {
            table.push((Resource::Cpu, secs));
        }
        // Each of them, also after one that failed.
        table.into_iter().fold(true, |all, (resource, limit)| lower(resource, limit) && all)
    }

    /// Sets what would keep threads from starting.
    #[cfg(target_os = "linux")]
    pub(crate) fn forbid_processes() -> bool {
        lower(Resource::Nproc, 0)
    }

    fn lower(resource: Resource, limit: u64) -> bool {
        let ceiling = getrlimit(resource).maximum;
        let limit = Some(ceiling.map_or(limit, |ceiling| ceiling.min(limit)));
        setrlimit(resource, Rlimit { current: limit, maximum: limit }).is_ok()
    }
}

#[cfg(target_os = "linux")]
pub(crate) use unix::forbid_processes;
#[cfg(unix)]
pub(crate) use unix::set;
