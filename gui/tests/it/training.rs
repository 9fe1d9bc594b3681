//! Fine-tuning as a user does it in the real program but for model and trainer: from imported mail to an adapter that
//! answers, and out again.

use std::{path::Path, sync::Arc, time::SystemTime};

use egui::{Key, Modifiers};
use hearth_gui::{Options, SessionPort};
use hearth_session::{
    Config, FakeBackend, FakeTuner, Power, Rating, RunState, Session, WasmGuests,
};
use hearth_tests::{PASSPHRASE, demo_dir};

use crate::stage::Window;

fn open(dir: &Path) -> (Window, Session) {
    let config = Config {
        vault_dir: dir.join("vault"),
        runtime: WasmGuests::in_dir(dir),
        bundled_plugins: Vec::new(),
        starter_model: Some("starter".into()),
        locale: "en-GB".into(),
        clock: Arc::new(SystemTime::now),
        tuner: Arc::new(FakeTuner::default()),
        power: Arc::new(Power::default),
        in_memory_vault: true,
        scrypt_log_n: Some(1),
    };
    let session = Session::start(config, FakeBackend::default(), Arc::new(|| {})).unwrap();
    let options = Options { demo: Some(demo_dir()), ..Options::default() };
    (Window::with(SessionPort::new(session.handle()), options), session)
}

#[test]
fn a_user_teaches_the_model_to_write_as_she_does() {
    let dir = tempfile::tempdir().unwrap();
    let (mut window, _session) = open(dir.path());
    begin(&mut window);
    make_a_dataset(&mut window);
    train(&mut window);
    accept_and_choose(&mut window);
    chat(&mut window);
    compare(&mut window);
    learnt_from_what_is_deleted(&mut window);
    remove(&mut window);
}

fn begin(window: &mut Window) {
    window.write("Passphrase", PASSPHRASE);
    window.write("Passphrase again", PASSPHRASE);
    window.click("Create vault");
    window.until("a model", |w| w.0.state().view().models.loaded.is_some());
    window.click("Try with the demo mailbox");
    window.until("documents", |w| {
        let view = w.0.state().view();
        view.jobs.is_empty() && view.library.total > 50
    });
    window.click("Training");
    assert!(window.reads("No adapter yet"), "{}", window.text());
    window.click("Train one");
    assert!(window.reads("First say what is to be learnt"));
}

fn make_a_dataset(window: &mut Window) {
    window.click("Make a dataset");
    assert!(!window.is_enabled("Keep"), "it has no name, and nobody is me");
    window.write("Name of the dataset", "Marta's mail");
    assert!(window.reads("Say who you are"));
    let marta = "Marta Lindqvist <marta@workshop.example.com> is me";
    window.until("who wrote most", |w| w.has(marta));
    window.click(marta);
    assert!(!window.has(marta), "she is not offered twice");
    assert!(!window.reads("Say who you are"));
    window.click("Look at it");
    window.until("a preview", |w| w.0.state().view().tuning.preview.is_some());
    let preview = window.0.state().view().tuning.preview.clone().unwrap();
    assert!(preview.train > 3 && preview.learnt_tokens < preview.tokens, "{preview:?}");
    let learnt = preview.samples[0].pieces.iter().find(|(_, learnt)| *learnt).unwrap();
    let line = learnt.0.lines().find(|line| !line.trim().is_empty()).unwrap();
    window.until("its samples", |w| w.reads(line));
    window.click("Keep");
    window.until("a dataset", |w| w.has("Train with Marta's mail"));
    assert!(window.reads("Write like me"));
}

fn train(window: &mut Window) {
    window.click("Train with Marta's mail");
    window.click("What will it take?");
    window.until("an estimate", |w| w.reads("Measured just now"));
    window.click("Start training");
    window.until("an end", |w| {
        let runs = &w.0.state().view().tuning.runs;
        matches!(runs.first().map(|run| &run.state), Some(RunState::Finished(Some(_))))
    });
    window.until("a run with its figures", |w| w.reads("held out") && w.has("New run"));
    window.click("See the adapter");
    window.until("its report", |w| w.reads("It learnt: examples it never saw went from"));
    assert!(window.reads("made-up secrets hidden among the examples"), "{}", window.text());
    assert!(window.reads("What is the capital of France?"));
}

