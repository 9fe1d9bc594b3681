//! What the user sees of a plugin's values, and what ends the work on them.

use hearth_base::{
    Answer, Button, Event, Export, Field, Glyph, GuestError, Handle, HostCall, Node, Part, Sort,
    Source,
};
use hearth_broker::{
    Client, ModelTrust, PanelKey, PanelNode, PanelView, RunEnd, Start, ValueError, ValueState,
    ValueView,
};

use crate::{
    engine::MODEL_MARK,
    guests::{button, options, user, words},
    world::{EngineKind, Recipe, World, numbered, shown, values},
};

const RETURNED: RunEnd = RunEnd::Returned(Ok(()));

/// Runs a guest that shows some nodes, to its orderly end.
fn show(
    world: &World,
    panel: &str,
    build: impl Fn(&mut dyn FnMut(HostCall) -> Handle) -> Vec<Node>,
) {
    let client = world.go();
    finish_with(client, panel, build);
}

fn finish_with(
    mut client: Client,
    panel: &str,
    build: impl Fn(&mut dyn FnMut(HostCall) -> Handle) -> Vec<Node>,
) {
    let nodes = build(&mut |call| match client.call(call).unwrap() {
        Answer::Handle(handle) => handle,
        Answer::Handles(handles) => handles[0],
        other => panic!("{other:?}"),
    });
    client.call(HostCall::PanelShow { panel: panel.into(), nodes }).unwrap();
    client.finish(RETURNED);
}

fn granted(limit: u16) -> HostCall {
    HostCall::Granted { slot: "inbox".into(), order: Sort::Oldest, limit }
}

fn summaries(call: &mut dyn FnMut(HostCall) -> Handle) -> Vec<Node> {
    let over = call(granted(9));
    let prompt = user(vec![words("Sum up: "), Part::Item(Some(Field::Title))]);
    vec![Node::Items(call(HostCall::GenerateEach { over, prompt, options: options(20) }))]
}

fn key(world: &World, panel: &str) -> PanelKey {
    PanelKey { plugin: world.plugin.clone(), panel: panel.into() }
}

fn failures(values: &[ValueView]) -> Vec<String> {
    let reason = |value: &ValueView| match &value.state {
        ValueState::Failed(reason) => Some(reason.clone()),
        _ => None,
    };
    values.iter().filter_map(reason).collect()
}

#[test]
fn values_arrive_and_say_where_they_come_from() {
    let world = World::new(&Recipe::default());
    show(&world, "main", |call| {
        let mut nodes = summaries(call);
        nodes.push(Node::Value(call(HostCall::TextLiteral("mine".into()))));
        nodes
    });
    let panels = world.settled();
    let PanelView { plugin_name, title, .. } = &panels[0];
    assert_eq!((plugin_name.as_str(), title.as_str()), ("Subject", "Main"));
    let values = shown(&panels);
    assert_eq!(values.len(), 4);
    assert_eq!(values[0].text, format!("{MODEL_MARK} Sum up: title1 tok1"));
    assert_eq!(values[0].state, ValueState::Done);
    let from = "made by Subject from “title1 tok1”, chosen among 3 documents";
    assert_eq!(values[0].made_from, from);
    assert_eq!(values[3].made_from, "made by Subject");
}

#[test]
fn a_private_model_is_named() {
    let trust = Some(ModelTrust::Private("tuned\u{202e}".into()));
    let world = World::new(&Recipe { trust, documents: numbered(1), ..Recipe::default() });
    show(&world, "main", summaries);
    let values = shown(&world.settled());
    assert!(values[0].made_from.ends_with(r", with the private model tuned\u{202e}"));
}

#[test]
fn a_plugins_words_cannot_steer_the_display() {
    let world = World::new(&Recipe::default());
    let evil = "\u{202e}evil\u{200b}\u{7}";
    let harmless = r"\u{202e}evil\u{200b}\u{7}";
    show(&world, "main", |call| {
        let text = call(HostCall::TextLiteral(format!("{evil}\nnext")));
        let id = evil.to_owned();
        let button = Button { id, label: evil.into(), icon: Glyph::None, enabled: true };
        vec![
            Node::Heading(evil.into()),
            Node::Label(evil.into()),
            Node::Button(button),
            Node::Value(text),
        ]
    });
    let panels = world.settled();
    let nodes = &panels[0].nodes;
    assert_eq!(nodes[0], PanelNode::Heading(harmless.into()));
    assert_eq!(nodes[1], PanelNode::Label(harmless.into()));
    let PanelNode::Button(button) = &nodes[2] else { panic!("{nodes:?}") };
    assert_eq!((button.label.as_str(), button.id.as_str()), (harmless, evil));
    let value = &shown(&panels)[0];
    assert_eq!(value.text, "\\u{202e}evil\u{200b}\\u{7}\nnext");
    assert_eq!(world.broker.value_text(value.id).unwrap(), format!("{evil}\nnext"));
}

