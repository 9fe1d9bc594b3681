//! Versions of plugins and the keys behind them: what may take a plugin's place, and the way back.

use std::collections::BTreeSet;

use hearth_base::{Grant, PluginId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    Binding, Heritage, Installation, PluginRecord, PluginVersion, Provenance, PublisherRecord,
    count_up, find_record, read_grant, write_grant, write_record,
};
use crate::documents::{from_json, to_json_sql};
use crate::{StoreError, Vault};

/// Which version of a plugin, other than the one that runs.
#[derive(Clone, Copy)]
enum State {
    Former = 0,
    Waiting = 1,
}

impl Vault {
    /// Installs a plugin, perhaps in place of another of its name, in one transaction: there is never a moment in which
    /// it has what only the former was given. `keeps` says what it takes over; the epoch counts up in any case. Where it
    /// takes over storage, the former stays for going back. Gives the former record.
    ///
    /// # Errors
    /// [`StoreError`]; all is then as it was.
    pub fn replace_plugin(
        &self,
        new: &Installation<'_>,
        keeps: impl FnOnce(&PluginRecord, &Grant) -> Heritage,
    ) -> Result<Option<PluginRecord>, StoreError> {
        let id = &new.record.id;
        self.write("replace a plugin", |transaction| {
            let former = find_record(transaction, id)?;
            let grant = read_grant(transaction, id)?;
            let kept = former.as_ref().map_or_else(Heritage::nothing, |f| keeps(f, &grant));
            let again =
                former.as_ref().is_some_and(|f| f.component_hash == new.record.component_hash);
            match &former {
                Some(former) if kept.settings && !again => {
                    remember_former(transaction, former, &grant)?;
                }
                _ if again && kept.settings => {}
                _ => forget(transaction, id, &["plugin_versions", "plugin_former_storage"])?,
            }
            write_record(transaction, new.record)?;
            let migrate_from = former
                .as_ref()
                .filter(|former| kept.storage && former.version != new.record.version)
                .map(|former| former.version.as_str());
            transaction.execute(
                "UPDATE plugins SET publisher = ?2, origin = ?3,
                    migrate_from = CASE WHEN ?5 THEN migrate_from ELSE ?4 END WHERE id = ?1",
                params![
                    id.as_str(),
                    new.provenance.publisher,
                    new.provenance.origin,
                    migrate_from,
                    again && kept.storage
                ],
            )?;
            leave_behind(transaction, id, &kept)?;
            bind(transaction, new)?;
            count_up(transaction, id, "epoch")?;
            Ok(former)
        })
    }

