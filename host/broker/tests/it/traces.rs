//! What guests hear is the same over every vault.

use hearth_base::HostCall;
use hearth_broker::{PanelKey, Start};
use proptest::prelude::*;

use crate::{
    fuzzed::any_call,
    guests,
    pairs::{pair, play},
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
        let panels = world.settled();
        assert!(panels.iter().any(|panel| panel.key.panel == "side" && panel.nodes.len() > 15));
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

/// Of the pairs of worlds from `first` on, those whose worlds the plugin could tell apart; and how many were heard to
/// the end.
fn told_apart(first: u64, count: u64, huge: bool) -> (Vec<u64>, u64) {
    let mut whole = 0;
    let is_told_apart = |number: &u64| {
        let pair = pair(*number, huge);
        let [one, other] = pair.sides.each_ref().map(|side| play(side, &pair.steps));
        whole += u64::from(!one.cut_short && !other.cut_short);
        !one.is_like(&other)
    };
    let told = (first..first + count).filter(is_told_apart).collect();
    (told, whole)
}

#[test]
fn of_many_pairs_of_vaults_none_is_told_apart() {
    let (told, whole) = told_apart(0, 60, false);
    assert_eq!(told, Vec::<u64>::new(), "pairs by number");
    assert!(whole >= 40, "{whole}");
}

/// As many as `HEARTH_PAIRS` says, or a thousand. Minutes.
#[test]
#[ignore = "for the night: cargo xtask nightly"]
fn of_a_thousand_pairs_of_vaults_none_is_told_apart() {
    let count = std::env::var("HEARTH_PAIRS").ok().map_or(1000, |count| count.parse().unwrap());
    let (told, whole) = told_apart(1000, count, true);
    assert_eq!(told, Vec::<u64>::new(), "pairs by number");
    assert!(whole * 3 >= count * 2, "{whole}");
}
