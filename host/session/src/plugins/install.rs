//! Putting plugins in place: new ones, updates, the way back, and what goes with a key that changes hands.

use std::{io::Write, path::Path};

use hearth_base::{Capability, Grant, GuestFailure, Manifest, PluginId};
use hearth_broker::{BeginError, RunEnd};
use hearth_vault::{Heritage, Installation, PluginRecord, PluginVersion, Provenance};
use hearth_wasm::{Inspection, Signed, verify_component, verify_rotation};
use tokio::sync::oneshot;

use super::{
    component_of,
    judge::{
        Candidate, InstallVerdict, Installed, Judgement, Known, Neighbour, StoredEntry,
        binding_after, judge, same_owner,
    },
    manifest_of, record_of, show,
    source::{self, Offered},
};
use crate::{
    Guest, GuestEnd, Reply, RotationView, UserError, errors::file_error, msg::Msg, runs, task::Task,
};

/// The preference that says whether unsigned plugins may be installed and run.
const DEVELOPER_KEY: &str = "developer-mode";
/// The preference that names bundled plugins the user has removed, one a line.
const REMOVED_KEY: &str = "removed-bundled-plugins";
/// Characters shown of something stored.
const PREVIEW_CHARS: usize = 120;

/// Whether unsigned plugins may be installed and run.
pub(crate) fn developer_mode(task: &Task) -> Result<bool, UserError> {
    Ok(task.vault().preference(DEVELOPER_KEY)?.is_some_and(|value| value == "on"))
}

pub(crate) fn set_developer_mode(task: &Task, on: bool) -> Result<Reply, UserError> {
    task.vault().set_preference(DEVELOPER_KEY, if on { "on" } else { "off" })?;
    let words =
        if on { "Developer mode was switched on." } else { "Developer mode was switched off." };
    task.audit(None, words, true);
    task.show(task.ctx.stamp(), crate::msg::Change::DeveloperMode(on));
    show(task)?;
    Ok(Reply::Unit)
}

/// Whether a plugin may run now, and its storage is its own by then.
pub(crate) fn make_ready(task: &Task, plugin: &PluginId) -> Result<(), UserError> {
    let provenance = task.vault().provenance(plugin)?.unwrap_or_default();
    let bundled = task.vault().plugin(plugin)?.is_some_and(|record| record.bundled);
    if provenance.publisher.is_empty() && !bundled && !developer_mode(task)? {
        return Err(UserError::user(
            format!("{plugin} is not signed, and developer mode is off."),
            "Install a signed version, or switch developer mode on.",
        ));
    }
    migrate(task, plugin)
}

/// A component that was read, and what its bytes and its signature say.
pub(crate) struct Examined {
    pub(crate) offered: Offered,
    pub(crate) found: Inspection,
    pub(crate) signed: Option<Signed>,
}

impl Examined {
    pub(crate) fn candidate(&self) -> Candidate<'_> {
        Candidate { found: &self.found, signed: self.signed.as_ref(), bundled: false }
    }
}

/// Looks into a component. A signature that does not fit is an error, whatever is allowed unsigned.
pub(crate) fn examine(
    offered: Offered,
    runtime: &dyn crate::GuestRuntime,
) -> Result<Examined, UserError> {
    let found = runtime.inspect(&offered.component)?;
    let publisher = &found.manifest.publisher;
    let signed = verify_component(&offered.component, publisher, offered.signature.as_deref())?;
    Ok(Examined { offered, found, signed })
}

/// What the vault knows of a plugin's name, its publisher and its neighbours.
pub(crate) fn known(task: &Task, id: &PluginId) -> Result<Known, UserError> {
    let vault = task.vault();
    let installed = match vault.plugin(id)? {
        Some(record) => Some(Installed {
            manifest: manifest_of(&record).ok(),
            publisher: vault.provenance(id)?.unwrap_or_default().publisher,
            former_hash: vault.former_version(id)?.map(|former| former.component_hash),
            stored: stored(task, id)?,
            record,
        }),
        None => None,
    };
    let mut others = Vec::new();
    for other in vault.plugins()?.into_iter().filter(|other| other.id != *id) {
        let publisher = vault.provenance(&other.id)?.unwrap_or_default().publisher;
        let name = manifest_of(&other).map_or_else(|_| String::new(), |manifest| manifest.name);
        others.push(Neighbour { id: other.id, name, publisher });
    }
    Ok(Known {
        binding: vault.binding(id)?,
        installed,
        publishers: vault.publishers()?,
        others,
        developer_mode: developer_mode(task)?,
    })
}

