//! What is asked of the engine side by side, and what it may keep.

use hearth_base::{Answer, HostCall, Node, Part, Sort};
use hearth_broker::{RunEnd, ValueState};
use hearth_engine_api::{CacheScope, Prompt};

use crate::{
    guests::{options, user, words},
    world::{EngineKind, Recipe, World, numbered, shown},
};

/// Shows a sum of each document, and gives what of the requests the engine may keep.
fn sums(world: &World) -> Vec<CacheScope> {
    let mut client = world.go();
    let mut handle = |call| match client.call(call) {
        Ok(Answer::Handle(handle)) => handle,
        other => panic!("{other:?}"),
    };
    let over = handle(HostCall::Granted { slot: "inbox".into(), order: Sort::Oldest, limit: 100 });
    let prompt = user(vec![words("Sum up: "), Part::Item(None), words(" Be brief.")]);
    let each = handle(HostCall::GenerateEach { over, prompt, options: options(20) });
    let nodes = vec![Node::Items(each)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RunEnd::Returned(Ok(())));
    let values = shown(&world.settled());
    assert!(values.iter().all(|value| value.state == ValueState::Done), "{values:?}");
    world.shared()
}

#[test]
fn values_of_a_collection_are_made_side_by_side() {
    let engine = EngineKind::Crowd;
    let world = World::new(&Recipe { engine, documents: numbered(12), ..Recipe::default() });
    // None is answered before all are asked for.
    assert_eq!(sums(&world).len(), 12);
}

#[test]
fn the_engine_keeps_the_plugins_own_words_and_no_others() {
    let world = World::new(&Recipe { documents: numbered(3), ..Recipe::default() });
    let kept = sums(&world);
    let CacheScope::SharedHead { key, head } = &kept[0] else { panic!("{:?}", kept[0]) };
    assert!(key.contains(world.plugin.as_str()), "{key}");
    let Prompt::Chat(messages) = &**head else { panic!("{head:?}") };
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].content, "Sum up:  Be brief.");
    assert!(kept.iter().all(|scope| *scope == kept[0]));
}

#[test]
fn of_a_public_completion_all_may_be_kept_for_the_plugin() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let prompt = user(vec![words("one two")]);
    let start = HostCall::CompletionStart { prompt, options: options(5) };
    let Ok(Answer::Handle(completion)) = client.call(start) else { panic!("no handle") };
    client.call(HostCall::CompletionNext(completion)).unwrap();
    let [CacheScope::Shared(key)] = &world.shared()[..] else { panic!("{:?}", world.shared()) };
    assert!(key.contains(world.plugin.as_str()), "{key}");
}
