//! Opening, locking, changing the passphrase; being busy.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hearth_session::{Command, ErrorKind, FakeBackend, Passphrase, Session, VaultState};
use hearth_vault::{UnlockError, VaultDir};

use crate::stage::{Scripted, Setting, passphrase, run, until, wait_for};

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

#[test]
fn locking_closes_the_database_while_the_model_is_still_at_work() {
    let (entered, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (in_model, may_end) = (Arc::clone(&entered), Arc::clone(&go));
    let backend = FakeBackend::new(move |_| {
        in_model.store(true, Ordering::SeqCst);
        // No cancel reaches it.
        wait_for(&may_end, &AtomicBool::new(false));
        "late".into()
    });
    let dir = tempfile::tempdir().unwrap();
    let session = Setting { backend, in_memory: false, ..Setting::default() }.start(dir.path());
    let handle = session.handle();
    run(&handle, Command::CreateVault(passphrase())).unwrap();
    let ask = Command::Ask { conversation: None, text: "Who wrote?".into(), attached: vec![] };
    let asked = handle.start(ask).unwrap();
    until(&handle, "the model answers", |_| entered.load(Ordering::SeqCst));
    let lock = handle.start(Command::Lock).unwrap();
    let again = handle.start(Command::Lock).unwrap();
    until(&handle, "it closes", |view| view.vault != VaultState::Open);
    let vault = VaultDir::new(dir.path().join("vault"));
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        assert_eq!(handle.view().vault, VaultState::Closing);
        match vault.unlock(&passphrase()) {
            Ok(_open) => break,
            Err(UnlockError::InUse { .. }) => assert!(Instant::now() < give_up, "never let go"),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(handle.view().vault, VaultState::Closing);
    assert_eq!(asked.wait(&mut |_| {}).unwrap_err().kind, ErrorKind::Cancelled);
    go.store(true, Ordering::SeqCst);
    lock.wait(&mut |_| {}).unwrap();
    assert_eq!(handle.view().vault, VaultState::Locked);
    again.wait(&mut |_| {}).unwrap();
    run(&handle, Command::Unlock(passphrase())).unwrap();
}
