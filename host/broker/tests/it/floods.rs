//! Plugins that ask for too much: nothing they build takes the host's memory or time, and the user is told.

use hearth_base::{Answer, GuestError, Handle, HostCall, Node, Part};
use hearth_broker::{Limits, RunEnd, ValueState, ValueView};

use crate::{
    guests::{options, user, words},
    world::{Recipe, World, shown},
};

/// What a guest makes and shows, once all of it is there or has failed.
fn shown_by(
    world: &World,
    build: impl Fn(&mut dyn FnMut(HostCall) -> Handle) -> Vec<Node>,
) -> Vec<ValueView> {
    let mut client = world.go();
    let nodes = build(&mut |call| match client.call(call).unwrap() {
        Answer::Handle(handle) => handle,
        other => panic!("{other:?}"),
    });
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RunEnd::Returned(Ok(())));
    shown(&world.settled())
}

fn failed(reason: &str) -> ValueState {
    ValueState::Failed(reason.into())
}

/// A text of 64 KiB, doubled so often.
fn long(call: &mut dyn FnMut(HostCall) -> Handle, word: &str, doublings: usize) -> Handle {
    let mut text = call(HostCall::TextLiteral(word.repeat((64 << 10) / word.len())));
    for _ in 0..doublings {
        text = call(HostCall::TextConcat(vec![text, text]));
    }
    text
}

#[test]
fn a_text_is_not_cut_into_crumbs() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let Ok(Answer::Handle(text)) = client.call(HostCall::TextLiteral("x".into())) else {
        panic!("no handle")
    };
    let least = Limits::default().least_piece_tokens;
    let chunk = |max_tokens| HostCall::TextChunk { text, max_tokens };
    assert!(matches!(client.call(chunk(least - 1)), Err(GuestError::Invalid(_))));
    assert!(client.call(chunk(least)).is_ok());
    client.finish(RunEnd::Returned(Ok(())));
}

#[test]
fn a_text_too_long_to_be_cut_is_a_fault() {
    let world = World::new(&Recipe::default());
    let values = shown_by(&world, |call| {
        let text = long(call, "xxxxxxx ", 7);
        vec![Node::Items(call(HostCall::TextChunk { text, max_tokens: 1000 }))]
    });
    let why = "a text of more than 4194304 bytes is too long to be cut into pieces";
    assert_eq!(values[0].state, failed(why));
}

#[test]
fn too_many_pieces_are_a_fault() {
    let world = World::new(&Recipe::default());
    let values = shown_by(&world, |call| {
        let text = long(call, "x ", 4);
        vec![Node::Items(call(HostCall::TextChunk { text, max_tokens: 16 }))]
    });
    assert_eq!(values[0].state, failed("this would be more than 4096 parts"));
}

#[test]
fn a_long_text_cut_window_by_window_is_whole() {
    let world = World::new(&Recipe::default());
    for max_tokens in [1000, u16::MAX] {
        let values = shown_by(&world, |call| {
            let text = long(call, "größe ", 4);
            let collection = call(HostCall::TextChunk { text, max_tokens });
            let separator = String::new();
            let joined = call(HostCall::CollectionJoin { collection, separator });
            vec![Node::Value(text), Node::Value(joined)]
        });
        let text = |at: usize| world.broker.value_text(values[at].id).unwrap();
        assert!(text(0).len() > 1_000_000);
        assert!(text(0) == text(1), "pieces of {max_tokens} tokens do not make up the text");
    }
}

#[test]
fn one_long_value_many_times_is_a_fault_before_it_is_put_in_a_row() {
    let world = World::new(&Recipe::default());
    let values = shown_by(&world, |call| {
        let text = long(call, "x", 4);
        let prompt = user(vec![Part::Value(text); 20]);
        let made = call(HostCall::Generate { prompt, options: options(9) });
        let over = call(HostCall::CollectionOf(vec![text; 20]));
        let prompt = user(vec![words("All: "), Part::Item(None)]);
        let reduced = call(HostCall::Reduce { over, prompt, options: options(9) });
        let one = call(HostCall::CollectionTake { collection: over, count: 1 });
        let prompt = user(vec![Part::Item(None); 20]);
        let each = call(HostCall::GenerateEach { over: one, prompt, options: options(9) });
        vec![Node::Value(made), Node::Value(reduced), Node::Items(each)]
    });
    assert_eq!(values.len(), 3);
    for value in values {
        assert_eq!(value.state, failed("this would be a text of more than 16777216 bytes"));
    }
}
