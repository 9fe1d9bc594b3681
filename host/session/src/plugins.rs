//! Plugins: looking at them, installing, granting, removing.

mod changes;
mod develop;
mod install;
mod judge;
mod source;
mod updates;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use hearth_base::{Capability, FolderId, Grant, Manifest, PluginId, SettingKind, SettingValue};
use hearth_vault::PluginRecord;
use hearth_wasm::component_hash;

use crate::{
    Command, Guest, PluginInspection, PluginView, ProvenanceView, Reply, Ticket, UserError,
    cancel::Cancel,
    event_loop::EventLoop,
    msg::{Change, Msg},
    runs,
    task::{Ctx, Room, Task},
};

pub use changes::PluginChange;
pub(crate) use develop::Develop;
pub(crate) use install::{developer_mode, install_bundled, make_ready};
pub use judge::{InstallVerdict, Judgement, KeyStanding, LookAlike, SignatureView, StoredEntry};
pub(crate) use source::LastFetched;
pub(crate) use source::read_component;

/// Rows of the activity list.
pub(crate) const ACTIVITY_ROWS: u32 = 500;

impl EventLoop {
    pub(crate) fn plugin_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::InstallPlugin { path, expected_hash } => {
                self.job(ticket, format!("Installing {}", path.display()));
                self.blocking(ticket, move |task| {
                    let offered = offered(task, &path, expected_hash.as_deref())?;
                    install::install(task, offered, expected_hash.as_deref())
                });
            }
            Command::CheckPluginUpdates => {
                self.job(ticket, "Looking for newer versions of plugins".to_owned());
                self.blocking(ticket, updates::check);
            }
            Command::UpdatePlugin(plugin) => {
                self.job(ticket, format!("Updating {plugin}"));
                self.blocking(ticket, move |task| {
                    updates::update(task, &plugin, &mut |done, total| task.fetched(done, total))
                });
            }
            Command::AcceptUpdate { plugin, keep_storage } => {
                self.blocking(ticket, move |task| install::accept(task, &plugin, keep_storage));
            }
            Command::DeclineUpdate(plugin) => {
                self.blocking(ticket, move |task| install::decline(task, &plugin));
            }
            Command::RollBackPlugin(plugin) => {
                self.blocking(ticket, move |task| install::roll_back(task, &plugin));
            }
            Command::SetDeveloperMode(on) => {
                if !on {
                    self.stop_unsigned();
                }
                self.blocking(ticket, move |task| install::set_developer_mode(task, on));
            }
            Command::TrustRotation { path, expected_new } => self
                .blocking(ticket, move |task| install::trust(task, &path, expected_new.as_deref())),
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
                self.blocking(ticket, move |task| install::uninstall(task, &plugin, keep_saved));
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
        if source::reference(&path).is_some() {
            self.job(ticket, format!("Fetching {}", path.display()));
        }
        self.beside(ticket, move |ctx, room, cancel| {
            inspect(ctx, room, &path, cancel).map(|found| Reply::Inspection(Box::new(found)))
        });
    }

    pub(crate) fn inspect_rotation(&mut self, ticket: Ticket, path: PathBuf) {
        self.beside(ticket, move |_ctx, _room, _cancel| {
            install::read_rotation(&path).map(|rotation| Reply::Rotation(Box::new(rotation)))
        });
    }

    /// Runs work for which the vault need not be open.
    fn beside(
        &mut self,
        ticket: Ticket,
        work: impl FnOnce(&Arc<Ctx>, Option<&Room>, &Cancel) -> Result<Reply, UserError>
        + Send
        + 'static,
    ) {
        let (ctx, room, epoch) = (Arc::clone(&self.ctx), self.room.clone(), self.epoch);
        let cancel = Cancel::default();
        self.running.insert(ticket, cancel.clone());
        let work = self.ctx.runtime.spawn_blocking(move || work(&ctx, room.as_ref(), &cancel));
        let work = async move { work.await.ok() };
        self.attend(work, move |result| Msg::Ended(epoch, ticket, result));
    }

    /// Stops what nobody vouches for.
    fn stop_unsigned(&mut self) {
        let unsigned =
            |plugin: &&PluginView| plugin.provenance.signature == SignatureView::Unsigned;
        let unsigned: Vec<_> =
            self.view.plugins.iter().filter(unsigned).map(|plugin| plugin.id.clone()).collect();
        for plugin in unsigned {
            self.stop_plugin(&plugin);
        }
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
            cancel: Cancel::default(),
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
        let provenance = provenance(task, &record)?;
        let standing = task.room.broker.standing(&manifest, runs::today(&task.ctx))?;
        let grant = task.vault().grant(&record.id)?;
        let granted = !grant.capabilities.is_empty() || !grant.slots.is_empty();
        let mut settings = defaults(&manifest);
        settings.extend(task.vault().settings(&record.id)?);
        plugins.push(PluginView {
            adapters: task.vault().plugin_adapters(&record.id)?,
            component: task.component_path(&record.component_hash),
            id: record.id,
            manifest: Arc::new(manifest),
            provenance,
            sealed: record.sealed,
            bundled: record.bundled,
            grant: granted.then_some(grant),
            suspended: record.suspended,
            running: None,
            progress: None,
            settings,
            standing,
        });
    }
    Ok(plugins)
}

