//! The invented world of a trial.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use hearth_base::{DocumentId, Focus, FolderId, Grant, Manifest, PluginId, SlotKind};
use hearth_vault::{
    Binding, DocumentKind, DocumentQuery, Heritage, Installation, Order, PluginRecord, Provenance,
    Vault,
};

use super::TryWhat;
use crate::{UserError, errors::file_error, plugins, task::Task};

/// Invented documents that are known by number.
const MOST_DOCUMENTS: u32 = 1000;

/// All that a trial has.
pub(super) struct TrialSet {
    pub(super) plugin: PluginId,
    pub(super) name: String,
    manifest: Manifest,
    pub(super) component: Vec<u8>,
    /// In memory, with the invented data and the plugin in it, and everything that it asks for granted.
    pub(super) vault: Arc<Vault>,
    /// The invented documents, the newest first.
    pub(super) documents: Vec<DocumentId>,
    /// Machine code, until the trial is over.
    pub(super) artefacts: tempfile::TempDir,
}

impl TrialSet {
    /// A document for a command that works on one: the newest of its kind.
    pub(super) fn focus_of(&self, command: &str) -> Result<Option<DocumentId>, UserError> {
        let known = self.manifest.commands.iter().find(|known| known.id == command);
        let Some(known) = known.filter(|known| known.focus == Focus::Document) else {
            return Ok(None);
        };
        let kind = kind_of(known.kind);
        let query =
            DocumentQuery { kind, order: Order::Newest, limit: 1, ..DocumentQuery::default() };
        Ok(self.vault.documents(&query)?.heads.first().map(|head| head.id))
    }
}

/// Reads the plugin and makes the world for it.
pub(super) fn set_up(task: &Task, what: &TryWhat, data: &Path) -> Result<TrialSet, UserError> {
    let component = match what {
        TryWhat::Installed(plugin) => plugins::component_of(task, plugin)?,
        TryWhat::File(path) => plugins::read_component(path)?,
    };
    let found = task.ctx.config.runtime.inspect(&component)?;
    let vault = Vault::in_memory()?;
    for part in parts(data)? {
        let mut go_on = |_: hearth_vault::ImportProgress<'_>| {
            if task.cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        vault.import(&part, None, &mut go_on)?;
    }
    let manifest = found.manifest;
    let record = PluginRecord {
        id: manifest.id.clone(),
        version: manifest.version.clone(),
        manifest: toml::to_string(&manifest)
            .map_err(|error| UserError::internal(format!("A manifest cannot be kept: {error}.")))?,
        component_hash: found.component_hash,
        sealed: found.sealed,
        bundled: false,
        enabled: true,
        suspended: None,
        installed_secs: task.ctx.now_secs(),
    };
    let binding = Binding {
        publisher: String::new(),
        highest_version: manifest.version.clone(),
        highest_hash: record.component_hash.clone(),
    };
    let provenance = Provenance::default();
    let new = Installation { record: &record, provenance: &provenance, binding: &binding };
    vault.replace_plugin(&new, |_former, _grant| Heritage::nothing())?;
    vault.set_grant(&manifest.id, &everything(&manifest, &vault)?)?;
    let all =
        DocumentQuery { order: Order::Newest, limit: MOST_DOCUMENTS, ..DocumentQuery::default() };
    let documents = vault.documents(&all)?.heads.iter().map(|head| head.id).collect();
    let artefacts = tempfile::tempdir().map_err(|error| {
        UserError::system(format!("No throwaway folder can be made: {error}."), "Check TMPDIR.")
    })?;
    let (plugin, name) = (manifest.id.clone(), hearth_broker::escape_words(&manifest.name));
    let vault = Arc::new(vault);
    Ok(TrialSet { plugin, name, manifest, component, vault, documents, artefacts })
}

/// Everything that a plugin asks for, on all that is there.
fn everything(manifest: &Manifest, vault: &Vault) -> Result<Grant, UserError> {
    let folders = vault.folders()?;
    let mut slots = BTreeMap::new();
    for slot in &manifest.slots {
        let kind = kind_of(slot.kind);
        let fitting = folders.iter().filter(|folder| kind.is_none_or(|kind| folder.kind == kind));
        let behind: BTreeSet<FolderId> = fitting.map(|folder| folder.id).collect();
        slots.insert(slot.id.clone(), behind);
    }
    Ok(Grant {
        capabilities: manifest.requested(),
        slots,
        choice_bits_per_day: manifest.declassify.choice_bits_per_day,
        epoch: 0,
    })
}

fn kind_of(kind: SlotKind) -> Option<DocumentKind> {
    match kind {
        SlotKind::Mail => Some(DocumentKind::Mail),
        SlotKind::Note => Some(DocumentKind::Note),
        SlotKind::Code => Some(DocumentKind::Code),
        _ => None,
    }
}

/// What of the data becomes a folder each: every mailbox, the notes, the code.
fn parts(data: &Path) -> Result<Vec<PathBuf>, UserError> {
    let mail = data.join("mail");
    if !mail.is_dir() {
        return Ok(vec![data.to_path_buf()]);
    }
    let unreadable = |error: std::io::Error| file_error("read", &mail, &error);
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(&mail).map_err(unreadable)? {
        parts.push(entry.map_err(unreadable)?.path());
    }
    parts.sort();
    parts.extend(["notes", "code"].map(|part| data.join(part)).into_iter().filter(|p| p.is_dir()));
    Ok(parts)
}
