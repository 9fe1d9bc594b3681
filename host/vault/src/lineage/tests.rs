use std::ops::ControlFlow;

use hearth_base::{FolderId, PluginId};

use super::*;
use crate::{DocumentQuery, NewSaved};

/// A vault, and a folder to import files from.
struct Room {
    vault: Vault,
    files: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self { vault: Vault::in_memory().unwrap(), files: tempfile::tempdir().unwrap() }
    }

    /// Imports a file, as one of that folder, and gives the newest document.
    fn import(&self, name: &str, text: &str, folder: &str) -> DocumentId {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        self.vault.import(&path, Some(folder), &mut |_| ControlFlow::Continue(())).unwrap();
        std::fs::remove_file(path).unwrap();
        self.newest()
    }

    fn newest(&self) -> DocumentId {
        let newest = "SELECT max(id) FROM documents";
        let id = self.vault.read("find", |c| c.query_row(newest, [], |row| row.get(0)));
        DocumentId(id.unwrap())
    }

    fn save(&self, body: &str, label: Label) -> DocumentId {
        let plugin = PluginId::new("org.example.digest").unwrap();
        let new = NewSaved { plugin, title: "A title".into(), body: body.into(), label };
        self.vault.save_document(&new).unwrap()
    }

    fn of(&self, ids: &[DocumentId]) -> Sources {
        self.vault.sources_of(&label(ids)).unwrap()
    }

    fn delete_all(&self) {
        let page = self.vault.documents(&DocumentQuery::default()).unwrap();
        let folders: BTreeSet<FolderId> = page.heads.iter().map(|head| head.folder).collect();
        for folder in folders {
            self.vault.delete_folder(folder).unwrap();
        }
    }
}

fn label(ids: &[DocumentId]) -> Label {
    Label { sources: ids.iter().map(|id| Source::Document(*id)).collect(), ..Label::public() }
}

const MAIL: &str = "From: a@example.com\nSubject: Tuesday\nMessage-ID: <1@x>\n\nMy PIN is 4711.\n";

#[test]
fn what_is_deleted_and_imported_again_is_the_same_source() {
    let room = Room::new();
    let first = room.import("one.eml", MAIL, "Inbox");
    let before = room.of(&[first]);
    assert_eq!(before.len(), 1);
    room.vault.delete_document(first).unwrap();
    assert_eq!(room.of(&[first]), before, "it outlives the document");
    let again = room.import("two.eml", MAIL, "Other");
    assert_ne!(again, first);
    assert_eq!(room.of(&[again]), before);
    // A note under another name, and with other space around it.
    let note = room.import("pin.md", "  My PIN is 4711.\n\n", "Notes");
    assert_eq!(room.of(&[note]), before);
    let other = room.import("other.md", "Another text", "Notes");
    assert_ne!(room.of(&[other]), before);
}

#[test]
fn empty_texts_are_told_apart_by_title() {
    let room = Room::new();
    let empty = |subject: &str| format!("From: a@example.com\nSubject: {subject}\n\n \n");
    let one = room.import("a.eml", &empty("one"), "Inbox");
    let two = room.import("b.eml", &empty("two"), "Inbox");
    assert_ne!(room.of(&[one]), room.of(&[two]));
}

#[test]
fn a_saved_text_leads_to_its_originals_even_when_all_are_gone() {
    let room = Room::new();
    let mail = room.import("one.eml", MAIL, "Inbox");
    let original = room.of(&[mail]);
    let mut made = label(&[mail]);
    made.sources.extend([Source::UserInput, Source::PrivateModel("mine".into())]);
    let summary = room.save("It is about a PIN.", made);
    let digest = room.save("A digest of summaries.", label(&[summary]));
    let all = room.of(&[digest]);
    assert!(all.is_superset(&original));
    assert!(all.contains("user input") && all.contains("model mine"));
    assert_eq!(all.len(), 5);
    room.delete_all();
    assert_eq!(room.of(&[digest]), all);
    // As a file of the user's own it leads there still, and so does what is made of that.
    let back = room.import("exported.md", "A digest of summaries.\n", "Notes");
    assert_eq!(room.of(&[back]), all);
    let more = room.save("More.", label(&[back]));
    assert!(room.of(&[more]).is_superset(&all));
}

#[test]
fn a_file_that_changed_leads_to_what_it_held() {
    let room = Room::new();
    let path = room.files.path().join("diary.md");
    let import = |text: &str| {
        std::fs::write(&path, text).unwrap();
        room.vault.import(&path, Some("Notes"), &mut |_| ControlFlow::Continue(())).unwrap();
        room.newest()
    };
    let id = import("The first day");
    let first = room.of(&[id]);
    assert_eq!(import("The second day"), id);
    let second = room.of(&[id]);
    assert!(second.is_superset(&first) && second.len() == 2);
    // Back and forth comes to an end.
    assert_eq!(import("The first day"), id);
    assert_eq!(room.of(&[id]), second);
    import("The first day");
    assert_eq!(room.of(&[id]), second);
}

#[test]
fn many_that_were_made_from_the_same_share_one_set() {
    let room = Room::new();
    let mails: Vec<DocumentId> =
        (0..20).map(|n| room.import("m.md", &format!("Text {n}"), &n.to_string())).collect();
    for n in 0..20 {
        room.save(&format!("Summary {n}"), label(&mails));
    }
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        room.vault.read("count", |c| c.query_row(&sql, [], |row| row.get(0))).unwrap()
    };
    assert_eq!((count("lineage_kin"), count("lineage_members")), (1, 20));
    assert_eq!((count("lineage_descent"), count("lineage")), (20, 40));
}

#[test]
fn other_sources_have_names_of_their_own() {
    let room = Room::new();
    let mut label = label(&[DocumentId(99)]);
    label.sources.insert(Source::UserInput);
    label.sources.insert(Source::PrivateModel("user input".into()));
    let names = Vec::from_iter(room.vault.sources_of(&label).unwrap());
    assert_eq!(names, ["document 99", "model user input", "user input"]);
    assert!(room.vault.sources_of(&Label::public()).unwrap().is_empty());
}

#[test]
fn documents_that_were_there_before_are_noted() {
    let room = Room::new();
    // Saved first, so that its label names a document of a higher number.
    let summary = room.save("Summary", label(&[DocumentId(2)]));
    let mail = room.import("one.eml", MAIL, "Inbox");
    assert_eq!(mail, DocumentId(2));
    let after = room.of(&[mail]);
    room.vault
        .write("go back", |transaction| {
            transaction.execute_batch(
                "DELETE FROM lineage; DELETE FROM lineage_descent; DELETE FROM lineage_members;
                 DELETE FROM lineage_kin;",
            )?;
            note_all(transaction)
        })
        .unwrap();
    assert_eq!(room.of(&[mail]), after);
    let of_summary = room.of(&[summary]);
    assert!(of_summary.is_superset(&after) && of_summary.len() == 2);
}

#[test]
fn titles_are_those_of_documents_that_are_there() {
    let room = Room::new();
    let mail = room.import("one.eml", MAIL, "Inbox");
    let titles = room.vault.titles(&[mail, DocumentId(77)]).unwrap();
    assert_eq!(titles, [(mail, "Tuesday".to_owned())].into());
}
