//! Plugins: looking at them, installing, granting, removing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use hearth_base::{Capability, FolderId, Grant, Manifest, PluginId, SettingKind, SettingValue};
use hearth_vault::{Heritage, PluginRecord};
use hearth_wasm::{Inspection, MAX_COMPONENT_BYTES, component_hash};
use tokio::sync::oneshot;

use crate::{
    Command, Guest, PluginInspection, PluginView, Reply, Ticket, UserError,
    errors::file_error,
    event_loop::EventLoop,
    msg::{Change, Msg},
    task::Task,
};

/// Rows of the activity list.
pub(crate) const ACTIVITY_ROWS: u32 = 500;
/// The preference that names bundled plugins the user has removed, one a line.
const REMOVED_KEY: &str = "removed-bundled-plugins";

impl EventLoop {
    pub(crate) fn plugin_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::InstallPlugin { path, expected_hash } => {
                self.job(ticket, format!("Installing {}", path.display()));
                self.blocking(ticket, move |task| {
                    install_file(task, &path, expected_hash.as_deref())
                });
            }
            Command::GrantPlugin { plugin, capabilities, slots, choice_bits_per_day } => {
                self.stop_plugin(&plugin);
                self.blocking(ticket, move |task| {
                    let grant = Grant { capabilities, slots, choice_bits_per_day, epoch: 0 };
                    set_grant(task, &plugin, grant)?;
                    Ok(Reply::Unit)
                });
            }
            Command::RevokePlugin(plugin) => {
                self.stop_plugin(&plugin);
                self.blocking(ticket, move |task| {
                    set_grant(task, &plugin, Grant::default())?;
                    Ok(Reply::Unit)
                });
            }
            Command::UninstallPlugin { plugin, keep_saved } => {
                self.stop_plugin(&plugin);
                self.blocking(ticket, move |task| uninstall(task, &plugin, keep_saved));
            }
            Command::SetPluginSetting { plugin, key, value } => {
                self.blocking(ticket, move |task| {
                    let manifest = manifest_of(&record_of(task, &plugin)?)?;
                    check_setting(&manifest, &key, &value)?;
                    task.vault().set_setting(&plugin, &key, &value)?;
                    show(task)?;
                    Ok(Reply::Unit)
                });
            }
            Command::ResumePlugin(plugin) => self.blocking(ticket, move |task| {
                record_of(task, &plugin)?;
                task.vault().resume_plugin(&plugin)?;
                task.audit(Some(&plugin), "The user resumed the plugin.", true);
                show(task)?;
                Ok(Reply::Unit)
            }),
            _ => self.end(ticket, Err(UserError::internal("Not a command about plugins."))),
        }
    }

    pub(crate) fn inspect_plugin(&mut self, ticket: Ticket, path: PathBuf) {
        let installed: BTreeMap<PluginId, String> = self
            .view
            .plugins
            .iter()
            .map(|plugin| (plugin.id.clone(), plugin.manifest.version.clone()))
            .collect();
        let (ctx, epoch) = (Arc::clone(&self.ctx), self.epoch);
        let work = self.ctx.runtime.spawn_blocking(move || {
            let bytes = read_component(&path)?;
            let found = ctx.config.runtime.inspect(&bytes)?;
            let replaces = installed.get(&found.manifest.id).cloned();
            Ok(Reply::Inspection(Box::new(described(found, path, replaces))))
        });
        let work = async move { work.await.ok() };
        self.attend(work, move |result| Msg::Ended(epoch, ticket, result));
    }

    /// Makes machine code of what is installed, in the background, so that first runs start at once.
    pub(crate) fn prepare_plugins(&mut self) {
        if self.view.plugins.is_empty() {
            return;
        }
        let plugins: Vec<_> = self.view.plugins.iter().map(|plugin| plugin.id.clone()).collect();
        let Some(room) = self.room.clone() else { return };
        let task = Task {
            ctx: Arc::clone(&self.ctx),
            room,
            ticket: self.ctx.next_ticket(),
            cancel: crate::cancel::Cancel::default(),
            stamp: self.ctx.stamp(),
        };
        // Listed as running so that locking stops it; it ends without an event, for nobody asked.
        let (ticket, cancel) = (task.ticket, task.cancel.clone());
        self.running.insert(ticket, cancel);
        let abandon = self.abandon.clone();
        let work = async move {
            for plugin in plugins {
                let result = task.blocking(move |task| prepare(task, &plugin)).await;
                if let Err(error) = result {
                    // The same error comes, in the user's sight, with the first run.
                    tracing::info!(kind = ?error.kind, "a plugin could not be compiled ahead");
                }
            }
        };
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = abandon.cancelled() => {}
            }
        });
    }

    pub(crate) fn show_plugins(&mut self, plugins: Vec<PluginView>) {
        self.view.plugins = Arc::new(plugins);
        self.sync_runs();
    }
}

