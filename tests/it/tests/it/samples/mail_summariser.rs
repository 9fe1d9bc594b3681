//! The mail summariser: single mails, conversations, and saving.

use hearth_base::SettingValue;

use super::stage::{Recipe, World, mail, sample, values};

const PANEL: &str = "summaries";

fn recipe() -> Recipe {
    Recipe {
        granted: vec![
            mail(1, "Rims", "tok1"),
            mail(2, "Choir", "tok2"),
            mail(3, "Re: Rims", "tok3"),
            mail(4, "", "tok4"),
        ],
        ..Recipe::default()
    }
}

#[test]
fn the_newest_mails_are_summarised_and_saved() {
    let Some(sample) = sample("the_newest_mails_are_summarised_and_saved", "mail-summariser")
    else {
        return;
    };
    let mut world = World::new(&sample, &recipe());
    world.set("newest", SettingValue::Number(3));
    world.command("summarise", None, None).unwrap();
    let shown = world.under(PANEL, "The 3 newest mails");
    assert_eq!(
        shown,
        ["summarise e-mail: tok4", "summarise e-mail: tok3", "summarise e-mail: tok2"]
    );
    // Which three they are depends on the whole folder, and on nothing else.
    let granted: std::collections::BTreeSet<_> = world.granted().into_iter().collect();
    assert_eq!(world.sources(PANEL), [granted.clone(), granted.clone(), granted]);

    world.press(PANEL, "save-all").unwrap();
    let saved = world.saved();
    let [(title, body)] = saved.as_slice() else { panic!("{saved:?}") };
    assert_eq!(title, "Mail summaries, 2026-03-09");
    assert!(body.contains("Re: Rims (from Person 3"), "{body}");
    assert!(body.ends_with("summarise e-mail: tok2"), "{body}");
    assert_eq!(world.seen.notices().len(), 1);

    world.press(PANEL, "in-short").unwrap();
    let short = world.under(PANEL, "All of it in short");
    assert_eq!(short, ["summarise a: tok4 tok3 tok2"]);
}

#[test]
fn conversations_are_summarised_as_wholes() {
    let Some(sample) = sample("conversations_are_summarised_as_wholes", "mail-summariser") else {
        return;
    };
    let mut world = World::new(&sample, &recipe());
    world.command("summarise-threads", None, None).unwrap();
    let shown = world.under(PANEL, "The 10 newest conversations");
    let (untitled, rest) = shown.split_first().unwrap();
    assert!(untitled.ends_with("summarise conversations: tok4"), "{untitled}");
    assert_eq!(
        rest,
        ["Rims\nsummarise conversations: tok1 tok3", "Choir\nsummarise conversations: tok2"]
    );

    // From one of its mails; the same subject in a folder that is not granted does not belong to it.
    let answer = world.granted()[2];
    world.command("summarise-thread", Some(answer), None).unwrap();
    let shown = world.under(PANEL, "This conversation in short");
    assert_eq!(shown, ["summarise conversations: tok1 tok3", "Rims", "Re: Rims"]);
    let outside = world.documents("other");
    assert!(world.sources(PANEL).iter().flatten().all(|id| !outside.contains(id)));
}

#[test]
fn one_mail_depends_on_itself_alone() {
    let Some(sample) = sample("one_mail_depends_on_itself_alone", "mail-summariser") else {
        return;
    };
    let mut world = World::new(&sample, &recipe());
    let mail = world.granted()[1];
    world.command("summarise-one", Some(mail), None).unwrap();
    assert_eq!(world.under(PANEL, "This mail in short"), ["summarise e-mail: tok2"]);
    assert_eq!(world.sources(PANEL), [[mail].into()]);
}

#[test]
fn an_empty_folder_gives_an_empty_list() {
    let Some(sample) = sample("an_empty_folder_gives_an_empty_list", "mail-summariser") else {
        return;
    };
    let mut world = World::new(&sample, &Recipe { granted: Vec::new(), ..Recipe::default() });
    world.command("summarise", None, None).unwrap();
    assert_eq!(values(&world.panel(PANEL)).count(), 0);
    world.command("summarise-threads", None, None).unwrap();
    assert_eq!(values(&world.panel(PANEL)).count(), 0);
    assert!(world.seen.troubles().is_empty(), "{:?}", world.seen.troubles());
}
