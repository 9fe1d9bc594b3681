//! Models the user added, and preferences.

use std::fmt;
use std::path::{Path, PathBuf};

use hearth_base::{AdapterId, ModelId};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::hidden::Hidden;
use crate::sources::{self, Owner};
use crate::{StoreError, Vault};

/// A model the user added. The file stays where it is; the vault knows its path.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Its number.
    pub id: ModelId,
    /// Where its weights lie.
    pub path: PathBuf,
    /// What the user calls it.
    pub name: String,
    /// The user's mark that its weights hold nothing private.
    pub public: bool,
    /// Whether it answers where no other is chosen.
    pub is_default: bool,
    /// How many documents, conversations and files an adapter in it learnt from.
    pub sources: u64,
    /// How many of these read otherwise now.
    pub sources_changed: u64,
    /// How many were deleted since.
    pub sources_gone: u64,
}

impl fmt::Debug for ModelRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelRecord")
            .field("id", &self.id)
            .field("path", &Hidden(&self.path.to_string_lossy()))
            .field("name", &Hidden(&self.name))
            .field("public", &self.public)
            .field("is_default", &self.is_default)
            .field("sources", &self.sources)
            .field("sources_changed", &self.sources_changed)
            .field("sources_gone", &self.sources_gone)
            .finish()
    }
}

impl Vault {
    /// All models, in the order they were added.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn models(&self) -> Result<Vec<ModelRecord>, StoreError> {
        self.read("list models", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, path, name, public, is_default FROM models ORDER BY id",
            )?;
            let rows = statement.query_map([], |row| {
                let id: i64 = row.get(0)?;
                let counts = sources::counts(connection, Owner::Model(id))?;
                Ok(ModelRecord {
                    id: ModelId(id),
                    path: PathBuf::from(row.get::<_, String>(1)?),
                    name: row.get(2)?,
                    public: row.get(3)?,
                    is_default: row.get(4)?,
                    sources: counts.sources,
                    sources_changed: counts.changed,
                    sources_gone: counts.gone,
                })
            })?;
            rows.collect()
        })
    }

    /// Adds a model. The first becomes the default; one with a path that is known already is renamed instead.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::BadRow`] for a path that is not UTF-8.
    pub fn add_model(&self, path: &Path, name: &str, public: bool) -> Result<ModelId, StoreError> {
        let path = path.to_str().ok_or(StoreError::BadRow { what: "path in UTF-8" })?;
        self.write("add a model", |transaction| insert(transaction, path, name, public))
    }

    /// Adds a model that an adapter was put into, as a private one: what adapter and base learnt from, it learnt from.
    /// `base` is `None` for a model that the user did not add.
    ///
    /// # Errors
    /// As [`Vault::add_model`]; [`StoreError::NotFound`] where there is no such adapter.
    pub fn add_merged_model(
        &self,
        path: &Path,
        name: &str,
        adapter: AdapterId,
        base: Option<ModelId>,
    ) -> Result<ModelId, StoreError> {
        if self.adapter(adapter)?.is_none() {
            return Err(StoreError::NotFound { what: "adapter" });
        }
        let path = path.to_str().ok_or(StoreError::BadRow { what: "path in UTF-8" })?;
        self.write("add a merged model", |transaction| {
            let id = insert(transaction, path, name, false)?;
            sources::merge(transaction, (adapter.0, base.map(|base| base.0)), id.0)?;
            Ok(id)
        })
    }

    /// Writes down whether a model's weights hold nothing private, in the user's judgement.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such model.
    pub fn mark_model(&self, id: ModelId, public: bool) -> Result<(), StoreError> {
        let changed = self.write("mark a model", |transaction| {
            transaction
                .execute("UPDATE models SET public = ?2 WHERE id = ?1", params![id.0, public])
        })?;
        if changed == 0 { Err(StoreError::NotFound { what: "model" }) } else { Ok(()) }
    }

    /// Forgets a model; its file stays.
    ///
    /// # Errors
    /// [`StoreError`]. A model that is not there is no error.
    pub fn remove_model(&self, id: ModelId) -> Result<(), StoreError> {
        self.write("remove a model", |transaction| {
            transaction.execute("DELETE FROM models WHERE id = ?1", [id.0]).map(|_rows| ())
        })
    }

    /// Chooses the model that answers where no other is chosen.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such model; the choice is then as it was.
    pub fn set_default_model(&self, id: ModelId) -> Result<(), StoreError> {
        self.write("choose a model", |transaction| {
            let known = transaction
                .query_row("SELECT 1 FROM models WHERE id = ?1", [id.0], |_row| Ok(()))
                .optional()?;
            if known.is_none() {
                return Ok(Err(StoreError::NotFound { what: "model" }));
            }
            transaction.execute("UPDATE models SET is_default = 0 WHERE is_default = 1", [])?;
            transaction.execute("UPDATE models SET is_default = 1 WHERE id = ?1", [id.0])?;
            Ok(Ok(()))
        })?
    }

    /// A preference.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn preference(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read("read a preference", |connection| {
            connection
                .query_row("SELECT value FROM preferences WHERE key = ?1", [key], |row| row.get(0))
                .optional()
        })
    }

    /// Sets a preference.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_preference(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write("set a preference", |transaction| {
            transaction
                .execute(
                    "INSERT INTO preferences (key, value) VALUES (?1, ?2)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    [key, value],
                )
                .map(|_rows| ())
        })
    }
}

fn insert(
    transaction: &Transaction<'_>,
    path: &str,
    name: &str,
    public: bool,
) -> rusqlite::Result<ModelId> {
    transaction.query_row(
        "INSERT INTO models (path, name, public, is_default)
         VALUES (?1, ?2, ?3, NOT EXISTS (SELECT 1 FROM models))
         ON CONFLICT (path) DO UPDATE SET name = excluded.name, public = excluded.public
         RETURNING id",
        params![path, name, public],
        |row| row.get(0).map(ModelId),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_model_is_the_default_until_another_is_chosen() {
        let vault = Vault::in_memory().unwrap();
        let first = vault.add_model(Path::new("/models/a.gguf"), "A", false).unwrap();
        let second = vault.add_model(Path::new("/models/b.gguf"), "B", true).unwrap();
        let default = || vault.models().unwrap().into_iter().find(|m| m.is_default).map(|m| m.id);
        assert_eq!(default(), Some(first));
        vault.set_default_model(second).unwrap();
        assert_eq!(default(), Some(second));
        assert_eq!(
            vault.set_default_model(ModelId(99)),
            Err(StoreError::NotFound { what: "model" })
        );
        assert_eq!(default(), Some(second));

        assert_eq!(vault.add_model(Path::new("/models/a.gguf"), "A2", true).unwrap(), first);
        let models = vault.models().unwrap();
        assert_eq!(models.len(), 2);
        assert_eq!((models[0].name.as_str(), models[0].public), ("A2", true));
        vault.mark_model(first, false).unwrap();
        assert!(!vault.models().unwrap()[0].public);
        assert_eq!(
            vault.mark_model(ModelId(99), true),
            Err(StoreError::NotFound { what: "model" })
        );
        vault.remove_model(second).unwrap();
        assert_eq!(default(), None);
    }

    #[test]
    fn preferences_are_kept_and_replaced() {
        let vault = Vault::in_memory().unwrap();
        assert_eq!(vault.preference("theme").unwrap(), None);
        vault.set_preference("theme", "dark").unwrap();
        vault.set_preference("theme", "light").unwrap();
        assert_eq!(vault.preference("theme").unwrap().as_deref(), Some("light"));
    }
}
