//! Fine-tuned adapters, what they learnt from, and where they are used.

mod types;

use hearth_base::{AdapterId, ConversationId, Label, PluginId, TuneRunId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::documents::to_json;
use crate::runs::label_of;
use crate::sources::{self, LearntFrom, Owner, SourceChange};
use crate::vault::now_secs;
use crate::{StoreError, Vault, blobs};

pub use types::{AdapterBytes, AdapterChoice, AdapterRecord, NewAdapter};

const ADAPTER_COLUMNS: &str =
    "a.id, a.name, a.base_name, a.base_hash, a.template_hash, b.bytes, a.report, a.run,
    a.live, a.created_secs FROM adapters a JOIN blobs b ON b.id = a.weights";

const NO_ADAPTER: StoreError = StoreError::NotFound { what: "adapter" };

impl Vault {
    /// Keeps an adapter. It is not live yet. Whatever was deleted or changed since its run began makes it stale from
    /// the start.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_adapter(&self, new: &NewAdapter<'_>) -> Result<AdapterId, StoreError> {
        let label = to_json(&sources::without_documents(&new.label), "label")?;
        let learnt_from = sources::all_of(&new.label, &new.learnt_from);
        self.write("keep an adapter", |transaction| {
            let weights = blobs::insert(transaction, new.weights)?;
            transaction.execute(
                "INSERT INTO adapters (name, base_name, base_hash, template_hash, config, weights, label, report, run,
                                       created_secs)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    new.name,
                    new.base_name,
                    new.base_hash,
                    new.template_hash,
                    new.config,
                    weights,
                    label,
                    new.report,
                    new.run.map(|run| run.0),
                    now_secs()
                ],
            )?;
            let id = transaction.last_insert_rowid();
            sources::insert(transaction, Owner::Adapter(id), &learnt_from)?;
            if let Some(run) = new.run {
                sources::inherit(transaction, run.0, id)?;
            }
            Ok(AdapterId(id))
        })
    }

    /// All adapters, in the order in which they were made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn adapters(&self) -> Result<Vec<AdapterRecord>, StoreError> {
        self.read("list adapters", |connection| {
            let sql = format!("SELECT {ADAPTER_COLUMNS} ORDER BY a.id");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| read_adapter(connection, row))?;
            rows.collect()
        })
    }

    /// An adapter, without its bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn adapter(&self, id: AdapterId) -> Result<Option<AdapterRecord>, StoreError> {
        self.read("read an adapter", |connection| {
            connection
                .prepare_cached(&format!("SELECT {ADAPTER_COLUMNS} WHERE a.id = ?1"))?
                .query_row([id.0], |row| read_adapter(connection, row))
                .optional()
        })
    }

    /// An adapter's configuration and weights.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such adapter.
    pub fn adapter_file(&self, id: AdapterId) -> Result<AdapterBytes, StoreError> {
        let found = self.read("read an adapter's weights", |connection| {
            let found: Option<(String, i64)> = connection
                .query_row("SELECT config, weights FROM adapters WHERE id = ?1", [id.0], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((config, blob)) = found else { return Ok(None) };
            Ok(Some((config, blobs::read(connection, blob)?)))
        })?;
        match found {
            None => Err(NO_ADAPTER),
            Some((_, None)) => Err(StoreError::BadRow { what: "adapter" }),
            Some((config, Some(weights))) => Ok(AdapterBytes { config, weights }),
        }
    }

    /// What an adapter's answers depend on: everything that it learnt from, whether it is still there or not.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such adapter.
    pub fn adapter_label(&self, id: AdapterId) -> Result<Label, StoreError> {
        self.read("read an adapter's label", |connection| {
            label_of(connection, "adapters", id.0, Owner::Adapter(id.0))
        })?
        .ok_or(NO_ADAPTER)
    }

    /// What an adapter learnt from, and what became of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn adapter_sources(
        &self,
        id: AdapterId,
    ) -> Result<Vec<(LearntFrom, SourceChange)>, StoreError> {
        self.read("read an adapter's sources", |connection| {
            sources::list(connection, Owner::Adapter(id.0))
        })
    }

    /// Adapters that learnt from something: those that its deletion makes stale.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn adapters_that_saw(&self, source: LearntFrom) -> Result<Vec<AdapterId>, StoreError> {
        self.read("find adapters by what they saw", |connection| {
            let found = sources::adapters_of(connection, source)?;
            Ok(found.into_iter().map(AdapterId).collect())
        })
    }

    /// Gives an adapter another name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such adapter.
    pub fn rename_adapter(&self, id: AdapterId, name: &str) -> Result<(), StoreError> {
        self.change_adapter(id, "name", &name)
    }

    /// Keeps what was found out about an adapter, in JSON.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such adapter.
    pub fn set_adapter_report(&self, id: AdapterId, report: &str) -> Result<(), StoreError> {
        self.change_adapter(id, "report", &report)
    }

    /// Writes down whether the user has accepted an adapter for use.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such adapter.
    pub fn set_adapter_live(&self, id: AdapterId, live: bool) -> Result<(), StoreError> {
        self.change_adapter(id, "live", &live)
    }

    /// Takes an adapter from every conversation and plugin that chose it; nobody may use it until it is accepted again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such adapter.
    pub fn retire_adapter(&self, id: AdapterId) -> Result<(), StoreError> {
        let changed = self.write("retire an adapter", |transaction| {
            for of in ["conversation", "plugin"] {
                let sql = format!("DELETE FROM {of}_adapters WHERE adapter = ?1");
                transaction.execute(&sql, [id.0])?;
            }
            transaction.execute("UPDATE adapters SET live = 0 WHERE id = ?1", [id.0])
        })?;
        if changed == 0 { Err(NO_ADAPTER) } else { Ok(()) }
    }

    /// Deletes an adapter; its bytes are overwritten in the database, and whoever used it does without.
    ///
    /// # Errors
    /// [`StoreError`]. An adapter that is not there is no error.
    pub fn remove_adapter(&self, id: AdapterId) -> Result<(), StoreError> {
        self.write("delete an adapter", |transaction| {
            transaction.execute("DELETE FROM adapters WHERE id = ?1", [id.0]).map(|_rows| ())
        })
    }

    /// The adapters that a conversation's answers are made with, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conversation_adapters(
        &self,
        id: ConversationId,
    ) -> Result<Vec<AdapterChoice>, StoreError> {
        self.read("read a conversation's adapters", |connection| {
            choices(connection, "conversation", &id.0)
        })
    }

    /// Conversations that chose an adapter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conversations_with(&self, id: AdapterId) -> Result<Vec<ConversationId>, StoreError> {
        self.read("find an adapter's conversations", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT conversation FROM conversation_adapters WHERE adapter = ?1 ORDER BY conversation",
            )?;
            let rows = statement.query_map([id.0], |row| row.get(0).map(ConversationId))?;
            rows.collect()
        })
    }

    /// Chooses the adapters that a conversation's answers are made with.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such conversation or adapter; the choice is then as it was.
    pub fn set_conversation_adapters(
        &self,
        id: ConversationId,
        adapters: &[AdapterChoice],
    ) -> Result<(), StoreError> {
        self.write("choose a conversation's adapters", |transaction| {
            let known = "SELECT 1 FROM conversations WHERE id = ?1";
            if transaction.query_row(known, [id.0], |_row| Ok(())).optional()?.is_none() {
                return Ok(Err(StoreError::NotFound { what: "conversation" }));
            }
            choose(transaction, "conversation", &id.0, adapters)
        })?
    }

    /// The adapters that a plugin's model calls run with, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn plugin_adapters(&self, id: &PluginId) -> Result<Vec<AdapterChoice>, StoreError> {
        self.read("read a plugin's adapters", |connection| {
            choices(connection, "plugin", &id.as_str())
        })
    }

    /// Chooses the adapters that a plugin's model calls run with.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such plugin or adapter; the choice is then as it was.
    pub fn set_plugin_adapters(
        &self,
        id: &PluginId,
        adapters: &[AdapterChoice],
    ) -> Result<(), StoreError> {
        self.write_for(id, "choose a plugin's adapters", |transaction| {
            choose(transaction, "plugin", &id.as_str(), adapters)
        })?
    }

    fn change_adapter(
        &self,
        id: AdapterId,
        column: &'static str,
        value: &dyn rusqlite::ToSql,
    ) -> Result<(), StoreError> {
        let changed = self.write("change an adapter", |transaction| {
            transaction.execute(
                &format!("UPDATE adapters SET {column} = ?2 WHERE id = ?1"),
                params![id.0, value],
            )
        })?;
        if changed == 0 { Err(NO_ADAPTER) } else { Ok(()) }
    }
}