/// Installs what came with Hearth, unless it is there or the user has removed it. What fails is told, and does not keep
/// the vault closed.
pub(crate) fn install_bundled(task: &Task) -> Vec<Change> {
    let mut notices = Vec::new();
    for path in &task.ctx.config.bundled_plugins {
        if let Err(error) = install_one_bundled(task, path) {
            notices.push(Change::Notice(crate::NoticeKind::Error(error)));
        }
    }
    notices
}

fn install_one_bundled(task: &Task, path: &Path) -> Result<(), UserError> {
    let bytes = read_component(path)?;
    let found = task.ctx.config.runtime.inspect(&bytes)?;
    let id = &found.manifest.id;
    let removed = task.vault().preference(REMOVED_KEY)?.unwrap_or_default();
    if removed.lines().any(|line| line == id.as_str()) {
        return Ok(());
    }
    match task.vault().plugin(id)? {
        Some(there) if !there.bundled || there.component_hash == found.component_hash => Ok(()),
        _ => record(task, &bytes, &found, true),
    }
}

fn install_file(task: &Task, path: &Path, expected_hash: Option<&str>) -> Result<Reply, UserError> {
    let bytes = read_component(path)?;
    let found = task.ctx.config.runtime.inspect(&bytes)?;
    if expected_hash.is_some_and(|expected| expected != found.component_hash) {
        return Err(UserError::user(
            format!("{} is not the plugin you looked at: its content has changed.", path.display()),
            "Look at it again before you install it. Nothing was installed.",
        ));
    }
    let key = task.vault().artefact_key()?;
    let artefacts = task.ctx.dir.artefacts_dir();
    let guest = Guest { component: &bytes, artefacts: &artefacts, key: &key };
    task.ctx.config.runtime.prepare(guest, &task.cancel.flag())?;
    if task.cancel.is_cancelled() {
        return Err(UserError::cancelled("The installation was stopped."));
    }
    let id = found.manifest.id.clone();
    let (done, stopped) = oneshot::channel();
    task.ctx.tell_blocking(Msg::StopPlugin(task.room.epoch, id.clone(), done));
    if stopped.blocking_recv().is_err() {
        return Err(UserError::cancelled("The vault was locked."));
    }
    record(task, &bytes, &found, false)?;
    // What the former has begun in between.
    task.room.broker.stop(&id);
    show(task)?;
    Ok(Reply::Installed(id))
}

/// Writes a component down, in place of the one of its name.
fn record(task: &Task, bytes: &[u8], found: &Inspection, bundled: bool) -> Result<(), UserError> {
    let _door = task.ctx.plugin_door();
    let id = &found.manifest.id;
    keep_component(task, bytes, &found.component_hash)?;
    let manifest = toml::to_string(&found.manifest)
        .map_err(|error| UserError::internal(format!("A manifest cannot be kept: {error}.")))?;
    let record = PluginRecord {
        id: id.clone(),
        version: found.manifest.version.clone(),
        manifest,
        component_hash: found.component_hash.clone(),
        sealed: found.sealed,
        bundled,
        enabled: true,
        suspended: None,
        installed_secs: task.ctx.now_secs(),
    };
    let former = task.vault().replace_plugin(&record, |former| heritage(former, found, bundled))?;
    if let Some(former) = former
        && former.component_hash != found.component_hash
    {
        drop_component(task, &former.component_hash);
    }
    task.audit(Some(id), &format!("Installed version {}.", found.manifest.version), true);
    Ok(())
}

/// What a component takes over from the one it replaces. The user's grant was for the former, so only Hearth's own
/// updates keep it, and only if they ask for nothing more.
fn heritage(former: &PluginRecord, found: &Inspection, bundled: bool) -> Heritage {
    // A manifest that this Hearth cannot read vouches for nothing.
    let Ok(manifest) = manifest_of(former) else { return Heritage::Nothing };
    let same_owner = manifest.publisher == found.manifest.publisher
        && former.bundled == bundled
        && (found.sealed || !former.sealed);
    if same_owner && bundled && asks_no_more(&manifest, &found.manifest) {
        Heritage::StateAndGrant
    } else if same_owner || former.component_hash == found.component_hash {
        Heritage::State
    } else {
        Heritage::Nothing
    }
}

