//! Guests that nobody wrote: any calls in any order.

use hearth_base::{Field, Handle, HostCall, Part, Schema, Sort};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::guests;

/// The calls of a guest, the same ones for the same number.
pub(crate) fn calls(seed: u64) -> Vec<HostCall> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    proptest::collection::vec(any_call(), 1..40).new_tree(&mut runner).unwrap().current()
}

/// A call whose handles are small numbers, some of them of values made before.
pub(crate) fn any_call() -> impl Strategy<Value = HostCall> {
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
        (handle(), handle()).prop_map(|(left, right)| HostCall::CollectionZip {
            left,
            right,
            separator: ":".into()
        }),
        (handle(), 0_u8..66)
            .prop_map(|(collection, up_to)| HostCall::CollectionCount { collection, up_to }),
        (handle(), slot(), 0_u16..5).prop_map(|(document, slot, limit)| HostCall::Thread {
            document,
            slot,
            limit
        }),
        (slot(), 0_u16..5).prop_map(|(slot, limit)| HostCall::Threads { slot, limit }),
        (handle(), proptest::collection::vec(part(), 0..4))
            .prop_map(|(over, parts)| HostCall::FillEach { over, parts }),
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
