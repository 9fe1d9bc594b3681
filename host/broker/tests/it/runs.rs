//! Runs from beginning to end: who may start, what is charged, what is left behind.

use hearth_base::{
    Answer, Capability, Date, DocumentId, GuestError, GuestFailure, Handle, HostCall, Label,
    LogLevel, Message, Node, Origin, Part, Quota, SettingValue, Sort, Source, Weights,
};
use hearth_broker::{BeginError, Client, Limits, ModelFacts, ModelTrust, PanelKey, RunEnd, Start};
use hearth_vault::DocumentQuery;

use crate::{
    engine::MODEL_MARK,
    guests::{button, options, user, words},
    world::{EngineKind, Recipe, World, numbered},
};

fn handle(client: &mut Client, call: HostCall) -> Handle {
    match client.call(call).unwrap() {
        Answer::Handle(handle) | Answer::MaybeHandle(Some(handle)) => handle,
        other => panic!("{other:?}"),
    }
}

fn literal(client: &mut Client, text: &str) -> Handle {
    handle(client, HostCall::TextLiteral(text.into()))
}

fn granted(limit: u16) -> HostCall {
    HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit }
}

fn set(key: &str, value: &[u8]) -> HostCall {
    HostCall::StorageSet { key: key.into(), value: value.to_vec() }
}

fn get(client: &mut Client, key: &str) -> Option<Vec<u8>> {
    match client.call(HostCall::StorageGet(key.into())).unwrap() {
        Answer::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

const RETURNED: RunEnd = RunEnd::Returned(Ok(()));

fn aborted() -> RunEnd {
    RunEnd::Aborted("the plugin crashed".into())
}

fn begin_error(world: &World, start: Start) -> BeginError {
    let today = Date { year: 2026, month: 1, day: 31 };
    match world.broker.begin(&world.plugin, start, today, "en-GB") {
        Ok(_) => panic!("it began"),
        Err(error) => error,
    }
}

fn go() -> Start {
    Start::Command { id: "go".into(), focus: None, input: None }
}

#[test]
fn only_a_gesture_that_makes_sense_starts_a_run() {
    let world = World::new(&Recipe::default());
    let command = |id: &str, focus| Start::Command { id: id.into(), focus, input: None };
    let document = Some(world.documents[0]);
    let error = begin_error(&world, command("fly", None));
    assert!(matches!(error, BeginError::UnknownCommand { .. }));
    assert!(matches!(begin_error(&world, command("one", None)), BeginError::FocusMissing));
    assert!(matches!(begin_error(&world, command("go", document)), BeginError::FocusRefused));
    let panel = PanelKey { plugin: world.plugin.clone(), panel: "main".into() };
    let press = |button: &str| Start::Pressed { panel: panel.clone(), button: button.into() };
    assert!(matches!(begin_error(&world, press("ok")), BeginError::Stale));

    let mut client = world.go();
    assert!(matches!(begin_error(&world, go()), BeginError::Busy));
    let mut greyed = button("no");
    if let Node::Button(button) = &mut greyed {
        button.enabled = false;
    }
    let nodes = vec![button("ok"), greyed];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    assert!(matches!(begin_error(&world, press("no")), BeginError::Stale));
    world.begin(press("ok")).0.finish(RETURNED);
    let text = "x".repeat(Limits::default().entered_bytes + 1);
    let enter = Start::Entered { panel: panel.clone(), input: "ok".into(), text };
    assert!(matches!(begin_error(&world, enter), BeginError::TooLong { .. }));
    world.broker.close_panel(&panel);
    assert!(matches!(begin_error(&world, press("ok")), BeginError::Stale));
}

#[test]
fn who_is_not_ready_does_not_begin() {
    let world = World::new(&Recipe::default());
    let mut record = world.vault.plugin(&world.plugin).unwrap().unwrap();
    record.enabled = false;
    world.vault.put_plugin(&record).unwrap();
    assert!(matches!(begin_error(&world, go()), BeginError::Disabled));
    record.enabled = true;
    record.manifest = "id = 7".into();
    world.vault.put_plugin(&record).unwrap();
    assert!(matches!(begin_error(&world, go()), BeginError::Manifest(_)));
    world.vault.remove_plugin(&world.plugin, true).unwrap();
    assert!(matches!(begin_error(&world, go()), BeginError::NotInstalled));
    world.block_on(world.broker.shutdown());
    assert!(matches!(begin_error(&world, go()), BeginError::Locked));
}

#[test]
fn a_focus_needs_leave_to_read() {
    let world = World::new(&Recipe::default());
    world.regrant(|grant| {
        grant.capabilities.remove(&Capability::DocumentsRead);
    });
    let start = Start::Command { id: "one".into(), focus: Some(world.documents[0]), input: None };
    assert!(matches!(begin_error(&world, start), BeginError::FocusRefused));
}

#[test]
fn storage_is_committed_by_an_orderly_end_alone() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    client.call(set("a", b"1")).unwrap();
    client.finish(RETURNED);

    let mut client = world.go();
    assert_eq!(get(&mut client, "a"), Some(b"1".to_vec()));
    client.call(set("a", b"2")).unwrap();
    assert_eq!(get(&mut client, "a"), Some(b"2".to_vec()), "a run sees what it wrote");
    client.finish(RunEnd::Returned(Err(GuestFailure::Unsupported)));

    let mut client = world.go();
    assert_eq!(get(&mut client, "a"), Some(b"1".to_vec()));
    client.call(HostCall::StorageDelete("a".into())).unwrap();
    client.finish(aborted());
    assert_eq!(world.vault.storage(&world.plugin).unwrap()["a"], b"1");
}

#[test]
fn storage_is_limited_by_the_manifest() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    client.call(set("a", &[0; 1023])).unwrap();
    client.call(set("a", &[1; 1023])).unwrap();
    assert_eq!(client.call(set("b", b"")), Err(GuestError::OverQuota(Quota::Storage)));
    assert!(matches!(client.call(set("", b"")), Err(GuestError::Invalid(_))));
    client.call(HostCall::StorageDelete("a".into())).unwrap();
    client.call(set("b", b"")).unwrap();
    assert_eq!(client.call(HostCall::StorageKeys), Ok(Answer::Keys(vec!["b".into()])));
    client.finish(RETURNED);
}