fn asks_no_more(former: &Manifest, new: &Manifest) -> bool {
    let slots = new.slots.iter().all(|slot| {
        former.slots.iter().any(|known| (&known.id, known.kind) == (&slot.id, slot.kind))
    });
    slots
        && new.requested().is_subset(&former.requested())
        && (former.capabilities.pick || !new.capabilities.pick)
        && new.capabilities.storage_kib <= former.capabilities.storage_kib
        && new.declassify.choice_bits_per_day <= former.declassify.choice_bits_per_day
}

fn uninstall(task: &Task, id: &PluginId, keep_saved: bool) -> Result<Reply, UserError> {
    let _door = task.ctx.plugin_door();
    let record = record_of(task, id)?;
    task.vault().remove_plugin(id, keep_saved)?;
    drop_component(task, &record.component_hash);
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

fn set_grant(task: &Task, id: &PluginId, grant: Grant) -> Result<(), UserError> {
    let _door = task.ctx.plugin_door();
    let manifest = manifest_of(&record_of(task, id)?)?;
    let asked = manifest.requested();
    if let Some(beyond) = grant.capabilities.iter().find(|power| !asked.contains(power)) {
        return Err(UserError::user(
            format!("The plugin does not ask for {}.", power_name(*beyond)),
            "Grant only what its manifest asks for.",
        ));
    }
    if grant.choice_bits_per_day > manifest.declassify.choice_bits_per_day {
        return Err(UserError::user(
            "The plugin does not ask to learn so much.",
            format!("It asks for {} bits a day.", manifest.declassify.choice_bits_per_day),
        ));
    }
    let folders: BTreeSet<FolderId> = task.vault().folders()?.iter().map(|f| f.id).collect();
    for (slot, behind) in &grant.slots {
        if !manifest.slots.iter().any(|s| s.id == *slot) {
            return Err(UserError::user(
                format!("The plugin has no slot `{slot}`."),
                "Its slots are shown by `hearth plugin list`.",
            ));
        }
        if !behind.is_subset(&folders) {
            return Err(UserError::user("There is no such folder.", "See `hearth list`."));
        }
    }
    let words = if grant.capabilities.is_empty() && grant.slots.is_empty() {
        "The user took every grant back.".to_owned()
    } else {
        let powers: Vec<_> = grant.capabilities.iter().map(|p| power_name(*p)).collect();
        format!("The user granted: {}.", powers.join(", "))
    };
    task.vault().set_grant(id, &grant)?;
    task.room.broker.stop(id);
    task.audit(Some(id), &words, true);
    show(task)
}

/// A power by its name in manifests and on the command line.
fn power_name(power: Capability) -> &'static str {
    match power {
        Capability::Model => "model",
        Capability::PersonalModel => "personal-model",
        Capability::DocumentsRead => "documents-read",
        Capability::DocumentsSearch => "documents-search",
        Capability::DocumentsSave => "documents-save",
        Capability::Panel => "panel",
        Capability::Storage => "storage",
        Capability::RevealChoice => "reveal-choice",
        Capability::RevealText => "reveal-text",
    }
}

fn check_setting(manifest: &Manifest, key: &str, value: &SettingValue) -> Result<(), UserError> {
    let Some(spec) = manifest.settings.iter().find(|spec| spec.key == key) else {
        let message = format!("The plugin has no setting `{key}`.");
        return Err(UserError::user(
            message,
            "Its settings are shown by `hearth plugin settings`.",
        ));
    };
    let hint = match (&spec.kind, value) {
        (SettingKind::Flag { .. }, SettingValue::Flag(_)) => return Ok(()),
        (SettingKind::Number { min, max, .. }, SettingValue::Number(n))
            if (min..=max).contains(&n) =>
        {
            return Ok(());
        }
        (SettingKind::Text { .. }, SettingValue::Text(text)) if text.len() <= 1024 => return Ok(()),
        (SettingKind::Choice { options, .. }, SettingValue::Choice(n))
            if (*n as usize) < options.len() =>
        {
            return Ok(());
        }
        (SettingKind::Flag { .. }, _) => "It is on or off.".to_owned(),
        (SettingKind::Number { min, max, .. }, _) => {
            format!("It is a whole number from {min} to {max}.")
        }
        (SettingKind::Text { .. }, _) => "It is a text of at most 1024 bytes.".to_owned(),
        (SettingKind::Choice { options, .. }, _) => format!("It is one of {}.", options.join(", ")),
    };
    Err(UserError::user(format!("`{key}` does not take this value."), hint))
}

