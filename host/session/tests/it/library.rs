//! Importing and finding.

use hearth_session::{
    Command, DocumentQuery, ErrorKind, Event, ImportState, NoticeKind, Order, Reply,
};

use crate::stage::{Setting, mbox};

#[test]
fn import_counts_and_can_be_looked_up() {
    let stage = Setting::default().open();
    let path = stage.dir.path().join("post");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a.mbox"), mbox(5)).unwrap();
    std::fs::write(path.join("note.md"), "# Kettles\n\nThey sing.").unwrap();
    let mut seen = 0;
    let command = Command::Import { path: path.clone(), name: None };
    let reply = stage.handle.run(command, &mut |event| {
        if let Event::Imported { entry, .. } = event {
            seen += u64::from(entry.state == ImportState::Done);
        }
    });
    let Reply::Imported(report) = reply.unwrap() else { panic!("no report") };
    assert_eq!((report.done, seen), (6, 6));
    let view = stage.view();
    assert_eq!(view.folders.len(), 1);
    assert_eq!(view.library.total, 6);
    assert!(
        matches!(&view.notices[0].what, NoticeKind::Success(words) if words.contains("6 done"))
    );

    let query = |text: &str| DocumentQuery {
        text: text.into(),
        order: Order::Relevance,
        ..DocumentQuery::default()
    };
    stage.run(Command::Browse(query("kettles"))).unwrap();
    let found = stage.view().library.heads.clone();
    assert_eq!(found.len(), 1);
    stage.run(Command::OpenDocument(found[0].id)).unwrap();
    assert!(stage.view().document.as_ref().unwrap().body.contains("They sing."));

    stage.run(Command::OpenImportLog(view.folders[0].id)).unwrap();
    assert_eq!(stage.view().import_log.as_ref().unwrap().1.len(), 6);

    // A second import of the same finds nothing new.
    let reply = stage.run(Command::Import { path, name: None }).unwrap();
    let Reply::Imported(report) = reply else { panic!("no report") };
    assert_eq!(report.done, 0, "{report:?}");

    stage.run(Command::DeleteDocument(found[0].id)).unwrap();
    let view = stage.view();
    assert!(view.document.is_none());
    assert_eq!(view.library.heads, []);
    stage.run(Command::DeleteFolder(view.folders[0].id)).unwrap();
    assert!(stage.view().folders.is_empty() && stage.view().import_log.is_none());
}

#[test]
fn an_import_can_be_stopped_and_keeps_what_came_in() {
    let stage = Setting::default().open();
    let path = stage.dir.path().join("big.mbox");
    std::fs::write(&path, mbox(20_000)).unwrap();
    let pending = stage.handle.start(Command::Import { path, name: None }).unwrap();
    let ticket = pending.ticket();
    let mut stopped = false;
    let error = pending
        .wait(&mut |event| {
            if !stopped && matches!(event, Event::Imported { .. }) {
                stopped = true;
                stage.handle.send(Command::Cancel(ticket)).unwrap();
            }
        })
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error:?}");
    let view = stage.view();
    assert!(view.library.total < 20_000);
    assert!(view.jobs.iter().all(|job| job.ticket != ticket));
}

#[test]
fn what_is_not_there_is_told_with_a_way_out() {
    let stage = Setting::default().open();
    let path = stage.dir.path().join("nothing");
    let error = stage.run(Command::Import { path, name: None }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::User);
    assert!(!error.hint.is_empty());
    let error = stage.run(Command::OpenDocument(hearth_session::DocumentId(99))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::User);
    // What a user may have overlooked stays in sight.
    let view = stage.view();
    assert_eq!(view.notices.len(), 2);
    let NoticeKind::Error(told) = &view.notices[1].what else { panic!("not an error") };
    assert_eq!(*told, error);
    stage.run(Command::DismissNotice(view.notices[1].id)).unwrap();
    assert_eq!(stage.view().notices.len(), 1);
}
