//! Which content a document has, and what that was made from: so that what was told of a text counts against it under
//! whatever id it comes back.
//!
//! A content is named by a keyed hash of its words. A saved text leads to all that is in its label, and a file that was
//! imported anew to what it held before. None of it goes when documents do.

use std::collections::{BTreeMap, BTreeSet};

use hearth_base::{DocumentId, Label, Source};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::documents::from_json;
use crate::{StoreError, Vault, key};

/// Names of the contents and other sources that something leads to.
pub type Sources = BTreeSet<String>;

const KEY_NAME: &str = "lineage";

/// The words of a document.
pub(crate) struct Words<'a> {
    pub(crate) title: &'a str,
    pub(crate) author: &'a str,
    pub(crate) body: &'a str,
}

impl Words<'_> {
    /// Names the content. A text under another title is the same; of two that are empty, title and author tell.
    fn content(&self, key: &[u8; 32]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(key);
        let body = self.body.trim();
        if body.is_empty() {
            for part in [self.title, self.author] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        } else {
            hasher.update(body.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl Vault {
    /// The sources of a label, back to the originals: contents of documents, whatever has become of these; what the user
    /// entered; private models by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sources_of(&self, label: &Label) -> Result<Sources, StoreError> {
        self.read("trace sources", |connection| originals(connection, named(connection, label)?))
    }

    /// Titles of documents that are there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn titles(
        &self,
        documents: &[DocumentId],
    ) -> Result<BTreeMap<DocumentId, String>, StoreError> {
        self.read("read titles", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, title FROM documents WHERE id IN (SELECT value FROM json_each(?1))",
            )?;
            let rows = statement.query_map([list(documents.iter().copied())], |row| {
                Ok((DocumentId(row.get(0)?), row.get(1)?))
            })?;
            rows.collect()
        })
    }
}

/// Notes the content of a new document, and what it was saved from.
pub(crate) fn record(
    transaction: &Transaction<'_>,
    id: DocumentId,
    words: &Words<'_>,
    label: Option<&str>,
) -> rusqlite::Result<()> {
    let content = note(transaction, id, words)?;
    match label {
        Some(json) => descend(transaction, &content, &named(transaction, &from_json(json)?)?),
        None => Ok(()),
    }
}

/// Notes that a document has other content from now on, which leads to what it had.
pub(crate) fn record_change(
    transaction: &Transaction<'_>,
    id: DocumentId,
    words: &Words<'_>,
) -> rusqlite::Result<()> {
    let before: Option<String> = transaction
        .prepare_cached("SELECT content FROM lineage WHERE document = ?1")?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    let content = note(transaction, id, words)?;
    match before {
        Some(before) if before != content => descend(transaction, &content, &[before].into()),
        _ => Ok(()),
    }
}

/// Makes the key, and notes the documents that were there before.
pub(crate) fn begin(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let fail = StoreError::sql("note its documents");
    let key: [u8; 32] = key::random_bytes()?;
    transaction
        .execute("INSERT INTO secrets (name, value) VALUES (?1, ?2)", params![KEY_NAME, key])
        .map_err(&fail)?;
    note_all(transaction).map_err(&fail)
}

fn note_all(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare("SELECT id, title, author, body FROM documents ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(Into::into);
        let text = |column| -> rusqlite::Result<&str> { text(column) };
        let words = Words { title: text(1)?, author: text(2)?, body: text(3)? };
        note(transaction, DocumentId(row.get(0)?), &words)?;
    }
    // Labels name documents of any number, so all of these come first.
    let mut statement = transaction.prepare(
        "SELECT l.content, d.label FROM documents d JOIN lineage l ON l.document = d.id WHERE d.label IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (content, label): (String, String) = (row.get(0)?, row.get(1)?);
        descend(transaction, &content, &named(transaction, &from_json(&label)?)?)?;
    }
    Ok(())
}

