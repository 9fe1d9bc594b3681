//! What guests hear is the same over every vault.

use hearth_base::{Field, Handle, HostCall, Part, Schema, Sort};
use hearth_broker::{PanelKey, Start};
use proptest::prelude::*;

use crate::{
    guests,
    t0::{Guest, differences, run, worlds},
    world::{World, shown},
};

fn all_worlds() -> Vec<(String, World)> {
    worlds().into_iter().map(|(name, recipe)| (name, World::new(&recipe))).collect()
}

fn command() -> Start {
    Start::Command { id: "go".into(), focus: None, input: None }
}

#[test]
fn the_summariser_hears_the_same_over_every_vault() {
    let different = differences(&all_worlds(), |world| {
        let panel = PanelKey { plugin: world.plugin.clone(), panel: "main".into() };
        let press = || Start::Pressed { panel: panel.clone(), button: "save-all".into() };
        let mut traces = vec![run(world, command(), &guests::summarise_newest)];
        // Once while values are still being made, once when all have come or failed.
        traces.push(run(world, press(), &guests::save_all));
        world.settled();
        traces.push(run(world, press(), &guests::save_all));
        traces
    });
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn the_code_helper_hears_the_same_over_every_document() {
    let worlds: Vec<(String, World)> =
        all_worlds().into_iter().filter(|(_, world)| !world.documents.is_empty()).collect();
    let different = differences(&worlds, |world| {
        let one =
            |document| Start::Command { id: "one".into(), focus: Some(document), input: None };
        let traces = world.documents.iter().take(1).map(|d| run(world, one(*d), &guests::explain));
        let traces = traces.collect();
        world.settled();
        traces
    });
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn a_guest_that_tries_everything_hears_the_same() {
    let different = differences(&all_worlds(), |world| {
        let panel = PanelKey { plugin: world.plugin.clone(), panel: "side".into() };
        let text = format!("what about {:?}", world.documents);
        let ask = Start::Entered { panel: panel.clone(), input: "ask".into(), text };
        let entered = |guest: &mut Guest<'_>| {
            let query = guest.given.unwrap();
            let search = HostCall::Search { slot: "inbox".into(), query, limit: 5 };
            guest.handle(search);
            guests::everything(guest);
        };
        let first = run(world, command(), &guests::everything);
        world.settled();
        vec![first, run(world, ask, &entered), run(world, command(), &guests::everything)]
    });
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn a_document_deleted_meanwhile_is_not_heard_of() {
    let worlds = all_worlds();
    let different = differences(&worlds, |world| {
        let first = run(world, command(), &guests::summarise_newest);
        for document in &world.documents {
            world.vault.delete_document(*document).unwrap();
        }
        let traces = vec![first, run(world, command(), &guests::summarise_newest)];
        assert!(shown(&world.settled()).is_empty(), "the slot is empty now");
        traces
    });
    assert_eq!(different, Vec::<String>::new());
}

/// A call whose handles are small numbers, some of them of values made before.
fn any_call() -> impl Strategy<Value = HostCall> {
    let handle = || (0_u32..24).prop_map(Handle);
    let handles = || proptest::collection::vec((0_u32..24).prop_map(Handle), 0..4);
    let part = || {
        prop_oneof![
            "[a-z ]{0,30}".prop_map(Part::Literal),
            (0_u32..24).prop_map(|n| Part::Value(Handle(n))),
            Just(Part::Item(None)),
            Just(Part::Item(Some(Field::Title))),
        ]
    };
    let prompt = move || proptest::collection::vec(part(), 0..4).prop_map(guests::user);
    let schema = || {
        prop_oneof![
            Just(Schema::Boolean),
            (-3_i32..3, -3_i32..70).prop_map(|(low, high)| Schema::Range(low, high)),
        ]
    };
    let tokens = || prop_oneof![0_u16..64, Just(u16::MAX)].prop_map(guests::options);
    let slot =
        || prop_oneof![Just("inbox".to_owned()), Just("empty".to_owned()), Just("?".to_owned())];
    prop_oneof![
        "[a-z ]{0,20}".prop_map(HostCall::TextLiteral),
        handles().prop_map(HostCall::TextConcat),
        (handle(), 0_u16..60)
            .prop_map(|(text, max_tokens)| HostCall::TextChunk { text, max_tokens }),
        handles().prop_map(HostCall::CollectionOf),
        (handle(), 0_u16..9)
            .prop_map(|(collection, count)| HostCall::CollectionTake { collection, count }),
        handle()
            .prop_map(|collection| HostCall::CollectionJoin { collection, separator: " ".into() }),
        (handle(), handles())
            .prop_map(|(choice, options)| HostCall::ChoiceSelect { choice, options }),
        ("[ab]", handle()).prop_map(|(name, value)| HostCall::Keep { name, value }),
        "[abc]".prop_map(|name| HostCall::Kept { name }),
        handle().prop_map(HostCall::Drop),
        handle().prop_map(|document| HostCall::DocumentGet { document, field: Field::Body }),
        (slot(), any::<u16>()).prop_map(|(slot, limit)| HostCall::Granted {
            slot,
            order: Sort::Newest,
            limit
        }),
        (slot(), 0_u16..30).prop_map(|(slot, limit)| HostCall::Granted {
            slot,
            order: Sort::Oldest,
            limit
        }),
        (0_u16..4).prop_map(|limit| HostCall::Pick { purpose: "x".into(), limit }),
        (slot(), handle()).prop_map(|(slot, query)| HostCall::Search { slot, query, limit: 4 }),
        (handle(), handle()).prop_map(|(title, body)| HostCall::Save { title, body }),
        (handle(), handle()).prop_map(|(titles, bodies)| HostCall::SaveEach { titles, bodies }),
        (prompt(), tokens()).prop_map(|(prompt, options)| HostCall::Generate { prompt, options }),
        (handle(), prompt(), tokens()).prop_map(|(over, prompt, options)| HostCall::GenerateEach {
            over,
            prompt,
            options
        }),
        (handle(), prompt(), tokens()).prop_map(|(over, prompt, options)| HostCall::Reduce {
            over,
            prompt,
            options
        }),
        (prompt(), schema()).prop_map(|(prompt, answer)| HostCall::Decide { prompt, answer }),
        (handle(), prompt(), schema()).prop_map(|(over, prompt, answer)| HostCall::DecideEach {
            over,
            prompt,
            answer
        }),
        handle().prop_map(HostCall::RevealChoice),
        handle().prop_map(|text| HostCall::RevealText { text, purpose: String::new() }),
        handle().prop_map(|text| HostCall::PanelShow {
            panel: "main".into(),
            nodes: vec![hearth_base::Node::Value(text), guests::button("b")],
        }),
        handle().prop_map(|list| HostCall::PanelShow {
            panel: "side".into(),
            nodes: vec![hearth_base::Node::Items(list)],
        }),
        ("[ab]", any::<u8>())
            .prop_map(|(key, n)| HostCall::StorageSet { key, value: vec![n; n.into()] }),
        "[ab]".prop_map(HostCall::StorageGet),
        Just(HostCall::StorageKeys),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_calls_hears_the_same(
        runs in proptest::collection::vec(proptest::collection::vec(any_call(), 1..40), 1..3),
    ) {
        let worlds = all_worlds();
        let different = differences(&worlds, |world| {
            let play = |calls: &Vec<HostCall>| run(world, command(), &|guest| {
                for call in calls {
                    guest.call(call.clone()).ok();
                }
            });
            runs.iter().map(play).collect()
        });
        prop_assert_eq!(different, Vec::<String>::new());
    }
}