fn accept_and_choose(window: &mut Window) {
    window.click("Accept Marta's mail");
    window.until("an adapter in use", |w| w.has("Retire Marta's mail"));
    window.click("Marta's mail");
    window.until("a choice", |w| w.0.state().view().tuning.new_conversations.len() == 1);
}

fn chat(window: &mut Window) {
    window.press(Modifiers::COMMAND, Key::N);
    assert!(window.has("Answers with Marta's mail"), "{}", window.text());
    window.write("Message", "Write a mail to Tomek");
    window.press(Modifiers::NONE, Key::Enter);
    window.until("an answer", |w| {
        let view = w.0.state().view();
        view.conversation.as_ref().is_some_and(|c| c.answering.is_none() && c.turns.len() >= 2)
    });
    let turn = window.0.state().view().conversation.as_ref().unwrap().turns[1].clone();
    assert!(turn.text.contains("adapter-"), "{}", turn.text);
    assert!(turn.model.ends_with("+ Marta's mail"), "{}", turn.model);
    window.until("who answered", |w| w.reads("+ Marta's mail") && w.reads("adapter-"));
    let rating = |w: &Window| w.0.state().view().conversation.as_ref().unwrap().turns[1].rating;
    window.click("Good answer: it can be learnt");
    window.until("a mark", |w| rating(w) == Rating::Good);
    window.click("Good answer: it can be learnt");
    window.until("no mark", |w| rating(w) == Rating::None);
    // Another choice for this conversation alone.
    window.click("Answers with Marta's mail");
    window.click("Marta's mail");
    window.until("none", |w| w.has("Answers with the model as it is"));
    assert_eq!(window.0.state().view().tuning.new_conversations.len(), 1);
    window.press(Modifiers::NONE, Key::Escape);
}

fn compare(window: &mut Window) {
    window.click("Training");
    window.click("Adapters");
    assert!(!window.is_enabled("Compare"));
    window.click("Compare Marta's mail");
    window.write("Question to compare", "Who are you?");
    window.click("Compare");
    window.until("two answers", |w| {
        let comparison = &w.0.state().view().tuning.comparison;
        comparison.as_ref().is_some_and(|c| c.sides.len() == 2 && c.sides.iter().all(|s| s.done))
    });
    assert!(window.reads("The model as it is"));
    window.click("Clear");
    window.until("nothing", |w| w.0.state().view().tuning.comparison.is_none());
}

fn learnt_from_what_is_deleted(window: &mut Window) {
    window.click("Library");
    let view = window.0.state().view();
    let mails = view.folders.iter().find(|folder| folder.name == "Demo mail").unwrap().documents;
    window.click(&format!("Demo mail, {mails} documents"));
    window.until("the folder", |w| w.has("Delete folder"));
    window.click("Delete folder");
    window.click("Delete for good");
    window.until("a stale adapter", |w| {
        w.0.state().view().tuning.adapters.iter().all(|adapter| adapter.sources_gone > 0)
    });
    window.click("Training");
    assert!(window.reads("deleted since"), "{}", window.text());
    window.click("Train anew");
    assert!(window.has("Start training"));
    window.click("Adapters");
}

fn remove(window: &mut Window) {
    window.click("Remove Marta's mail");
    window.click("Keep it");
    window.click("Remove Marta's mail");
    window.click("Remove it");
    window.until("no adapter", |w| w.reads("No adapter yet"));
    let view = window.0.state().view();
    assert!(view.tuning.new_conversations.is_empty());
    assert_eq!(view.tuning.runs[0].state, RunState::Finished(None));
}