/// Installed plugins as shells show them.
pub(crate) fn read(task: &Task) -> Result<Vec<PluginView>, UserError> {
    let mut plugins = Vec::new();
    for record in task.vault().plugins()? {
        let manifest = match manifest_of(&record) {
            Ok(manifest) => manifest,
            Err(error) => {
                // One that an earlier Hearth took and this one does not must not keep the vault closed.
                tracing::warn!(plugin = %record.id, %error, "a plugin is left out");
                continue;
            }
        };
        let grant = task.vault().grant(&record.id)?;
        let granted = !grant.capabilities.is_empty() || !grant.slots.is_empty();
        let mut settings = defaults(&manifest);
        settings.extend(task.vault().settings(&record.id)?);
        plugins.push(PluginView {
            adapters: task.vault().plugin_adapters(&record.id)?,
            component: task.component_path(&record.component_hash),
            id: record.id,
            manifest: Arc::new(manifest),
            sealed: record.sealed,
            bundled: record.bundled,
            grant: granted.then_some(grant),
            suspended: record.suspended,
            running: None,
            progress: None,
            settings,
        });
    }
    Ok(plugins)
}

/// Shows plugins and what they did, as they now are.
pub(crate) fn show(task: &Task) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    task.show(stamp, Change::Plugins(read(task)?));
    task.show(stamp, Change::Activity(task.vault().audit_rows(None, ACTIVITY_ROWS)?));
    Ok(())
}

fn defaults(manifest: &Manifest) -> BTreeMap<String, SettingValue> {
    let value = |kind: &SettingKind| match kind {
        SettingKind::Flag { default } => SettingValue::Flag(*default),
        SettingKind::Number { default, .. } => SettingValue::Number(*default),
        SettingKind::Text { default } => SettingValue::Text(default.clone()),
        SettingKind::Choice { default, .. } => SettingValue::Choice(*default),
    };
    manifest.settings.iter().map(|spec| (spec.key.clone(), value(&spec.kind))).collect()
}

fn prepare(task: &Task, plugin: &PluginId) -> Result<(), UserError> {
    let component = component_of(task, plugin)?;
    let key = task.vault().artefact_key()?;
    let artefacts = task.ctx.dir.artefacts_dir();
    let guest = Guest { component: &component, artefacts: &artefacts, key: &key };
    task.ctx.config.runtime.prepare(guest, &task.cancel.flag())
}

/// The bytes of an installed component; they are what was inspected, or an error.
pub(crate) fn component_of(task: &Task, plugin: &PluginId) -> Result<Vec<u8>, UserError> {
    let record = record_of(task, plugin)?;
    let bytes = read_component(&task.component_path(&record.component_hash))?;
    if component_hash(&bytes) == record.component_hash {
        Ok(bytes)
    } else {
        Err(UserError::input(
            "The plugin's file was changed since it was installed.",
            "Install the plugin again.",
        ))
    }
}

fn record_of(task: &Task, id: &PluginId) -> Result<PluginRecord, UserError> {
    task.vault().plugin(id)?.ok_or_else(|| {
        UserError::user(format!("No plugin `{id}` is installed."), "See `hearth plugin list`.")
    })
}

fn manifest_of(record: &PluginRecord) -> Result<Manifest, UserError> {
    Manifest::parse(record.manifest.as_bytes()).map_err(|error| {
        UserError::input(
            format!("The manifest of `{}` cannot be read: {error}.", record.id),
            "Install the plugin again.",
        )
    })
}

fn described(found: Inspection, path: PathBuf, replaces: Option<String>) -> PluginInspection {
    PluginInspection {
        manifest: found.manifest,
        imports: found.imports,
        sealed: found.sealed,
        component_hash: found.component_hash,
        size_bytes: found.size_bytes,
        path,
        replaces,
    }
}

/// Reads a component, never more than the longest allowed.
fn read_component(path: &Path) -> Result<Vec<u8>, UserError> {
    let unreadable = |error: std::io::Error| file_error("read", path, &error);
    let limit = MAX_COMPONENT_BYTES as u64;
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(UserError::input(
            format!("{} is over {} MiB, the most a plugin may have.", path.display(), limit >> 20),
            "Is this a plugin?",
        ));
    }
    Ok(bytes)
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

/// Removes a component that no plugin has any more. A file that stays does no harm.
fn drop_component(task: &Task, hash: &str) {
    let used = task.vault().plugins().is_ok_and(|all| all.iter().any(|p| p.component_hash == hash));
    if used {
        return;
    }
    let artefact = task.ctx.dir.artefacts_dir().join(format!("{hash}.cwasm"));
    for path in [task.component_path(hash), artefact] {
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a removed plugin's file stays");
        }
    }
}
