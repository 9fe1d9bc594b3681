//! Plain data about plugins. `Debug` shows lengths of private text, not the text.

use std::fmt;

use hearth_base::{Grant, Label, PluginId, RunId};
use serde::{Deserialize, Serialize};

use crate::hidden::Hidden;

/// An installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// Its name.
    pub id: PluginId,
    /// Its version.
    pub version: String,
    /// Its manifest in TOML, as it lay in the component.
    pub manifest: String,
    /// blake3 of the component in hex: the component is `plugins/<hash>.wasm`.
    pub component_hash: String,
    /// Whether it can learn nothing of private values.
    pub sealed: bool,
    /// Whether it came with Hearth.
    pub bundled: bool,
    /// Whether the user lets it run.
    pub enabled: bool,
    /// Why Hearth stopped it, if it did.
    pub suspended: Option<String>,
    /// When it was installed, in seconds since 1970.
    pub installed_secs: i64,
}

/// Where a plugin came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The key it is signed with, as verified; empty where it is unsigned.
    pub publisher: String,
    /// The path or reference it came from.
    pub origin: String,
}

/// What whatever comes under a plugin's name must keep to. Outlives the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The key it must be signed with; empty where it was never signed.
    pub publisher: String,
    /// The highest version there ever was of it.
    pub highest_version: String,
    /// The component of that version, by its hash.
    pub highest_hash: String,
}

/// A publisher's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublisherRecord {
    /// The key.
    pub key: String,
    /// When it was first seen, in seconds since 1970.
    pub first_seen_secs: i64,
    /// The key that has taken its place.
    pub replaced_by: Option<String>,
}

/// What is put in place.
#[derive(Clone, Copy, Debug)]
pub struct Installation<'a> {
    /// The plugin.
    pub record: &'a PluginRecord,
    /// Where it came from.
    pub provenance: &'a Provenance,
    /// What its successors must keep to.
    pub binding: &'a Binding,
}

/// A version of an installed plugin other than the one that runs: the former one, or one that waits for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// Its version.
    pub version: String,
    /// Its manifest in TOML.
    pub manifest: String,
    /// Its component, by its hash.
    pub component_hash: String,
    /// Whether it can learn nothing of private values.
    pub sealed: bool,
    /// Where it came from.
    pub provenance: Provenance,
    /// What the user had allowed it; nothing for one that waits.
    pub grant: Grant,
    /// When it came, in seconds since 1970.
    pub at_secs: i64,
}

/// What a plugin takes over from the one of its name that it replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heritage {
    /// Settings.
    pub settings: bool,
    /// Storage and kept values.
    pub storage: bool,
    /// What it may do.
    pub grant: Option<Grant>,
    /// That the chat may call it, and the schedules that are on. Goes only with a grant.
    pub habits: bool,
}

impl Heritage {
    /// Nothing: it is another's.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Settings, storage and kept values.
    pub fn state() -> Self {
        Self { settings: true, storage: true, ..Self::default() }
    }

    /// These, this grant, and what the plugin does by itself.
    pub fn all(grant: Grant) -> Self {
        Self { grant: Some(grant), habits: true, ..Self::state() }
    }
}

/// A value kept between runs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The value.
    pub text: String,
    /// What it depends on.
    pub label: Label,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("text", &Hidden(&self.text))
            .field("label", &self.label)
            .finish()
    }
}

/// Something that was asked for or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When, in seconds since 1970.
    pub at_secs: i64,
    /// By which plugin.
    pub plugin: Option<PluginId>,
    /// In which of its runs.
    pub run: Option<RunId>,
    /// What, without private text.
    pub what: String,
    /// Whether it was allowed.
    pub allowed: bool,
}