#[test]
fn an_abnormal_end_leaves_nothing_and_suspends() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let text = literal(&mut client, "x");
    client.call(HostCall::Save { title: text, body: text }).unwrap();
    client.call(HostCall::Keep { name: "x".into(), value: text }).unwrap();
    let nodes = vec![Node::Value(text)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(aborted());
    assert!(world.broker.panels().is_empty());
    assert!(world.vault.kept_names(&world.plugin).unwrap().is_empty());
    assert!(saved_by_plugin(&world).is_empty());
    match begin_error(&world, go()) {
        BeginError::Suspended { why } => assert_eq!(why, "the plugin crashed"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_is_dropped_ended_abnormally() {
    let world = World::new(&Recipe::default());
    drop(world.go());
    assert!(matches!(begin_error(&world, go()), BeginError::Suspended { .. }));
}

/// Titles, bodies and labels of what the plugin saved.
fn saved_by_plugin(world: &World) -> Vec<(String, String, Label)> {
    let folders = world.vault.folders().unwrap();
    let own = folders.iter().find(|folder| folder.plugin.as_ref() == Some(&world.plugin));
    let Some(own) = own else { return Vec::new() };
    let query = DocumentQuery { folders: Some(vec![own.id]), limit: 100, ..Default::default() };
    let heads = world.vault.documents(&query).unwrap().heads;
    let mut all: Vec<_> = heads
        .iter()
        .map(|head| {
            let document = world.vault.document(head.id).unwrap().unwrap();
            (document.head.title, document.body, document.label)
        })
        .collect();
    all.sort_by(|a, b| a.1.cmp(&b.1));
    all
}

#[test]
fn what_is_saved_stays_apart_and_keeps_its_label() {
    let world = World::new(&Recipe::default());
    let before = world.vault.document(world.documents[0]).unwrap();
    for _ in 0..2 {
        let mut client = world.go();
        let title = literal(&mut client, " title1 tok1\n");
        let all = handle(&mut client, granted(3));
        let join = HostCall::CollectionJoin { collection: all, separator: "|".into() };
        let body = handle(&mut client, join);
        assert_eq!(client.call(HostCall::Save { title, body }), Ok(Answer::Unit));
        assert!(saved_by_plugin(&world).len() < 2, "nothing is saved before the run has returned");
        client.finish(RETURNED);
    }
    let heard = world.seen.wait(|heard| heard.saved.len() == 2);
    assert!(heard.troubles.is_empty());
    let saved = saved_by_plugin(&world);
    assert_eq!(saved.len(), 2, "the same title again is another document");
    for (title, body, label) in saved {
        assert_eq!(title, "title1 tok1");
        assert_eq!(body.split('|').count(), 3);
        assert!(
            label
                .origins
                .is_superset(&[Origin::External, Origin::Plugin(world.plugin.clone())].into())
        );
        assert!(world.documents.iter().all(|id| label.sources.contains(&Source::Document(*id))));
    }
    assert_eq!(world.vault.document(world.documents[0]).unwrap(), before);
}

#[test]
fn each_result_is_saved_under_its_own_title() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let texts: Vec<Handle> = ["A", "B", "a", "b", "c"].map(|t| literal(&mut client, t)).into();
    let titles = handle(&mut client, HostCall::CollectionOf(texts[..2].to_vec()));
    let bodies = handle(&mut client, HostCall::CollectionOf(texts[2..].to_vec()));
    client.call(HostCall::SaveEach { titles, bodies }).unwrap();
    client.finish(RETURNED);
    world.seen.wait(|heard| heard.saved.len() == 3);
    let saved: Vec<(String, String)> =
        saved_by_plugin(&world).into_iter().map(|(title, body, _)| (title, body)).collect();
    let expected = [("A", "a"), ("B", "b"), ("Untitled", "c")];
    assert_eq!(saved, expected.map(|(title, body)| (title.to_owned(), body.to_owned())));
}

#[test]
fn what_cannot_be_saved_is_told_to_the_user_alone() {
    let world = World::new(&Recipe { engine: EngineKind::Failing, ..Recipe::default() });
    let mut client = world.go();
    let title = literal(&mut client, "t");
    let prompt = user(vec![words("x")]);
    let body = handle(&mut client, HostCall::Generate { prompt, options: options(9) });
    assert_eq!(client.call(HostCall::Save { title, body }), Ok(Answer::Unit));
    client.finish(RETURNED);
    let heard = world.seen.wait(|heard| !heard.troubles.is_empty());
    assert!(heard.troubles[0].starts_with("a result could not be saved: the model failed"));
    world.go().finish(RETURNED);
}

#[test]
fn a_kept_value_reaches_later_runs_before_and_after_it_is_made() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    let kept = |client: &mut Client, name: &str| client.call(HostCall::Kept { name: name.into() });
    let mut client = world.go();
    assert_eq!(kept(&mut client, "x"), Ok(Answer::MaybeHandle(None)));
    let prompt = user(vec![words("first")]);
    let value = handle(&mut client, HostCall::Generate { prompt, options: options(9) });
    client.call(HostCall::Keep { name: "x".into(), value }).unwrap();
    assert!(matches!(kept(&mut client, "x"), Ok(Answer::MaybeHandle(Some(_)))));
    client.finish(RETURNED);

    // The model has not answered yet. The new value is made from the old one, under the same name.
    world.await_requests(1);
    let mut client = world.go();
    let old = handle(&mut client, HostCall::Kept { name: "x".into() });
    let more = literal(&mut client, " and more");
    let value = handle(&mut client, HostCall::TextConcat(vec![old, more]));
    client.call(HostCall::Keep { name: "x".into(), value }).unwrap();
    let nodes = vec![Node::Value(value)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    world.release(1);
    world.settled();

    let mut client = world.go();
    let value = handle(&mut client, HostCall::Kept { name: "x".into() });
    let nodes = vec![Node::Value(value)];
    client.call(HostCall::PanelShow { panel: "side".into(), nodes }).unwrap();
    client.finish(RETURNED);
    for value in crate::world::shown(&world.settled()) {
        assert_eq!(value.text, format!("{MODEL_MARK} first and more"));
    }
}

#[test]
fn a_value_that_was_never_finished_is_a_fault_for_the_user() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    let mut client = world.go();
    let prompt = user(vec![words("x")]);
    let value = handle(&mut client, HostCall::Generate { prompt, options: options(9) });
    client.call(HostCall::Keep { name: "x".into(), value }).unwrap();
    client.finish(RETURNED);
    world.await_requests(1);
    assert!(world.broker.is_working(&world.plugin));
    world.broker.stop(&world.plugin);
    world.seen.wait(|_| !world.broker.is_working(&world.plugin));

    let mut client = world.go();
    let value = handle(&mut client, HostCall::Kept { name: "x".into() });
    let nodes = vec![Node::Value(value)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    let reason = "an earlier run did not get to finish this".to_owned();
    let state = crate::world::shown(&world.settled()).remove(0).state;
    assert_eq!(state, hearth_broker::ValueState::Failed(reason));
}

#[test]
fn charges_are_public_and_run_out_at_the_same_call() {
    let used = |documents: usize| {
        let world = World::new(&Recipe { documents: numbered(documents), ..Recipe::default() });
        let mut client = world.go();
        let over = handle(&mut client, granted(50));
        let prompt = || user(vec![words(&"w".repeat(40_000)), Part::Item(None)]);
        let mut calls = 0;
        let end = loop {
            let call =
                HostCall::GenerateEach { over, prompt: prompt(), options: options(u16::MAX) };
            match client.call(call) {
                Ok(_) => calls += 1,
                Err(error) => break error,
            }
        };
        client.finish(RETURNED);
        (calls, end)
    };
    let (calls, end) = used(0);
    assert_eq!(end, GuestError::OverQuota(Quota::Tokens));
    assert!(calls < 50);
    assert_eq!(used(30), (calls, end));
}

#[test]
fn limits_hold() {
    let world = World::new(&Recipe::default());
    let limits = Limits::default();
    let mut client = world.go();
    let over = |quota| Err(GuestError::OverQuota(quota));
    let long = |bytes: usize| "x".repeat(bytes);
    assert_eq!(
        client.call(HostCall::TextLiteral(long(limits.literal_bytes + 1))),
        over(Quota::Bytes)
    );
    assert_eq!(
        client.call(HostCall::Log { level: LogLevel::Info, message: long(limits.call_bytes + 1) }),
        over(Quota::Bytes)
    );
    let text = literal(&mut client, "x");
    assert_eq!(
        client.call(HostCall::TextConcat(vec![text; limits.list_items + 1])),
        over(Quota::Items)
    );
    assert_eq!(client.call(granted(u16::MAX)), over(Quota::Items));
    let show = |nodes| HostCall::PanelShow { panel: "main".into(), nodes };
    let nodes = vec![Node::Divider; limits.panel_nodes + 1];
    assert_eq!(client.call(show(nodes)), over(Quota::Panels));
    let nodes = vec![Node::Label(long(limits.panel_string_bytes + 1))];
    assert_eq!(client.call(show(nodes)), over(Quota::Bytes));
    let mut nodes: Vec<Node> = (0..9).map(|n| button(&n.to_string())).collect();
    client.call(show(nodes.clone())).unwrap();
    nodes.push(Node::Value(text));
    assert!(matches!(client.call(show(nodes)), Err(GuestError::Invalid(_))));
    let deep = [vec![Node::Row; 9], vec![Node::End; 9]].concat();
    for bad in [deep, vec![Node::Column], vec![Node::End], vec![Node::Progress(Some(101))]] {
        assert!(matches!(client.call(show(bad)), Err(GuestError::Invalid(_))));
    }
    let mut deep = text;
    for _ in 0..limits.value_depth {
        deep = handle(&mut client, HostCall::TextConcat(vec![deep]));
    }
    assert!(matches!(client.call(HostCall::TextConcat(vec![deep])), Err(GuestError::Invalid(_))));
    client.call(show(vec![Node::Value(deep)])).unwrap();
    loop {
        match client.call(HostCall::TextLiteral(String::new())) {
            Ok(_) => {}
            Err(error) => break assert_eq!(error, GuestError::OverQuota(Quota::Handles)),
        }
    }
    client.call(HostCall::Drop(text)).unwrap();
    assert!(matches!(client.call(HostCall::Drop(text)), Err(GuestError::Invalid(_))));
    literal(&mut client, "there is room again");
    client.finish(RETURNED);
    assert_eq!(crate::world::shown(&world.settled())[0].text, "x");
}

#[test]
fn literals_run_out_by_their_bytes() {
    let world = World::new(&Recipe::default());
    let limits = Limits::default();
    let mut client = world.go();
    let text = "x".repeat(limits.literal_bytes);
    for _ in 0..limits.literals_bytes / limits.literal_bytes {
        let handle = literal(&mut client, &text);
        client.call(HostCall::Drop(handle)).unwrap();
    }
    let more = client.call(HostCall::TextLiteral("x".into()));
    assert_eq!(more, Err(GuestError::OverQuota(Quota::Bytes)));
    client.finish(RETURNED);
}

#[test]
fn calls_run_out_but_letting_go_does_not() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let text = literal(&mut client, "x");
    for _ in 1..Limits::default().calls {
        client.call(HostCall::Remaining).unwrap();
    }
    assert_eq!(client.call(HostCall::Remaining), Err(GuestError::OverQuota(Quota::Calls)));
    assert_eq!(client.call(HostCall::Drop(text)), Ok(Answer::Unit));
    client.finish(RETURNED);
}

#[test]
fn what_is_not_granted_is_denied_at_once() {
    let world = World::new(&Recipe::default());
    world.regrant(|grant| grant.capabilities.clear());
    let mut client = world.go();
    let text = literal(&mut client, "x");
    let prompt = || user(vec![words("x")]);
    for (call, power) in [
        (granted(1), Capability::DocumentsRead),
        (HostCall::Pick { purpose: String::new(), limit: 1 }, Capability::DocumentsRead),
        (
            HostCall::Search { slot: "inbox".into(), query: text, limit: 1 },
            Capability::DocumentsSearch,
        ),
        (HostCall::Save { title: text, body: text }, Capability::DocumentsSave),
        (HostCall::Generate { prompt: prompt(), options: options(1) }, Capability::Model),
        (set("a", b""), Capability::Storage),
        (HostCall::RevealText { text, purpose: String::new() }, Capability::RevealText),
    ] {
        assert_eq!(client.call(call), Err(GuestError::Denied(power)));
    }
    let mut personal = options(1);
    personal.weights = Weights::Personal;
    assert_eq!(
        client.call(HostCall::Generate { prompt: prompt(), options: personal }),
        Err(GuestError::Denied(Capability::PersonalModel))
    );
    client.finish(RETURNED);
    let rows = world.vault.audit_rows(Some(&world.plugin), 100).unwrap();
    assert_eq!(rows.iter().filter(|row| !row.allowed).count(), 8);
    assert!(rows.iter().any(|row| row.what == "was denied DocumentsSave"));
}

#[test]
fn the_gate_refuses_and_the_attempt_is_on_record() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let text = literal(&mut client, "x");
    let answer = hearth_base::Schema::Range(1, 4);
    let choice =
        handle(&mut client, HostCall::Decide { prompt: user(vec![Part::Value(text)]), answer });
    let over = Err(GuestError::OverQuota(Quota::Bits));
    assert_eq!(client.call(HostCall::RevealChoice(choice)), over);
    let reveal = HostCall::RevealText { text, purpose: "please".into() };
    assert_eq!(client.call(reveal), Err(GuestError::Refused));
    assert_eq!(client.call(HostCall::Remaining), Ok(Answer::Number(0)));
    assert!(matches!(client.call(HostCall::RevealChoice(text)), Err(GuestError::Invalid(_))));
    client.finish(RETURNED);
    let rows = world.vault.audit_rows(Some(&world.plugin), 100).unwrap();
    let gate: Vec<&str> =
        rows.iter().filter(|row| !row.allowed).map(|row| row.what.as_str()).collect();
    assert_eq!(
        gate,
        [
            "asked to learn one of 4 outcomes: refused, for it has no 2.322 bits left",
            "asked to learn a text without a gesture in its panel: refused, and paid a bit",
        ]
    );
}