/// What a plugin keeps where its code can read it, as it is shown to the user. The names of kept values are among it.
pub(crate) fn stored(task: &Task, id: &PluginId) -> Result<Vec<StoredEntry>, UserError> {
    let escaped = |text: &str| -> String {
        hearth_broker::escape_words(text).chars().take(PREVIEW_CHARS).collect()
    };
    let storage = task.vault().storage(id)?.into_iter().map(|(key, value)| StoredEntry {
        key: escaped(&key),
        bytes: value.len(),
        preview: escaped(&String::from_utf8_lossy(&value)),
    });
    let kept = task.vault().kept_names(id)?.into_iter().map(|name| StoredEntry {
        key: escaped(&name),
        bytes: 0,
        preview: "(a value it cannot read, kept under this name)".to_owned(),
    });
    Ok(storage.chain(kept).collect())
}

/// Installs a component, or puts it aside where it asks for more than the one it would replace.
pub(crate) fn install(
    task: &Task,
    offered: Offered,
    expected_hash: Option<&str>,
) -> Result<Reply, UserError> {
    let shown = offered.path.display().to_string();
    let examined = examine(offered, &*task.ctx.config.runtime)?;
    let Examined { offered, found, .. } = &examined;
    if expected_hash.is_some_and(|expected| expected != found.component_hash) {
        return Err(UserError::user(
            format!("{shown} is not the plugin you looked at: its content has changed."),
            "Look at it again before you install it. Nothing was installed.",
        ));
    }
    let id = found.manifest.id.clone();
    // Before it is compiled, which takes long.
    let judged = judge(&examined.candidate(), &known(task, &id)?);
    if let InstallVerdict::Refused(error) = judged.verdict {
        return Err(error);
    }
    compile(task, &offered.component)?;
    if judged.verdict == InstallVerdict::Waits {
        return put_aside(task, &examined);
    }
    stop_first(task, &id)?;
    {
        let _door = task.ctx.plugin_door();
        let known = known(task, &id)?;
        let judged = judge(&examined.candidate(), &known);
        match judged.verdict {
            InstallVerdict::Refused(error) => return Err(error),
            // What is there has changed in between.
            InstallVerdict::Waits => {
                return Err(UserError::user("The plugin changed meanwhile.", "Try again."));
            }
            _ => {}
        }
        keep_component(task, &offered.component, &found.component_hash)?;
        let candidate = examined.candidate();
        put_in_place(task, &candidate, &known, &offered.origin, |grant| {
            heritage(&candidate, &known, &judged, grant)
        })?;
    }
    after_change(task, &id)?;
    Ok(Reply::Installed(id))
}

/// What a component takes over from the one it replaces.
fn heritage(
    candidate: &Candidate<'_>,
    known: &Known,
    judged: &Judgement,
    grant: &Grant,
) -> Heritage {
    let manifest = known.installed.as_ref().and_then(|installed| installed.manifest.as_ref());
    let Some(former) = manifest.filter(|_| same_owner(candidate, known)) else {
        return Heritage::nothing();
    };
    let again = judged.verdict == InstallVerdict::Same;
    // Nobody vouches for an unsigned one, so that what was allowed was allowed to those bytes alone.
    let vouched = !candidate.publisher().is_empty() || again;
    let all = if vouched && !judged.is_wider() {
        Heritage::all(candidate.found.manifest.cut(grant, former))
    } else {
        Heritage::state()
    };
    Heritage { storage: judged.stored.is_empty(), ..all }
}

