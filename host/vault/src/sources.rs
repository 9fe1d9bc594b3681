//! What runs and adapters learnt from, and whether it is still there.

use std::collections::BTreeSet;

use hearth_base::{ConversationId, DocumentId, ExampleTextId, Label, Source};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

/// Something of the vault that a run learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LearntFrom {
    /// A document.
    Document(DocumentId),
    /// A conversation.
    Conversation(ConversationId),
    /// A file of examples.
    Examples(ExampleTextId),
}

impl LearntFrom {
    fn row(self) -> (i64, i64) {
        match self {
            Self::Document(id) => (0, id.0),
            Self::Conversation(id) => (1, id.0),
            Self::Examples(id) => (2, id.0),
        }
    }

    fn of(kind: i64, item: i64) -> rusqlite::Result<Self> {
        match kind {
            0 => Ok(Self::Document(DocumentId(item))),
            1 => Ok(Self::Conversation(ConversationId(item))),
            2 => Ok(Self::Examples(ExampleTextId(item))),
            other => Err(rusqlite::Error::IntegralValueOutOfRange(0, other)),
        }
    }
}

/// What became of a source since it was learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceChange {
    /// Nothing.
    None = 0,
    /// It reads otherwise now.
    Changed = 1,
    /// It was deleted.
    Gone = 2,
}

impl FromSql for SourceChange {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::None),
            1 => Ok(Self::Changed),
            2 => Ok(Self::Gone),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// How many sources there are, how many of them changed and how many are gone.
pub(crate) struct Counts {
    pub(crate) sources: u64,
    pub(crate) changed: u64,
    pub(crate) gone: u64,
}

/// Whose sources: the table and its first column.
#[derive(Clone, Copy)]
pub(crate) enum Owner {
    Run(i64),
    Adapter(i64),
    Model(i64),
}

impl Owner {
    fn table(self) -> (&'static str, &'static str, i64) {
        match self {
            Self::Run(id) => ("run_sources", "run", id),
            Self::Adapter(id) => ("adapter_sources", "adapter", id),
            Self::Model(id) => ("model_sources", "model", id),
        }
    }
}

/// Everything a label and a list name between them.
pub(crate) fn all_of(label: &Label, learnt_from: &[LearntFrom]) -> BTreeSet<LearntFrom> {
    label.documents().map(LearntFrom::Document).chain(learnt_from.iter().copied()).collect()
}

/// A label without its documents, which are kept as sources.
pub(crate) fn without_documents(label: &Label) -> Label {
    let sources = label.sources.iter().filter(|source| !matches!(source, Source::Document(_)));
    Label { sources: sources.cloned().collect(), origins: label.origins.clone() }
}

/// Writes down sources. One that is gone already is written down as gone: it may have been deleted meanwhile.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    owner: Owner,
    sources: &BTreeSet<LearntFrom>,
) -> rusqlite::Result<()> {
    let (table, column, id) = owner.table();
    let mut statements = Vec::with_capacity(3);
    for kept_in in ["documents", "conversations", "example_texts"] {
        statements.push(transaction.prepare_cached(&format!(
            "INSERT INTO {table} ({column}, kind, item, change) VALUES (?1, ?2, ?3,
             iif(EXISTS (SELECT 1 FROM {kept_in} WHERE id = ?3), 0, 2))"
        ))?);
    }
    for source in sources {
        let (kind, item) = source.row();
        statements[kind as usize].execute(params![id, kind, item])?;
    }
    Ok(())
}

/// What the run's sources went through goes for the adapter that came of it, too.
pub(crate) fn inherit(
    transaction: &Transaction<'_>,
    run: i64,
    adapter: i64,
) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT INTO adapter_sources (adapter, kind, item, change)
             SELECT ?2, kind, item, change FROM run_sources WHERE run = ?1
             ON CONFLICT DO UPDATE SET change = max(change, excluded.change)",
            params![run, adapter],
        )
        .map(|_rows| ())
}

/// What went into an adapter, and into the model it is put into, is in the model that comes of both.
pub(crate) fn merge(
    transaction: &Transaction<'_>,
    (adapter, base): (i64, Option<i64>),
    model: i64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO model_sources (model, kind, item, change)
         SELECT ?1, kind, item, max(change) FROM (
             SELECT kind, item, change FROM adapter_sources WHERE adapter = ?2
             UNION ALL SELECT kind, item, change FROM model_sources WHERE model = ?3)
         WHERE true GROUP BY kind, item
         ON CONFLICT DO UPDATE SET change = max(change, excluded.change)",
        params![model, adapter, base],
    )?;
    Ok(())
}

pub(crate) fn list(
    connection: &Connection,
    owner: Owner,
) -> rusqlite::Result<Vec<(LearntFrom, SourceChange)>> {
    let (table, column, id) = owner.table();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT kind, item, change FROM {table} WHERE {column} = ?1 ORDER BY kind, item"
    ))?;
    let rows = statement
        .query_map([id], |row| Ok((LearntFrom::of(row.get(0)?, row.get(1)?)?, row.get(2)?)))?;
    rows.collect()
}

pub(crate) fn counts(connection: &Connection, owner: Owner) -> rusqlite::Result<Counts> {
    let (table, column, id) = owner.table();
    connection
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(change = 1), 0), coalesce(sum(change = 2), 0)
             FROM {table} WHERE {column} = ?1"
        ))?
        .query_row([id], |row| {
            Ok(Counts { sources: row.get(0)?, changed: row.get(1)?, gone: row.get(2)? })
        })
}

/// Owners of a source, by number.
pub(crate) fn adapters_of(
    connection: &Connection,
    source: LearntFrom,
) -> rusqlite::Result<Vec<i64>> {
    let (kind, item) = source.row();
    let mut statement = connection.prepare_cached(
        "SELECT adapter FROM adapter_sources WHERE kind = ?1 AND item = ?2 ORDER BY adapter",
    )?;
    let rows = statement.query_map([kind, item], |row| row.get(0))?;
    rows.collect()
}
