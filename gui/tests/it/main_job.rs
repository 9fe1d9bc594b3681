//! The main job as a new user does it, in the real program but for the model: a vault, the demonstration data, a
//! plugin, summaries, a chat, and all of it again after locking and after closing.

use std::path::Path;

use egui::{Key, Modifiers};
use hearth_gui::{Options, Screen, SessionPort};
use hearth_session::{FakeBackend, Session};
use hearth_tests::{PASSPHRASE, demo_dir, runtime_dir, start};

use crate::stage::Window;

fn open(dir: &Path, runtime: &Path) -> (Window, Session) {
    // It says which words it was given, so that a summary shows which mail it is of.
    let session = start(&dir.join("vault"), runtime, FakeBackend::default()).unwrap();
    let options = Options { demo: Some(demo_dir()), ..Options::default() };
    (Window::with(SessionPort::new(session.handle()), options), session)
}

#[test]
fn a_new_user_does_the_main_job() {
    let Some(runtime) = runtime_dir("a_new_user_does_the_main_job") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (mut window, session) = open(dir.path(), &runtime);

    create_a_vault(&mut window);
    import_the_demo(&mut window);
    summarise(&mut window);
    explain_code(&mut window);
    chat(&mut window);
    lock_and_unlock(&mut window);
    all_of_it_is_there(&mut window);

    // Closed and opened again, by another process as far as the vault is concerned.
    drop(window);
    session.shutdown();
    let (mut window, _session) = open(dir.path(), &runtime);
    assert!(window.reads("Unlock your vault"));
    unlock(&mut window);
    all_of_it_is_there(&mut window);
}

fn create_a_vault(window: &mut Window) {
    assert!(window.reads("Create your vault"));
    window.write("Passphrase", PASSPHRASE);
    window.write("Passphrase again", PASSPHRASE);
    window.click("Create vault");
    window.until("an open vault", |w| w.reads("Bring something in"));
    window.until("plugins and a model", |w| {
        w.0.state().view().plugins.len() == 2 && w.0.state().view().models.loaded.is_some()
    });
}

fn import_the_demo(window: &mut Window) {
    window.click("Try with the demo mailbox");
    window.until("folders", |w| {
        let view = w.0.state().view();
        view.jobs.is_empty() && view.library.total > 50
    });
    assert!(window.reads("Next: say what Mail summariser may use"), "{}", window.text());
}

fn summarise(window: &mut Window) {
    window.click("Set up Mail summariser\u{2026}");
    window
        .until("the consent page", |w| w.reads("Sealed: it cannot learn what your documents say."));
    window.click("Allow");
    window.until("a grant", |w| w.has("Summarise the newest mail"));
    window.click("Summarise the newest mail");
    window.until("summaries", |w| {
        matches!(w.0.state().screen(), Screen::Panel(_)) && w.reads("fake:") && w.has("Save")
    });
    assert!(window.reads("Mail summariser says \u{2014} it cannot read what your documents say"));
    window.until("the end of the run", |w| {
        w.0.state().view().plugins.iter().all(|p| p.running.is_none())
    });
    let save = "Save";
    let first = egui_kittest::kittest::Queryable::query_all_by_label(&window.0, save)
        .next()
        .expect("something to save");
    first.click();
    window.until("a saved summary", |w| w.reads("Saved"));
}

fn explain_code(window: &mut Window) {
    window.click("Plugins");
    window.click("Set up Code helper\u{2026}");
    window.until("the consent page", |w| w.has("Allow"));
    window.click("Allow");
    window.until("both granted", |w| w.0.state().view().plugins.iter().all(|p| p.grant.is_some()));
    window.click("Library");
    window.click("Show Code");
    window.until("source files alone", |w| {
        let view = w.0.state().view();
        view.library.query.kind.is_some() && !view.library.heads.is_empty()
    });
    let head = window.0.state().view().library.heads[0].clone();
    window.click(format!("{}, source file {}", head.title, head.author).trim_end());
    window.until("an open document", |w| w.has("Close document"));
    window.click("Explain this code");
    window.until("an explanation", |w| {
        matches!(w.0.state().screen(), Screen::Panel(key) if key.plugin.as_str().contains("code"))
            && w.reads("fake:")
    });
}

fn chat(window: &mut Window) {
    window.click("Library");
    window.until("the document still open", |w| w.has("Chat about this"));
    window.click("Chat about this");
    window.write("Message", "What does this file do?");
    window.press(Modifiers::NONE, Key::Enter);
    window.until("an answer", |w| {
        let view = w.0.state().view();
        view.conversation.as_ref().is_some_and(|c| c.answering.is_none() && c.turns.len() >= 2)
    });
    window.until("question and answer", |w| w.reads("What does this file do?") && w.reads("fake:"));
}

fn lock_and_unlock(window: &mut Window) {
    window.press(Modifiers::COMMAND, Key::L);
    window.until("a locked vault", |w| w.reads("Unlock your vault"));
    assert!(!window.reads("What does this file do?"));
    window.write("Passphrase", "not this one");
    window.click("Unlock");
    window.until("a refusal", |w| {
        w.has("Unlock") && w.reads("passphrase is wrong")
            || w.reads("not the passphrase")
            || w.reads("rong passphrase")
    });
    unlock(window);
}

fn unlock(window: &mut Window) {
    window.write("Passphrase", PASSPHRASE);
    window.press(Modifiers::NONE, Key::Enter);
    window.until("an open vault", |w| w.has("Lock"));
}

fn all_of_it_is_there(window: &mut Window) {
    window.click("Library");
    window.until("documents", |w| w.0.state().view().library.total > 50);
    window.until("grants", |w| w.0.state().view().plugins.iter().all(|p| p.grant.is_some()));
    let view = window.0.state().view();
    let saved = view.folders.iter().find(|f| f.plugin.is_some()).expect("the saved summary");
    assert_eq!(saved.documents, 1);
    let row = format!("{}, 1 document", saved.name);
    window.click(&row);
    window.until("the saved summary", |w| w.0.state().view().library.total == 1);
    window.click("Chat");
    let title = window.0.state().view().conversations[0].title.clone();
    window.click(&title);
    window.until("the conversation", |w| w.reads("What does this file do?"));
}