/// Puts a version aside until the user accepts it.
fn put_aside(task: &Task, examined: &Examined) -> Result<Reply, UserError> {
    let _door = task.ctx.plugin_door();
    let Examined { offered, found, .. } = examined;
    let id = &found.manifest.id;
    keep_component(task, &offered.component, &found.component_hash)?;
    let version = PluginVersion {
        version: found.manifest.version.clone(),
        manifest: manifest_text(&found.manifest)?,
        component_hash: found.component_hash.clone(),
        sealed: found.sealed,
        provenance: Provenance {
            publisher: examined.candidate().publisher().to_owned(),
            origin: offered.origin.clone(),
        },
        grant: Grant::default(),
        at_secs: task.ctx.now_secs(),
    };
    let before = task.vault().component_hashes()?;
    task.vault().put_waiting(id, &version)?;
    drop_unused(task, before);
    let words = format!("Version {} waits, for it asks for more.", version.version);
    task.audit(Some(id), &words, true);
    show(task)?;
    Ok(Reply::UpdateWaits(id.clone()))
}

/// Writes a component down in place of the one of its name, whose file is in the vault's folder by now.
fn put_in_place(
    task: &Task,
    candidate: &Candidate<'_>,
    known: &Known,
    origin: &str,
    keeps: impl FnOnce(&Grant) -> Heritage,
) -> Result<(), UserError> {
    let found = candidate.found;
    let record = PluginRecord {
        id: found.manifest.id.clone(),
        version: found.manifest.version.clone(),
        manifest: manifest_text(&found.manifest)?,
        component_hash: found.component_hash.clone(),
        sealed: found.sealed,
        bundled: candidate.bundled,
        enabled: true,
        suspended: None,
        installed_secs: task.ctx.now_secs(),
    };
    let publisher = candidate.publisher().to_owned();
    let provenance = Provenance { publisher, origin: origin.to_owned() };
    let binding = binding_after(candidate, known);
    let new = Installation { record: &record, provenance: &provenance, binding: &binding };
    let before = task.vault().component_hashes()?;
    task.vault().replace_plugin(&new, |_former, grant| keeps(grant))?;
    drop_unused(task, before);
    task.audit(Some(&record.id), &format!("Installed version {}.", record.version), true);
    Ok(())
}

/// What follows on a change of version: what the former has begun in between ends, and its storage is taken over.
fn after_change(task: &Task, id: &PluginId) -> Result<(), UserError> {
    task.room.broker.stop(id);
    let migrated = migrate(task, id);
    show(task)?;
    migrated
}

/// Installs what came with Hearth, unless it is there or the user has removed it. What fails is told, and does not keep
/// the vault closed.
pub(crate) fn install_bundled(task: &Task) -> Vec<crate::msg::Change> {
    let mut notices = Vec::new();
    for path in &task.ctx.config.bundled_plugins {
        if let Err(error) = install_one_bundled(task, path) {
            notices.push(crate::msg::Change::Notice(crate::NoticeKind::Error(error)));
        }
    }
    notices
}

fn install_one_bundled(task: &Task, path: &Path) -> Result<(), UserError> {
    let component = source::read_component(path)?;
    let found = task.ctx.config.runtime.inspect(&component)?;
    let id = &found.manifest.id;
    let removed = task.vault().preference(REMOVED_KEY)?.unwrap_or_default();
    if removed.lines().any(|line| line == id.as_str()) {
        return Ok(());
    }
    let _door = task.ctx.plugin_door();
    let known = known(task, id)?;
    if let Some(Installed { record, .. }) = &known.installed
        && (!record.bundled || record.component_hash == found.component_hash)
    {
        return Ok(());
    }
    keep_component(task, &component, &found.component_hash)?;
    let candidate = Candidate { found: &found, signed: None, bundled: true };
    let judged = judge(&candidate, &known);
    put_in_place(task, &candidate, &known, "", |grant| heritage(&candidate, &known, &judged, grant))
}