fn read_adapter(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<AdapterRecord> {
    let id: i64 = row.get(0)?;
    let counts = sources::counts(connection, Owner::Adapter(id))?;
    Ok(AdapterRecord {
        id: AdapterId(id),
        name: row.get(1)?,
        base_name: row.get(2)?,
        base_hash: row.get(3)?,
        template_hash: row.get(4)?,
        bytes: row.get(5)?,
        report: row.get(6)?,
        run: row.get::<_, Option<i64>>(7)?.map(TuneRunId),
        live: row.get(8)?,
        created_secs: row.get(9)?,
        sources: counts.sources,
        sources_changed: counts.changed,
        sources_gone: counts.gone,
    })
}

fn choices(
    connection: &Connection,
    of: &'static str,
    id: &dyn rusqlite::ToSql,
) -> rusqlite::Result<Vec<AdapterChoice>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT adapter, strength FROM {of}_adapters WHERE {of} = ?1 ORDER BY position"
    ))?;
    let rows = statement.query_map([id], |row| {
        Ok(AdapterChoice { adapter: AdapterId(row.get(0)?), strength: row.get(1)? })
    })?;
    rows.collect()
}

fn choose(
    transaction: &Transaction<'_>,
    of: &'static str,
    id: &dyn rusqlite::ToSql,
    adapters: &[AdapterChoice],
) -> rusqlite::Result<Result<(), StoreError>> {
    for choice in adapters {
        let known = "SELECT 1 FROM adapters WHERE id = ?1";
        if transaction.query_row(known, [choice.adapter.0], |_row| Ok(())).optional()?.is_none() {
            return Ok(Err(NO_ADAPTER));
        }
    }
    transaction.execute(&format!("DELETE FROM {of}_adapters WHERE {of} = ?1"), [id])?;
    let mut statement = transaction.prepare_cached(&format!(
        "INSERT INTO {of}_adapters ({of}, position, adapter, strength) VALUES (?1, ?2, ?3, ?4)"
    ))?;
    for (position, choice) in adapters.iter().enumerate() {
        statement.execute(params![id, position as i64, choice.adapter.0, choice.strength])?;
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests;
