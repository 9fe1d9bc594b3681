//! What the vault keeps for and about plugins.

mod types;
mod versions;

use std::collections::BTreeMap;

use hearth_base::{FolderId, Grant, PluginId, RunId, SettingValue};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::documents::{delete_all_of, from_json, plugin_id, to_json, to_json_sql};
use crate::{StoreError, Vault};

pub use types::{
    AuditRow, Binding, Heritage, Installation, Kept, PluginRecord, PluginVersion, Provenance,
    PublisherRecord,
};

const RECORD_COLUMNS: &str =
    "id, version, manifest, component_hash, sealed, bundled, enabled, suspended, installed_secs";

impl Vault {
    /// All plugins, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn plugins(&self) -> Result<Vec<PluginRecord>, StoreError> {
        self.read("list plugins", |connection| {
            let sql = format!("SELECT {RECORD_COLUMNS} FROM plugins ORDER BY id");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], read_record)?;
            rows.collect()
        })
    }

    /// A plugin.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn plugin(&self, id: &PluginId) -> Result<Option<PluginRecord>, StoreError> {
        self.read("read a plugin", |connection| find_record(connection, id))
    }

    /// Adds a plugin, or replaces its record. Grant, settings and storage stay as they are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_plugin(&self, record: &PluginRecord) -> Result<(), StoreError> {
        self.write("write a plugin", |transaction| write_record(transaction, record))
    }

    /// Lets a suspended plugin run again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where it is not installed.
    pub fn resume_plugin(&self, id: &PluginId) -> Result<(), StoreError> {
        self.write_for(id, "resume a plugin", |transaction| {
            transaction
                .execute("UPDATE plugins SET suspended = NULL WHERE id = ?1", [id.as_str()])
                .map(|_rows| ())
        })
    }

    /// Notes why a plugin may not run for now, or that it may again. Nothing else of its record is touched.
    ///
    /// # Errors
    /// [`StoreError`]. A plugin that is not there is no error.
    pub fn suspend_plugin(&self, id: &PluginId, why: Option<&str>) -> Result<(), StoreError> {
        self.write("suspend a plugin", |transaction| {
            let sql = "UPDATE plugins SET suspended = ?2 WHERE id = ?1";
            transaction.execute(sql, params![id.as_str(), why]).map(|_rows| ())
        })
    }

    /// Removes a plugin with its grant, settings, storage and kept values; and with what it saved, unless that is to be
    /// kept. Its run numbers and epochs go on counting should it come back.
    ///
    /// # Errors
    /// [`StoreError`]. A plugin that is not there is no error.
    pub fn remove_plugin(&self, id: &PluginId, keep_saved: bool) -> Result<(), StoreError> {
        self.write("remove a plugin", |transaction| {
            transaction.execute("DELETE FROM plugins WHERE id = ?1", [id.as_str()])?;
            count_up(transaction, id, "epoch")?;
            if !keep_saved {
                let folder: Option<i64> = transaction
                    .query_row("SELECT id FROM folders WHERE plugin = ?1", [id.as_str()], |row| {
                        row.get(0)
                    })
                    .optional()?;
                if let Some(folder) = folder {
                    delete_all_of(transaction, FolderId(folder))?;
                    transaction.execute("DELETE FROM folders WHERE id = ?1", [folder])?;
                }
            }
            Ok(())
        })
    }

    /// What the user allowed a plugin; nothing if they were not asked yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn grant(&self, id: &PluginId) -> Result<Grant, StoreError> {
        self.read("read a grant", |connection| read_grant(connection, id))
    }

    /// Replaces what the user allows a plugin, and counts up the epoch; the grant's own epoch is not looked at.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the plugin is not installed: a grant must not lie in wait for one.
    pub fn set_grant(&self, id: &PluginId, grant: &Grant) -> Result<Grant, StoreError> {
        self.write_for(id, "write a grant", |transaction| {
            write_grant(transaction, id, grant)?;
            count_up(transaction, id, "epoch")?;
            read_grant(transaction, id)
        })
    }

    /// The settings the user changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settings(&self, id: &PluginId) -> Result<BTreeMap<String, SettingValue>, StoreError> {
        self.read("read settings", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT key, value FROM plugin_settings WHERE plugin = ?1")?;
            let rows = statement.query_map([id.as_str()], |row| {
                Ok((row.get(0)?, from_json(&row.get::<_, String>(1)?)?))
            })?;
            rows.collect()
        })
    }

    /// Changes a setting. Whether the manifest knows it is not checked here.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the plugin is not installed.
    pub fn set_setting(
        &self,
        id: &PluginId,
        key: &str,
        value: &SettingValue,
    ) -> Result<(), StoreError> {
        let value = to_json(value, "setting")?;
        self.write_for(id, "write a setting", |transaction| {
            transaction
                .execute(
                    "INSERT INTO plugin_settings (plugin, key, value) VALUES (?1, ?2, ?3)
                     ON CONFLICT (plugin, key) DO UPDATE SET value = excluded.value",
                    params![id.as_str(), key, value],
                )
                .map(|_rows| ())
        })
    }

    /// A plugin's own state.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn storage(&self, id: &PluginId) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.read("read a plugin's storage", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT key, value FROM plugin_storage WHERE plugin = ?1")?;
            let rows = statement.query_map([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    /// Replaces a plugin's own state, all of it at once.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the plugin is not installed.
    pub fn commit_storage(
        &self,
        id: &PluginId,
        storage: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.write_for(id, "write a plugin's storage", |transaction| {
            transaction.execute("DELETE FROM plugin_storage WHERE plugin = ?1", [id.as_str()])?;
            let mut statement = transaction.prepare_cached(
                "INSERT INTO plugin_storage (plugin, key, value) VALUES (?1, ?2, ?3)",
            )?;
            for (key, value) in storage {
                statement.execute(params![id.as_str(), key, value])?;
            }
            Ok(())
        })
    }

    /// Keeps a value between runs, under a name, with its label.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the plugin is not installed.
    pub fn keep(&self, id: &PluginId, name: &str, kept: &Kept) -> Result<(), StoreError> {
        let label = to_json(&kept.label, "label")?;
        self.write_for(id, "keep a value", |transaction| {
            transaction
                .execute(
                    "INSERT INTO plugin_kept (plugin, name, label, text) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (plugin, name) DO UPDATE SET label = excluded.label, text = excluded.text",
                    params![id.as_str(), name, label, kept.text],
                )
                .map(|_rows| ())
        })
    }

    /// A value kept under a name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn kept(&self, id: &PluginId, name: &str) -> Result<Option<Kept>, StoreError> {
        self.read("read a kept value", |connection| {
            connection
                .prepare_cached(
                    "SELECT text, label FROM plugin_kept WHERE plugin = ?1 AND name = ?2",
                )?
                .query_row(params![id.as_str(), name], |row| {
                    Ok(Kept { text: row.get(0)?, label: from_json(&row.get::<_, String>(1)?)? })
                })
                .optional()
        })
    }

    /// Names of the values kept, sorted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn kept_names(&self, id: &PluginId) -> Result<Vec<String>, StoreError> {
        self.read("list kept values", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT name FROM plugin_kept WHERE plugin = ?1 ORDER BY name")?;
            let rows = statement.query_map([id.as_str()], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// The number of a plugin's next run; each is given out once, from 1.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_run(&self, id: &PluginId) -> Result<RunId, StoreError> {
        self.write("number a run", |transaction| count_up(transaction, id, "runs").map(RunId))
    }

    /// Writes down what a plugin asked for, or what was done about it. `what` must hold no private text.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit(&self, row: &AuditRow) -> Result<(), StoreError> {
        self.write("write to the audit", |transaction| insert_audit(transaction, row))
    }

    /// The last rows of the audit, the newest first; of one plugin, or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn audit_rows(
        &self,
        plugin: Option<&PluginId>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.read("read the audit", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT at_secs, plugin, run, what, allowed FROM audit
                 WHERE ?1 IS NULL OR plugin = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let rows =
                statement.query_map(params![plugin.map(PluginId::as_str), limit], |row| {
                    Ok(AuditRow {
                        at_secs: row.get(0)?,
                        plugin: row.get::<_, Option<String>>(1)?.map(plugin_id).transpose()?,
                        run: row.get::<_, Option<u64>>(2)?.map(RunId),
                        what: row.get(3)?,
                        allowed: row.get(4)?,
                    })
                })?;
            rows.collect()
        })
    }

    /// Writes about a plugin that must be installed.
    pub(crate) fn write_for<T>(
        &self,
        id: &PluginId,
        op: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.write(op, |transaction| {
            let known = transaction
                .query_row("SELECT 1 FROM plugins WHERE id = ?1", [id.as_str()], |_row| Ok(()))
                .optional()?;
            match known {
                Some(()) => work(transaction).map(Ok),
                None => Ok(Err(StoreError::NotFound { what: "plugin" })),
            }
        })?
    }
}

