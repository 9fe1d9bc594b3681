//! What each plugin may do, and what it says where it may not.

use std::collections::BTreeSet;

use hearth_base::{Capability, Focus, GuestFailure};

use super::{
    NAMES,
    stage::{Recipe, World, mail, sample},
};

#[test]
fn six_are_sealed_and_none_asks_for_more_than_it_needs() {
    use Capability::{
        DocumentsRead, DocumentsSave, DocumentsSearch, Model, Panel, PersonalModel, RevealChoice,
    };
    let test = "six_are_sealed_and_none_asks_for_more_than_it_needs";
    for (name, sealed, wanted) in [
        ("code-helper", true, vec![Model, DocumentsRead, Panel]),
        ("finder", true, vec![Model, DocumentsRead, DocumentsSearch, Panel]),
        ("mail-summariser", true, vec![Model, DocumentsRead, DocumentsSave, Panel]),
        ("mail-triage", true, vec![Model, DocumentsRead, DocumentsSave, Panel]),
        ("mail-watch", false, vec![Model, DocumentsRead, Panel, RevealChoice]),
        ("my-style", true, vec![PersonalModel, DocumentsRead, Panel]),
        ("thread-digest", true, vec![Model, DocumentsRead, DocumentsSave, Panel]),
    ] {
        let Some(sample) = sample(test, name) else { return };
        assert_eq!(sample.sealed, sealed, "{name}");
        let imports = hearth_wasm::inspect(&sample.component).unwrap().imports;
        let asks = imports.iter().any(|import| import.contains("declassify"));
        assert_eq!(asks, !sealed, "{name} imports {imports:?}");
        let wanted: BTreeSet<Capability> = wanted.into_iter().collect();
        assert_eq!(sample.manifest.requested(), wanted, "{name}");
        assert!(!sample.manifest.description.is_empty());
    }
}

/// Each command with each power taken away in turn: it ends with words for the user, or does without.
#[test]
fn where_a_power_is_refused_it_is_said_in_words() {
    let test = "where_a_power_is_refused_it_is_said_in_words";
    for name in NAMES {
        let Some(sample) = sample(test, name) else { return };
        let granted = vec![mail(1, "Rims", "tok1 kind=urgent answer=yes topic=work")];
        let mut world = World::new(&sample, &Recipe { granted, ..Recipe::default() });
        let document = world.granted()[0];
        for power in sample.manifest.requested() {
            // Showing its own panels needs no grant.
            if power == Capability::Panel {
                continue;
            }
            for command in &sample.manifest.commands {
                let has_focus = command.focus == Focus::Document;
                if has_focus && power == Capability::DocumentsRead {
                    // The document does not even get to it.
                    continue;
                }
                world.grant(|grant| grant.capabilities.retain(|other| *other != power));
                let focus = has_focus.then_some(document);
                let input = (!command.input.is_empty()).then_some("words");
                match world.command(&command.id, focus, input) {
                    Ok(()) => {}
                    Err(GuestFailure::BadInput(words)) => {
                        assert!(words.starts_with("it is not allowed to"), "{name}: {words}");
                    }
                    Err(other) => panic!("{name} {} without {power:?}: {other:?}", command.id),
                }
            }
        }
        let refused = world.calls.iter().any(|(_, reply)| {
            matches!(reply, Err(hearth_base::GuestError::Denied(power)) if *power != Capability::Panel)
        });
        assert!(refused, "{name} was refused nothing");
    }
}

#[test]
fn nothing_granted_at_all_is_said_in_words() {
    let test = "nothing_granted_at_all_is_said_in_words";
    for name in NAMES {
        let Some(sample) = sample(test, name) else { return };
        let mut world = World::new(&sample, &Recipe::default());
        world.grant(|grant| *grant = hearth_base::Grant::default());
        let mut commands = sample.manifest.commands.iter();
        let Some(command) = commands.find(|command| command.focus == Focus::None) else { continue };
        let input = (!command.input.is_empty()).then_some("words");
        let refused = world.command(&command.id, None, input).unwrap_err();
        assert!(
            matches!(&refused, GuestFailure::BadInput(words) if words.starts_with("it is not allowed to")),
            "{name}: {refused:?}"
        );
    }
}

/// Manifests promise what is there: each schedule and each tool has its command, and what asks for words says for what.
#[test]
fn manifests_are_for_people() {
    for name in NAMES {
        let Some(sample) = sample("manifests_are_for_people", name) else { return };
        let manifest = &sample.manifest;
        for schedule in &manifest.schedules {
            assert!(manifest.commands.iter().any(|command| command.id == schedule.command));
        }
        for setting in &manifest.settings {
            assert!(!setting.title.is_empty(), "{name} {}", setting.key);
        }
        for command in &manifest.commands {
            assert!(command.title.chars().next().unwrap().is_uppercase(), "{name} {}", command.id);
        }
    }
}
