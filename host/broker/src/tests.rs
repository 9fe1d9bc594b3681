//! Proof that the two-vault harness finds leaks: twelve are planted, one a channel, and it must find all of them.

use hearth_base::{Answer, HostCall, Node};
use hearth_broker::RunEnd;
use hearth_engine_api::{Priority, Prompt};

use crate::{
    client::planted::{LEAKS, Leak},
    inner::MODEL_SLOTS,
};
use world::World;

#[allow(dead_code, reason = "as below")]
#[path = "../tests/it/clock.rs"]
mod clock;
#[allow(dead_code, reason = "as below")]
#[path = "../tests/it/engine.rs"]
mod engine;
#[allow(dead_code, reason = "as above")]
#[path = "../tests/it/fuzzed.rs"]
mod fuzzed;
#[allow(dead_code, reason = "shared with the tests from outside, which use all of it")]
#[path = "../tests/it/guests.rs"]
mod guests;
#[allow(dead_code, reason = "as above")]
#[path = "../tests/it/pairs.rs"]
mod pairs;
#[allow(dead_code, reason = "as above")]
#[path = "../tests/it/t0.rs"]
mod t0;
#[allow(dead_code, reason = "as above")]
#[path = "../tests/it/world.rs"]
mod world;

/// The first of so many pairs whose worlds the plugin can tell apart, or does what it may not in one of them.
fn first_told_apart(leak: Option<Leak>, pairs: u64) -> Option<u64> {
    (0..pairs).find(|number| {
        let pair = pairs::pair(*number, false);
        let [one, other] = pair.sides.each_ref().map(|side| {
            let world = World::new(&side.recipe);
            *world.broker.inner.planted.lock().unwrap() = leak;
            pairs::play_in(&world, side, &pair.steps)
        });
        !one.is_like(&other)
    })
}

#[test]
fn every_planted_leak_is_found() {
    let found = LEAKS.map(|leak| (leak, first_told_apart(Some(leak), 60)));
    let missed: Vec<_> = found.iter().filter(|(_, pair)| pair.is_none()).collect();
    assert!(missed.is_empty(), "missed {missed:?} of {found:?}");
}

#[test]
fn without_a_leak_none_is_found() {
    assert_eq!(first_told_apart(None, 12), None);
}

#[test]
fn nothing_is_copied_for_the_model_before_its_turn() {
    let world = World::new(&Default::default());
    let inner = &world.broker.inner;
    let slots = [0; 2].map(|_| world.block_on(inner.model_slot(usize::MAX)));
    let mut client = world.go();
    let mut handle = |call| match client.call(call) {
        Ok(Answer::Handle(handle)) => handle,
        other => panic!("{other:?}"),
    };
    let text = handle(HostCall::TextLiteral("some words".into()));
    let pieces = handle(HostCall::TextChunk { text, max_tokens: 16 });
    let prompt = guests::user(vec![hearth_base::Part::Value(text)]);
    let made = handle(HostCall::Generate { prompt, options: guests::options(9) });
    let nodes = vec![Node::Value(text), Node::Value(made), Node::Items(pieces)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RunEnd::Returned(Ok(())));
    for _ in 0..100 {
        // Whatever had been asked of the engine would be answered before this.
        let count = inner.engine.count_tokens(Prompt::Text("x".into()), Priority::Background);
        world.block_on(count).unwrap();
    }
    let rows = world.vault.audit_rows(Some(&world.plugin), 100).unwrap();
    let asked = |what: &str| rows.iter().any(|row| row.what == what);
    assert!(!asked("asked the model") && !asked("cut a text into pieces"));
    drop(slots);
    let values = world::shown(&world.settled());
    assert_eq!(values.len(), 3);
    assert_eq!(values[2].text, "some words");
}

/// A world whose runs have room for a mebibyte, with 200 documents.
fn small_world() -> World {
    let documents = world::numbered(200);
    let mut world = World::new(&world::Recipe { documents, ..Default::default() });
    std::sync::Arc::get_mut(&mut world.broker.inner).unwrap().limits.run_bytes = 1 << 20;
    world
}

/// Why some values of a panel are not there, and how many values there are.
fn failures(
    world: &World,
    build: impl Fn(&mut dyn FnMut(HostCall) -> hearth_base::Handle) -> Vec<Node>,
) -> (Vec<String>, usize) {
    let mut client = world.go();
    let nodes = build(&mut |call| match client.call(call) {
        Ok(Answer::Handle(handle)) => handle,
        other => panic!("{other:?}"),
    });
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RunEnd::Returned(Ok(())));
    let values = world::shown(&world.settled());
    let count = values.len();
    let reason = |value: hearth_broker::ValueView| match value.state {
        hearth_broker::ValueState::Failed(reason) => Some(reason),
        _ => None,
    };
    (values.into_iter().filter_map(reason).collect(), count)
}

fn granted() -> HostCall {
    HostCall::Granted { slot: "inbox".into(), order: hearth_base::Sort::Oldest, limit: 200 }
}