#[test]
fn text_is_shown_while_it_arrives() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    show(&world, "main", |call| {
        let prompt = user(vec![words("x")]);
        let made = call(HostCall::Generate { prompt, options: options(9) });
        let before = call(HostCall::TextLiteral("Answer: ".into()));
        vec![Node::Value(call(HostCall::TextConcat(vec![before, made])))]
    });
    world.await_requests(1);
    let value = shown(&world.broker.panels()).remove(0);
    assert_eq!((value.text.as_str(), &value.state), ("Answer: ", &ValueState::Streaming));
    assert!(matches!(world.broker.value_text(value.id), Err(ValueError::NotReady)));
    world.release(1);
    assert_eq!(shown(&world.settled())[0].text, format!("Answer: {MODEL_MARK} x"));
}

#[test]
fn faults_stand_where_the_value_would() {
    let failing = Recipe { engine: EngineKind::Failing, ..Recipe::default() };
    let no_model = Recipe { trust: None, ..Recipe::default() };
    let tiny = Recipe { context_tokens: 12, ..Recipe::default() };
    for (recipe, reason) in [
        (failing, "the model failed: the model failed in test: planned"),
        (no_model, "no model is loaded"),
        (tiny, "this is too long for the model, even in pieces"),
    ] {
        let world = World::new(&recipe);
        show(&world, "main", summaries);
        assert_eq!(failures(&shown(&world.settled())), vec![reason; 3]);
    }
    let alone = World::new(&Recipe { picks: None, ..Recipe::default() });
    let pick = || HostCall::Pick { purpose: String::new(), limit: 2 };
    show(&alone, "main", |call| vec![Node::Items(call(pick()))]);
    assert_eq!(failures(&shown(&alone.settled())), ["there was nobody to ask for documents"]);
    let none = World::new(&Recipe { picks: Some(0), ..Recipe::default() });
    show(&none, "main", |call| vec![Node::Items(call(pick()))]);
    assert!(shown(&none.settled()).is_empty(), "picking none is no fault");
    let many = World::new(&Recipe { picks: Some(3), ..Recipe::default() });
    show(&many, "main", |call| vec![Node::Items(call(pick()))]);
    assert_eq!(failures(&shown(&many.settled())), ["this would be more than 2 parts"]);
}

#[test]
fn a_long_document_is_read_in_pieces_and_the_user_is_told() {
    let body: String = (1..=300).map(|n| format!("part{n} ")).collect();
    let documents = vec![("Long".to_owned(), body)];
    let world = World::new(&Recipe { documents, context_tokens: 64, ..Recipe::default() });
    show(&world, "main", |call| {
        let over = call(granted(1));
        let item = Part::Item(None);
        let prompt = || user(vec![words("Sum up: "), item.clone()]);
        let each = HostCall::GenerateEach { over, prompt: prompt(), options: options(12) };
        let reduce = HostCall::Reduce { over, prompt: prompt(), options: options(12) };
        vec![Node::Items(call(each)), Node::Value(call(reduce))]
    });
    let values = shown(&world.settled());
    assert_eq!(failures(&values), Vec::<String>::new());
    for value in values {
        assert_eq!(value.state, ValueState::Done);
        assert!(value.made_from.contains("read in pieces"), "{}", value.made_from);
        assert!(value.text.starts_with(MODEL_MARK));
    }
    // All 300 words were read, about 40 at a time, for each of the two values.
    let rows = world.vault.audit_rows(Some(&world.plugin), 1000).unwrap();
    assert!(rows.iter().filter(|row| row.what == "asked the model").count() >= 2 * 8);
}

#[test]
fn many_documents_are_reduced_to_one_answer() {
    let world =
        World::new(&Recipe { documents: numbered(40), context_tokens: 80, ..Recipe::default() });
    show(&world, "main", |call| {
        let over = call(granted(40));
        let prompt = user(vec![words("All: "), Part::Item(Some(Field::Title)), Part::Item(None)]);
        vec![Node::Value(call(HostCall::Reduce { over, prompt, options: options(16) }))]
    });
    let values = shown(&world.settled());
    assert_eq!(values[0].state, ValueState::Done, "{values:?}");
    assert!(values[0].text.starts_with(MODEL_MARK));
    assert!(values[0].made_from.contains("from 40 documents"), "{}", values[0].made_from);
}

