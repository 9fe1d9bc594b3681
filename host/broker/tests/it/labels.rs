//! No value loses a part of its label: whatever can be found in it is in its label.

use std::collections::BTreeSet;

use hearth_base::{
    Answer, DocumentId, Event, Export, Field, Handle, HostCall, Label, Node, Origin, Part, Schema,
    Sort, Source,
};
use hearth_broker::{ModelTrust, PanelKey, RunEnd, Start, ValueState};
use proptest::prelude::*;

use crate::{
    engine::MODEL_MARK,
    guests::{options, personal, user, words},
    world::{ADAPTER_MARK, Recipe, World, adapter, numbered, shown},
};

const USER_MARK: &str = "usertok";
const PLUGIN_MARK: &str = "plugintok";
const MODEL: &str = "a private model";
/// What the adapter learnt from.
const LEARNT: DocumentId = DocumentId(7000);

/// What a saved text must be labelled with, judging by what is in it.
fn assert_covers(world: &World, text: &str, label: &Label) {
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    for (index, document) in world.documents.iter().enumerate() {
        if words.contains(format!("tok{}", index + 1).as_str()) {
            assert!(label.sources.contains(&Source::Document(*document)), "{text}: {label:?}");
            assert!(label.origins.contains(&Origin::External), "{text}: {label:?}");
        }
    }
    if words.contains(USER_MARK) {
        assert!(label.sources.contains(&Source::UserInput), "{text}: {label:?}");
    }
    if words.contains(ADAPTER_MARK) {
        for source in [Source::PrivateModel("manner 2".into()), Source::Document(LEARNT)] {
            assert!(label.sources.contains(&source), "{text}: {label:?}");
        }
    }
    if words.contains(MODEL_MARK) {
        let private = Source::PrivateModel(MODEL.into());
        assert!(label.sources.contains(&private), "{text}: {label:?}");
    }
    assert!(label.origins.contains(&Origin::Plugin(world.plugin.clone())), "{text}: {label:?}");
}

/// Saves everything shown by the user's gesture, and gives texts and labels.
fn saved(world: &World) -> Vec<(String, Label)> {
    let done = shown(&world.settled()).into_iter().filter(|v| v.state == ValueState::Done);
    let ids: Vec<_> = done.map(|value| value.id).collect();
    ids.into_iter()
        .map(|id| {
            let document = world.block_on(world.broker.save_value(id)).unwrap();
            let document = world.vault.document(document).unwrap().unwrap();
            let mut label = document.label;
            label.sources.remove(&Source::Document(document.head.id));
            (document.body, label)
        })
        .collect()
}

/// A step of a random guest: what to do, and with which of the values at hand.
type Step = (u8, usize, usize);

struct Hands {
    texts: Vec<Handle>,
    lists: Vec<Handle>,
    choices: Vec<Handle>,
}

