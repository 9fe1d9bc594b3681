//! Plugins that ask to learn texts, and what the user hears and says of it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use hearth_base::{Answer, Button, Export, Glyph, GuestError, HostCall, HostReply, Node, Sort};
use hearth_session::{
    Command, ErrorKind, GuestEnd, PanelKey, PluginId, RevealSource, RevealView, Ticket, VaultState,
};

use crate::stage::{Scripted, Setting, Stage, until};

const CURIOUS: &str = r#"
id = "org.example.curious"
name = "Curious"
version = "1.0.0"
api = "0.1"
commands = [{ id = "open", title = "Open" }]
panels = [{ id = "main", title = "Main" }]
slots = [{ id = "inbox", kind = "mail", why = "to ask about it" }]
declassify = { choice-bits-per-day = 4, text = true }
"#;

/// What the plugin was told.
type Heard = Arc<Mutex<Vec<HostReply>>>;

/// Shows a button; when it is pressed, asks for the newest mail.
fn curious(heard: &Heard) -> Arc<Scripted> {
    let heard = Arc::clone(heard);
    Scripted::new(move |invocation, call, _| {
        if let Export::Run { .. } = invocation.export {
            let label = "Send it".to_owned();
            let button = Button { id: "send".into(), label, icon: Glyph::None, enabled: true };
            let nodes = vec![Node::Button(button)];
            call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
            return GuestEnd::Returned(Ok(()));
        }
        let mut handle = |what| match call(what) {
            Ok(Answer::Handle(handle)) => handle,
            other => panic!("{other:?}"),
        };
        let mails = HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 1 };
        let collection = handle(mails);
        let separator = String::new();
        let text = handle(HostCall::CollectionJoin { collection, separator });
        let reply = call(HostCall::RevealText { text, purpose: "to print it".into() });
        heard.lock().unwrap().push(reply);
        GuestEnd::Returned(Ok(()))
    })
}

fn stage(heard: &Heard) -> (Stage, PluginId) {
    let stage = Setting { guests: curious(heard), ..Setting::default() }.open();
    stage.with_mails(2);
    let plugin = stage.install(CURIOUS);
    let view = stage.view();
    let folders: BTreeSet<_> = view.folders.iter().map(|folder| folder.id).collect();
    let capabilities = view.plugins[0].manifest.requested();
    let slots = [("inbox".to_owned(), folders)].into();
    let grant = Command::GrantPlugin {
        plugin: plugin.clone(),
        capabilities,
        slots,
        choice_bits_per_day: 3,
    };
    stage.run(grant).unwrap();
    let (command, focus, input) = ("open".to_owned(), None, None);
    stage.run(Command::RunPlugin { plugin: plugin.clone(), command, focus, input }).unwrap();
    (stage, plugin)
}

/// Presses the button, and waits for the question that comes of it.
fn press(stage: &Stage, plugin: &PluginId) -> (Ticket, RevealView) {
    let panel = PanelKey { plugin: plugin.clone(), panel: "main".into() };
    let ticket = stage.handle.send(Command::Press { panel, button: "send".into() }).unwrap();
    until(&stage.handle, "a question", |view| !view.reveals.is_empty());
    (ticket, stage.view().reveals[0].clone())
}

fn idle(stage: &Stage) {
    until(&stage.handle, "the run's end", |view| {
        view.plugins.iter().all(|plugin| plugin.running.is_none()) && view.reveals.is_empty()
    });
}

#[test]
fn the_user_sees_the_text_and_its_sources_before_it_goes() {
    let heard = Heard::default();
    let (stage, plugin) = stage(&heard);
    let (_, question) = press(&stage, &plugin);
    assert_eq!((&question.plugin, question.plugin_name.as_str()), (&plugin, "Curious"));
    assert_eq!(question.purpose, "to print it");
    assert_eq!(question.text.trim(), "Words of letter 1.");
    let RevealSource::Document { title, made_of: true, .. } = &question.sources[0] else {
        panic!("{:?}", question.sources)
    };
    assert_eq!(title.as_deref(), Some("Letter 1"));
    assert_eq!(question.sources.len(), 2, "it was chosen among two");
    assert!(heard.lock().unwrap().is_empty(), "not before the user has said so");
    assert!(!format!("{:?}", stage.view()).contains("Words of letter 1."));
    let answer = |allow| Command::AnswerReveal { question: question.question, allow };
    stage.run(answer(true)).unwrap();
    idle(&stage);
    assert_eq!(*heard.lock().unwrap(), [Ok(Answer::Text(question.text.to_string()))]);
    let again = stage.run(answer(true)).unwrap_err();
    assert_eq!(again.kind, ErrorKind::User);
    until(&stage.handle, "an activity row", |view| {
        view.activity.iter().any(|row| row.allowed && row.what.contains(&question.hash))
    });
    let standing = stage.view().plugins[0].standing;
    assert_eq!((standing.spent_today_millibits, standing.left_today_millibits), (0, 3_000));
}

#[test]
fn a_no_costs_the_plugin_a_bit() {
    let heard = Heard::default();
    let (stage, plugin) = stage(&heard);
    let (_, question) = press(&stage, &plugin);
    stage.run(Command::AnswerReveal { question: question.question, allow: false }).unwrap();
    idle(&stage);
    assert_eq!(*heard.lock().unwrap(), [Err(GuestError::Refused)]);
    until(&stage.handle, "the charge", |view| {
        view.plugins[0].standing.spent_today_millibits == 1_000
    });
    assert_eq!(stage.view().plugins[0].standing.left_today_millibits, 2_000);
}

#[test]
fn a_question_goes_with_its_run() {
    let heard = Heard::default();
    let (stage, plugin) = stage(&heard);
    let (ticket, question) = press(&stage, &plugin);
    stage.run(Command::Cancel(ticket)).unwrap();
    idle(&stage);
    assert_eq!(*heard.lock().unwrap(), [Err(GuestError::Refused)]);
    let late = stage.run(Command::AnswerReveal { question: question.question, allow: true });
    assert!(late.unwrap_err().message.contains("no longer asked"));
}

#[test]
fn locking_answers_no() {
    let heard = Heard::default();
    let (stage, plugin) = stage(&heard);
    press(&stage, &plugin);
    stage.run(Command::Lock).unwrap();
    assert_eq!(*heard.lock().unwrap(), [Err(GuestError::Refused)]);
    let view = stage.view();
    assert!(view.reveals.is_empty() && view.vault != VaultState::Open);
    let late = stage.run(Command::AllowGestures(plugin)).unwrap_err();
    assert!(late.message.contains("locked"), "{late:?}");
}

#[test]
fn the_user_can_let_a_plugin_hear_more_gestures() {
    let (stage, plugin) = stage(&Heard::default());
    assert_eq!(stage.view().plugins[0].standing.gestures_left_millibits, 64_000);
    stage.run(Command::AllowGestures(plugin)).unwrap();
    assert_eq!(stage.view().plugins[0].standing.gestures_left_millibits, 128_000);
    let nobody = PluginId::new("org.example.nobody").unwrap();
    assert!(stage.run(Command::AllowGestures(nobody)).is_err());
}