#[test]
fn a_long_document_is_decided_on_by_what_it_comes_to() {
    let body: String = (1..=300).map(|n| format!("part{n} ")).collect();
    let documents = vec![("Long".to_owned(), body), ("Short".to_owned(), "short".to_owned())];
    let world = World::new(&Recipe { documents, context_tokens: 300, ..Recipe::default() });
    show(&world, "main", |call| {
        let over = call(granted(2));
        let prompt = user(vec![words("Urgent? "), Part::Item(None)]);
        let answer = hearth_base::Schema::Boolean;
        let no = call(HostCall::DecideEach { over, prompt, answer });
        vec![Node::Items(no), Node::Items(Handle(no.0 + 1))]
    });
    let values = shown(&world.settled());
    assert_eq!(failures(&values), Vec::<String>::new());
    let mut titles: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["Long", "Short"], "each document is in one of the lists");
}

#[test]
fn revoking_in_mid_run_ends_what_is_not_made_yet() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    let client = world.go();
    finish_with(client, "main", summaries);
    world.await_requests(1);
    world.regrant(|grant| {
        grant.capabilities.clear();
    });
    // Answered after the grant was taken back: even this answer is not shown.
    world.release(3);
    let values = shown(&world.settled());
    assert_eq!(failures(&values), vec!["the permission was changed meanwhile"; 3]);
    let rows = world.vault.audit_rows(Some(&world.plugin), 100).unwrap();
    assert!(rows.iter().any(|row| row.what == "asked the model"));
}

#[test]
fn a_grant_given_anew_does_not_revive_an_old_run() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let Answer::Handle(all) = client.call(granted(3)).unwrap() else { panic!("no handle") };
    world.regrant(|_| {});
    assert!(matches!(client.call(granted(3)), Ok(Answer::Handle(_))), "the guest hears nothing");
    let nodes = vec![Node::Items(all)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    assert_eq!(failures(&shown(&world.settled())), ["the permission was changed meanwhile"]);
}

#[test]
fn stopping_a_plugin_ends_its_work_and_says_so() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    show(&world, "main", summaries);
    world.await_requests(1);
    world.broker.stop(&world.plugin);
    let values = shown(&world.broker.panels());
    assert_eq!(failures(&values), vec!["stopped"; 3]);
    world.release(1);
    // A new run is not hindered by it.
    show(&world, "side", |call| vec![Node::Value(call(HostCall::TextLiteral("x".into())))]);
    assert_eq!(world.broker.panels().len(), 2);
}

#[test]
fn stopping_a_guest_that_runs_gives_it_nothing_more() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    world.broker.stop(&world.plugin);
    assert_eq!(client.call(granted(3)), Err(GuestError::Refused));
    client.finish(RETURNED);
    assert!(world.vault.plugin(&world.plugin).unwrap().unwrap().suspended.is_some());
}

#[test]
fn closing_a_panel_ends_what_only_it_needs() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    let mut client = world.go();
    let prompt = user(vec![words("shared")]);
    let call = HostCall::Generate { prompt, options: options(9) };
    let Answer::Handle(shared) = client.call(call).unwrap() else { panic!("no handle") };
    for panel in ["main", "side"] {
        let nodes = vec![Node::Value(shared)];
        client.call(HostCall::PanelShow { panel: panel.into(), nodes }).unwrap();
    }
    client.finish(RETURNED);
    world.await_requests(1);
    world.broker.close_panel(&key(&world, "main"));
    assert_eq!(world.broker.panels().len(), 1);
    // Whichever panel's work it was, the other's goes on, if need be with another request.
    world.release(2);
    assert_eq!(shown(&world.settled())[0].text, format!("{MODEL_MARK} shared"));
    world.broker.close_panel(&key(&world, "side"));
    assert!(world.broker.panels().is_empty());
}

#[test]
fn a_panel_shown_again_keeps_the_work_it_still_needs() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    let mut client = world.go();
    let prompt = user(vec![words("x")]);
    let call = HostCall::Generate { prompt, options: options(9) };
    let Answer::Handle(value) = client.call(call).unwrap() else { panic!("no handle") };
    for heading in ["first", "second"] {
        let nodes = vec![Node::Heading(heading.into()), Node::Value(value)];
        client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
        world.await_requests(1);
    }
    client.finish(RETURNED);
    // One answer is enough: the request was not withdrawn and made again.
    world.release(1);
    let panels = world.settled();
    assert_eq!(panels[0].nodes[0], PanelNode::Heading("second".into()));
    assert_eq!(shown(&panels)[0].state, ValueState::Done);
}

