//! Documents: what was imported and what plugins saved, and the search over it.

mod search;
mod select;
mod types;
mod whole;

use std::collections::BTreeSet;

use hearth_base::{DocumentId, FolderId, Label, Origin, PluginId, Source};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};

use crate::lineage::{self, Words};
use crate::vault::now_secs;
use crate::{StoreError, Vault};

pub use select::DocumentSelection;
pub use types::{
    AttachmentHead, Document, DocumentHead, DocumentKind, DocumentQuery, Folder, NewSaved, Order,
    Page,
};

/// Longest snippet, in characters.
const SNIPPET_CHARS: usize = 160;

/// As many documents of a folder are taken out of the search index one by one.
const AT_ONCE: i64 = 20;

const HEAD_COLUMNS: &str = "d.id, d.folder, d.kind, d.title, d.author, d.date_secs, d.snippet, d.body_chars, d.attachments";

/// A document about to be stored.
pub(crate) struct Draft {
    pub(crate) kind: DocumentKind,
    pub(crate) title: String,
    pub(crate) author: String,
    pub(crate) recipients: String,
    pub(crate) date_secs: Option<i64>,
    pub(crate) body: String,
    pub(crate) extra: String,
    pub(crate) source: String,
    /// Path under what is imported.
    pub(crate) place: String,
    pub(crate) message_id: Option<String>,
    pub(crate) attachments: Vec<AttachmentHead>,
    /// The file or message, where `body` alone does not give it back.
    pub(crate) original: Option<Vec<u8>>,
    pub(crate) hash: blake3::Hash,
    pub(crate) label: Option<String>,
}

impl Draft {
    /// Tells apart two messages that claim one message-id.
    pub(crate) fn text_hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for part in [&self.title, &self.author, &self.body] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize()
    }

    fn words(&self) -> Words<'_> {
        Words { title: &self.title, author: &self.author, body: &self.body }
    }
}

impl Vault {
    /// All folders, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn folders(&self) -> Result<Vec<Folder>, StoreError> {
        self.read("list folders", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT f.id, f.name, f.plugin, coalesce(sum(k.n), 0),
                        coalesce((SELECT kind FROM documents WHERE folder = f.id
                                  GROUP BY kind ORDER BY count(*) DESC, kind LIMIT 1),
                                 iif(f.plugin IS NULL, 1, 3))
                 FROM folders f
                 LEFT JOIN (SELECT folder, count(*) AS n FROM documents GROUP BY folder) k ON k.folder = f.id
                 GROUP BY f.id ORDER BY f.name COLLATE NOCASE, f.id",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Folder {
                    id: FolderId(row.get(0)?),
                    name: row.get(1)?,
                    plugin: row.get::<_, Option<String>>(2)?.map(plugin_id).transpose()?,
                    documents: row.get(3)?,
                    kind: row.get(4)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Documents that match, a page of them. The text is what the user typed: every word must occur, the last may be
    /// the beginning of one, and nothing in it is taken for search syntax.
    ///
    /// # Errors
    /// [`StoreError`]; `SearchTooLong` where the text is more than a search looks for.
    pub fn documents(&self, query: &DocumentQuery) -> Result<Page, StoreError> {
        self.page(query, search::expression)
    }

    /// The same where any word of the text may occur, whole; those come first that have more of the rarer words.
    ///
    /// # Errors
    /// As [`Vault::documents`].
    pub fn documents_with_any(&self, query: &DocumentQuery) -> Result<Page, StoreError> {
        self.page(query, search::any_of)
    }

    fn page(&self, query: &DocumentQuery, read: Reading) -> Result<Page, StoreError> {
        let Some(filter) = Filter::of(query, read)? else { return Ok(Page::default()) };
        self.read("search documents", |connection| filter.page(connection, query))
    }

    /// A document with its text.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn document(&self, id: DocumentId) -> Result<Option<Document>, StoreError> {
        self.read("read a document", |connection| read_document(connection, id))
    }