/// Puts the version that waits in place. What the former, which is not sealed, has stored goes along only if the user
/// says so.
pub(crate) fn accept(task: &Task, id: &PluginId, keep_storage: bool) -> Result<Reply, UserError> {
    stop_first(task, id)?;
    {
        let _door = task.ctx.plugin_door();
        let record = record_of(task, id)?;
        let Some(waiting) = task.vault().waiting_version(id)? else {
            return Err(UserError::user(
                format!("No version of {id} waits to be accepted."),
                "See `hearth plugin list`.",
            ));
        };
        let component = source::read_component(&task.component_path(&waiting.component_hash))?;
        let found = task.ctx.config.runtime.inspect(&component)?;
        if found.component_hash != waiting.component_hash {
            return Err(UserError::input(
                "The waiting version's file was changed since it was put aside.",
                "Install it again.",
            ));
        }
        let former = manifest_of(&record)?;
        let known = known(task, id)?;
        let publisher = waiting.provenance.publisher.clone();
        let signed = hearth_wasm::PublisherKey::parse(&publisher, "publisher")?;
        let signed = Signed { publisher: signed, trusted_comment: String::new() };
        let candidate = Candidate { found: &found, signed: Some(&signed), bundled: false };
        let judged = judge(&candidate, &known);
        if let InstallVerdict::Refused(error) = judged.verdict {
            return Err(error);
        }
        put_in_place(task, &candidate, &known, &waiting.provenance.origin, |grant| Heritage {
            storage: judged.stored.is_empty() || keep_storage,
            // What the chat may call and when it runs by itself was allowed for what it was then.
            habits: !judged.is_wider(),
            ..Heritage::all(found.manifest.cut(grant, &former))
        })?;
    }
    after_change(task, id)?;
    Ok(Reply::Installed(id.clone()))
}

/// Forgets the version that waits.
pub(crate) fn decline(task: &Task, id: &PluginId) -> Result<Reply, UserError> {
    let _door = task.ctx.plugin_door();
    record_of(task, id)?;
    let before = task.vault().component_hashes()?;
    if let Some(waiting) = task.vault().waiting_version(id)? {
        task.vault().drop_waiting(id)?;
        drop_unused(task, before);
        let words = format!("The user declined version {}.", waiting.version);
        task.audit(Some(id), &words, true);
    }
    show(task)?;
    Ok(Reply::Unit)
}

/// Goes back to the former version, with what it was allowed and had stored.
pub(crate) fn roll_back(task: &Task, id: &PluginId) -> Result<Reply, UserError> {
    record_of(task, id)?;
    stop_first(task, id)?;
    let back = go_back(task, id)?;
    task.room.broker.stop(id);
    show(task)?;
    match back {
        true => Ok(Reply::Installed(id.clone())),
        false => Err(UserError::user(
            format!("There is no former version of {id} to go back to."),
            "Hearth keeps the one version before the installed one.",
        )),
    }
}

/// Whether there was a version to go back to.
fn go_back(task: &Task, id: &PluginId) -> Result<bool, UserError> {
    let _door = task.ctx.plugin_door();
    let before = task.vault().component_hashes()?;
    let Some(former) = task.vault().former_version(id)? else { return Ok(false) };
    task.vault().roll_back(id, task.ctx.now_secs())?;
    drop_unused(task, before);
    task.audit(Some(id), &format!("Went back to version {}.", former.version), true);
    Ok(true)
}

pub(crate) fn uninstall(task: &Task, id: &PluginId, keep_saved: bool) -> Result<Reply, UserError> {
    let _door = task.ctx.plugin_door();
    let record = record_of(task, id)?;
    let before = task.vault().component_hashes()?;
    task.vault().remove_plugin(id, keep_saved)?;
    drop_unused(task, before);
    if record.bundled {
        let mut removed = task.vault().preference(REMOVED_KEY)?.unwrap_or_default();
        removed.push_str(&format!("{id}\n"));
        task.vault().set_preference(REMOVED_KEY, &removed)?;
    }
    task.audit(Some(id), "Removed.", true);
    show(task)?;
    task.ctx.tell_blocking(Msg::PluginSaved(task.room.epoch));
    Ok(Reply::Unit)
}

