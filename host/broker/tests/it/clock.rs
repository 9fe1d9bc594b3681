//! Time that passes when a test says so, and then at once.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

/// A world's runtime, with its clock.
pub(crate) struct Clock {
    runtime: Arc<Runtime>,
    still: Option<Still>,
}

/// What keeps a clock from going by itself.
struct Still {
    /// While its other end is waited for on a thread of the runtime, no time passes.
    held: Mutex<Option<mpsc::Sender<()>>>,
    driver: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Clock {
    /// The clock on the wall.
    pub(crate) fn real() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        Self { runtime: Arc::new(runtime), still: None }
    }

    /// One that stands still.
    pub(crate) fn standing() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = Arc::new(runtime.unwrap());
        let held = Mutex::new(Some(hold(&runtime)));
        let (stop, stopped) = oneshot::channel::<()>();
        let driven = Arc::clone(&runtime);
        let driver = std::thread::spawn(move || {
            driven.block_on(stopped).ok();
        });
        Self { runtime, still: Some(Still { held, driver: Some((stop, driver)) }) }
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle().block_on(future)
    }

    /// Lets time pass while something is done: as soon as nobody has anything to do, it is the time that somebody
    /// waits for.
    pub(crate) fn flowing<T>(&self, f: impl FnOnce() -> T) -> T {
        let Some(still) = &self.still else { return f() };
        *still.held.lock().unwrap() = None;
        let done = f();
        *still.held.lock().unwrap() = Some(hold(&self.runtime));
        done
    }

    /// Lets so much time pass; none on the wall.
    pub(crate) fn pass(&self, time: Duration) {
        self.flowing(|| self.block_on(async move { tokio::time::sleep(time).await }));
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let Some(still) = &mut self.still else { return };
        *still.held.lock().unwrap() = None;
        if let Some((stop, driver)) = still.driver.take() {
            stop.send(()).ok();
            driver.join().ok();
        }
    }
}

fn hold(runtime: &Runtime) -> mpsc::Sender<()> {
    let (held, waiting) = mpsc::channel();
    runtime.handle().spawn_blocking(move || waiting.recv().ok());
    held
}
