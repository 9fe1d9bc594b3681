//! Plugins that ask for too much: nothing they build takes the host's memory or time, and the user is told.

use hearth_base::{Answer, GuestError, Handle, HostCall, Input, Node, Part, Quota};
use hearth_broker::{Limits, PanelKey, RunEnd, Start, ValueState, ValueView};

use crate::{
    guests::{button, options, user, words},
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

#[test]
fn a_view_stops_where_its_room_is_used_up() {
    let world = World::new(&Recipe::default());
    let values = shown_by(&world, |call| {
        // Characters that are drawn as six.
        let text = long(call, "\u{7}größe ", 4);
        let over = call(HostCall::CollectionOf(vec![text; 30]));
        let mut nodes = vec![Node::Value(text); 30];
        nodes.push(Node::Items(over));
        nodes
    });
    let bytes: usize = values.iter().map(|value| value.text.len()).sum();
    assert!(bytes < 5 << 20, "{bytes}");
    let more = |value: &ValueView| {
        let (_, more) = value.text.rsplit_once("… (").unwrap();
        let (number, words) = more.split_once(' ').unwrap();
        assert_eq!(words, "more bytes: save it to have them all)");
        number.parse::<usize>().unwrap()
    };
    let whole = world.broker.value_text(values[0].id).unwrap().len();
    assert!(more(&values[0]) >= whole - (256 << 10));
    assert_eq!(more(&values[29]), whole, "nothing of it has room");
    let [.., last] = values.as_slice() else { panic!("no values") };
    assert_eq!(last.state, failed("30 more have no room in this panel"));
}

#[test]
fn a_search_for_everything_is_a_fault() {
    let world = World::new(&Recipe::default());
    let values = shown_by(&world, |call| {
        let query = call(HostCall::TextLiteral("word ".repeat(65)));
        let found = HostCall::Search { slot: "inbox".into(), query, limit: 3 };
        vec![Node::Items(call(found))]
    });
    let why = "a search has at most 64 words and 4096 bytes: leave out what matters least";
    assert_eq!(values[0].state, failed(why));
}

#[test]
fn whatever_the_user_can_use_beside_values_counts() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let Ok(Answer::Handle(text)) = client.call(HostCall::TextLiteral("x".into())) else {
        panic!("no handle")
    };
    let Ok(Answer::Handle(list)) = client.call(HostCall::CollectionOf(vec![text])) else {
        panic!("no handle")
    };
    let input = |n: usize| {
        let (id, label) = (n.to_string(), String::new());
        Node::Input(Input { id, label, placeholder: String::new(), multiline: false })
    };
    let picker = |n: usize| Node::Picker(n.to_string(), list);
    let mut call = |nodes| client.call(HostCall::PanelShow { panel: "main".into(), nodes });
    let most = Limits::default().panel_controls_beside_values;
    let over = Err(GuestError::Invalid("at most 8 enabled controls beside values".into()));
    let fields: Vec<Node> = (0..=most).map(input).collect();
    assert_eq!(call(fields.clone()), Ok(Answer::Unit), "no values, nothing to tell");
    assert_eq!(call([fields, vec![Node::Value(text)]].concat()), over);
    assert_eq!(call((0..=most).map(picker).collect()), over);
    let mixed =
        |n| vec![button("ok"), input(0), Node::Value(text)].into_iter().chain((0..n).map(picker));
    assert_eq!(call(mixed(most - 1).collect()), over);
    assert_eq!(call(mixed(most - 2).collect()), Ok(Answer::Unit));
    client.finish(RunEnd::Returned(Ok(())));

    let panel = || PanelKey { plugin: world.plugin.clone(), panel: "main".into() };
    let value = shown(&world.settled())[1].id;
    for start in [
        Start::Pressed { panel: panel(), button: "ok".into() },
        Start::Entered { panel: panel(), input: "0".into(), text: "secretword".into() },
        Start::Picked { panel: panel(), picker: "0".into(), value },
    ] {
        world.begin(start).0.finish(RunEnd::Returned(Ok(())));
    }
    let rows = world.vault.audit_rows(Some(&world.plugin), 100).unwrap();
    let mut told: Vec<&str> =
        rows.iter().map(|r| r.what.as_str()).filter(|what| what.starts_with("was told")).collect();
    told.reverse();
    assert_eq!(told, ["was told of a gesture among 8 controls and paid 3.170 bits"; 3]);
}

#[test]
fn what_is_refused_again_and_again_is_counted() {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    for _ in 0..1000 {
        let show = HostCall::PanelShow { panel: "main".into(), nodes: vec![Node::Divider; 1000] };
        assert_eq!(client.call(show), Err(GuestError::OverQuota(Quota::Panels)));
    }
    client.finish(RunEnd::Returned(Ok(())));
    let rows = world.vault.audit_rows(Some(&world.plugin), 2000).unwrap();
    let refused: Vec<_> = rows.iter().filter(|row| !row.allowed).collect();
    assert_eq!(refused.len(), 65);
    assert_eq!(refused[0].what, "was refused 936 times more");
}

#[test]
fn why_a_plugin_is_suspended_is_told_in_plain_words() {
    let world = World::new(&Recipe::default());
    let why = format!("\u{202e}lying\n{}", "x".repeat(5000));
    world.go().finish(RunEnd::Aborted(why));
    let suspended = world.vault.plugin(&world.plugin).unwrap().unwrap().suspended.unwrap();
    assert!(suspended.starts_with(r"\u{202e}lying x"), "{suspended}");
    assert!(suspended.ends_with("x … (cut)"));
}