#[test]
fn large_labels_take_room() {
    let world = small_world();
    let (reasons, count) = failures(&world, |call| {
        let collection = call(granted());
        let join = |n: usize| HostCall::CollectionJoin { collection, separator: n.to_string() };
        (0..80).map(|n| Node::Value(call(join(n)))).collect()
    });
    assert_eq!(count, 80);
    assert!((10..80).contains(&reasons.len()), "{}", reasons.len());
    let why = "the plugin's values are more than 1048576 bytes together";
    assert!(reasons.iter().all(|reason| reason == why), "{reasons:?}");
}

#[test]
fn a_choice_for_which_there_is_no_room_ends_the_run() {
    let world = small_world();
    let mut record = world.vault.plugin(&world.plugin).unwrap().unwrap();
    record.manifest = record.manifest.replace("bits-per-day = 1", "bits-per-day = 8");
    world.vault.put_plugin(&record).unwrap();
    world.regrant(|grant| grant.choice_bits_per_day = 8);
    let mut client = world.go();
    let mut handle = |call| match client.call(call) {
        Ok(Answer::Handle(handle)) => handle,
        other => panic!("{other:?}"),
    };
    let collection = handle(granted());
    // None of what fills the room has a part in the choice, and that it failed would tell of all of it.
    let join = |n: usize| HostCall::CollectionJoin { collection, separator: n.to_string() };
    let all: Vec<Node> = (0..80).map(|n| Node::Value(handle(join(n)))).collect();
    let text = handle(HostCall::TextLiteral("x".repeat(64 << 10)));
    let whole = handle(HostCall::TextConcat(vec![text; 20]));
    let prompt = guests::user(vec![hearth_base::Part::Value(whole)]);
    let answer = hearth_base::Schema::Boolean;
    let choice = handle(HostCall::Decide { prompt, answer });
    client.call(HostCall::PanelShow { panel: "main".into(), nodes: all }).unwrap();
    world.settled();
    let refused = Err(hearth_base::GuestError::Refused);
    assert_eq!(client.call(HostCall::RevealChoice(choice)), refused);
    assert_eq!(client.call(HostCall::Remaining), refused);
    client.finish(RunEnd::Returned(Ok(())));
    assert!(world.vault.plugin(&world.plugin).unwrap().unwrap().suspended.is_some());
}

#[test]
fn a_large_label_is_shared_by_all_that_is_made_with_it() {
    let world = small_world();
    let (reasons, count) = failures(&world, |call| {
        let collection = call(granted());
        let separator = String::new();
        let all = call(HostCall::CollectionJoin { collection, separator });
        let item = hearth_base::Part::Item(None);
        let prompt = guests::user(vec![item, hearth_base::Part::Value(all)]);
        let options = guests::options(3);
        vec![Node::Items(call(HostCall::GenerateEach { over: collection, prompt, options }))]
    });
    assert_eq!((reasons, count), (Vec::new(), 200));
}

#[test]
fn a_request_given_up_keeps_its_slot_until_the_engine_lets_go_of_it() {
    let engine = world::EngineKind::Gated;
    let world = World::new(&world::Recipe { engine, ..Default::default() });
    let inner = &world.broker.inner;
    let mut client = world.go();
    let prompt = guests::user(vec![guests::words("x")]);
    let call = HostCall::Generate { prompt, options: guests::options(9) };
    let Ok(Answer::Handle(made)) = client.call(call) else { panic!("no handle") };
    let nodes = vec![Node::Value(made)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RunEnd::Returned(Ok(())));
    world.await_requests(1);
    let panel = "main".to_owned();
    world.broker.close_panel(&hearth_broker::PanelKey { plugin: world.plugin.clone(), panel });
    let is_over = || inner.work()[&world.plugin].scopes.iter().all(|s| s.strong_count() <= 1);
    // But for whoever counts what the request will have taken.
    while !is_over() {
        std::thread::yield_now();
    }
    assert_eq!(inner.model_slots.available_permits(), MODEL_SLOTS as usize - 1);
    world.release(1);
    let both = [0; 2].map(|_| world.block_on(inner.model_slot(usize::MAX)));
    assert!(both.iter().all(Result::is_ok));
}

#[test]
fn the_audit_trail_of_a_run_has_an_end() {
    let mut world = small_world();
    std::sync::Arc::get_mut(&mut world.broker.inner).unwrap().limits.audit_rows = 100;
    failures(&world, |call| {
        let over = call(granted());
        let prompt = guests::user(vec![hearth_base::Part::Item(None)]);
        let options = guests::options(1);
        vec![Node::Items(call(HostCall::GenerateEach { over, prompt, options }))]
    });
    let rows = world.vault.audit_rows(Some(&world.plugin), 1000).unwrap();
    let count = |what: &str| rows.iter().filter(|row| row.what.starts_with(what)).count();
    assert_eq!(count("listed") + count("read document") + count("asked the model"), 100);
    assert_eq!(count("did more than 100 things; the rest is not listed"), 1);
    assert_eq!((count("began"), count("returned")), (1, 1), "how a run goes is always listed");
}
