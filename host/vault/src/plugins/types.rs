//! Plain data about plugins. `Debug` shows lengths of private text, not the text.

use std::fmt;

use hearth_base::{Label, PluginId, RunId};
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

/// What a plugin takes over from the one of its name that it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heritage {
    /// Nothing: it is another's.
    Nothing,
    /// Settings, storage and kept values.
    State,
    /// These, and what the user allowed.
    StateAndGrant,
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
