//! The mail watch: what it lists, and the one bit that it may learn.

use hearth_base::Capability;

use super::stage::{Recipe, World, mail, sample};

const PANEL: &str = "urgent";

fn recipe(urgent: bool, bits: u32) -> Recipe {
    let kind = if urgent { "urgent" } else { "work" };
    let granted = vec![mail(1, "A", "tok1 kind=work"), mail(2, "B", &format!("tok2 kind={kind}"))];
    Recipe { granted, bits, ..Recipe::default() }
}

#[test]
fn with_nothing_granted_to_learn_the_list_is_there_all_the_same() {
    let test = "with_nothing_granted_to_learn_the_list_is_there_all_the_same";
    let Some(sample) = sample(test, "mail-watch") else { return };
    assert!(!sample.sealed);
    // The power without a bit to use it with, and not even the power.
    for power in [true, false] {
        let mut calls = Vec::new();
        for urgent in [false, true] {
            let mut world = World::new(&sample, &recipe(urgent, 0));
            if !power {
                world.grant(|grant| {
                    grant.capabilities.remove(&Capability::RevealChoice);
                });
            }
            world.command("watch", None, None).unwrap();
            let lines = world.under(PANEL, "Urgent mail");
            assert_eq!(lines.len(), usize::from(urgent), "{lines:?}");
            assert!(world.seen.notices().is_empty());
            assert!(format!("{:?}", world.panel(PANEL).nodes).contains("grant it 2 bits a day"));
            calls.push(world.calls.clone());
        }
        assert_eq!(calls[0], calls[1], "it could tell the two apart");
    }
}

#[test]
fn with_two_bits_it_learns_that_there_is_something_and_no_more() {
    let test = "with_two_bits_it_learns_that_there_is_something_and_no_more";
    let Some(sample) = sample(test, "mail-watch") else { return };
    for urgent in [false, true] {
        let mut world = World::new(&sample, &recipe(urgent, 2));
        world.command("watch", None, None).unwrap();
        let wanted: &[&str] = if urgent { &["There is urgent mail."] } else { &[] };
        assert_eq!(world.seen.notices(), wanted);
        // A second time on the same day there is nothing left to learn with, and the list is still right.
        world.command("watch", None, None).unwrap();
        assert_eq!(world.seen.notices(), wanted);
        assert_eq!(world.under(PANEL, "Urgent mail").len(), usize::from(urgent));
        assert!(format!("{:?}", world.panel(PANEL).nodes).contains("grant it 2 bits a day"));
    }
}
