//! The threads that compute.

use std::num::NonZero;

use hearth_engine_api::LoadError;

/// A pool of worker threads of a chosen size.
///
/// Dense products run on these threads. Products with quantised matrices run on a pool of the tensor library's
/// own, which has as many threads as there are physical cores, or as `CANDLE_NUM_THREADS` says.
pub(crate) struct Workers {
    pool: rayon::ThreadPool,
}

impl Workers {
    /// As many as asked for, else one for each physical core.
    pub(crate) fn new(threads: Option<usize>) -> Result<Self, LoadError> {
        let threads = thread_count(threads)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("hearth-engine-{index}"))
            .build()
            .map_err(|error| LoadError::Unsupported {
                what: format!("{threads} worker threads ({error})"),
            })?;
        Ok(Self { pool })
    }

    /// Computes `work` on these threads and waits for it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
}

/// As many threads as asked for, else one for each physical core.
pub(crate) fn thread_count(asked: Option<usize>) -> Result<usize, LoadError> {
    const MAX_THREADS: usize = 1 << 10;
    let threads = asked.unwrap_or_else(|| {
        let allowed = std::thread::available_parallelism().map_or(1, NonZero::get);
        candle_core::utils::get_num_threads().min(allowed)
    });
    if threads == 0 || threads > MAX_THREADS {
        return Err(LoadError::Unsupported {
            what: format!("{threads} worker threads; 1 to {MAX_THREADS} are possible"),
        });
    }
    Ok(threads)
}
