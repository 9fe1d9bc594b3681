//! Datasets of real mail, of invented authors and of a play.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use hearth_base::DocumentId;
use hearth_dataset::invented::{Author, mailbox, mbox, speeches};
use hearth_dataset::{Dataset, Recipe, Template, build, jsonl};
use hearth_engine_api::Example;
use hearth_vault::Vault;

use crate::test_data;

fn check(dataset: &Dataset) {
    let report = &dataset.report;
    assert_eq!(report.read, report.used + report.left_out.values().sum::<u64>(), "{report:?}");
    assert_eq!(report.train + report.held_out, dataset.samples.len() as u64);
    let mut sides: BTreeMap<DocumentId, bool> = BTreeMap::new();
    for sample in &dataset.samples {
        for id in &sample.documents {
            assert_eq!(*sides.entry(*id).or_insert(sample.held_out), sample.held_out);
        }
        let learnt = match &sample.example {
            Example::Chat(messages) => &messages.last().unwrap().content,
            Example::Answers { messages, learnt } => &messages[*learnt.last().unwrap()].content,
            Example::Completion { completion, .. } => completion,
            Example::Text(text) => text,
        };
        assert!(!learnt.trim().is_empty());
    }
}

#[test]
fn real_mail_gives_examples_for_every_template_and_all_of_it_is_accounted_for() {
    let Some(mail) = test_data("real_mail", "email") else { return };
    let vault = Vault::in_memory().unwrap();
    vault.import(&mail, None, &mut |_| ControlFlow::Continue(())).unwrap();
    let authors = vault.mail_authors(1000).unwrap();
    assert!(!authors.is_empty());
    let everybody = authors.into_iter().map(|(author, _)| author).collect();
    for (template, least) in [
        (Template::WriteLikeMe { me: everybody }, 20),
        (Template::SummariseLikeThis, 15),
        (Template::AnswerFromNotes, 1),
        (Template::Plain, 60),
    ] {
        let dataset = build(&vault, &Recipe { template: template.clone(), ..Recipe::default() });
        let dataset = dataset.unwrap();
        check(&dataset);
        assert!(dataset.samples.len() >= least, "{template:?}: {:?}", dataset.report);
        if let Template::WriteLikeMe { .. } = template {
            for sample in &dataset.samples {
                let Example::Chat(messages) = &sample.example else { panic!() };
                let own = &messages[1].content;
                assert!(!own.lines().any(|line| line.starts_with('>')), "a quote in {own}");
            }
        }
    }
}

#[test]
fn a_characters_lines_are_examples_of_how_one_speaks() {
    let Some(folder) = test_data("a_characters_lines", "train/tinyshakespeare") else { return };
    let play = std::fs::read_to_string(folder.join("input.txt")).unwrap();
    let lines = speeches(&play, "GLOUCESTER");
    assert!(lines.len() > 200, "{}", lines.len());
    let text = jsonl::write(&lines);
    assert!(jsonl::parse(&text).unwrap() == lines);
    let vault = Vault::in_memory().unwrap();
    let text = vault.add_example_text("GLOUCESTER", &text).unwrap();
    let recipe = Recipe { template: Template::Imported { text }, ..Recipe::default() };
    let dataset = build(&vault, &recipe).unwrap();
    check(&dataset);
    assert!(dataset.report.train > 150 && dataset.report.held_out > 8, "{:?}", dataset.report);
}

#[test]
fn invented_authors_tell_themselves_apart_and_follow_from_the_seed() {
    let mails = mailbox(11, 200);
    assert_eq!(mails, mailbox(11, 200));
    assert_ne!(mails, mailbox(12, 200));
    let of = |author| mails.iter().filter(move |mail| mail.author == author).map(|mail| &mail.own);
    let share = |author, c: char| {
        let text: String = of(author).map(String::as_str).collect();
        text.matches(c).count() as f64 / text.len() as f64
    };
    assert!(share(Author::Cheerful, '!') > 10.0 * share(Author::Courteous, '!'));
    assert!(share(Author::Clipped, '-') > 3.0 * share(Author::Courteous, '-'));
    let length = |author| of(author).map(String::len).sum::<usize>();
    assert!(length(Author::Courteous) > 4 * length(Author::Clipped));
    let distinct: BTreeSet<_> = of(Author::Courteous).collect();
    assert!(distinct.len() > 195, "{} of 200 differ", distinct.len());
}

/// Prints how long a large mailbox takes. To be run by hand, with optimisation.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "it says what it measured")]
fn a_mailbox_of_twenty_thousand() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("large.mbox");
    std::fs::write(&path, mbox(&mailbox(1, 20_000 / 3))).unwrap();
    let vault_dir = hearth_vault::VaultDir::new(temp.path().join("vault"));
    let passphrase = hearth_vault::Passphrase::new("p".into());
    let vault = vault_dir.create_with_work_factor(&passphrase, 2).unwrap();
    vault.import(&path, None, &mut |_| ControlFlow::Continue(())).unwrap();
    for template in [
        Template::WriteLikeMe { me: vec![Author::Courteous.address().to_owned()] },
        Template::SummariseLikeThis,
        Template::Plain,
    ] {
        let start = std::time::Instant::now();
        let recipe = Recipe { template: template.clone(), ..Recipe::default() };
        let dataset = build(&vault, &recipe).unwrap();
        let (secs, report) = (start.elapsed().as_secs_f32(), dataset.report);
        println!("{template:?}: {secs:.2} s, {}", report.lines().join("; "));
    }
}