fn step(hands: &mut Hands, (what, a, b): Step, call: &mut dyn FnMut(HostCall) -> Vec<Handle>) {
    let text = |n: usize| hands.texts[n % hands.texts.len()];
    let list = |n: usize| hands.lists[n % hands.lists.len()];
    let prompt = |part| user(vec![words("plugintok "), part, Part::Value(text(b))]);
    let over = || user(vec![words("plugintok "), Part::Item(None), Part::Value(text(b))]);
    let options = if (a ^ b).is_multiple_of(3) { personal } else { options };
    match what % 17 {
        0 => hands.texts.extend(call(HostCall::TextConcat(vec![text(a), text(b)]))),
        1 => hands.lists.extend(call(HostCall::TextChunk { text: text(a), max_tokens: 16 })),
        2 => hands.lists.extend(call(HostCall::CollectionOf(vec![text(a), text(b)]))),
        3 => hands.lists.extend(call(HostCall::CollectionTake { collection: list(a), count: 2 })),
        4 => {
            let separator = " plugintok ".to_owned();
            hands.texts.extend(call(HostCall::CollectionJoin { collection: list(a), separator }));
        }
        5 => {
            let (slot, query) = ("inbox".to_owned(), text(a));
            hands.lists.extend(call(HostCall::Search { slot, query, limit: 2 }));
        }
        6 => hands.lists.extend(call(HostCall::Pick { purpose: String::new(), limit: 2 })),
        7 => {
            let prompt = prompt(Part::Value(text(a)));
            hands.texts.extend(call(HostCall::Generate { prompt, options: options(60) }));
        }
        8 => {
            let (over, prompt) = (list(a), over());
            let call = call(HostCall::GenerateEach { over, prompt, options: options(60) });
            hands.lists.extend(call);
        }
        9 => {
            let (over, prompt) = (list(a), over());
            hands.texts.extend(call(HostCall::Reduce { over, prompt, options: options(20) }));
        }
        10 => {
            let prompt = prompt(Part::Value(text(a)));
            hands.choices.extend(call(HostCall::Decide { prompt, answer: Schema::Boolean }));
        }
        11 => {
            let (over, prompt) = (list(a), over());
            hands.lists.extend(call(HostCall::DecideEach {
                over,
                prompt,
                answer: Schema::Boolean,
            }));
        }
        12 => {
            let (left, right, separator) = (list(a), list(b), " plugintok ".to_owned());
            hands.lists.extend(call(HostCall::CollectionZip { left, right, separator }));
        }
        13 => {
            let count = HostCall::CollectionCount { collection: list(a), up_to: 1 };
            hands.choices.extend(call(count));
        }
        14 => {
            let parts = vec![words("plugintok "), Part::Item(None), Part::Value(text(b))];
            hands.lists.extend(call(HostCall::FillEach { over: list(a), parts }));
        }
        15 => hands.lists.extend(call(HostCall::Threads { slot: "inbox".to_owned(), limit: 2 })),
        _ => {
            if let Some(choice) = hands.choices.last() {
                let options = vec![text(a), text(b)];
                hands.texts.extend(call(HostCall::ChoiceSelect { choice: *choice, options }));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_label_covers_all_that_is_in_the_value(
        steps in proptest::collection::vec((any::<u8>(), any::<usize>(), any::<usize>()), 1..24),
        context_tokens in prop_oneof![Just(4096_u32), Just(90)],
    ) {
        let trust = Some(ModelTrust::Private(MODEL.into()));
        let documents = numbered(4);
        let personal = vec![adapter(2, &[LEARNT.0])];
        let world = World::new(&Recipe { documents, trust, context_tokens, picks: Some(2), personal, ..Recipe::default() });
        let mut client = world.go();
        let ask = hearth_base::Input { id: "ask".into(), label: String::new(), placeholder: String::new(), multiline: false };
        client.call(HostCall::PanelShow { panel: "side".into(), nodes: vec![Node::Input(ask)] }).unwrap();
        client.finish(RunEnd::Returned(Ok(())));
        let panel = PanelKey { plugin: world.plugin.clone(), panel: "side".into() };
        let entered = Start::Entered { panel, input: "ask".into(), text: USER_MARK.into() };
        let (mut client, invocation) = world.begin(entered);
        let Export::OnEvent { event: Event::Entered(_, typed), .. } = invocation.export else {
            panic!("{invocation:?}")
        };
        let mut call = |call: HostCall| match client.call(call).unwrap() {
            Answer::Handle(handle) => vec![handle],
            Answer::Handles(handles) => handles,
            other => panic!("{other:?}"),
        };
        let literal = call(HostCall::TextLiteral(PLUGIN_MARK.into()));
        let granted = call(HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 3 });
        let mut hands = Hands { texts: [literal, vec![typed]].concat(), lists: granted, choices: Vec::new() };
        for one in steps {
            step(&mut hands, one, &mut call);
        }
        let values = hands.texts.iter().map(|text| Node::Value(*text));
        let nodes = values.chain(hands.lists.iter().map(|list| Node::Items(*list))).collect();
        client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
        client.finish(RunEnd::Returned(Ok(())));
        for (text, label) in saved(&world) {
            assert_covers(&world, &text, &label);
        }
    }
}

/// Shows what `build` makes and gives the texts and labels of it.
fn made(
    build: impl Fn(&mut dyn FnMut(HostCall) -> Handle) -> Vec<Node>,
) -> (World, Vec<(String, Label)>) {
    let world = World::new(&Recipe::default());
    let mut client = world.go();
    let nodes = build(&mut |call| match client.call(call).unwrap() {
        Answer::Handle(handle) => handle,
        Answer::Handles(handles) => handles[0],
        other => panic!("{other:?}"),
    });
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RunEnd::Returned(Ok(())));
    let saved = saved(&world);
    (world, saved)
}

fn granted(limit: u16) -> HostCall {
    HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit }
}