    /// The file or message as it was imported; `None` for what a plugin saved. A message of an mbox comes without the
    /// `From ` line before it and without the `>` that guarded lines of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn raw(&self, id: DocumentId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read("read an original", |connection| {
            connection
                .prepare_cached(
                    "SELECT coalesce(o.bytes, CAST(d.body AS BLOB)) FROM documents d
                     LEFT JOIN originals o ON o.document = d.id WHERE d.id = ?1 AND d.kind <> ?2",
                )?
                .query_row(params![id.0, DocumentKind::Saved], |row| row.get(0))
                .optional()
        })
    }

    /// Deletes a document; its bytes are overwritten in the database.
    ///
    /// # Errors
    /// [`StoreError`]. A document that is not there is no error.
    pub fn delete_document(&self, id: DocumentId) -> Result<(), StoreError> {
        self.write("delete a document", |transaction| {
            transaction.execute("DELETE FROM documents WHERE id = ?1", [id.0]).map(|_rows| ())
        })
    }

    /// Deletes a folder with all its documents.
    ///
    /// # Errors
    /// [`StoreError`]. A folder that is not there is no error.
    pub fn delete_folder(&self, id: FolderId) -> Result<(), StoreError> {
        self.write("delete a folder", |transaction| {
            delete_all_of(transaction, id)?;
            transaction.execute("DELETE FROM folders WHERE id = ?1", [id.0]).map(|_rows| ())
        })
    }

    /// Stores a plugin's result as a new document in that plugin's own folder. Nothing is ever overwritten.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn save_document(&self, new: &NewSaved) -> Result<DocumentId, StoreError> {
        let label = to_json(&new.label, "label")?;
        let draft = Draft {
            kind: DocumentKind::Saved,
            title: new.title.clone(),
            author: String::new(),
            recipients: String::new(),
            date_secs: Some(now_secs()),
            body: new.body.clone(),
            extra: String::new(),
            source: new.plugin.to_string(),
            place: String::new(),
            message_id: None,
            attachments: Vec::new(),
            original: None,
            hash: blake3::hash(new.body.as_bytes()),
            label: Some(label),
        };
        self.write("save a document", |transaction| {
            let folder = plugin_folder(transaction, &new.plugin)?;
            insert(transaction, folder, &draft)
        })
    }
}

/// Deletes a folder's documents. Not left to the foreign key: the search index follows by a trigger of its own.
///
/// Taking each word of each document out of the index at once is slow for many documents; for those it is marked as
/// gone, and the index is then written anew without what is marked.
pub(crate) fn delete_all_of(
    transaction: &Transaction<'_>,
    folder: FolderId,
) -> rusqlite::Result<()> {
    let set_at_once =
        "INSERT INTO documents_text (documents_text, rank) VALUES ('secure-delete', ?1)";
    let count: i64 = transaction.query_row(
        "SELECT count(*) FROM documents WHERE folder = ?1",
        [folder.0],
        |row| row.get(0),
    )?;
    let many = count > AT_ONCE;
    if many {
        transaction.execute(set_at_once, [0])?;
    }
    transaction.execute("DELETE FROM documents WHERE folder = ?1", [folder.0])?;
    if many {
        transaction
            .execute("INSERT INTO documents_text (documents_text) VALUES ('optimize')", [])?;
        transaction.execute(set_at_once, [1])?;
    }
    Ok(())
}

/// Stores a draft as a new document.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    folder: FolderId,
    draft: &Draft,
) -> rusqlite::Result<DocumentId> {
    transaction
        .prepare_cached(
            "INSERT INTO documents (folder, kind, title, author, date_secs, snippet, body_chars, attachments,
                                    source, message_id, hash, text_hash, label, recipients, body, extra)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            folder.0,
            draft.kind,
            draft.title,
            draft.author,
            draft.date_secs,
            snippet(&draft.body),
            chars(&draft.body),
            draft.attachments.len() as i64,
            draft.source,
            draft.message_id,
            draft.hash.as_bytes(),
            draft.text_hash().as_bytes(),
            draft.label,
            draft.recipients,
            draft.body,
            draft.extra,
        ])?;
    let id = DocumentId(transaction.last_insert_rowid());
    lineage::record(transaction, id, &draft.words(), draft.label.as_deref())?;
    insert_parts(transaction, id, draft)?;
    Ok(id)
}

