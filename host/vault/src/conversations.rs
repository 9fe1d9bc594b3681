//! Conversations with the model.

use std::fmt;

use hearth_base::{ConversationId, DocumentId, MessageId};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::hidden::Hidden;
use crate::vault::now_secs;
use crate::{StoreError, Vault};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The user.
    User = 0,
    /// The model.
    Assistant = 1,
    /// Hearth itself: that earlier messages did not fit, for one. Never part of a prompt.
    Notice = 2,
}

impl ToSql for Speaker {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for Speaker {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::User),
            1 => Ok(Self::Assistant),
            2 => Ok(Self::Notice),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// What the user thinks of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rating {
    /// Not how it should have been.
    Bad = -1,
    /// Not said.
    #[default]
    None = 0,
    /// As it should be.
    Good = 1,
}

impl ToSql for Rating {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for Rating {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            -1 => Ok(Self::Bad),
            0 => Ok(Self::None),
            1 => Ok(Self::Good),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A conversation without its messages, for lists.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationHead {
    /// Its number; never used again.
    pub id: ConversationId,
    /// Its title.
    pub title: String,
    /// When something was last said, in seconds since 1970.
    pub updated_secs: i64,
    /// How many messages it has.
    pub messages: u64,
}

impl fmt::Debug for ConversationHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConversationHead")
            .field("id", &self.id)
            .field("title", &Hidden(&self.title))
            .field("updated_secs", &self.updated_secs)
            .field("messages", &self.messages)
            .finish()
    }
}

/// A message of a conversation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatTurn {
    /// Its number; grows within a conversation and is never used again.
    pub id: MessageId,
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said.
    pub text: String,
    /// When, in seconds since 1970.
    pub at_secs: i64,
    /// Documents given along with it, those deleted since left out.
    pub attached: Vec<DocumentId>,
    /// Name of the model that answered; empty for the user.
    pub model: String,
    /// Whether the answer was stopped before its end.
    pub stopped: bool,
    /// What the user thinks of it.
    #[serde(default)]
    pub rating: Rating,
}

impl fmt::Debug for ChatTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTurn")
            .field("id", &self.id)
            .field("speaker", &self.speaker)
            .field("text", &Hidden(&self.text))
            .field("at_secs", &self.at_secs)
            .field("attached", &self.attached)
            .field("model", &Hidden(&self.model))
            .field("stopped", &self.stopped)
            .field("rating", &self.rating)
            .finish()
    }
}

/// A message to add.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTurn {
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said so far.
    pub text: String,
    /// Documents given along with it.
    pub attached: Vec<DocumentId>,
    /// Name of the model that answers; empty for the user.
    pub model: String,
    /// Whether the answer was stopped before its end.
    pub stopped: bool,
}

impl fmt::Debug for NewTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewTurn")
            .field("speaker", &self.speaker)
            .field("text", &Hidden(&self.text))
            .field("attached", &self.attached)
            .field("model", &Hidden(&self.model))
            .field("stopped", &self.stopped)
            .finish()
    }
}

