//! The plugins of this repository, as built by `cargo xtask test`.

use std::{fs, sync::atomic::AtomicBool};

use hearth_base::{
    Event, Export, Field, Glyph, Handle, HostCall, Message, MessageRole, Node, Part, Sort,
};
use hearth_wasm::{Finished, inspect};

use crate::programs::{Recorder, dir, go, invocation, runtime, start};

static NEVER: AtomicBool = AtomicBool::new(false);

pub(crate) fn component(test: &str, id: &str) -> Option<Vec<u8>> {
    component_in("plugins", test, id)
}

fn component_in(folder: &str, test: &str, id: &str) -> Option<Vec<u8>> {
    let path = dir().join(folder).join(format!("{id}.wasm"));
    let bytes = fs::read(&path).ok();
    if bytes.is_none() {
        println!("SKIPPED {test}: no plugin at {}; run `cargo xtask test`", path.display());
    }
    bytes
}

/// What a call asks, drops and settings left out.
fn trace(component: &[u8], test: &str, export: Export) -> Option<(Finished, Vec<HostCall>)> {
    let mut runner = start(&runtime(test)?, component);
    let mut host = Recorder::default();
    let finished = runner.invoke(invocation(export), &mut host, &NEVER).unwrap();
    host.calls.retain(|call| !matches!(call, HostCall::Drop(_) | HostCall::SettingGet(_)));
    Some((finished, host.calls))
}

fn literals(message: &Message) -> String {
    let show = |part: &Part| match part {
        Part::Literal(words) => words.clone(),
        Part::Value(Handle(number)) => format!("<{number}>"),
        Part::Item(field) => format!("<{field:?}>"),
    };
    message.parts.iter().map(show).collect()
}

#[test]
fn the_mail_summariser_asks_for_exactly_this() {
    let test = "the_mail_summariser_asks_for_exactly_this";
    let Some(wasm) = component(test, "org.hearth.mail-summariser") else { return };
    assert!(inspect(&wasm).unwrap().sealed);
    let export = Export::Run { command: "summarise".into(), focus: None, input: None };
    let Some((finished, calls)) = trace(&wasm, test, export) else { return };
    assert_eq!(finished.result, Ok(()));
    let [granted, each, titles, zip, join, keep, show] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    let inbox = HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 10 };
    assert_eq!(*granted, inbox);
    let HostCall::GenerateEach { over: Handle(1), prompt, options } = each else {
        panic!("{each:?}")
    };
    assert_eq!(options.max_tokens, 96);
    let [system, user] = prompt.as_slice() else { panic!("{prompt:?}") };
    assert_eq!((system.role, user.role), (MessageRole::System, MessageRole::User));
    assert_eq!(
        literals(system),
        "You summarise e-mail for its reader. Answer in one to three short lines: who wants what, and by when."
    );
    assert_eq!(literals(user), "From: <Some(Author)>\nSubject: <Some(Title)>\n\n<Some(Body)>");
    assert!(matches!(titles, HostCall::FillEach { over: Handle(1), .. }));
    let separator = "\n".into();
    assert_eq!(*zip, HostCall::CollectionZip { left: Handle(3), right: Handle(2), separator });
    assert!(matches!(join, HostCall::CollectionJoin { collection: Handle(4), .. }));
    assert_eq!(*keep, HostCall::Keep { name: "summaries".into(), value: Handle(5) });
    let HostCall::PanelShow { panel, nodes } = show else { panic!("{show:?}") };
    assert_eq!(panel, "summaries");
    assert!(nodes.contains(&Node::Items(Handle(2))));
}

#[test]
fn the_mail_summariser_saves_what_it_kept() {
    let test = "the_mail_summariser_saves_what_it_kept";
    let Some(wasm) = component(test, "org.hearth.mail-summariser") else { return };
    let event = Event::Pressed("save-all".into());
    let export = Export::OnEvent { panel: "summaries".into(), event };
    let Some((finished, calls)) = trace(&wasm, test, export) else { return };
    assert_eq!(finished.result, Ok(()));
    let [kept, title, save, notify] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(*kept, HostCall::Kept { name: "summaries".into() });
    assert_eq!(*title, HostCall::TextLiteral("Mail summaries, 2026-03-09".into()));
    assert_eq!(*save, HostCall::Save { title: Handle(2), body: Handle(1) });
    assert!(matches!(notify, HostCall::Notify { icon: Glyph::Check, .. }));
}

#[test]
fn the_code_helper_explains_the_file_in_focus() {
    let test = "the_code_helper_explains_the_file_in_focus";
    let Some(wasm) = component(test, "org.hearth.code-helper") else { return };
    assert!(inspect(&wasm).unwrap().sealed);
    let export = Export::Run { command: "explain".into(), focus: Some(Handle(90)), input: None };
    let Some((finished, calls)) = trace(&wasm, test, export) else { return };
    assert_eq!(finished.result, Ok(()));
    let [title, body, keep_name, keep_code, generate, show] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    let get = |field| HostCall::DocumentGet { document: Handle(90), field };
    assert_eq!((title, body), (&get(Field::Title), &get(Field::Body)));
    assert_eq!(*keep_name, HostCall::Keep { name: "name".into(), value: Handle(1) });
    assert_eq!(*keep_code, HostCall::Keep { name: "code".into(), value: Handle(2) });
    let HostCall::Generate { prompt, .. } = generate else { panic!("{generate:?}") };
    assert_eq!(literals(&prompt[0]), "You explain source code to a programmer.");
    assert_eq!(literals(&prompt[1]), "Explain this code.\n\n<2>");
    let HostCall::PanelShow { panel, nodes } = show else { panic!("{show:?}") };
    assert_eq!(panel, "answer");
    assert!(nodes.contains(&Node::Value(Handle(3))));
}

#[test]
fn a_command_nobody_knows_is_unsupported() {
    let test = "a_command_nobody_knows_is_unsupported";
    let Some(wasm) = component(test, "org.hearth.code-helper") else { return };
    let Some(runtime) = runtime(test) else { return };
    let finished = start(&runtime, &wasm).invoke(go("dance"), &mut Recorder::default(), &NEVER);
    assert_eq!(finished.unwrap().result, Err(hearth_base::GuestFailure::Unsupported));
}

#[test]
fn the_example_plugin_runs() {
    let test = "the_example_plugin_runs";
    let Some(wasm) = component_in("example-plugins", test, "org.example.hello") else { return };
    assert!(inspect(&wasm).unwrap().sealed);
    let export = Export::Run { command: "haiku".into(), focus: Some(Handle(90)), input: None };
    let Some((finished, calls)) = trace(&wasm, test, export) else { return };
    assert_eq!(finished.result, Ok(()));
    let [_body, _haiku, HostCall::PanelShow { nodes, .. }] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(nodes.last(), Some(&Node::Value(Handle(2))));
}