/// The same as a part of a larger transaction.
pub(crate) fn insert_audit(connection: &Connection, row: &AuditRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO audit (at_secs, plugin, run, what, allowed) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            row.at_secs,
            row.plugin.as_ref().map(PluginId::as_str),
            row.run.map(|run| run.0),
            row.what,
            row.allowed
        ])
        .map(|_rows| ())
}

fn find_record(connection: &Connection, id: &PluginId) -> rusqlite::Result<Option<PluginRecord>> {
    connection
        .prepare_cached(&format!("SELECT {RECORD_COLUMNS} FROM plugins WHERE id = ?1"))?
        .query_row([id.as_str()], read_record)
        .optional()
}

fn write_record(transaction: &Transaction<'_>, record: &PluginRecord) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT INTO plugins (id, version, manifest, component_hash, sealed, bundled, enabled,
                                  suspended, installed_secs)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET version = excluded.version, manifest = excluded.manifest,
                component_hash = excluded.component_hash, sealed = excluded.sealed,
                bundled = excluded.bundled, enabled = excluded.enabled,
                suspended = excluded.suspended, installed_secs = excluded.installed_secs",
            params![
                record.id.as_str(),
                record.version,
                record.manifest,
                record.component_hash,
                record.sealed,
                record.bundled,
                record.enabled,
                record.suspended,
                record.installed_secs,
            ],
        )
        .map(|_rows| ())
}