#[test]
fn the_user_saves_and_copies_what_is_shown() {
    let world = World::new(&Recipe { documents: numbered(1), ..Recipe::default() });
    // Saving is the user's own doing: the plugin has no leave to save.
    world.regrant(|grant| {
        grant.capabilities.remove(&hearth_base::Capability::DocumentsSave);
    });
    show(&world, "main", summaries);
    let value = shown(&world.settled()).remove(0);
    assert_eq!(world.broker.value_text(value.id).unwrap(), value.text);
    let id = world.block_on(world.broker.save_value(value.id)).unwrap();
    let saved = world.vault.document(id).unwrap().unwrap();
    assert_eq!(saved.head.title, "Subject: title1 tok1");
    assert_eq!(saved.body, value.text);
    assert!(saved.label.sources.contains(&Source::Document(world.documents[0])));
    assert_eq!(shown(&world.broker.panels())[0].state, ValueState::Saved);
    world.broker.close_panel(&key(&world, "main"));
    assert!(matches!(world.broker.value_text(value.id), Err(ValueError::Stale)));
    let again = world.block_on(world.broker.save_value(value.id));
    assert!(matches!(again, Err(ValueError::Stale)));
}

#[test]
fn what_the_user_picks_comes_back_as_a_value() {
    let world = World::new(&Recipe::default());
    show(&world, "main", |call| vec![Node::Picker("which".into(), call(granted(3)))]);
    let panels = world.settled();
    let items = shown(&panels);
    assert_eq!(items[1].text, "title2 tok2", "a list of documents shows titles");
    let pick =
        Start::Picked { panel: key(&world, "main"), picker: "which".into(), value: items[1].id };
    let (client, invocation) = world.begin(pick);
    let Export::OnEvent { panel, event: Event::Picked(id, picked) } = invocation.export else {
        panic!("{invocation:?}")
    };
    assert_eq!((panel.as_str(), id.as_str()), ("main", "which"));
    finish_with(client, "side", |_| vec![Node::Value(picked)]);
    let panels = world.settled();
    let value = shown(&panels).into_iter().find(|value| value.text.starts_with("body")).unwrap();
    assert_eq!(value.text, "body of tok2");
    let words = "made by Subject from “title2 tok2”, chosen among 3 documents and what you entered";
    assert_eq!(value.made_from, words);
}

#[test]
fn the_last_change_is_always_told() {
    let world = World::new(&Recipe { engine: EngineKind::Slow, ..Recipe::default() });
    show(&world, "main", summaries);
    let done = |values: Vec<Option<ValueView>>| {
        values.iter().all(|v| v.as_ref().is_some_and(|v| v.state == ValueState::Done))
    };
    // Looks only when told to: without the last notice this would wait in vain.
    world.seen.wait(|_| done(values(&world.broker.panels())));
    let heard = world.seen.now();
    assert!(heard.panel_changes < 60, "{} notices for 3 short answers", heard.panel_changes);
}

#[test]
fn a_shut_broker_lets_go_of_the_vault() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    show(&world, "main", summaries);
    world.await_requests(1);
    world.block_on(world.broker.shutdown());
    assert!(world.broker.panels().is_empty());
    assert_eq!(std::sync::Arc::strong_count(&world.vault), 1);
    world.release(1);
    show_nothing(&world);
}

fn show_nothing(world: &World) {
    world.broker.close_panel(&key(world, "main"));
    assert!(world.broker.panels().is_empty());
}

#[test]
fn a_text_that_grows_without_bound_is_a_fault_not_a_crash() {
    let world = World::new(&Recipe::default());
    show(&world, "main", |call| {
        let mut text = call(HostCall::TextLiteral("x".repeat(1000)));
        for _ in 0..100 {
            text = call(HostCall::TextConcat(vec![text, text]));
        }
        vec![Node::Value(text), button("ok")]
    });
    let reasons = failures(&shown(&world.settled()));
    assert_eq!(reasons, ["this would be a text of more than 16777216 bytes"]);
}

#[test]
fn values_without_number_are_a_fault_and_no_view_grows_without_bound() {
    let world = World::new(&Recipe::default());
    show(&world, "main", |call| {
        let mut text = call(HostCall::TextLiteral("x".repeat(64 << 10)));
        for _ in 0..8 {
            text = call(HostCall::TextConcat(vec![text, text]));
        }
        let copies = (0..40).map(|_| Node::Value(call(HostCall::TextConcat(vec![text]))));
        copies.collect()
    });
    let values = shown(&world.settled());
    let reason = "the plugin's values are more than 268435456 bytes together";
    let failed = failures(&values);
    // 16 MiB each, beside 32 MiB of what they are made from.
    assert!((20..40).contains(&failed.len()), "{}", failed.len());
    assert!(failed.iter().all(|why| why == reason));
    let bytes: usize = values.iter().map(|value| value.text.len()).sum();
    assert!(bytes < 5 << 20, "{bytes}");
}