/// Lets an updated plugin take over its storage, before anything else of it runs. If it cannot, the former version is put
/// back. Until it is allowed storage there is nothing it could take over.
fn migrate(task: &Task, id: &PluginId) -> Result<(), UserError> {
    let Some(from) = task.vault().migration_due(id)? else { return Ok(()) };
    if !task.vault().grant(id)?.allows(Capability::Storage) {
        return Ok(());
    }
    let component = component_of(task, id)?;
    let key = task.vault().artefact_key()?;
    let artefacts = task.ctx.dir.artefacts_dir();
    let guest = Guest { component: &component, artefacts: &artefacts, key: &key };
    let runtime = &task.ctx.config.runtime;
    let cancel = task.cancel.flag();
    runtime.prepare(guest, &cancel)?;
    let (today, locale) = (runs::today(&task.ctx), &task.ctx.config.locale);
    let (mut client, invocation) = match task.room.broker.begin_migration(id, &from, today, locale)
    {
        // Its last run is still ending; the next one begins with this.
        Err(BeginError::Busy) => return Ok(()),
        begun => begun?,
    };
    let ended = runtime.invoke(guest, invocation, &mut |call| client.call(call), &cancel);
    let why = match ended {
        Ok(GuestEnd::Returned(verdict)) => {
            client.finish(RunEnd::Returned(verdict.clone()));
            match verdict {
                Ok(()) | Err(GuestFailure::Unsupported) => None,
                Err(GuestFailure::BadInput(words) | GuestFailure::Internal(words)) => {
                    Some(format!("It says: {}", hearth_broker::escape_words(&words)))
                }
            }
        }
        Ok(GuestEnd::Aborted(why)) => {
            client.finish(RunEnd::Aborted(why.clone()));
            Some(format!("It was ended: {why}."))
        }
        Err(error) => {
            client.finish(RunEnd::Aborted(error.message.clone()));
            return Err(error);
        }
    };
    let Some(why) = why else {
        task.vault().migration_done(id)?;
        return Ok(());
    };
    if task.cancel.is_cancelled() {
        return Err(UserError::cancelled("The update was stopped; it goes on with the next run."));
    }
    let hint = match go_back(task, id)? {
        true => format!("Version {from} is back, with what it had stored. Tell the publisher."),
        false => "Uninstall it to begin anew, or tell the publisher.".to_owned(),
    };
    show(task)?;
    Err(UserError::input(
        format!("{id} could not take over what version {from} had stored. {why}"),
        hint,
    ))
}

/// Reads a statement by which a key hands over to another.
pub(crate) fn read_rotation(path: &Path) -> Result<RotationView, UserError> {
    let limit = hearth_wasm::MAX_SIGNATURE_BYTES;
    let not_one = || {
        UserError::input(
            format!("{} is not a statement about keys.", path.display()),
            "It is a short TOML file from the publisher, with its signature beside it.",
        )
    };
    let statement = source::read_limited(path, limit)?.ok_or_else(not_one)?;
    let beside = source::signature_path(path);
    let signature = source::read_signature(&beside)?.ok_or_else(|| {
        UserError::user(
            format!("There is no signature at {}.", beside.display()),
            "A statement counts only with the signature of the old key.",
        )
    })?;
    let rotation = verify_rotation(&statement, &signature)?;
    Ok(RotationView {
        old_key: rotation.old.as_str().to_owned(),
        old_fingerprint: rotation.old.fingerprint(),
        new_key: rotation.new.as_str().to_owned(),
        new_fingerprint: rotation.new.fingerprint(),
    })
}

