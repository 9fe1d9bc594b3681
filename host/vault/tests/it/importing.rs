//! Imports from outside: what is found, what is left out and why, and what happens the second time.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use hearth_vault::{
    Document, DocumentKind, DocumentQuery, ImportEntry, ImportError, ImportReport, ImportState,
    Order, Vault,
};

use crate::demo;

fn import(vault: &Vault, path: &Path) -> (ImportReport, Vec<ImportEntry>) {
    let mut entries = Vec::new();
    let report = vault
        .import(path, None, &mut |progress| {
            assert!(progress.done_bytes <= progress.total_bytes);
            entries.push(progress.entry.clone());
            ControlFlow::Continue(())
        })
        .unwrap();
    (report, entries)
}

fn find(vault: &Vault, text: &str) -> Vec<Document> {
    let query = DocumentQuery { text: text.into(), order: Order::Oldest, ..Default::default() };
    let heads = vault.documents(&query).unwrap().heads;
    heads.into_iter().map(|head| vault.document(head.id).unwrap().unwrap()).collect()
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_demo_is_imported_whole() {
    let vault = Vault::in_memory().unwrap();
    let (mail, entries) = import(&vault, &demo().join("mail"));
    assert_eq!((mail.done, mail.skipped, mail.failed), (66, 0, 0));
    assert_eq!(vault.import_log(mail.folder.unwrap()).unwrap(), entries);
    let (notes, _) = import(&vault, &demo().join("notes"));
    assert_eq!(notes.done, 8);
    let (code, _) = import(&vault, &demo().join("code"));
    assert_eq!(code.done, 5);
    let folders = vault.folders().unwrap();
    let kinds: Vec<_> = folders.iter().map(|f| (f.name.as_str(), f.kind)).collect();
    assert_eq!(
        kinds,
        [("code", DocumentKind::Code), ("mail", DocumentKind::Mail), ("notes", DocumentKind::Note)]
    );

    assert_eq!(find(&vault, "gesperrte brücke")[0].head.title, "Gesperrte Brücke – Umleitung");
    assert_eq!(find(&vault, "Åkesson")[0].body.matches("vevarm").count(), 1);
    let shanty = &find(&vault, "shanty candlemas")[0];
    assert!(shanty.body.contains("\nFrom haven to haven"), "{}", shanty.body);
    assert!(shanty.body.contains("\n>From the quay"), "{}", shanty.body);
    let boathouse = &find(&vault, "boathouse harbour master")[0];
    assert_eq!(boathouse.body.matches("Forwarded message").count(), 2);
    let concert = &find(&vault, "Singers meet at 17:45 for the warm")[0];
    assert_eq!(concert.attachments[0].name, "summer-concert.ics");
    let undated = &find(&vault, "old phone does not know")[0];
    assert!(undated.head.date_secs.is_some(), "the mailbox gives the date");
    let newsletter = &find(&vault, "tubeless stubborn")[0];
    assert!(newsletter.body.contains("compressor"));
    assert!(!newsletter.body.contains("<p>") && !newsletter.body.contains("font-family"));
    assert_eq!(find(&vault, "keys under the anvil")[0].body, "");
}

#[test]
fn a_second_import_adds_nothing() {
    let vault = Vault::in_memory().unwrap();
    import(&vault, &demo());
    let (again, entries) = import(&vault, &demo());
    assert_eq!((again.done, again.failed), (0, 0));
    assert!(again.folder.is_some());
    assert!(entries.iter().all(|entry| entry.reason.is_some()));
    // The same mail under another name, too; and then no folder is left behind.
    let report = vault
        .import(&demo().join("mail/inbox.mbox"), Some("again"), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!((report.done, report.skipped, report.folder), (0, 51, None));
    assert_eq!(vault.folders().unwrap().len(), 1);
}

#[test]
fn one_message_id_with_two_texts_is_two_messages() {
    let temp = tempfile::tempdir().unwrap();
    let mail = |body: &str, end: &str| {
        format!("From: a@example.com{end}Subject: s{end}Message-ID: <1@x>{end}{end}{body}{end}")
    };
    write(&temp.path().join("1.eml"), mail("one", "\n"));
    write(&temp.path().join("2.eml"), mail("two", "\n"));
    write(&temp.path().join("3.eml"), mail("one", "\r\n"));
    let vault = Vault::in_memory().unwrap();
    let (report, entries) = import(&vault, temp.path());
    assert_eq!((report.done, report.skipped), (2, 1));
    assert!(entries[2].reason.as_deref().unwrap().contains("message-id"));
}

#[test]
fn a_changed_file_takes_the_place_of_its_former_version() {
    let temp = tempfile::tempdir().unwrap();
    let (list, other) = (temp.path().join("list.md"), temp.path().join("sub/list.md"));
    write(&list, "buy milk");
    write(&other, "buy milk");
    let vault = Vault::in_memory().unwrap();
    assert_eq!(
        import(&vault, temp.path()).0.done,
        2,
        "the same content in two places is two files"
    );
    let id = find(&vault, "milk").into_iter().find(|d| !d.source.contains("sub/")).unwrap().head.id;
    write(&list, "buy bread");
    let (report, entries) = import(&vault, temp.path());
    assert_eq!((report.done, report.skipped), (1, 1));
    assert!(entries[0].reason.as_deref().unwrap().contains("replaced"));
    assert_eq!(vault.document(id).unwrap().unwrap().body, "buy bread");
}

#[test]
fn files_of_one_name_from_two_directories_of_one_name_are_two() {
    let temp = tempfile::tempdir().unwrap();
    let [one, two] = ["a/notes", "b/notes"].map(|name| temp.path().join(name));
    write(&one.join("todo.md"), "mend the tandem");
    write(&two.join("todo.md"), "sell the tandem");
    let vault = Vault::in_memory().unwrap();
    import(&vault, &one);
    assert_eq!(import(&vault, &two).0.done, 1);
    import(&vault, &one.join("todo.md"));
    assert_eq!(find(&vault, "tandem").iter().filter(|d| d.body.starts_with("sell")).count(), 1);
    // A directory that has only moved brings nothing new.
    let moved = temp.path().join("c/notes");
    fs::create_dir_all(moved.parent().unwrap()).unwrap();
    fs::rename(&one, &moved).unwrap();
    assert_eq!(import(&vault, &moved).0.done, 0);
}

#[cfg(unix)]
#[test]
fn a_name_that_is_no_text_is_imported_and_shown_as_near_as_can_be() {
    use std::os::unix::ffi::OsStrExt;
    let temp = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.md");
    write(&temp.path().join(name), "text");
    let vault = Vault::in_memory().unwrap();
    let (report, entries) = import(&vault, temp.path());
    assert_eq!(report.done, 1);
    assert!(serde_json::to_string(&entries[0]).unwrap().contains("caf\u{fffd}.md"));
}

#[test]
fn what_is_left_out_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    write(&at("note.txt"), "text");
    write(&at("latin.txt"), b"Stra\xdfe, M\xfcnchen");
    write(&at("picture.jpg"), b"\xff\xd8\xff\xe0\0\x10JFIF");
    write(&at("empty.md"), "");
    write(&at(".git/config"), "[core]");
    write(&at(".hidden"), "x");
    write(&at("broken.eml"), "no header at all");
    let large = fs::File::create(at("large.log")).unwrap();
    large.set_len(33 << 20).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", at("zlink.txt")).unwrap();
    let vault = Vault::in_memory().unwrap();
    let (report, entries) = import(&vault, temp.path());
    let of = |name: &str| {
        let entry = entries.iter().find(|entry| entry.path == at(name)).unwrap();
        (entry.state, entry.reason.clone().unwrap_or_default())
    };
    use ImportState::{Done, Failed, Skipped};
    assert_eq!(of("note.txt"), (Done, String::new()));
    assert_eq!(of("latin.txt"), (Done, "not UTF-8; read as windows-1252".into()));
    assert_eq!(of("picture.jpg"), (Skipped, "not text".into()));
    assert_eq!(of("empty.md"), (Skipped, "empty".into()));
    assert_eq!(of(".git"), (Skipped, "a hidden file or folder".into()));
    assert_eq!(of(".hidden"), (Skipped, "a hidden file or folder".into()));
    assert_eq!(of("broken.eml"), (Failed, "no mail header found".into()));
    assert_eq!(of("large.log"), (Skipped, "larger than 32 MiB (34603008 bytes)".into()));
    #[cfg(unix)]
    assert_eq!(of("zlink.txt"), (Skipped, "a link; import what it points to instead".into()));
    assert_eq!(report.done + report.skipped + report.failed, entries.len() as u64);
    let latin = &find(&vault, "münchen")[0];
    assert_eq!(vault.raw(latin.head.id).unwrap().unwrap(), b"Stra\xdfe, M\xfcnchen");
    let note = &find(&vault, "text")[0];
    assert_eq!(vault.raw(note.head.id).unwrap().unwrap(), b"text");
}

#[test]
fn a_maildir_is_read_with_its_subfolders_and_flags() {
    let temp = tempfile::tempdir().unwrap();
    let mail = |name: &str, subject: &str| {
        write(&temp.path().join(name), format!("Subject: {subject}\n\nbody of {subject}\n"));
    };
    mail("cur/1.a:2,S", "seen");
    mail("cur/2.a:2,ST", "trashed");
    mail("new/3.a", "fresh");
    mail("tmp/4.a", "half");
    mail(".Sent/cur/5.a:2,S", "sent");
    fs::create_dir_all(temp.path().join(".Sent/new")).unwrap();
    let vault = Vault::in_memory().unwrap();
    let (report, entries) = import(&vault, temp.path());
    assert_eq!((report.done, report.skipped, report.failed), (3, 2, 0), "{entries:#?}");
    let mut subjects: Vec<_> = entries.iter().filter_map(|e| e.subject.clone()).collect();
    subjects.sort();
    assert_eq!(subjects, ["fresh", "seen", "sent"]);
    let reasons: Vec<_> = entries.iter().filter_map(|e| e.reason.clone()).collect();
    assert!(reasons.contains(&"marked as deleted in its mailbox".to_owned()), "{reasons:?}");
}

#[test]
fn a_large_mailbox_can_be_cancelled_and_keeps_what_it_told_of() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("large.mbox");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    for n in 0..5000 {
        write!(
            file,
            "From a@example.com Mon Jan  5 10:00:00 2026\nSubject: mail {n}\n\n{}\n\n",
            "word ".repeat(200)
        )
        .unwrap();
    }
    drop(file);
    let vault = Vault::in_memory().unwrap();
    let mut told = 0_u64;
    let report = vault
        .import(&path, None, &mut |progress| {
            told += 1;
            // The vault is free for others while it imports.
            assert!(vault.documents(&DocumentQuery::default()).unwrap().total >= told);
            if progress.done_bytes * 5 > progress.total_bytes {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert_eq!(report.done, told);
    assert!((1000..2000).contains(&told), "{told} of 5000");
    assert_eq!(vault.documents(&DocumentQuery::default()).unwrap().total, told);
    assert_eq!(vault.import_log(report.folder.unwrap()).unwrap().len() as u64, told);
}

#[test]
fn a_message_too_large_is_skipped_and_the_next_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.mbox");
    let mut mbox = b"From a@example.com Mon Jan  5 10:00:00 2026\nSubject: big\n\n".to_vec();
    mbox.resize(mbox.len() + (33 << 20), b'x');
    mbox.extend(b"\n\nFrom a@example.com Mon Jan  5 10:00:00 2026\nSubject: small\n\nbody\n");
    write(&path, &mbox);
    let vault = Vault::in_memory().unwrap();
    let (report, entries) = import(&vault, &path);
    assert_eq!((report.done, report.skipped), (1, 1));
    assert!(entries[0].reason.as_deref().unwrap().starts_with("larger than 32 MiB"));
    assert_eq!(entries[1].subject.as_deref(), Some("small"));
}

#[test]
fn what_cannot_be_imported_at_all_is_an_error() {
    let vault = Vault::in_memory().unwrap();
    let missing =
        vault.import(Path::new("/nowhere/at/all"), None, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(missing, Err(ImportError::Unreadable { .. })), "{missing:?}");
    assert!(vault.folders().unwrap().is_empty());
}

#[test]
fn an_entry_serialises_as_the_check_prints_it() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.eml");
    write(
        &path,
        "From: Ann <a@example.com>\nSubject: Hi\nDate: Mon, 5 Jan 2026 11:00:00 +0100\n\nbody",
    );
    let mut lines = Vec::new();
    let report = hearth_vault::check(&path, &mut |entry| {
        lines.push(serde_json::to_value(entry).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(report.done, 1);
    let expected = serde_json::json!({
        "path": path, "index": 0, "state": "done", "reason": null, "subject": "Hi",
        "from": "Ann <a@example.com>", "date": "2026-01-05T11:00:00+01:00", "body_chars": 4
    });
    assert_eq!(lines, [expected]);
}