fn read_record(row: &Row<'_>) -> rusqlite::Result<PluginRecord> {
    Ok(PluginRecord {
        id: plugin_id(row.get(0)?)?,
        version: row.get(1)?,
        manifest: row.get(2)?,
        component_hash: row.get(3)?,
        sealed: row.get(4)?,
        bundled: row.get(5)?,
        enabled: row.get(6)?,
        suspended: row.get(7)?,
        installed_secs: row.get(8)?,
    })
}

fn read_grant(connection: &Connection, id: &PluginId) -> rusqlite::Result<Grant> {
    let found: Option<(String, String, u32)> = connection
        .query_row(
            "SELECT capabilities, slots, choice_bits FROM grants WHERE plugin = ?1",
            [id.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let epoch: Option<u64> = connection
        .query_row("SELECT epoch FROM plugin_counters WHERE plugin = ?1", [id.as_str()], |row| {
            row.get(0)
        })
        .optional()?;
    let mut grant = Grant { epoch: epoch.unwrap_or(0), ..Grant::default() };
    if let Some((capabilities, slots, choice_bits)) = found {
        grant.choice_bits_per_day = choice_bits;
        grant.capabilities = from_json(&capabilities)?;
        grant.slots = from_json(&slots)?;
    }
    Ok(grant)
}

fn write_grant(
    transaction: &Transaction<'_>,
    id: &PluginId,
    grant: &Grant,
) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT INTO grants (plugin, capabilities, slots, choice_bits) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (plugin) DO UPDATE SET capabilities = excluded.capabilities, slots = excluded.slots,
                choice_bits = excluded.choice_bits",
            params![
                id.as_str(),
                to_json_sql(&grant.capabilities)?,
                to_json_sql(&grant.slots)?,
                grant.choice_bits_per_day
            ],
        )
        .map(|_rows| ())
}

/// Counts one of a plugin's counters up and gives its new value.
fn count_up(
    transaction: &Transaction<'_>,
    id: &PluginId,
    counter: &'static str,
) -> rusqlite::Result<u64> {
    transaction.query_row(
        &format!(
            "INSERT INTO plugin_counters (plugin, {counter}) VALUES (?1, 1)
             ON CONFLICT (plugin) DO UPDATE SET {counter} = {counter} + 1 RETURNING {counter}"
        ),
        [id.as_str()],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests;