/// Lets a key take the place of another, for all plugins that are bound to it.
pub(crate) fn trust(
    task: &Task,
    path: &Path,
    expected_new: Option<&str>,
) -> Result<Reply, UserError> {
    let rotation = read_rotation(path)?;
    if expected_new.is_some_and(|expected| expected != rotation.new_key) {
        return Err(UserError::user(
            "This is not the statement you looked at.",
            "Look at it again. Nothing was changed.",
        ));
    }
    let _door = task.ctx.plugin_door();
    let publishers = task.vault().publishers()?;
    let find = |key: &str| publishers.iter().find(|publisher| publisher.key == key);
    let Some(old) = find(&rotation.old_key) else {
        return Err(UserError::user(
            format!("No plugin here was ever signed with the key {}.", rotation.old_fingerprint),
            "There is nothing to hand over.",
        ));
    };
    match (&old.replaced_by, find(&rotation.new_key)) {
        (Some(new), _) if *new == rotation.new_key => {
            return Ok(Reply::Rotation(Box::new(rotation)));
        }
        (Some(_), _) => {
            return Err(UserError::user(
                format!("The key {} has handed over already.", rotation.old_fingerprint),
                "A key does so once. If it was stolen, this may be the thief.",
            ));
        }
        (None, Some(new)) if new.replaced_by.is_some() => {
            return Err(UserError::user(
                format!("The key {} has itself handed over.", rotation.new_fingerprint),
                "Ask the publisher for a statement about the key they use now.",
            ));
        }
        (None, _) => {}
    }
    let now = task.ctx.now_secs();
    let bound = task.vault().rotate_publisher(&rotation.old_key, &rotation.new_key, now)?;
    let words = format!(
        "The key {} handed over to {}, for {bound} plugins.",
        rotation.old_fingerprint, rotation.new_fingerprint
    );
    task.audit(None, &words, true);
    show(task)?;
    Ok(Reply::Rotation(Box::new(rotation)))
}

/// How the waiting version of a plugin differs from the installed one; `None` where one of them is a version that an earlier
/// Hearth took and this one does not.
pub(crate) fn judge_waiting(
    task: &Task,
    record: &PluginRecord,
    waiting: &PluginVersion,
) -> Result<Option<crate::WaitingView>, UserError> {
    let (Ok(new), Ok(former)) = (Manifest::parse(waiting.manifest.as_bytes()), manifest_of(record))
    else {
        return Ok(None);
    };
    let changes = super::changes::between(
        super::changes::Version { manifest: &former, sealed: record.sealed },
        super::changes::Version { manifest: &new, sealed: waiting.sealed },
    );
    let asks = waiting.sealed && !record.sealed;
    let stored = if asks { stored(task, &record.id)? } else { Vec::new() };
    Ok(Some(crate::WaitingView {
        version: waiting.version.clone(),
        sealed: waiting.sealed,
        manifest: std::sync::Arc::new(new),
        changes,
        stored,
    }))
}

fn compile(task: &Task, component: &[u8]) -> Result<(), UserError> {
    let key = task.vault().artefact_key()?;
    let artefacts = task.ctx.dir.artefacts_dir();
    let guest = Guest { component, artefacts: &artefacts, key: &key };
    task.ctx.config.runtime.prepare(guest, &task.cancel.flag())?;
    if task.cancel.is_cancelled() {
        return Err(UserError::cancelled("The installation was stopped."));
    }
    Ok(())
}

/// Has the event loop end all that a plugin does and shows.
fn stop_first(task: &Task, id: &PluginId) -> Result<(), UserError> {
    let (done, stopped) = oneshot::channel();
    task.ctx.tell_blocking(Msg::StopPlugin(task.room.epoch, id.clone(), done));
    stopped.blocking_recv().map_err(|_gone| UserError::cancelled("The vault was locked."))
}

fn manifest_text(manifest: &Manifest) -> Result<String, UserError> {
    toml::to_string(manifest)
        .map_err(|error| UserError::internal(format!("A manifest cannot be kept: {error}.")))
}

/// Puts a component into the vault's folder, whole or not at all.
fn keep_component(task: &Task, bytes: &[u8], hash: &str) -> Result<(), UserError> {
    let path = task.component_path(hash);
    let failed = |error: std::io::Error| file_error("write", &path, &error);
    let dir = task.ctx.dir.plugins_dir();
    std::fs::create_dir_all(&dir).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(&dir).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Removes the files of components that were in use before and are no more. A file that stays does no harm.
fn drop_unused(task: &Task, before: std::collections::BTreeSet<String>) {
    let Ok(used) = task.vault().component_hashes() else { return };
    for hash in before.difference(&used) {
        let artefact = task.ctx.dir.artefacts_dir().join(format!("{hash}.cwasm"));
        for path in [task.component_path(hash), artefact] {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "a removed plugin's file stays");
            }
        }
    }
}