    /// Where an installed plugin came from.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn provenance(&self, id: &PluginId) -> Result<Option<Provenance>, StoreError> {
        self.read("read where a plugin came from", |connection| {
            connection
                .prepare_cached("SELECT publisher, origin FROM plugins WHERE id = ?1")?
                .query_row([id.as_str()], |row| {
                    Ok(Provenance { publisher: row.get(0)?, origin: row.get(1)? })
                })
                .optional()
        })
    }

    /// What comes under this name must keep to; `None` for a name never seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn binding(&self, id: &PluginId) -> Result<Option<Binding>, StoreError> {
        self.read("read a plugin's binding", |connection| {
            connection
                .prepare_cached(
                    "SELECT publisher, highest_version, highest_hash FROM plugin_bindings WHERE plugin = ?1",
                )?
                .query_row([id.as_str()], |row| {
                    Ok(Binding {
                        publisher: row.get(0)?,
                        highest_version: row.get(1)?,
                        highest_hash: row.get(2)?,
                    })
                })
                .optional()
        })
    }

    /// The keys that were ever seen, by key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn publishers(&self) -> Result<Vec<PublisherRecord>, StoreError> {
        self.read("list publishers", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key, first_seen_secs, replaced_by FROM publishers ORDER BY key",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(PublisherRecord {
                    key: row.get(0)?,
                    first_seen_secs: row.get(1)?,
                    replaced_by: row.get(2)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Puts one key in the place of another, for all plugins bound to it. Gives their number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rotate_publisher(
        &self,
        old: &str,
        new: &str,
        now_secs: i64,
    ) -> Result<usize, StoreError> {
        self.write("rotate a publisher's key", |transaction| {
            for key in [old, new] {
                note_publisher(transaction, key, now_secs)?;
            }
            let sql = "UPDATE publishers SET replaced_by = ?2 WHERE key = ?1";
            transaction.execute(sql, [old, new])?;
            transaction.execute(
                "UPDATE plugin_bindings SET publisher = ?2 WHERE publisher = ?1",
                [old, new],
            )
        })
    }

    /// The version before the installed one, if going back is possible.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn former_version(&self, id: &PluginId) -> Result<Option<PluginVersion>, StoreError> {
        self.read("read a plugin's former version", |c| find_version(c, id, State::Former))
    }

    /// The version that waits for the user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waiting_version(&self, id: &PluginId) -> Result<Option<PluginVersion>, StoreError> {
        self.read("read a plugin's waiting version", |c| find_version(c, id, State::Waiting))
    }

    /// Puts a version aside until the user accepts it, in place of another that waits.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the plugin is not installed.
    pub fn put_waiting(&self, id: &PluginId, version: &PluginVersion) -> Result<(), StoreError> {
        self.write_for(id, "put a version aside", |transaction| {
            write_version(transaction, id, State::Waiting, version)
        })
    }

    /// Forgets the version that waits. Where there is none, nothing happens.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_waiting(&self, id: &PluginId) -> Result<(), StoreError> {
        self.write("forget a waiting version", |transaction| {
            drop_version(transaction, id, State::Waiting)
        })
    }

    /// Puts the former version back in place, with its grant and its storage. What the chat may call and the schedules
    /// are as before an installation: off. Gives the record of the version that is gone.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no former version.
    pub fn roll_back(&self, id: &PluginId, now_secs: i64) -> Result<PluginRecord, StoreError> {
        self.write("go back to a plugin's former version", |transaction| {
            let (Some(record), Some(former)) =
                (find_record(transaction, id)?, find_version(transaction, id, State::Former)?)
            else {
                return Ok(Err(StoreError::NotFound { what: "former version of the plugin" }));
            };
            let back = PluginRecord {
                version: former.version,
                manifest: former.manifest,
                component_hash: former.component_hash,
                sealed: former.sealed,
                enabled: true,
                suspended: None,
                installed_secs: now_secs,
                ..record.clone()
            };
            write_record(transaction, &back)?;
            transaction.execute(
                "UPDATE plugins SET publisher = ?2, origin = ?3, migrate_from = NULL WHERE id = ?1",
                params![id.as_str(), former.provenance.publisher, former.provenance.origin],
            )?;
            forget(transaction, id, &["plugin_storage", "plugin_tools", "plugin_schedules"])?;
            if back.sealed && !record.sealed {
                // Names alone may tell what was learnt.
                forget(transaction, id, &["plugin_kept"])?;
            }
            transaction.execute(
                "INSERT INTO plugin_storage (plugin, key, value)
                 SELECT plugin, key, value FROM plugin_former_storage WHERE plugin = ?1",
                [id.as_str()],
            )?;
            write_grant(transaction, id, &former.grant)?;
            forget(transaction, id, &["plugin_former_storage"])?;
            drop_version(transaction, id, State::Former)?;
            count_up(transaction, id, "epoch")?;
            Ok(Ok(record))
        })?
    }

    /// The version whose storage an updated plugin has yet to take over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn migration_due(&self, id: &PluginId) -> Result<Option<String>, StoreError> {
        self.read("read a plugin's migration", |connection| {
            connection
                .query_row("SELECT migrate_from FROM plugins WHERE id = ?1", [id.as_str()], |row| {
                    row.get(0)
                })
                .optional()
                .map(Option::flatten)
        })
    }

    /// Notes that a plugin has taken over its former storage.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn migration_done(&self, id: &PluginId) -> Result<(), StoreError> {
        self.write("end a plugin's migration", |transaction| {
            let sql = "UPDATE plugins SET migrate_from = NULL WHERE id = ?1";
            transaction.execute(sql, [id.as_str()]).map(|_rows| ())
        })
    }

    /// Notes a version on offer, and gives when it was first seen.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the plugin is not installed.
    pub fn note_offer(
        &self,
        id: &PluginId,
        version: &str,
        now_secs: i64,
    ) -> Result<i64, StoreError> {
        self.write_for(id, "note a version on offer", |transaction| {
            transaction.execute(
                "INSERT INTO plugin_offers (plugin, version, first_seen_secs) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
                params![id.as_str(), version, now_secs],
            )?;
            let sql =
                "SELECT first_seen_secs FROM plugin_offers WHERE plugin = ?1 AND version = ?2";
            transaction.query_row(sql, params![id.as_str(), version], |row| row.get(0))
        })
    }

    /// The components of all versions of all plugins, by their hashes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn component_hashes(&self) -> Result<BTreeSet<String>, StoreError> {
        self.read("list components", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT component_hash FROM plugins UNION SELECT component_hash FROM plugin_versions",
            )?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect()
        })
    }
}