/// Puts a newer version of a file in the place of the one that was imported before.
pub(crate) fn replace(
    transaction: &Transaction<'_>,
    id: DocumentId,
    draft: &Draft,
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM originals WHERE document = ?1", [id.0])?;
    transaction.execute("DELETE FROM attachments WHERE document = ?1", [id.0])?;
    transaction
        .prepare_cached(
            "UPDATE documents SET kind = ?2, title = ?3, author = ?4, date_secs = ?5, snippet = ?6, body_chars = ?7,
                    attachments = ?8, hash = ?9, text_hash = ?10, recipients = ?11, body = ?12, extra = ?13
             WHERE id = ?1",
        )?
        .execute(params![
            id.0,
            draft.kind,
            draft.title,
            draft.author,
            draft.date_secs,
            snippet(&draft.body),
            chars(&draft.body),
            draft.attachments.len() as i64,
            draft.hash.as_bytes(),
            draft.text_hash().as_bytes(),
            draft.recipients,
            draft.body,
            draft.extra,
        ])?;
    lineage::record_change(transaction, id, &draft.words())?;
    insert_parts(transaction, id, draft)
}

fn insert_parts(
    transaction: &Transaction<'_>,
    id: DocumentId,
    draft: &Draft,
) -> rusqlite::Result<()> {
    if let Some(original) = &draft.original {
        transaction
            .prepare_cached("INSERT INTO originals (document, bytes) VALUES (?1, ?2)")?
            .execute(params![id.0, original])?;
    }
    let mut statement = transaction.prepare_cached(
        "INSERT INTO attachments (document, position, name, media_type, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (position, attachment) in draft.attachments.iter().enumerate() {
        statement.execute(params![
            id.0,
            position as i64,
            attachment.name,
            attachment.media_type,
            attachment.bytes
        ])?;
    }
    Ok(())
}

fn read_document(connection: &Connection, id: DocumentId) -> rusqlite::Result<Option<Document>> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {HEAD_COLUMNS}, d.source, d.label, d.recipients, d.body FROM documents d WHERE d.id = ?1"
        ))?
        .query_row([id.0], |row| {
            let head = read_head(row)?;
            let saved: Option<String> = row.get(10)?;
            Ok(Document {
                label: label_of(head.id, head.kind, saved.as_deref())?,
                source: row.get(9)?,
                recipients: row.get(11)?,
                body: row.get(12)?,
                attachments: Vec::new(),
                head,
            })
        })
        .optional()?;
    let Some(mut document) = found else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT name, media_type, bytes FROM attachments WHERE document = ?1 ORDER BY position",
    )?;
    let rows = statement.query_map([id.0], |row| {
        Ok(AttachmentHead { name: row.get(0)?, media_type: row.get(1)?, bytes: row.get(2)? })
    })?;
    document.attachments = rows.collect::<Result<_, _>>()?;
    Ok(Some(document))
}

/// Mail is a stranger's words and files are the user's; a saved document adds itself to what it was made from.
fn label_of(id: DocumentId, kind: DocumentKind, saved: Option<&str>) -> rusqlite::Result<Label> {
    let origin = if kind == DocumentKind::Mail { Origin::External } else { Origin::User };
    match saved {
        None => Ok(Label::document(id, BTreeSet::from([origin]))),
        Some(json) => {
            let mut label: Label = from_json(json)?;
            label.sources.insert(Source::Document(id));
            Ok(label)
        }
    }
}

fn read_head(row: &Row<'_>) -> rusqlite::Result<DocumentHead> {
    Ok(DocumentHead {
        id: DocumentId(row.get(0)?),
        folder: FolderId(row.get(1)?),
        kind: row.get(2)?,
        title: row.get(3)?,
        author: row.get(4)?,
        date_secs: row.get(5)?,
        snippet: row.get(6)?,
        body_chars: row.get(7)?,
        attachments: row.get(8)?,
    })
}

/// How the text of a query is read.
type Reading = fn(&str) -> Result<Option<String>, StoreError>;

/// A query's conditions in SQL, all values bound.
struct Filter {
    from: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
    searches: bool,
}