/// Shows plugins and what they did, as they now are.
pub(crate) fn show(task: &Task) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    task.show(stamp, Change::Plugins(read(task)?));
    task.show(stamp, crate::tools::modes(task)?);
    task.show(stamp, crate::schedules::read(task)?);
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

/// Reads a component and says what it is. Only with an open vault is anything known of what it would replace.
fn inspect(
    ctx: &Arc<Ctx>,
    room: Option<&Room>,
    path: &Path,
    cancel: &Cancel,
) -> Result<PluginInspection, UserError> {
    let offered = match source::reference(path) {
        Some(text) => source::fetch(text, None, cancel, &mut |_done, _total| {})?,
        None => source::read(path, &*ctx.config.runtime)?,
    };
    let examined = install::examine(offered, &*ctx.config.runtime)?;
    let known = match room {
        Some(room) => {
            let task = Task {
                ctx: Arc::clone(ctx),
                room: room.clone(),
                ticket: ctx.next_ticket(),
                cancel: Cancel::default(),
                stamp: ctx.stamp(),
            };
            install::known(&task, &examined.found.manifest.id)?
        }
        // Whether unsigned ones are let in, the vault knows.
        None => judge::Known { developer_mode: true, ..judge::Known::default() },
    };
    let judgement = judge::judge(&examined.candidate(), &known);
    let install::Examined { offered, found, .. } = examined;
    let path = offered.path.clone();
    ctx.last_fetched.keep(offered);
    Ok(PluginInspection {
        manifest: found.manifest,
        imports: found.imports,
        sealed: found.sealed,
        component_hash: found.component_hash,
        size_bytes: found.size_bytes,
        path,
        replaces: known.installed.map(|installed| installed.record.version),
        judgement,
    })
}

/// A component that is to be installed.
fn offered(
    task: &Task,
    path: &Path,
    expected_hash: Option<&str>,
) -> Result<source::Offered, UserError> {
    match source::reference(path) {
        Some(text) => {
            let seen = expected_hash.and_then(|hash| task.ctx.last_fetched.take(text, hash));
            source::fetch(text, seen, &task.cancel, &mut |done, total| task.fetched(done, total))
        }
        None => source::read(path, &*task.ctx.config.runtime),
    }
}

/// Where an installed plugin comes from, and where it could go.
fn provenance(task: &Task, record: &PluginRecord) -> Result<ProvenanceView, UserError> {
    let vault = task.vault();
    let provenance = vault.provenance(&record.id)?.unwrap_or_default();
    let waiting = match vault.waiting_version(&record.id)? {
        Some(waiting) => install::judge_waiting(task, record, &waiting)?.map(Arc::new),
        None => None,
    };
    Ok(ProvenanceView {
        signature: SignatureView::of_installed(&provenance.publisher, record.bundled),
        origin: provenance.origin,
        former: vault.former_version(&record.id)?.map(|former| former.version),
        waiting,
    })
}
