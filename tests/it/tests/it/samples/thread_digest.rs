//! Digests of notes and conversations.

use std::collections::BTreeSet;

use super::stage::{Recipe, World, mail, sample};

const PANEL: &str = "digest";

fn recipe() -> Recipe {
    let mut granted =
        vec![mail(1, "Concert", "tok1"), mail(2, "Re: Concert", "tok2"), mail(3, "Rims", "tok3")];
    granted.push(("meeting.md".into(), format!("tok4 {} tok5", "word ".repeat(900))));
    let other = vec![mail(99, "Re: Concert", "tok99")];
    Recipe { granted, other, ..Recipe::default() }
}

#[test]
fn notes_are_digested_part_by_part() {
    let Some(sample) = sample("notes_are_digested_part_by_part", "thread-digest") else { return };
    let mut world = World::new(&sample, &recipe());
    let notes = *world
        .granted()
        .iter()
        .find(|id| world.vault.document(**id).unwrap().unwrap().head.title.contains("meeting"))
        .unwrap();
    world.command("notes", Some(notes), None).unwrap();
    // The title, four sections, and what was noted of three parts.
    for heading in ["In short", "Decisions", "Open questions", "Who does what"] {
        let section = world.under(PANEL, heading);
        assert_eq!(section, ["write the: tok4 tok5"], "{heading}");
    }
    let noted = world.under(PANEL, "What it was made from, part by part");
    assert_eq!(noted, ["take notes: tok4", "take notes: ", "take notes: tok5"]);
    assert!(world.sources(PANEL).iter().all(|sources| *sources == [notes].into()));

    world.press(PANEL, "save").unwrap();
    let saved = world.saved();
    let [(title, body)] = saved.as_slice() else { panic!("{saved:?}") };
    assert_eq!(title, "Digest, 2026-03-09");
    assert!(body.contains("\n\n## Decisions\n\nwrite the: tok4 tok5"), "{body}");
}

#[test]
fn a_conversation_is_found_from_one_of_its_mails() {
    let Some(sample) = sample("a_conversation_is_found_from_one_of_its_mails", "thread-digest")
    else {
        return;
    };
    let mut world = World::new(&sample, &recipe());
    let [first, second, third] = world.granted()[..3] else { panic!() };
    world.command("thread", Some(second), None).unwrap();
    assert_eq!(world.under(PANEL, "In short"), ["write the: tok1 tok2"]);
    // Who belongs to it was found among all mails granted; the one outside is not in it.
    let mails: BTreeSet<_> = [first, second, third].into();
    let sections = &world.sources(PANEL)[1..];
    assert!(sections.iter().all(|sources| *sources == mails), "{sections:?}");

    world.command("newest", None, None).unwrap();
    let newest = world.under(PANEL, "The newest conversations");
    assert_eq!(newest, ["Rims\nwrite the: tok3", "Concert\nwrite the: tok1 tok2"]);
}

#[test]
fn without_a_folder_it_reads_the_one_mail_and_says_so() {
    let Some(sample) =
        sample("without_a_folder_it_reads_the_one_mail_and_says_so", "thread-digest")
    else {
        return;
    };
    let mut world = World::new(&sample, &recipe());
    world.grant(|grant| grant.slots.clear());
    let mail = world.granted()[1];
    world.command("thread", Some(mail), None).unwrap();
    assert_eq!(world.under(PANEL, "In short"), ["write the: tok2"]);
    assert!(
        format!("{:?}", world.panel(PANEL).nodes).contains("Grant this plugin a folder of mail")
    );
    assert!(world.sources(PANEL).iter().all(|sources| *sources == [mail].into()));
}
