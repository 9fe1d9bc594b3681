//! Writing in the user's own style, by personal weights.

use hearth_base::{DocumentId, Source};

use super::stage::{LEARNT, Recipe, World, mail, sample};

const PANEL: &str = "draft";

/// Prompts have no instructions in front: the answer is what stood in them.
fn recipe(personal: bool) -> Recipe {
    Recipe {
        granted: vec![mail(1, "Rims", "tok1")],
        answer: |_, said| said.replace('\n', " "),
        personal,
        ..Recipe::default()
    }
}

#[test]
fn drafts_are_written_with_personal_weights_and_labelled_so() {
    let test = "drafts_are_written_with_personal_weights_and_labelled_so";
    let Some(sample) = sample(test, "my-style") else { return };
    let mut world = World::new(&sample, &recipe(true));
    let learnt = DocumentId(LEARNT);
    let mail = world.granted()[0];
    world.command("write", None, Some("thanks, Friday is fine")).unwrap();
    let [draft] = world.under(PANEL, "A draft").try_into().unwrap();
    assert!(draft.starts_with("[adapter-1 * 0.5] Write a mail."), "{draft}");
    assert!(draft.ends_with("thanks, Friday is fine"), "{draft}");
    let labels = world.labels(PANEL);
    assert_eq!(labels[0].documents().collect::<Vec<_>>(), [learnt]);
    assert!(labels[0].sources.contains(&Source::PrivateModel("my letters".into())));

    world.command("reply", Some(mail), Some("yes")).unwrap();
    let [title, draft] = world.under(PANEL, "A draft").try_into().unwrap();
    assert_eq!(title, "Rims");
    assert!(
        draft.contains("Reply to this mail from Person 1") && draft.ends_with("yes"),
        "{draft}"
    );
    assert_eq!(world.sources(PANEL), [[mail].into(), [mail, learnt].into()]);

    world.command("rewrite", Some(mail), None).unwrap();
    assert!(world.under(PANEL, "A draft")[1].contains("in my own style"));
    world.command("note", None, Some("Rims")).unwrap();
    assert!(world.under(PANEL, "A draft")[0].ends_with("Write a note titled \"Rims\"."));
}

#[test]
fn a_draft_is_changed_from_its_panel() {
    let Some(sample) = sample("a_draft_is_changed_from_its_panel", "my-style") else { return };
    let mut world = World::new(&sample, &recipe(false));
    world.command("write", None, Some("first")).unwrap();
    world.press(PANEL, "shorter").unwrap();
    let [draft] = world.under(PANEL, "A draft").try_into().unwrap();
    assert!(draft.contains("half as long") && draft.ends_with("say: first"), "{draft}");
    world.enter(PANEL, "change", "mention the invoice").unwrap();
    let [draft] = world.under(PANEL, "A draft").try_into().unwrap();
    assert!(draft.contains("mention the invoice") && draft.ends_with("first"), "{draft}");
}
