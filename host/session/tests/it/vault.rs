//! Opening, locking, changing the passphrase; being busy.

use std::sync::{Arc, Condvar, Mutex};

use hearth_session::{Command, ErrorKind, Passphrase, Session, VaultState};

use crate::stage::{Scripted, Setting, passphrase, run, until};

#[test]
fn a_locked_vault_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let session = Setting { in_memory: false, ..Setting::default() }.start(dir.path());
    let handle = session.handle();
    assert_eq!(handle.view().vault, VaultState::Absent);
    let error = run(&handle, Command::NewConversation).unwrap_err();
    assert!(error.message.contains("locked"), "{error:?}");
    let error = run(&handle, Command::Unlock(passphrase())).unwrap_err();
    assert!(error.hint.contains("Create"), "{error:?}");
}

#[test]
fn wrong_passphrases_and_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let session = Setting { in_memory: false, ..Setting::default() }.start(dir.path());
    let handle = session.handle();
    run(&handle, Command::CreateVault(passphrase())).unwrap();
    assert_eq!(handle.view().vault, VaultState::Open);
    let new = || Passphrase::new("a better one".into());
    run(&handle, Command::ChangePassphrase { old: passphrase(), new: new() }).unwrap();
    run(&handle, Command::Lock).unwrap();
    assert_eq!(handle.view().vault, VaultState::Locked);
    let error = run(&handle, Command::Unlock(passphrase())).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::User, "Wrong passphrase."));
    assert_eq!(handle.view().vault, VaultState::Locked);
    run(&handle, Command::Unlock(new())).unwrap();
    let error = run(&handle, Command::Unlock(new())).unwrap_err();
    assert!(error.message.contains("open already"), "{error:?}");
}

#[test]
fn locking_empties_the_view() {
    let stage = Setting::default().open();
    let heads = stage.with_mails(3);
    stage.run(Command::OpenDocument(heads[0].id)).unwrap();
    let ask =
        Command::Ask { conversation: None, text: "hello".into(), attached: vec![heads[0].id] };
    stage.run(ask).unwrap();
    let view = stage.view();
    assert!(view.document.is_some() && view.conversation.is_some() && view.folders.len() == 1);
    stage.run(Command::Lock).unwrap();
    let view = stage.view();
    assert!(view.document.is_none() && view.conversation.is_none() && view.folders.is_empty());
    assert!(view.library.heads.is_empty() && view.conversations.is_empty());
    assert!(view.plugins.is_empty() && view.panels.is_empty() && view.activity.is_empty());
    assert!(view.notices.is_empty() && view.jobs.is_empty() && view.models.loaded.is_none());
}

#[test]
fn everything_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let setting = || Setting { in_memory: false, ..Setting::default() };
    let session = setting().start(dir.path());
    let handle = session.handle();
    run(&handle, Command::CreateVault(passphrase())).unwrap();
    let path = dir.path().join("Inbox.mbox");
    std::fs::write(&path, crate::stage::mbox(4)).unwrap();
    run(&handle, Command::Import { path, name: None }).unwrap();
    let ask = Command::Ask { conversation: None, text: "Who wrote?".into(), attached: vec![] };
    run(&handle, ask).unwrap();
    let before = handle.view();
    session.shutdown();

    let session = setting().start(dir.path());
    let handle = session.handle();
    assert_eq!(handle.view().vault, VaultState::Locked);
    run(&handle, Command::Unlock(passphrase())).unwrap();
    let view = handle.view();
    assert_eq!(view.folders, before.folders);
    assert_eq!(view.library.heads, before.library.heads);
    assert_eq!(view.conversations.len(), 1);
    run(&handle, Command::OpenConversation(view.conversations[0].id)).unwrap();
    let open = handle.view().conversation.clone().expect("it was opened");
    assert_eq!(open.title, "Who wrote?");
    assert_eq!(open.turns, before.conversation.as_ref().expect("it was open").turns);
    until(&handle, "the model is loaded again", |view| view.models.loaded.is_some());
}

#[test]
fn a_full_queue_is_busy_and_never_blocks() {
    // The waker holds the event loop up, as no real one may.
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let for_waker = Arc::clone(&gate);
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting { guests: Scripted::idle(), ..Setting::default() };
    let config = setting.config(dir.path());
    let session = Session::start(
        config,
        setting.backend,
        Arc::new(move || {
            let (held, changed) = &*for_waker;
            let mut held = held.lock().unwrap();
            while *held {
                held = changed.wait(held).unwrap();
            }
        }),
    )
    .unwrap();
    let handle = session.handle();
    *gate.0.lock().unwrap() = true;
    let sent = (0..5000).take_while(|_| handle.send(Command::DismissNotice(0)).is_ok()).count();
    assert!(sent < 5000, "the queue has no bound");
    *gate.0.lock().unwrap() = false;
    gate.1.notify_all();
    run(&handle, Command::DismissNotice(0)).unwrap();
}
