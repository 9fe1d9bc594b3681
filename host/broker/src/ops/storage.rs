//! What a plugin leaves behind: its own storage, and values kept for a later run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hearth_base::{Label, Origin, SettingKind, SettingValue};
use hearth_vault::{Kept, Vault};

use crate::{
    permit::{Operation, Permit},
    policy::Access,
    values::Fault,
};

/// The storage of a run that returned in order.
pub(crate) struct CommitStorage(pub(crate) BTreeMap<String, Vec<u8>>);

impl Operation for CommitStorage {
    fn access(&self) -> Access<'_> {
        Access::Storage
    }
    fn line(&self) -> Option<String> {
        Some("wrote its storage".into())
    }
}

/// What earlier runs left, as a run begins.
pub(crate) struct Recall;

impl Operation for Recall {
    fn access(&self) -> Access<'_> {
        Access::Own
    }
    fn line(&self) -> Option<String> {
        None
    }
}

/// A value for a later run.
pub(crate) struct KeepValue {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    pub(crate) label: Label,
}

impl Operation for KeepValue {
    fn access(&self) -> Access<'_> {
        Access::Own
    }
    fn line(&self) -> Option<String> {
        Some("kept a value".into())
    }
}

/// A name for a value that is still being made. Part of keeping it.
pub(crate) struct ReserveName(pub(crate) String);

impl Operation for ReserveName {
    fn access(&self) -> Access<'_> {
        Access::Own
    }
    fn line(&self) -> Option<String> {
        None
    }
}

/// A value of an earlier run, by name.
pub(crate) struct ReadKept(pub(crate) String);

impl Operation for ReadKept {
    fn access(&self) -> Access<'_> {
        Access::Own
    }
    fn line(&self) -> Option<String> {
        Some("read a kept value".into())
    }
}

/// What of a plugin's past a run begins with.
pub(crate) struct Before {
    /// Every setting of the manifest, as the user has it.
    pub(crate) settings: BTreeMap<String, SettingValue>,
    pub(crate) storage: BTreeMap<String, Vec<u8>>,
    pub(crate) kept_names: BTreeSet<String>,
}

/// Recalls what earlier runs left.
pub(crate) fn recall(vault: &Vault, permit: Permit<Recall>) -> Result<Before, Fault> {
    let (Recall, scope) = permit.redeem();
    let mut stored = vault.settings(&scope.plugin)?;
    let settings = scope.manifest.settings.iter().map(|spec| {
        let value = stored.remove(&spec.key).filter(|value| fits(&spec.kind, value));
        (spec.key.clone(), value.unwrap_or_else(|| default_of(&spec.kind)))
    });
    Ok(Before {
        settings: settings.collect(),
        storage: vault.storage(&scope.plugin)?,
        kept_names: vault.kept_names(&scope.plugin)?.into_iter().collect(),
    })
}

/// Replaces the plugin's storage.
pub(crate) fn commit(vault: &Vault, permit: Permit<CommitStorage>) -> Result<(), Fault> {
    let (CommitStorage(storage), scope) = permit.redeem();
    Ok(vault.commit_storage(&scope.plugin, &storage)?)
}

/// Takes a name for a value that is still being made. An older value of that name stays until the new one is there,
/// which may be made from it.
pub(crate) fn reserve(vault: &Vault, permit: Permit<ReserveName>) -> Result<(), Fault> {
    let (ReserveName(name), scope) = permit.redeem();
    if vault.kept(&scope.plugin, &name)?.is_none() {
        vault.keep(&scope.plugin, &name, &unfinished())?;
    }
    Ok(())
}

/// Keeps a value under its name.
pub(crate) fn keep(vault: &Vault, permit: Permit<KeepValue>) -> Result<(), Fault> {
    let (KeepValue { name, text, mut label }, scope) = permit.redeem();
    label.origins.insert(Origin::Plugin(scope.plugin.clone()));
    Ok(vault.keep(&scope.plugin, &name, &Kept { text: text.to_string(), label })?)
}

/// Reads a kept value.
pub(crate) fn kept(vault: &Vault, permit: Permit<ReadKept>) -> Result<Kept, Fault> {
    let (ReadKept(name), scope) = permit.redeem();
    let kept = vault.kept(&scope.plugin, &name)?.ok_or(Fault::Missing)?;
    if kept == unfinished() { Err(Fault::Unfinished) } else { Ok(kept) }
}

/// Holds the place of a value that is still being made. No value looks like it: each has at least the plugin's origin.
fn unfinished() -> Kept {
    Kept { text: String::new(), label: Label::public() }
}

/// Whether a stored setting still fits the manifest, which an update may have changed.
fn fits(kind: &SettingKind, value: &SettingValue) -> bool {
    match (kind, value) {
        (SettingKind::Flag { .. }, SettingValue::Flag(_))
        | (SettingKind::Text { .. }, SettingValue::Text(_)) => true,
        (SettingKind::Number { min, max, .. }, SettingValue::Number(n)) => {
            (*min..=*max).contains(n)
        }
        (SettingKind::Choice { options, .. }, SettingValue::Choice(index)) => {
            (*index as usize) < options.len()
        }
        _ => false,
    }
}

fn default_of(kind: &SettingKind) -> SettingValue {
    match kind {
        SettingKind::Flag { default } => SettingValue::Flag(*default),
        SettingKind::Number { default, .. } => SettingValue::Number(*default),
        SettingKind::Text { default } => SettingValue::Text(default.clone()),
        SettingKind::Choice { default, .. } => SettingValue::Choice(*default),
    }
}