fn complete(client: &mut Client, prompt: Vec<Message>) -> Result<Vec<String>, GuestError> {
    let Answer::Handle(completion) =
        client.call(HostCall::CompletionStart { prompt, options: options(5) })?
    else {
        panic!("no handle")
    };
    let mut tokens = Vec::new();
    loop {
        match client.call(HostCall::CompletionNext(completion))? {
            Answer::Token(Some(token)) => tokens.push(token),
            Answer::Token(None) => return Ok(tokens),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_completion_is_public_through_and_through() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let tokens = complete(&mut client, user(vec![words("one "), words("two three")])).unwrap();
    assert_eq!(tokens, [format!("{MODEL_MARK} ").as_str(), "one ", "two ", "three"]);
    let text = literal(&mut client, "x");
    let private = complete(&mut client, user(vec![Part::Value(text)]));
    assert!(matches!(private, Err(GuestError::Invalid(_))));
    client.finish(RETURNED);

    for trust in [None, Some(ModelTrust::Private("mine".into()))] {
        let world = World::new(&Recipe { trust, ..Recipe::default() });
        let mut client = world.go();
        let refused = complete(&mut client, user(vec![words("x")]));
        assert!(matches!(refused, Err(GuestError::Invalid(_))));
        client.finish(RETURNED);
    }
}

#[test]
fn a_completion_is_never_answered_by_another_model() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..Recipe::default() });
    let mut client = world.go();
    let heard = std::thread::scope(|scope| {
        let guest = scope.spawn(|| complete(&mut client, user(vec![words("x")])));
        world.await_requests(1);
        // Exchanged for a private model and back while the completion waits: it looks the same again.
        world.broker.set_model(None);
        for trust in [ModelTrust::Private("mine".into()), ModelTrust::Public] {
            world.broker.set_model(Some(ModelFacts { trust, context_tokens: 4096 }));
        }
        world.release(1);
        guest.join().unwrap()
    });
    assert_eq!(heard, Err(GuestError::Refused), "not one word is told");
    client.finish(RETURNED);
    match begin_error(&world, go()) {
        BeginError::Suspended { why } => assert_eq!(why, "the model was exchanged meanwhile"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_engine_fault_in_the_open_ends_the_run_abnormally() {
    let world = World::new(&Recipe { engine: EngineKind::Failing, ..Recipe::default() });
    let mut client = world.go();
    client.call(set("a", b"1")).unwrap();
    assert_eq!(complete(&mut client, user(vec![words("x")])), Err(GuestError::Refused));
    assert_eq!(client.call(HostCall::Remaining), Err(GuestError::Refused));
    client.finish(RETURNED);
    assert!(world.vault.storage(&world.plugin).unwrap().is_empty());
    assert!(matches!(begin_error(&world, go()), BeginError::Suspended { .. }));
}

#[test]
fn a_run_knows_its_settings_and_its_seed() {
    let world = World::new(&Recipe::default());
    let setting = |client: &mut Client| client.call(HostCall::SettingGet("newest".into()));
    let (mut client, first) = world.begin(go());
    assert_eq!(setting(&mut client), Ok(Answer::Setting(Some(SettingValue::Number(5)))));
    world.vault.set_setting(&world.plugin, "newest", &SettingValue::Number(7)).unwrap();
    assert_eq!(setting(&mut client), Ok(Answer::Setting(Some(SettingValue::Number(5)))), "frozen");
    assert_eq!(client.call(HostCall::SettingGet("?".into())), Ok(Answer::Setting(None)));
    client.finish(RETURNED);
    let (mut client, second) = world.begin(go());
    assert_eq!(setting(&mut client), Ok(Answer::Setting(Some(SettingValue::Number(7)))));
    client.finish(RETURNED);
    assert_ne!(first.info.seed, second.info.seed);
    assert_eq!((first.info.today.year, first.info.locale.as_str()), (2026, "en-GB"));
    world.vault.set_setting(&world.plugin, "newest", &SettingValue::Number(700)).unwrap();
    let mut client = world.go();
    assert_eq!(setting(&mut client), Ok(Answer::Setting(Some(SettingValue::Number(5)))));
    client.finish(RETURNED);
}

#[test]
fn the_audit_trail_names_operations_and_no_text() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let all = handle(&mut client, granted(3));
    let prompt = user(vec![words("secretword"), Part::Item(None)]);
    let each =
        handle(&mut client, HostCall::GenerateEach { over: all, prompt, options: options(9) });
    let nodes = vec![Node::Items(each)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    world.settled();
    let rows = world.vault.audit_rows(Some(&world.plugin), 100).unwrap();
    let count = |what: &str| rows.iter().filter(|row| row.what.starts_with(what)).count();
    assert_eq!((count("began"), count("returned"), count("listed")), (1, 1, 1));
    assert_eq!((count("read document"), count("asked the model")), (3, 3));
    assert!(rows.iter().all(|row| !row.what.contains("tok") && !row.what.contains("secretword")));
}

#[test]
fn handles_mean_nothing_in_another_run() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let text = literal(&mut client, "x");
    client.finish(RETURNED);
    let mut client = world.go();
    assert!(matches!(client.call(HostCall::TextConcat(vec![text])), Err(GuestError::Invalid(_))));
    let list = handle(&mut client, granted(1));
    for call in [
        HostCall::TextConcat(vec![list]),
        HostCall::DocumentGet { document: list, field: hearth_base::Field::Body },
        HostCall::CompletionNext(list),
        HostCall::TextConcat(vec![Handle(u32::MAX)]),
    ] {
        assert!(matches!(client.call(call), Err(GuestError::Invalid(_))));
    }
    client.finish(RETURNED);
    let unknown = DocumentId(i64::MAX);
    let start = Start::Command { id: "one".into(), focus: Some(unknown), input: None };
    world.begin(start).0.finish(RETURNED);
}

#[test]
fn a_flood_of_log_lines_is_cut_off_and_says_so() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    for _ in 0..1000 {
        let message = "\u{202e}x\n".to_owned();
        client.call(HostCall::Log { level: LogLevel::Info, message }).unwrap();
    }
    let message = "x".repeat(5000);
    client.call(HostCall::Progress { percent: None, message }).unwrap_err();
    client.finish(RETURNED);
    let log = world.seen.now().log;
    assert_eq!(log.len(), Limits::default().log_lines as usize + 1);
    assert_eq!(log[0].1, r"\u{202e}x ");
    assert!(log[log.len() - 1].1.contains("dropped"));
}
