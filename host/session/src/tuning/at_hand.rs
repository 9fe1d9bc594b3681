//! What the loaded model has at hand, and which runs go on, as long as the vault is open.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use hearth_base::{AdapterId, TuneRunId};
use tokio::sync::watch;

use crate::cancel::Cancel;

#[derive(Default)]
struct State {
    adapters: BTreeSet<AdapterId>,
    loaded: Option<PathBuf>,
}

/// Shared by everything that works on one opening of the vault.
#[derive(Clone, Default)]
pub(crate) struct AtHand {
    state: Arc<Mutex<State>>,
    runs: Arc<watch::Sender<BTreeSet<TuneRunId>>>,
    training: Arc<AtomicBool>,
    /// Work under way that an adapter has a part in.
    users: Arc<Mutex<Vec<(AdapterId, Cancel)>>>,
}

impl AtHand {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another model is loaded, or none: adapters went with the one before.
    pub(crate) fn loaded(&self, path: Option<PathBuf>) {
        *self.state() = State { adapters: BTreeSet::new(), loaded: path };
    }

    /// The file of the loaded model.
    pub(super) fn loaded_path(&self) -> Option<PathBuf> {
        self.state().loaded.clone()
    }

    /// The adapters that the loaded model has.
    pub(super) fn adapters(&self) -> BTreeSet<AdapterId> {
        self.state().adapters.clone()
    }

    pub(super) fn put(&self, id: AdapterId) {
        self.state().adapters.insert(id);
    }

    pub(super) fn take(&self, id: AdapterId) {
        self.state().adapters.remove(&id);
    }

    /// Work is about to use an adapter; it is told to stop when that is taken away.
    pub(super) fn used_by(&self, id: AdapterId, work: &Cancel) {
        let mut users = self.users();
        users.retain(|(_, work)| !work.is_last());
        users.push((id, work.clone()));
    }

    /// Tells everything to stop that uses an adapter.
    pub(super) fn stop_users(&self, id: AdapterId) {
        for (_, work) in self.users().extract_if(.., |(used, _)| *used == id) {
            work.cancel();
        }
    }

    fn users(&self) -> MutexGuard<'_, Vec<(AdapterId, Cancel)>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to train, until what this gives is dropped; `None` while somebody else has it.
    pub(super) fn turn_to_train(&self) -> Option<Turn> {
        let taken = self.training.swap(true, Ordering::AcqRel);
        (!taken).then(|| Turn(Arc::clone(&self.training)))
    }

    /// A run goes on until what this gives is dropped.
    pub(super) fn run_goes_on(&self, id: TuneRunId) -> GoingOn {
        self.runs.send_modify(|runs| {
            runs.insert(id);
        });
        GoingOn { runs: Arc::clone(&self.runs), id }
    }

    /// Waits until a run no longer goes on.
    pub(super) async fn run_ended(&self, id: TuneRunId) {
        // It fails only where the sender is gone, which lives in `self`.
        self.runs.subscribe().wait_for(|runs| !runs.contains(&id)).await.ok();
    }
}

/// A run that goes on.
pub(super) struct GoingOn {
    runs: Arc<watch::Sender<BTreeSet<TuneRunId>>>,
    id: TuneRunId,
}

impl Drop for GoingOn {
    fn drop(&mut self) {
        self.runs.send_modify(|runs| {
            runs.remove(&self.id);
        });
    }
}

/// The right to train.
pub(super) struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
