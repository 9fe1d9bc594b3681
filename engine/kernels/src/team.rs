//! A team of threads that divides one piece of work at a time.
//!
//! A decoder forks and joins hundreds of times for each token, some microseconds apart, so workers wait for the next piece by
//! looking at a counter for a short while. A worker that finds nothing gives its time slice away, and soon after it sleeps: an
//! idle engine costs no processor time.
use crate::scatter::Scatter;
use std::any::Any;
use std::cell::UnsafeCell;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};

mod wait;
use wait::wait_until;

type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// Threads that run one piece of work together. The caller is worker 0. Dropping the team ends and joins the others.
pub struct Team {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Held by the caller of a run in progress.
    busy: AtomicBool,
    /// Counts the pieces of work handed out; a worker that sees a new value takes part once.
    round: AtomicUsize,
    /// Workers that have not finished the current piece.
    remaining: AtomicUsize,
    work: UnsafeCell<Option<&'static Work<'static>>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    workers: Vec<Sleeper>,
    caller: Sleeper,
    stop: AtomicBool,
}

/// A thread that may be asleep, and how to wake it.
#[derive(Default)]
struct Sleeper {
    asleep: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

#[expect(unsafe_code, reason = "the cell with the work is shared by hand")]
// SAFETY: all fields but `work` are `Sync`. `work` is written by the holder of `busy` alone, while no worker is in a round
// (`remaining` is 0), and read by workers after they acquire the `round` that the write was released with.
unsafe impl Sync for Shared {}
#[expect(unsafe_code, reason = "the cell with the work is shared by hand")]
// SAFETY: what `work` refers to is `Sync`, so the reference may go to another thread.
unsafe impl Send for Shared {}

impl Team {
    /// Starts `threads - 1` workers. An error if `threads` is 0 or the system gives no more threads.
    pub fn new(threads: usize) -> io::Result<Self> {
        if threads == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a team has at least 1 thread",
            ));
        }
        let shared = Arc::new(Shared {
            busy: AtomicBool::new(false),
            round: AtomicUsize::new(0),
            remaining: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            panic: Mutex::new(None),
            workers: (1..threads).map(|_| Sleeper::default()).collect(),
            caller: Sleeper::default(),
            stop: AtomicBool::new(false),
        });
        // From here on a failure drops the team, which ends the workers already started.
        let mut team = Self { shared, handles: Vec::with_capacity(threads - 1) };
        for worker in 1..threads {
            let shared = Arc::clone(&team.shared);
            team.handles.push(
                thread::Builder::new()
                    .name(format!("kernels-{worker}"))
                    .spawn(move || shared.serve(worker))?,
            );
        }
        Ok(team)
    }

    /// Threads at work in a run, the caller included.
    pub fn threads(&self) -> usize {
        self.shared.workers.len() + 1
    }

    /// Runs `work(worker)` once for every worker and waits for all. A panic in any of them is resumed here once all have ended.
    ///
    /// Workers must not wait for one another: while the team is at work already (a run within a run, or another thread's), the
    /// caller does every worker's share itself, one after the other.
    pub fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        if shared.workers.is_empty() || shared.busy.swap(true, Ordering::Acquire) {
            return (0..self.threads()).for_each(work);
        }
        #[expect(unsafe_code, reason = "workers outlive the work they are lent")]
        // SAFETY: the reference is used by workers only until `remaining` is 0, and this function does not return or unwind
        // before it has seen that. Writing the cell: see `Sync for Shared`.
        unsafe {
            *shared.work.get() =
                Some(std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work));
        }
        shared.remaining.store(shared.workers.len(), Ordering::Relaxed);
        shared.round.fetch_add(1, Ordering::SeqCst);
        for worker in &shared.workers {
            worker.wake();
        }
        let own = catch_unwind(AssertUnwindSafe(|| work(0)));
        wait_until(&shared.caller, || shared.remaining.load(Ordering::SeqCst) == 0);
        let theirs = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        shared.busy.store(false, Ordering::Release);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        if let Some(panic) = theirs {
            resume_unwind(panic);
        }
    }

    /// Divides `0..count` into ranges of `chunk` (the last may be shorter) and hands them to whoever is free.
    pub fn chunks(&self, count: usize, chunk: usize, work: &(dyn Fn(Range<usize>) + Sync)) {
        let chunk = chunk.max(1);
        let chunks = count.div_ceil(chunk);
        let nth = |i: usize| i * chunk..count.min((i + 1).saturating_mul(chunk));
        if chunks <= 1 || self.threads() == 1 {
            return (0..chunks).for_each(|i| work(nth(i)));
        }
        let next = AtomicUsize::new(0);
        self.run(&|_| {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= chunks {
                    return;
                }
                work(nth(i));
            }
        });
    }

    /// Hands out disjoint chunks of the rows of `out`: `work(first_row, rows)`.
    ///
    /// # Panics
    /// If `out` is not a whole number of rows.
    pub fn rows_mut<T: Send>(
        &self,
        out: &mut [T],
        row_len: usize,
        rows_per_chunk: usize,
        work: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        if out.is_empty() {
            return;
        }
        assert!(
            row_len > 0 && out.len().is_multiple_of(row_len),
            "{} values are no whole number of rows of {row_len}",
            out.len()
        );
        let rows = out.len() / row_len;
        let out = Scatter::new(out);
        self.chunks(rows, rows_per_chunk, &|range| {
            #[expect(unsafe_code, reason = "rows are handed out to several threads")]
            // SAFETY: `chunks` gives every row out once, so no two slices overlap.
            let part = unsafe { out.slice(range.start * row_len..range.end * row_len) };
            work(range.start, part);
        });
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.round.fetch_add(1, Ordering::SeqCst);
        for worker in &self.shared.workers {
            worker.wake();
        }
        for handle in self.handles.drain(..) {
            // A worker catches what its work throws, so there is no panic to pass on.
            handle.join().ok();
        }
    }
}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Shared {
    /// The life of a worker.
    fn serve(&self, worker: usize) {
        let mut seen = 0;
        loop {
            wait_until(&self.workers[worker - 1], || self.round.load(Ordering::SeqCst) != seen);
            // One round at a time: the next one starts only after this worker has finished the present one.
            seen = self.round.load(Ordering::SeqCst);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            #[expect(unsafe_code, reason = "the cell with the work is shared by hand")]
            // SAFETY: see `Sync for Shared`: it was written before the round that was just seen, and is not written again
            // before this worker counts itself out of `remaining` below.
            let work = unsafe { *self.work.get() };
            if let Some(work) = work
                && let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(worker)))
            {
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
            if self.remaining.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.caller.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests;
