//! Proof that the two-vault harness finds leaks: two are planted, and it must catch both.

use hearth_broker::Start;

use crate::planted::Leak;
use t0::{differences, run, worlds};
use world::World;

#[allow(dead_code, reason = "shared with the tests from outside, which use all of it")]
#[path = "../tests/it/guests.rs"]
mod guests;
#[allow(dead_code, reason = "as above")]
#[path = "../tests/it/t0.rs"]
mod t0;
#[allow(dead_code, reason = "as above")]
#[path = "../tests/it/world.rs"]
mod world;

fn different_with(leak: Option<Leak>) -> Vec<String> {
    let worlds: Vec<(String, World)> =
        worlds().into_iter().map(|(name, recipe)| (name, World::new(&recipe))).collect();
    for (_, world) in &worlds {
        *world.broker.inner.planted.lock().unwrap() = leak;
    }
    differences(&worlds, |world| {
        let start = Start::Command { id: "go".into(), focus: None };
        vec![run(world, start, &guests::summarise_newest)]
    })
}

#[test]
fn without_a_leak_the_traces_are_equal() {
    assert_eq!(different_with(None), Vec::<String>::new());
}

#[test]
fn an_error_that_tells_how_much_a_slot_holds_is_caught() {
    assert!(different_with(Some(Leak::ShortSlot)).contains(&"fifty documents".into()));
}

#[test]
fn a_charge_by_private_length_is_caught() {
    assert!(different_with(Some(Leak::PrivateCharge)).contains(&"huge documents".into()));
}
