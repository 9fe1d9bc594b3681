//! Documents by what they are rather than by the page: for work that goes through all of them, one at a time.

use std::fmt;

use hearth_base::{DocumentId, FolderId, Label};
use rusqlite::{OptionalExtension, params, params_from_iter, types::Value};
use serde::{Deserialize, Serialize};

use super::{DocumentKind, label_of, search};
use crate::hidden::Hidden;
use crate::{StoreError, Vault};

/// Which documents; all of the conditions hold.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DocumentSelection {
    /// Only these folders; `None` is all of them, an empty list none.
    pub folders: Option<Vec<FolderId>>,
    /// Only these kinds; `None` is all of them, an empty list none.
    pub kinds: Option<Vec<DocumentKind>>,
    /// Only from this moment on, in seconds since 1970; documents without a date are then left out.
    pub since_secs: Option<i64>,
    /// Only before this moment; documents without a date are then left out.
    pub until_secs: Option<i64>,
    /// Words that all occur, as in a search; empty matches all.
    pub text: String,
}

impl fmt::Debug for DocumentSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentSelection")
            .field("folders", &self.folders)
            .field("kinds", &self.kinds)
            .field("since_secs", &self.since_secs)
            .field("until_secs", &self.until_secs)
            .field("text", &Hidden(&self.text))
            .finish()
    }
}

impl Vault {
    /// Numbers of the documents that match, in the order in which they came into the vault.
    ///
    /// # Errors
    /// [`StoreError`]; `SearchTooLong` where the text is more than a search looks for.
    pub fn select_documents(
        &self,
        selection: &DocumentSelection,
    ) -> Result<Vec<DocumentId>, StoreError> {
        let mut conditions = vec!["1".to_owned()];
        let mut values: Vec<Value> = Vec::new();
        if !selection.text.trim().is_empty() {
            let Some(expression) = search::expression(&selection.text)? else {
                return Ok(Vec::new());
            };
            conditions.push(
                "id IN (SELECT rowid FROM documents_text WHERE documents_text MATCH ?)".into(),
            );
            values.push(Value::Text(expression));
        }
        let folders = selection.folders.as_ref().map(|some| some.iter().map(|f| f.0).collect());
        let kinds = selection.kinds.as_ref().map(|some| some.iter().map(|k| *k as i64).collect());
        let lists: [(&str, Option<Vec<i64>>); 2] = [("folder", folders), ("kind", kinds)];
        for (column, list) in lists {
            let Some(list) = list else { continue };
            conditions.push(format!("{column} IN ({})", vec!["?"; list.len()].join(", ")));
            values.extend(list.into_iter().map(Value::Integer));
        }
        for (comparison, secs) in
            [("date_secs >= ?", selection.since_secs), ("date_secs < ?", selection.until_secs)]
        {
            let Some(secs) = secs else { continue };
            conditions.push(comparison.to_owned());
            values.push(Value::Integer(secs));
        }
        let conditions = conditions.join(" AND ");
        self.read("select documents", |connection| {
            let mut statement = connection
                .prepare(&format!("SELECT id FROM documents WHERE {conditions} ORDER BY id"))?;
            let rows =
                statement.query_map(params_from_iter(&values), |row| row.get(0).map(DocumentId))?;
            rows.collect()
        })
    }

