//! Conversations with the model.

use std::fmt;

use hearth_base::{ConversationId, DocumentId, Label, MessageId, PluginId};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::documents::{from_json, plugin_id, to_json};
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
    /// A plugin's tool that the model called, with what came of it in [`ChatTurn::call`].
    Tool = 3,
}

impl ToSql for Speaker {
    /// A call stands as a notice; a row of its own tells the rest.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let stored = if *self == Self::Tool { Self::Notice } else { *self };
        Ok((stored as i64).into())
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

/// What came of a tool's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    /// The plugin showed something, which is the turn's text.
    Done = 0,
    /// The user did not allow it: nothing ran.
    Refused = 1,
    /// It failed; the turn's text says why.
    Failed = 2,
}

impl FromSql for CallState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Done),
            1 => Ok(Self::Refused),
            2 => Ok(Self::Failed),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A plugin's tool that the model called in a conversation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Whose tool; it may be gone by now.
    pub plugin: PluginId,
    /// The plugin's name then.
    pub plugin_name: String,
    /// The command of its manifest.
    pub command: String,
    /// The command's title then.
    pub title: String,
    /// The words that the model gave it.
    pub input: Option<String>,
    /// The document that it worked on.
    pub document: Option<DocumentId>,
    /// What came of it.
    pub state: CallState,
    /// What the result was made from, in words.
    pub made_from: String,
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall")
            .field("plugin", &self.plugin)
            .field("command", &self.command)
            .field("input", &self.input.as_deref().map(Hidden))
            .field("document", &self.document)
            .field("state", &self.state)
            .finish_non_exhaustive()
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
    /// The call that it tells of.
    #[serde(default)]
    pub call: Option<Box<ToolCall>>,
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
            .field("call", &self.call)
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

    /// Adds a call of a tool, with its result as the message's text.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such conversation.
    pub fn add_call(
        &self,
        id: ConversationId,
        call: &ToolCall,
        result: &str,
    ) -> Result<MessageId, StoreError> {
        let turn = NewTurn {
            speaker: Speaker::Tool,
            text: result.to_owned(),
            attached: Vec::new(),
            model: String::new(),
            stopped: false,
        };
        self.write("add a call", |transaction| {
            if !exists(transaction, id)? {
                return Ok(Err(StoreError::NotFound { what: "conversation" }));
            }
            let message = insert_turn(transaction, id, &turn)?;
            transaction.execute(
                "INSERT INTO turn_calls
                 (turn, plugin, plugin_name, command, title, input, document, state, made_from)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    message.0,
                    call.plugin.as_str(),
                    call.plugin_name,
                    call.command,
                    call.title,
                    call.input,
                    call.document.map(|document| document.0),
                    call.state as i64,
                    call.made_from,
                ],
            )?;
            Ok(Ok(message))
        })?
    }

    /// What all that was said in a conversation depends on besides the documents attached to it now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conversation_label(&self, id: ConversationId) -> Result<Label, StoreError> {
        self.read("read a conversation's label", |connection| read_label(connection, id))
    }

    /// Adds to what a conversation depends on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such conversation.
    pub fn join_conversation_label(
        &self,
        id: ConversationId,
        more: &Label,
    ) -> Result<Label, StoreError> {
        self.write("add to a conversation's label", |transaction| {
            if !exists(transaction, id)? {
                return Ok(Err(StoreError::NotFound { what: "conversation" }));
            }
            let mut label = read_label(transaction, id)?;
            label.join(more);
            let json = match to_json(&label, "label") {
                Ok(json) => json,
                Err(error) => return Ok(Err(error)),
            };
            transaction.execute(
                "INSERT INTO conversation_labels (conversation, label) VALUES (?1, ?2)
                 ON CONFLICT (conversation) DO UPDATE SET label = excluded.label",
                params![id.0, json],
            )?;
            Ok(Ok(label))
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
        "SELECT id, speaker, text, at_secs, model, stopped, rating,
                c.plugin, c.plugin_name, c.command, c.title, c.input, c.document, c.state, c.made_from
         FROM turns LEFT JOIN turn_calls c ON c.turn = id WHERE conversation = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([id.0], |row| {
        let call = read_call(row)?;
        Ok(ChatTurn {
            id: MessageId(row.get(0)?),
            speaker: if call.is_some() { Speaker::Tool } else { row.get(1)? },
            text: row.get(2)?,
            at_secs: row.get(3)?,
            model: row.get(4)?,
            stopped: row.get(5)?,
            rating: row.get(6)?,
            attached: Vec::new(),
            call,
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

fn read_call(row: &Row<'_>) -> rusqlite::Result<Option<Box<ToolCall>>> {
    let Some(plugin) = row.get::<_, Option<String>>(7)? else { return Ok(None) };
    Ok(Some(Box::new(ToolCall {
        plugin: plugin_id(plugin)?,
        plugin_name: row.get(8)?,
        command: row.get(9)?,
        title: row.get(10)?,
        input: row.get(11)?,
        document: row.get::<_, Option<i64>>(12)?.map(DocumentId),
        state: row.get(13)?,
        made_from: row.get(14)?,
    })))
}

fn read_label(connection: &Connection, id: ConversationId) -> rusqlite::Result<Label> {
    let json: Option<String> = connection
        .query_row("SELECT label FROM conversation_labels WHERE conversation = ?1", [id.0], |row| {
            row.get(0)
        })
        .optional()?;
    json.map_or_else(|| Ok(Label::public()), |json| from_json(&json))
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
