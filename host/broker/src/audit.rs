//! Rows of the audit trail: who asked for what, and whether it was allowed. Never what it was about.

use std::time::{SystemTime, UNIX_EPOCH};

use hearth_base::{PluginId, RunId};
use hearth_vault::AuditRow;

use crate::scope::Scope;

/// A row about a run. `what` holds no private text and nothing the plugin could have put into it unseen.
pub(crate) fn row(scope: &Scope, what: String, allowed: bool) -> AuditRow {
    row_of(&scope.plugin, Some(scope.run), what, allowed)
}

/// The same about a plugin that is not running.
pub(crate) fn row_about(plugin: &PluginId, what: String, allowed: bool) -> AuditRow {
    row_of(plugin, None, what, allowed)
}

fn row_of(plugin: &PluginId, run: Option<RunId>, what: String, allowed: bool) -> AuditRow {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    AuditRow {
        at_secs: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
        plugin: Some(plugin.clone()),
        run,
        what,
        allowed,
    }
}
