//! Mail triage: groups, topics, replies, and three hundred mails at once.

use std::collections::BTreeSet;

use hearth_base::{GuestFailure, SettingValue};

use super::stage::{File, Recipe, World, mail, sample};

const PANEL: &str = "sorted";
const TOPICS: [&str; 5] = ["work", "family", "money", "events", "other"];

/// So many mails, their kinds, topics and whether they need an answer going round.
fn mails(count: usize) -> Vec<File> {
    let kinds = ["work", "personal", "bill", "newsletter", "urgent"];
    (0..count)
        .map(|n| {
            let (kind, topic) = (kinds[n % 5], TOPICS[n / 5 % 5]);
            let answer = if n % 3 == 0 { "yes" } else { "no" };
            mail(n, &format!("S{n}"), &format!("tok{n} kind={kind} topic={topic} answer={answer}"))
        })
        .collect()
}

#[test]
fn mail_is_sorted_by_what_it_wants() {
    let Some(sample) = sample("mail_is_sorted_by_what_it_wants", "mail-triage") else { return };
    let mut world = World::new(&sample, &Recipe { granted: mails(10), ..Recipe::default() });
    world.command("triage", None, None).unwrap();
    let tokens = |heading| -> Vec<String> {
        let mut all = world.under(PANEL, heading);
        all.iter_mut().for_each(|text| *text = text.replace("summarise e-mail: ", ""));
        all
    };
    assert_eq!(tokens("Urgent"), ["tok9", "tok4"]);
    // 0 and 5 are work, 1 and 6 personal, 2 and 7 bills; 0, 3, 6, 9 want an answer.
    assert_eq!(tokens("Needs a reply"), ["tok0", "tok6"]);
    let later = tokens("Read later");
    assert_eq!(later.len(), 4, "{later:?}");
    assert!(later[0].starts_with("S5, from Person 5"), "{later:?}");
    let newsletters = tokens("Newsletters");
    assert!(newsletters[0].starts_with("S8, from") && newsletters[1].starts_with("S3, from"));
    // Who is in a list depends on everybody's mail, and on nothing that was not granted.
    let granted: BTreeSet<_> = world.granted().into_iter().collect();
    assert!(world.sources(PANEL).iter().all(|sources| *sources == granted));
}

#[test]
fn three_hundred_mails_are_summarised_grouped_and_answered_in_one_go() {
    let test = "three_hundred_mails_are_summarised_grouped_and_answered_in_one_go";
    let Some(sample) = sample(test, "mail-triage") else { return };
    assert!(sample.sealed, "it has no way to learn anything");
    let mut world = World::new(&sample, &Recipe { granted: mails(300), ..Recipe::default() });
    world.set("newest", SettingValue::Number(300));
    world.set("topics", SettingValue::Text(TOPICS.join(", ")));
    world.command("desk", None, None).unwrap();
    let mut seen = 0;
    for (place, topic) in TOPICS.iter().enumerate() {
        let title = topic[..1].to_uppercase() + &topic[1..];
        let group = world.under(PANEL, &title);
        let wanted: BTreeSet<String> = (0..300)
            .filter(|n| n / 5 % 5 == place)
            .map(|n| format!("summarise e-mail: tok{n}"))
            .collect();
        assert_eq!(group.iter().cloned().collect::<BTreeSet<_>>(), wanted, "{topic}");
        seen += group.len();
    }
    assert_eq!(seen, 300);
    let drafts = world.under(PANEL, "Drafts of replies");
    assert_eq!(drafts.len(), 100);
    assert_eq!(drafts[0], "Re: S297\n\ndraft replies: tok297");
    // One call each for the slot, the topics, each topic's summaries, who is to be answered, and the drafts.
    assert!(world.calls.len() < 60, "{} calls", world.calls.len());
    assert!(!world.names().iter().any(|name| name.starts_with("Reveal")));

    world.press(PANEL, "save-replies").unwrap();
    let saved = world.saved();
    let [(title, body)] = saved.as_slice() else { panic!("{} saved", saved.len()) };
    assert_eq!(title, "Drafts of replies, 2026-03-09");
    assert_eq!(body.matches("Re: S").count(), 100);
}

#[test]
fn topics_are_the_users() {
    let Some(sample) = sample("topics_are_the_users", "mail-triage") else { return };
    let granted = vec![mail(1, "A", "tok1 topic=choir"), mail(2, "B", "tok2 topic=bikes")];
    let mut world = World::new(&sample, &Recipe { granted, ..Recipe::default() });
    world.set("topics", SettingValue::Text("bikes, choir".into()));
    world.command("desk", None, None).unwrap();
    assert_eq!(world.under(PANEL, "Choir"), ["summarise e-mail: tok1"]);
    assert_eq!(world.under(PANEL, "Bikes"), ["summarise e-mail: tok2"]);

    world.set("topics", SettingValue::Text("bikes".into()));
    let refused = world.command("desk", None, None).unwrap_err();
    assert!(
        matches!(&refused, GuestFailure::BadInput(words) if words.contains("2 to 12")),
        "{refused:?}"
    );
}

#[test]
fn a_reply_is_drafted_from_its_mail_alone() {
    let Some(sample) = sample("a_reply_is_drafted_from_its_mail_alone", "mail-triage") else {
        return;
    };
    let mut world = World::new(&sample, &Recipe { granted: mails(3), ..Recipe::default() });
    let mail = world.granted()[1];
    world.command("reply", Some(mail), None).unwrap();
    assert_eq!(world.under("reply", "A draft of a reply"), ["draft replies: tok1"]);
    assert_eq!(world.sources("reply"), [[mail].into()]);
}