    /// The label of one document, as [`Vault::document`] gives it; `None` where it is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn label_of_document(&self, id: DocumentId) -> Result<Option<Label>, StoreError> {
        self.read("read a label", |connection| {
            connection
                .prepare_cached("SELECT kind, label FROM documents WHERE id = ?1")?
                .query_row([id.0], |row| {
                    label_of(id, row.get(0)?, row.get::<_, Option<String>>(1)?.as_deref())
                })
                .optional()
        })
    }

    /// Who wrote the mail in the vault, those with the most of it first, and how much.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn mail_authors(&self, limit: u32) -> Result<Vec<(String, u64)>, StoreError> {
        self.read("list authors", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT author, count(*) FROM documents WHERE kind = ?1 AND author <> ''
                 GROUP BY author ORDER BY 2 DESC, 1 LIMIT ?2",
            )?;
            let rows = statement.query_map(params![DocumentKind::Mail, limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect()
        })
    }

    /// The message that claims a message-id, written without angle brackets. Anyone can claim one; of several the
    /// first that came is given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn document_of_message(&self, message_id: &str) -> Result<Option<DocumentId>, StoreError> {
        self.read("find a message", |connection| {
            connection
                .prepare_cached(
                    "SELECT id FROM documents WHERE message_id = ?1 ORDER BY id LIMIT 1",
                )?
                .query_row([message_id], |row| row.get(0).map(DocumentId))
                .optional()
        })
    }

    /// The first bytes of a message as it was imported: its header, without the attachments after it. Empty for
    /// whatever is no message.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn raw_start(&self, id: DocumentId, bytes: u32) -> Result<Vec<u8>, StoreError> {
        self.read("read a message's header", |connection| {
            let found = connection
                .prepare_cached("SELECT substr(bytes, 1, ?2) FROM originals WHERE document = ?1")?
                .query_row([id.0, i64::from(bytes)], |row| row.get(0))
                .optional()?;
            Ok(found.unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    #[test]
    fn documents_are_selected_by_folder_kind_date_and_words() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = temp.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mail = |day: u32| {
            format!(
                "From: a@example.com\nSubject: Day {day}\nMessage-ID: <d{day}@example.com>\n\
                 Date: Mon, {day} Jan 2026 12:00:00 +0000\n\nIt is day {day}."
            )
        };
        let vault = Vault::in_memory().unwrap();
        for (path, folder) in [
            (write("five.eml", &mail(5)), "a"),
            (write("six.eml", &mail(6)), "b"),
            (write("n.md", "A day at sea."), "a"),
        ] {
            vault.import(&path, Some(folder), &mut |_| ControlFlow::Continue(())).unwrap();
        }
        let all = vault.select_documents(&DocumentSelection::default()).unwrap();
        let [five, six, note] = all[..] else { panic!("{all:?}") };
        let select = |selection: DocumentSelection| vault.select_documents(&selection).unwrap();
        let noon = 1_767_614_400;
        assert_eq!(vault.document(five).unwrap().unwrap().head.date_secs, Some(noon));
        let only = DocumentSelection::default;
        assert_eq!(select(DocumentSelection { since_secs: Some(noon + 1), ..only() })[0], six);
        assert_eq!(select(DocumentSelection { until_secs: Some(noon + 1), ..only() }), [five]);
        let kinds = Some(vec![DocumentKind::Note, DocumentKind::Code]);
        assert_eq!(select(DocumentSelection { kinds, ..only() }), [note]);
        assert_eq!(select(DocumentSelection { text: "day".into(), ..only() }), all);
        assert_eq!(select(DocumentSelection { text: "sea ".into(), ..only() }), [note]);
        assert!(select(DocumentSelection { text: "\"".into(), ..only() }).is_empty());
        assert!(select(DocumentSelection { kinds: Some(vec![]), ..only() }).is_empty());
        let folder = vault.document(six).unwrap().unwrap().head.folder;
        assert_eq!(select(DocumentSelection { folders: Some(vec![folder]), ..only() }), [six]);

        let whole = vault.document(six).unwrap().unwrap();
        assert_eq!(vault.label_of_document(six).unwrap(), Some(whole.label));
        assert_eq!(vault.label_of_document(DocumentId(99)).unwrap(), None);
        assert_eq!(vault.mail_authors(5).unwrap(), [("a@example.com".to_owned(), 2)]);
        assert_eq!(vault.document_of_message("d6@example.com").unwrap(), Some(six));
        assert_eq!(vault.document_of_message("d7@example.com").unwrap(), None);
        assert_eq!(vault.raw_start(six, 5).unwrap(), b"From:");
        assert_eq!(vault.raw_start(note, 5).unwrap(), b"");
    }
}
