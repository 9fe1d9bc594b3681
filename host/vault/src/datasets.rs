//! Named recipes for training data, and the files of examples that some of them read.

use std::fmt;

use hearth_base::{DatasetId, ExampleTextId};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::hidden::Hidden;
use crate::vault::now_secs;
use crate::{StoreError, Vault, blobs};

/// A recipe under a name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its number; never used again.
    pub id: DatasetId,
    /// What the user calls it.
    pub name: String,
    /// The recipe, in JSON.
    pub recipe: String,
    /// When it was made, in seconds since 1970.
    pub created_secs: i64,
}

impl fmt::Debug for DatasetRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatasetRecord")
            .field("id", &self.id)
            .field("name", &Hidden(&self.name))
            .field("recipe", &Hidden(&self.recipe))
            .field("created_secs", &self.created_secs)
            .finish()
    }
}

/// A file of examples, without its text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExampleTextRecord {
    /// Its number; never used again.
    pub id: ExampleTextId,
    /// What the user calls it.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was added, in seconds since 1970.
    pub created_secs: i64,
}

impl fmt::Debug for ExampleTextRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExampleTextRecord")
            .field("id", &self.id)
            .field("name", &Hidden(&self.name))
            .field("bytes", &self.bytes)
            .field("created_secs", &self.created_secs)
            .finish()
    }
}

impl Vault {
    /// All recipes, in the order in which they were made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn datasets(&self) -> Result<Vec<DatasetRecord>, StoreError> {
        self.read("list datasets", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, recipe, created_secs FROM datasets ORDER BY id",
            )?;
            let rows = statement.query_map([], read_dataset)?;
            rows.collect()
        })
    }

    /// A recipe.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dataset(&self, id: DatasetId) -> Result<Option<DatasetRecord>, StoreError> {
        self.read("read a dataset", |connection| {
            connection
                .prepare_cached(
                    "SELECT id, name, recipe, created_secs FROM datasets WHERE id = ?1",
                )?
                .query_row([id.0], read_dataset)
                .optional()
        })
    }

    /// Keeps a recipe.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_dataset(&self, name: &str, recipe: &str) -> Result<DatasetId, StoreError> {
        self.write("add a dataset", |transaction| {
            transaction.execute(
                "INSERT INTO datasets (name, recipe, created_secs) VALUES (?1, ?2, ?3)",
                params![name, recipe, now_secs()],
            )?;
            Ok(DatasetId(transaction.last_insert_rowid()))
        })
    }

    /// Changes a recipe. Runs that have begun go on with what they began with.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is none.
    pub fn update_dataset(
        &self,
        id: DatasetId,
        name: &str,
        recipe: &str,
    ) -> Result<(), StoreError> {
        let changed = self.write("change a dataset", |transaction| {
            transaction.execute(
                "UPDATE datasets SET name = ?2, recipe = ?3 WHERE id = ?1",
                params![id.0, name, recipe],
            )
        })?;
        if changed == 0 { Err(StoreError::NotFound { what: "dataset" }) } else { Ok(()) }
    }

    /// Forgets a recipe; runs and adapters that came of it stay.
    ///
    /// # Errors
    /// [`StoreError`]. A dataset that is not there is no error.
    pub fn remove_dataset(&self, id: DatasetId) -> Result<(), StoreError> {
        self.write("remove a dataset", |transaction| {
            transaction.execute("DELETE FROM datasets WHERE id = ?1", [id.0]).map(|_rows| ())
        })
    }

    /// All files of examples, in the order in which they were added.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn example_texts(&self) -> Result<Vec<ExampleTextRecord>, StoreError> {
        self.read("list files of examples", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT e.id, e.name, b.bytes, e.created_secs
                 FROM example_texts e JOIN blobs b ON b.id = e.text ORDER BY e.id",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(ExampleTextRecord {
                    id: ExampleTextId(row.get(0)?),
                    name: row.get(1)?,
                    bytes: row.get(2)?,
                    created_secs: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Keeps a file of examples.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_example_text(&self, name: &str, text: &str) -> Result<ExampleTextId, StoreError> {
        self.write("add a file of examples", |transaction| {
            let blob = blobs::insert(transaction, text.as_bytes())?;
            transaction.execute(
                "INSERT INTO example_texts (name, text, created_secs) VALUES (?1, ?2, ?3)",
                params![name, blob, now_secs()],
            )?;
            Ok(ExampleTextId(transaction.last_insert_rowid()))
        })
    }

    /// The text of a file of examples.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is none.
    pub fn example_text(&self, id: ExampleTextId) -> Result<String, StoreError> {
        let found = self.read("read a file of examples", |connection| {
            let blob: Option<i64> = connection
                .query_row("SELECT text FROM example_texts WHERE id = ?1", [id.0], |row| row.get(0))
                .optional()?;
            blob.map(|blob| blobs::read(connection, blob)).transpose()
        })?;
        let bytes = found.ok_or(StoreError::NotFound { what: "file of examples" })?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or(StoreError::BadRow { what: "file of examples" })
    }

    /// Deletes a file of examples; adapters that learnt from it become stale.
    ///
    /// # Errors
    /// [`StoreError`]. A file that is not there is no error.
    pub fn remove_example_text(&self, id: ExampleTextId) -> Result<(), StoreError> {
        self.write("delete a file of examples", |transaction| {
            transaction.execute("DELETE FROM example_texts WHERE id = ?1", [id.0]).map(|_rows| ())
        })
    }
}

fn read_dataset(row: &Row<'_>) -> rusqlite::Result<DatasetRecord> {
    Ok(DatasetRecord {
        id: DatasetId(row.get(0)?),
        name: row.get(1)?,
        recipe: row.get(2)?,
        created_secs: row.get(3)?,
    })
}
