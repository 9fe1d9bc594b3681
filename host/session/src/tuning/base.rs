//! Base models of runs and adapters, told apart by their content.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use hearth_base::ModelId;
use hearth_engine_api::Fingerprint;
use hearth_vault::AdapterRecord;

use crate::{ModelView, UserError, models, task::Task};

/// A base model.
pub(super) struct Base {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// Fingerprints of files, by path, as long as length and time of change stay the same.
#[derive(Default)]
pub(crate) struct Fingerprints(Mutex<BTreeMap<PathBuf, (Stamp, Fingerprint)>>);

/// What tells whether a file was written to.
type Stamp = (u64, Option<SystemTime>);

impl Fingerprints {
    fn known(&self, path: &Path, stamp: Stamp) -> Option<Fingerprint> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(path).filter(|(of, _)| *of == stamp).map(|(_, print)| print.clone())
    }

    fn keep(&self, path: &Path, stamp: Stamp, print: Fingerprint) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.into(), (stamp, print));
    }
}

fn stamp(path: &Path) -> Stamp {
    path.metadata().map_or((0, None), |data| (data.len(), data.modified().ok()))
}

/// What tells the model at `path` from others.
pub(super) fn fingerprint(task: &Task, path: &Path) -> Result<Fingerprint, UserError> {
    let stamp = stamp(path);
    if let Some(print) = task.ctx.fingerprints.known(path, stamp) {
        return Ok(print);
    }
    let print = task.ctx.tuner.fingerprint(path)?;
    task.ctx.fingerprints.keep(path, stamp, print.clone());
    Ok(print)
}

/// The model `id`; `None` is the bundled one.
pub(super) fn find(task: &Task, id: Option<ModelId>) -> Result<Base, UserError> {
    let model = models::read(task)?.into_iter().find(|model| model.id == id);
    let model = model.ok_or_else(|| {
        UserError::user("There is no such model.", "Choose one of those under Models.")
    })?;
    Ok(Base { name: model.name, path: model.path })
}

/// What of [`with_hash`] is known without a look into files.
pub(super) fn known_with_hash(
    task: &Task,
    models: &[ModelView],
    hash: &str,
) -> Option<Option<ModelId>> {
    let known = |path: &Path| task.ctx.fingerprints.known(path, stamp(path));
    let is_it = |model: &&ModelView| known(&model.path).is_some_and(|print| print.base == hash);
    models.iter().find(is_it).map(|model| model.id)
}

/// Which of the models has this content: `Some(None)` is the bundled one.
pub(super) fn with_hash(task: &Task, models: &[ModelView], hash: &str) -> Option<Option<ModelId>> {
    let is_it =
        |model: &&ModelView| fingerprint(task, &model.path).is_ok_and(|print| print.base == hash);
    models.iter().find(is_it).map(|model| model.id)
}

/// The model that an adapter was made for, and its number; `None` is the bundled one.
pub(super) fn of_adapter(
    task: &Task,
    adapter: &AdapterRecord,
) -> Result<(Option<ModelId>, Base), UserError> {
    let models = models::read(task)?;
    let id = with_hash(task, &models, &adapter.base_hash).ok_or_else(|| {
        UserError::user(
            format!("The model that this adapter is for, {}, is not there.", adapter.base_name),
            "Add its file under Models.",
        )
    })?;
    Ok((id, find(task, id)?))
}