impl Filter {
    /// `None` where nothing can match.
    fn of(query: &DocumentQuery, read: Reading) -> Result<Option<Self>, StoreError> {
        let searches = !query.text.trim().is_empty();
        let mut filter = Self {
            from: "documents d",
            conditions: vec!["1".to_owned()],
            values: Vec::new(),
            searches,
        };
        if searches {
            filter.from = "documents_text t JOIN documents d ON d.id = t.rowid";
            filter.conditions.push("documents_text MATCH ?".to_owned());
            let Some(expression) = read(&query.text)? else { return Ok(None) };
            filter.values.push(Value::Text(expression));
        }
        if let Some(folders) = &query.folders {
            let marks = vec!["?"; folders.len()].join(", ");
            filter.conditions.push(format!("d.folder IN ({marks})"));
            filter.values.extend(folders.iter().map(|folder| Value::Integer(folder.0)));
        }
        if let Some(kind) = query.kind {
            filter.conditions.push("d.kind = ?".to_owned());
            filter.values.push(Value::Integer(kind as i64));
        }
        Ok(Some(filter))
    }

    fn page(self, connection: &Connection, query: &DocumentQuery) -> rusqlite::Result<Page> {
        let Self { from, conditions, mut values, searches } = self;
        let conditions = conditions.join(" AND ");
        let total = connection
            .prepare_cached(&format!("SELECT count(*) FROM {from} WHERE {conditions}"))?
            .query_row(params_from_iter(&values), |row| row.get(0))?;
        let order = match query.order {
            Order::Relevance if searches => "t.rank, d.id DESC",
            Order::Relevance | Order::Newest => "d.date_secs DESC NULLS LAST, d.id DESC",
            Order::Oldest => "d.date_secs ASC NULLS LAST, d.id ASC",
        };
        values.extend([Value::Integer(query.limit.into()), Value::Integer(query.offset.into())]);
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {HEAD_COLUMNS} FROM {from} WHERE {conditions} ORDER BY {order} LIMIT ? OFFSET ?"
        ))?;
        let heads = statement.query_map(params_from_iter(&values), read_head)?;
        Ok(Page { heads: heads.collect::<Result<_, _>>()?, total })
    }
}

/// The folder a plugin's results go to, named as the plugin names itself.
fn plugin_folder(transaction: &Transaction<'_>, plugin: &PluginId) -> rusqlite::Result<FolderId> {
    let found = transaction
        .query_row("SELECT id FROM folders WHERE plugin = ?1", [plugin.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(FolderId(id));
    }
    let manifest: Option<String> = transaction
        .query_row("SELECT manifest FROM plugins WHERE id = ?1", [plugin.as_str()], |row| {
            row.get(0)
        })
        .optional()?;
    let name = manifest
        .and_then(|text| hearth_base::Manifest::parse(text.as_bytes()).ok())
        .map_or_else(|| plugin.to_string(), |manifest| manifest.name);
    transaction.execute(
        "INSERT INTO folders (name, plugin, created_secs) VALUES (?1, ?2, ?3)",
        params![name, plugin.as_str(), now_secs()],
    )?;
    Ok(FolderId(transaction.last_insert_rowid()))
}

/// The first words of a text on one line.
fn snippet(body: &str) -> String {
    let mut line = String::new();
    // A long word may come first, so only so much of the body is looked at.
    let start: String = body.chars().take(8 * SNIPPET_CHARS).collect();
    for word in start.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(SNIPPET_CHARS) {
        Some((end, _)) => line[..end].to_owned(),
        None => line,
    }
}

pub(crate) fn chars(text: &str) -> i64 {
    text.chars().count() as i64
}

pub(crate) fn plugin_id(text: String) -> rusqlite::Result<PluginId> {
    PluginId::new(text).map_err(|_id| unreadable())
}

pub(crate) fn to_json(
    value: &impl serde::Serialize,
    what: &'static str,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_json| StoreError::BadRow { what })
}

/// The same inside a transaction.
pub(crate) fn to_json_sql(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|_json| unreadable())
}

/// A stored JSON value. Its error says nothing of the content, which serde's may quote.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> rusqlite::Result<T> {
    serde_json::from_str(json).map_err(|_json| unreadable())
}

fn unreadable() -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(0, String::new(), rusqlite::types::Type::Text)
}

#[cfg(test)]
mod tests;