/// Keeps the one that is replaced for going back, in place of the one before it; none waits any more.
fn remember_former(
    transaction: &Transaction<'_>,
    former: &PluginRecord,
    grant: &Grant,
) -> rusqlite::Result<()> {
    let id = &former.id;
    let sql = "SELECT publisher, origin FROM plugins WHERE id = ?1";
    let provenance = transaction.query_row(sql, [id.as_str()], |row| {
        Ok(Provenance { publisher: row.get(0)?, origin: row.get(1)? })
    })?;
    forget(transaction, id, &["plugin_versions", "plugin_former_storage"])?;
    let version = PluginVersion {
        version: former.version.clone(),
        manifest: former.manifest.clone(),
        component_hash: former.component_hash.clone(),
        sealed: former.sealed,
        provenance,
        grant: grant.clone(),
        at_secs: former.installed_secs,
    };
    write_version(transaction, id, State::Former, &version)?;
    transaction
        .execute(
            "INSERT INTO plugin_former_storage (plugin, key, value)
             SELECT plugin, key, value FROM plugin_storage WHERE plugin = ?1",
            [id.as_str()],
        )
        .map(|_rows| ())
}

/// Takes from a plugin what it does not take over.
fn leave_behind(
    transaction: &Transaction<'_>,
    id: &PluginId,
    kept: &Heritage,
) -> rusqlite::Result<()> {
    match &kept.grant {
        Some(grant) => write_grant(transaction, id, grant)?,
        None => forget(transaction, id, &["grants", "plugin_adapters"])?,
    }
    if !kept.habits || kept.grant.is_none() {
        forget(transaction, id, &["plugin_tools", "plugin_schedules"])?;
    }
    if !kept.settings {
        forget(transaction, id, &["plugin_settings", "plugin_offers"])?;
    }
    if !kept.storage {
        forget(transaction, id, &["plugin_storage", "plugin_kept"])?;
    }
    Ok(())
}

fn bind(transaction: &Transaction<'_>, new: &Installation<'_>) -> rusqlite::Result<()> {
    let Binding { publisher, highest_version, highest_hash } = new.binding;
    if !publisher.is_empty() {
        note_publisher(transaction, publisher, new.record.installed_secs)?;
    }
    transaction
        .execute(
            "INSERT INTO plugin_bindings (plugin, publisher, highest_version, highest_hash)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (plugin) DO UPDATE SET publisher = excluded.publisher,
                highest_version = excluded.highest_version, highest_hash = excluded.highest_hash",
            params![new.record.id.as_str(), publisher, highest_version, highest_hash],
        )
        .map(|_rows| ())
}

fn note_publisher(transaction: &Transaction<'_>, key: &str, now: i64) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO publishers (key, first_seen_secs) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    transaction.execute(sql, params![key, now]).map(|_rows| ())
}

/// Deletes a plugin's rows.
fn forget(
    transaction: &Transaction<'_>,
    id: &PluginId,
    tables: &[&'static str],
) -> rusqlite::Result<()> {
    for table in tables {
        transaction.execute(&format!("DELETE FROM {table} WHERE plugin = ?1"), [id.as_str()])?;
    }
    Ok(())
}

fn drop_version(
    transaction: &Transaction<'_>,
    id: &PluginId,
    state: State,
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM plugin_versions WHERE plugin = ?1 AND state = ?2";
    transaction.execute(sql, params![id.as_str(), state as i64]).map(|_rows| ())
}

fn write_version(
    transaction: &Transaction<'_>,
    id: &PluginId,
    state: State,
    version: &PluginVersion,
) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT OR REPLACE INTO plugin_versions (plugin, state, version, manifest, component_hash, sealed,
                publisher, origin, capabilities, slots, choice_bits, at_secs)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                id.as_str(),
                state as i64,
                version.version,
                version.manifest,
                version.component_hash,
                version.sealed,
                version.provenance.publisher,
                version.provenance.origin,
                to_json_sql(&version.grant.capabilities)?,
                to_json_sql(&version.grant.slots)?,
                version.grant.choice_bits_per_day,
                version.at_secs,
            ],
        )
        .map(|_rows| ())
}

fn find_version(
    connection: &Connection,
    id: &PluginId,
    state: State,
) -> rusqlite::Result<Option<PluginVersion>> {
    connection
        .prepare_cached(
            "SELECT version, manifest, component_hash, sealed, publisher, origin, capabilities, slots,
                choice_bits, at_secs
             FROM plugin_versions WHERE plugin = ?1 AND state = ?2",
        )?
        .query_row(params![id.as_str(), state as i64], read_version)
        .optional()
}

fn read_version(row: &Row<'_>) -> rusqlite::Result<PluginVersion> {
    Ok(PluginVersion {
        version: row.get(0)?,
        manifest: row.get(1)?,
        component_hash: row.get(2)?,
        sealed: row.get(3)?,
        provenance: Provenance { publisher: row.get(4)?, origin: row.get(5)? },
        grant: Grant {
            capabilities: from_json(&row.get::<_, String>(6)?)?,
            slots: from_json(&row.get::<_, String>(7)?)?,
            choice_bits_per_day: row.get(8)?,
            epoch: 0,
        },
        at_secs: row.get(9)?,
    })
}

#[cfg(test)]
mod tests;
