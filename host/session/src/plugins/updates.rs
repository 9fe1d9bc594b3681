//! Newer versions: looked for where plugins came from, and only when the user asks.

use std::path::{Path, PathBuf};

use hearth_base::PluginId;
use hearth_registry::Reference;
use hearth_vault::PluginRecord;
use hearth_wasm::component_hash;

use super::{
    component_of, install, record_of,
    source::{self, OnFetch},
};
use crate::{Reply, UpdateOffer, UserError, task::Task};

/// How long a version that nobody asked for by its plugin's name waits, in seconds. By then the theft of a key has often
/// come to light.
const HOLD_SECS: i64 = 24 * 60 * 60;

/// Asks where each plugin came from whether there is another version. One that cannot be asked is told with the others.
pub(crate) fn check(task: &Task) -> Result<Reply, UserError> {
    let mut offers = Vec::new();
    for record in task.vault().plugins()?.into_iter().filter(|record| !record.bundled) {
        if task.cancel.is_cancelled() {
            return Err(UserError::cancelled("Looking for updates was stopped."));
        }
        let origin = task.vault().provenance(&record.id)?.unwrap_or_default().origin;
        if origin.is_empty() {
            continue;
        }
        let (offered, error) = match offered(task, &record, &origin) {
            Ok(None) => continue,
            Ok(offered) => (offered, None),
            Err(error) => (None, Some(error)),
        };
        let now = task.ctx.now_secs();
        let held_until_secs = match &offered {
            Some(version) => {
                let first = task.vault().note_offer(&record.id, version, now)?;
                Some(first.saturating_add(HOLD_SECS)).filter(|until| *until > now)
            }
            None => None,
        };
        let (plugin, installed) = (record.id, record.version);
        offers.push(UpdateOffer { plugin, installed, offered, origin, held_until_secs, error });
    }
    Ok(Reply::Updates(offers))
}

/// Installs what is now where a plugin came from.
pub(crate) fn update(
    task: &Task,
    plugin: &PluginId,
    on_fetch: OnFetch<'_>,
) -> Result<Reply, UserError> {
    let record = record_of(task, plugin)?;
    let origin = task.vault().provenance(plugin)?.unwrap_or_default().origin;
    if origin.is_empty() || record.bundled {
        return Err(UserError::user(
            format!("{plugin} came with Hearth."),
            "It is updated with Hearth itself.",
        ));
    }
    let offered = if Reference::is_meant(&origin) {
        source::fetch(&origin, None, &task.cancel, on_fetch)?
    } else {
        source::read(Path::new(&origin), &*task.ctx.config.runtime)?
    };
    let found = task.ctx.config.runtime.inspect(&offered.component)?;
    if found.manifest.id != *plugin {
        return Err(UserError::user(
            format!("{origin} is now {}, another plugin than {plugin}.", found.manifest.id),
            "Nothing was installed.",
        ));
    }
    install::install(task, offered, Some(&found.component_hash))
}

/// The version that is to be had, if it is not the installed one or the one that waits. Where none is told, its digest.
fn offered(task: &Task, record: &PluginRecord, origin: &str) -> Result<Option<String>, UserError> {
    let waiting = task.vault().waiting_version(&record.id)?.map(|waiting| waiting.component_hash);
    if Reference::is_meant(origin) {
        let offer = source::registry().offer(&origin.parse()?)?;
        let mut known = vec![component_of(task, &record.id)?];
        if let Some(hash) = waiting {
            known.push(source::read_component(&task.component_path(&hash))?);
        }
        if known.iter().any(|component| offer.digest.fits(component)) {
            return Ok(None);
        }
        return Ok(Some(offer.version.unwrap_or_else(|| "of unknown number".to_owned())));
    }
    let offered = source::read(&PathBuf::from(origin), &*task.ctx.config.runtime)?;
    let hash = component_hash(&offered.component);
    if hash == record.component_hash || waiting.is_some_and(|waiting| waiting == hash) {
        return Ok(None);
    }
    let found = task.ctx.config.runtime.inspect(&offered.component)?;
    Ok(Some(found.manifest.version))
}