fn note(
    transaction: &Transaction<'_>,
    id: DocumentId,
    words: &Words<'_>,
) -> rusqlite::Result<String> {
    let key: [u8; 32] = transaction
        .prepare_cached("SELECT value FROM secrets WHERE name = ?1")?
        .query_row([KEY_NAME], |row| row.get(0))?;
    let content = words.content(&key);
    transaction
        .prepare_cached(
            "INSERT INTO lineage (document, content) VALUES (?1, ?2)
             ON CONFLICT (document) DO UPDATE SET content = excluded.content",
        )?
        .execute(params![id.0, content])?;
    Ok(content)
}

/// The sources that stand in a label themselves.
fn named(connection: &Connection, label: &Label) -> rusqlite::Result<Sources> {
    let mut statement = connection.prepare_cached(
        "SELECT document, content FROM lineage WHERE document IN (SELECT value FROM json_each(?1))",
    )?;
    let rows = statement.query_map([list(label.documents())], |row| {
        Ok((DocumentId(row.get(0)?), row.get::<_, String>(1)?))
    })?;
    let contents: BTreeMap<DocumentId, String> = rows.collect::<rusqlite::Result<_>>()?;
    let names = label.sources.iter().map(|source| match source {
        // One that the vault never held is a source of its own.
        Source::Document(id) => {
            contents.get(id).cloned().unwrap_or_else(|| format!("document {id}"))
        }
        Source::UserInput => "user input".to_owned(),
        Source::PrivateModel(name) => format!("model {name}"),
    });
    Ok(names.collect())
}

/// Notes that a content was made from these.
fn descend(
    transaction: &Transaction<'_>,
    content: &str,
    sources: &Sources,
) -> rusqlite::Result<()> {
    let mut hasher = blake3::Hasher::new();
    for source in sources {
        hasher.update(&(source.len() as u64).to_le_bytes());
        hasher.update(source.as_bytes());
    }
    let hash = hasher.finalize();
    let found: Option<i64> = transaction
        .prepare_cached("SELECT id FROM lineage_kin WHERE hash = ?1")?
        .query_row([hash.as_bytes()], |row| row.get(0))
        .optional()?;
    let kin = match found {
        Some(kin) => kin,
        None => {
            transaction.execute("INSERT INTO lineage_kin (hash) VALUES (?1)", [hash.as_bytes()])?;
            let kin = transaction.last_insert_rowid();
            let mut statement = transaction
                .prepare_cached("INSERT INTO lineage_members (kin, source) VALUES (?1, ?2)")?;
            for source in sources {
                statement.execute(params![kin, source])?;
            }
            kin
        }
    };
    transaction
        .prepare_cached("INSERT OR IGNORE INTO lineage_descent (content, kin) VALUES (?1, ?2)")?
        .execute(params![content, kin])
        .map(|_rows| ())
}

/// These, and all that they were made from.
fn originals(connection: &Connection, sources: Sources) -> rusqlite::Result<Sources> {
    let mut kin_of =
        connection.prepare_cached("SELECT kin FROM lineage_descent WHERE content = ?1")?;
    let mut members =
        connection.prepare_cached("SELECT source FROM lineage_members WHERE kin = ?1")?;
    let mut seen_kin = BTreeSet::new();
    let mut waiting = Vec::from_iter(sources.iter().cloned());
    let mut all = sources;
    while let Some(content) = waiting.pop() {
        let kin = kin_of.query_map([&content], |row| row.get::<_, i64>(0))?;
        for kin in kin.collect::<rusqlite::Result<Vec<_>>>()? {
            if !seen_kin.insert(kin) {
                continue;
            }
            for source in members.query_map([kin], |row| row.get::<_, String>(0))? {
                let source = source?;
                if all.insert(source.clone()) {
                    waiting.push(source);
                }
            }
        }
    }
    Ok(all)
}

/// Ids as a JSON list, which SQLite takes apart.
fn list(ids: impl Iterator<Item = DocumentId>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}

#[cfg(test)]
mod tests;