impl Vault {
    /// All conversations, the last used first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conversations(&self) -> Result<Vec<ConversationHead>, StoreError> {
        self.read("list conversations", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, title, updated_secs, (SELECT count(*) FROM turns WHERE conversation = c.id)
                 FROM conversations c ORDER BY updated_secs DESC, id DESC",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(ConversationHead {
                    id: ConversationId(row.get(0)?),
                    title: row.get(1)?,
                    updated_secs: row.get(2)?,
                    messages: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Starts a conversation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn new_conversation(&self, title: &str) -> Result<ConversationId, StoreError> {
        self.write("start a conversation", |transaction| {
            transaction.execute(
                "INSERT INTO conversations (title, updated_secs) VALUES (?1, ?2)",
                params![title, now_secs()],
            )?;
            Ok(ConversationId(transaction.last_insert_rowid()))
        })
    }

    /// Gives a conversation another title.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is none.
    pub fn rename_conversation(&self, id: ConversationId, title: &str) -> Result<(), StoreError> {
        let changed = self.write("rename a conversation", |transaction| {
            transaction
                .execute("UPDATE conversations SET title = ?2 WHERE id = ?1", params![id.0, title])
        })?;
        found(changed, "conversation")
    }

    /// Deletes a conversation with all that was said; the bytes are overwritten in the database.
    ///
    /// # Errors
    /// [`StoreError`]. A conversation that is not there is no error.
    pub fn delete_conversation(&self, id: ConversationId) -> Result<(), StoreError> {
        self.write("delete a conversation", |transaction| {
            transaction.execute("DELETE FROM conversations WHERE id = ?1", [id.0]).map(|_rows| ())
        })
    }

    /// What was said, in order.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such conversation.
    pub fn turns(&self, id: ConversationId) -> Result<Vec<ChatTurn>, StoreError> {
        self.read("read a conversation", |connection| {
            if !exists(connection, id)? {
                return Ok(None);
            }
            read_turns(connection, id).map(Some)
        })?
        .ok_or(StoreError::NotFound { what: "conversation" })
    }

    /// Adds what is said.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such conversation, or an attached document is gone.
    pub fn add_turn(&self, id: ConversationId, turn: &NewTurn) -> Result<MessageId, StoreError> {
        self.write("add a message", |transaction| {
            if !exists(transaction, id)? {
                return Ok(Err(StoreError::NotFound { what: "conversation" }));
            }
            for document in &turn.attached {
                if !document_exists(transaction, *document)? {
                    return Ok(Err(StoreError::NotFound { what: "document" }));
                }
            }
            insert_turn(transaction, id, turn).map(Ok)
        })?
    }

    /// Replaces a message's text: an answer is saved as it grows.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such message.
    pub fn update_turn(&self, id: MessageId, text: &str, stopped: bool) -> Result<(), StoreError> {
        let changed = self.write("update a message", |transaction| {
            transaction.execute(
                "UPDATE turns SET text = ?2, stopped = ?3 WHERE id = ?1",
                params![id.0, text, stopped],
            )
        })?;
        found(changed, "message")
    }

    /// Writes down what the user thinks of an answer.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such answer.
    pub fn rate_turn(&self, id: MessageId, rating: Rating) -> Result<(), StoreError> {
        let changed = self.write("rate an answer", |transaction| {
            transaction.execute(
                "UPDATE turns SET rating = ?2 WHERE id = ?1 AND speaker = ?3",
                params![id.0, rating, Speaker::Assistant],
            )
        })?;
        found(changed, "answer")
    }

    /// Conversations with an answer that the user found good, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rated_conversations(&self) -> Result<Vec<ConversationId>, StoreError> {
        self.read("list rated conversations", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT DISTINCT conversation FROM turns WHERE rating = 1 ORDER BY conversation",
            )?;
            let rows = statement.query_map([], |row| row.get(0).map(ConversationId))?;
            rows.collect()
        })
    }

    /// Deletes a message and all after it in its conversation, to say or answer it anew.
    ///
    /// # Errors
    /// [`StoreError`]. A message that is not there is no error.
    pub fn delete_turns_from(&self, id: MessageId) -> Result<(), StoreError> {
        self.write("delete messages", |transaction| {
            transaction
                .execute(
                    "DELETE FROM turns WHERE id >= ?1
                     AND conversation = (SELECT conversation FROM turns WHERE id = ?1)",
                    [id.0],
                )
                .map(|_rows| ())
        })
    }
}

fn insert_turn(
    transaction: &Transaction<'_>,
    id: ConversationId,
    turn: &NewTurn,
) -> rusqlite::Result<MessageId> {
    let now = now_secs();
    transaction.execute(
        "INSERT INTO turns (conversation, speaker, at_secs, stopped, model, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id.0, turn.speaker, now, turn.stopped, turn.model, turn.text],
    )?;
    let message = transaction.last_insert_rowid();
    for (position, document) in turn.attached.iter().enumerate() {
        transaction.execute(
            "INSERT INTO turn_documents (turn, position, document) VALUES (?1, ?2, ?3)",
            params![message, position as i64, document.0],
        )?;
    }
    transaction
        .execute("UPDATE conversations SET updated_secs = ?2 WHERE id = ?1", params![id.0, now])?;
    Ok(MessageId(message))
}

fn read_turns(connection: &Connection, id: ConversationId) -> rusqlite::Result<Vec<ChatTurn>> {
    let mut attached = connection
        .prepare_cached("SELECT document FROM turn_documents WHERE turn = ?1 ORDER BY position")?;
    let mut statement = connection.prepare_cached(
        "SELECT id, speaker, text, at_secs, model, stopped, rating FROM turns WHERE conversation = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([id.0], |row| {
        Ok(ChatTurn {
            id: MessageId(row.get(0)?),
            speaker: row.get(1)?,
            text: row.get(2)?,
            at_secs: row.get(3)?,
            model: row.get(4)?,
            stopped: row.get(5)?,
            rating: row.get(6)?,
            attached: Vec::new(),
        })
    })?;
    rows.map(|turn| {
        let mut turn = turn?;
        let documents = attached.query_map([turn.id.0], |row| row.get(0).map(DocumentId))?;
        turn.attached = documents.collect::<Result<_, _>>()?;
        Ok(turn)
    })
    .collect()
}

fn exists(connection: &Connection, id: ConversationId) -> rusqlite::Result<bool> {
    connection
        .query_row("SELECT 1 FROM conversations WHERE id = ?1", [id.0], |_row| Ok(()))
        .optional()
        .map(|row| row.is_some())
}

fn document_exists(connection: &Connection, id: DocumentId) -> rusqlite::Result<bool> {
    connection
        .query_row("SELECT 1 FROM documents WHERE id = ?1", [id.0], |_row| Ok(()))
        .optional()
        .map(|row| row.is_some())
}

fn found(changed: usize, what: &'static str) -> Result<(), StoreError> {
    if changed == 0 { Err(StoreError::NotFound { what }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