#[test]
fn a_selection_depends_on_the_whole_slot() {
    type Build = fn(&mut dyn FnMut(HostCall) -> Handle) -> Vec<Node>;
    let builds: [Build; 4] = [
        |call| vec![Node::Items(call(granted(1)))],
        |call| {
            let query = call(HostCall::TextLiteral("tok2".into()));
            vec![Node::Items(call(HostCall::Search { slot: "inbox".into(), query, limit: 3 }))]
        },
        |call| {
            let all = call(granted(3));
            vec![Node::Items(call(HostCall::CollectionTake { collection: all, count: 1 }))]
        },
        |call| {
            let over = call(granted(3));
            let prompt = user(vec![Part::Item(Some(Field::Title))]);
            let each = call(HostCall::GenerateEach { over, prompt, options: options(9) });
            vec![Node::Items(each)]
        },
    ];
    for build in builds {
        let (world, values) = made(build);
        assert!(!values.is_empty());
        for (text, label) in values {
            let documents: Vec<_> = label.documents().collect();
            assert_eq!(documents, world.documents, "{text}");
        }
    }
}

#[test]
fn what_is_selected_carries_the_choice() {
    let (world, values) = made(|call| {
        let all = call(granted(3));
        let text = call(HostCall::CollectionJoin { collection: all, separator: String::new() });
        let prompt = user(vec![Part::Value(text)]);
        let choice = call(HostCall::Decide { prompt, answer: Schema::Boolean });
        let (no, yes) =
            (call(HostCall::TextLiteral("no".into())), call(HostCall::TextLiteral("yes".into())));
        vec![Node::Value(call(HostCall::ChoiceSelect { choice, options: vec![no, yes] }))]
    });
    let [(text, label)] = values.as_slice() else { panic!("{values:?}") };
    assert!(["no", "yes"].contains(&text.as_str()));
    assert_eq!(label.documents().collect::<Vec<_>>(), world.documents);
}

#[test]
fn a_decided_list_carries_what_decided_it() {
    let (world, values) = made(|call| {
        let (a, b) =
            (call(HostCall::TextLiteral("a".into())), call(HostCall::TextLiteral("b".into())));
        let over = call(HostCall::CollectionOf(vec![a, b]));
        let all = call(granted(3));
        let text = call(HostCall::CollectionJoin { collection: all, separator: String::new() });
        let prompt = user(vec![Part::Item(None), Part::Value(text)]);
        let options = Schema::OneOf(vec!["same".into(), "other".into()]);
        let same = call(HostCall::DecideEach { over, prompt, answer: options });
        // The other part is the next handle.
        vec![Node::Items(same), Node::Items(Handle(same.0 + 1))]
    });
    assert_eq!(values.len(), 2, "each is in one part");
    for (text, label) in values {
        assert_eq!(label.documents().collect::<Vec<_>>(), world.documents, "{text}");
    }
}
