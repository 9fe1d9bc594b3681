//! What a choice among documents depends on: all of them.

use hearth_base::{DocumentId, FolderId, Label, Origin, Source};
use rusqlite::{params_from_iter, types::Value};

use super::{DocumentKind, from_json};
use crate::{StoreError, Vault};

impl Vault {
    /// The joined label of all documents of these folders, or of those of one kind: the label of any search, sort or
    /// selection among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn label_of(
        &self,
        folders: &[FolderId],
        kind: Option<DocumentKind>,
    ) -> Result<Label, StoreError> {
        let marks = vec!["?"; folders.len()].join(", ");
        let mut values: Vec<Value> =
            folders.iter().map(|folder| Value::Integer(folder.0)).collect();
        let mut condition = format!("folder IN ({marks})");
        if let Some(kind) = kind {
            condition.push_str(" AND kind = ?");
            values.push(Value::Integer(kind as i64));
        }
        self.read("read labels", |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT id, kind, label FROM documents WHERE {condition}"
            ))?;
            let mut rows = statement.query(params_from_iter(&values))?;
            let mut whole = Label::public();
            while let Some(row) = rows.next()? {
                whole.sources.insert(Source::Document(DocumentId(row.get(0)?)));
                let kind: DocumentKind = row.get(1)?;
                match row.get::<_, Option<String>>(2)? {
                    Some(json) => whole.join(&from_json(&json)?),
                    None if kind == DocumentKind::Mail => {
                        whole.origins.insert(Origin::External);
                    }
                    None => {
                        whole.origins.insert(Origin::User);
                    }
                }
            }
            Ok(whole)
        })
    }
}

#[cfg(test)]
mod tests {
    use hearth_base::PluginId;

    use super::*;
    use crate::{DocumentQuery, NewSaved};

    #[test]
    fn the_label_covers_every_document_and_what_it_was_made_from() {
        let vault = Vault::in_memory().unwrap();
        assert_eq!(vault.label_of(&[], None).unwrap(), Label::public());
        let plugin = PluginId::new("org.example.digest").unwrap();
        let from =
            |id| Label { sources: [Source::Document(DocumentId(id))].into(), ..Label::public() };
        let save = |label: Label| {
            let (title, body) = (String::new(), String::new());
            let new = NewSaved { plugin: plugin.clone(), title, body, label };
            vault.save_document(&new).unwrap()
        };
        let first = save(from(1000));
        let external = Label { origins: [Origin::External].into(), ..from(2000) };
        let second = save(external);
        let folder = vault.documents(&DocumentQuery { limit: 1, ..Default::default() }).unwrap();
        let folder = folder.heads[0].folder;
        let label = vault.label_of(&[folder], None).unwrap();
        let documents: Vec<_> = label.documents().collect();
        assert_eq!(documents, [first, second, DocumentId(1000), DocumentId(2000)]);
        assert!(label.origins.contains(&Origin::External));
        assert_eq!(vault.label_of(&[folder], Some(DocumentKind::Mail)).unwrap(), Label::public());
    }
}
