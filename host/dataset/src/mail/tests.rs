use proptest::prelude::*;

use super::*;

fn parts(body: &str) -> (String, String) {
    let text = MailText::of(body);
    (text.own, text.quoted)
}

#[test]
fn a_plain_mail_is_all_its_authors() {
    let body = "Dear Ann,\n\n\n\nthe keys are here:  \n- under the anvil\n- or not\n\nBest\nBob\n";
    let (own, quoted) = parts(body);
    assert_eq!(own, "Dear Ann,\n\nthe keys are here:\n- under the anvil\n- or not\n\nBest\nBob");
    assert_eq!(quoted, "");
}

#[test]
fn quotes_go_with_the_words_before_them() {
    for before in [
        "On Mon, 5 Jan 2026 at 10:00, Ann <ann@example.com> wrote:",
        "On Mon, 5 Jan 2026 at 10:00, Ann\n<ann@example.com> wrote:",
        "Am 05.01.26 um 10:00 schrieb Ann:",
        "Le lun. 5 janv. 2026 à 10:00, Ann a écrit :",
        "Ann wrote:",
    ] {
        let (own, quoted) =
            parts(&format!("Yes, I will.\n\nBob\n\n{before}\n> Will you\n> come?\n"));
        assert_eq!(own, "Yes, I will.\n\nBob", "{before}");
        assert_eq!(quoted, "Will you\ncome?", "{before}");
    }
}

#[test]
fn answers_between_quotes_are_put_together() {
    let body = "Ann wrote:\n> First?\nYes.\n\n> > deeper\n> Second?\n\nNo, because: nothing.\n";
    let (own, quoted) = parts(body);
    assert_eq!(own, "Yes.\n\nNo, because: nothing.");
    assert_eq!(quoted, "First?\n\ndeeper\nSecond?");
}

#[test]
fn whole_mails_below_are_no_words_of_the_author() {
    for below in [
        "-----Original Message-----\nFrom: Ann\nWill you come?",
        "________________________________\nFrom: Ann <a@example.com>\nSent: Monday\nTo: Bob\nSubject: x\n\nWill you come?",
        "From: Ann\nDate: Monday\nTo: Bob\nSubject: x\n\nWill you come?",
        "Von: Ann\nGesendet: Montag\nAn: Bob\nBetreff: x\n\nWill you come?",
        "On 5 January 2026 Ann wrote:\n\nWill you come?",
    ] {
        let text = MailText::of(&format!("Yes.\n\n{below}"));
        assert_eq!(text.own, "Yes.", "{below}");
        assert!(text.quoted.ends_with("Will you come?"), "{below}");
        assert!(!text.forwards);
    }
    let text =
        MailText::of("See below.\n\n---------- Forwarded message ----------\nFrom: Ann\n\nHi");
    assert_eq!((text.own.as_str(), text.forwards), ("See below.", true));
}

#[test]
fn signatures_and_footers_go_and_greetings_stay() {
    let (own, _) = parts("Hello\n\nBest wishes\nBob\n-- \nBob Smith\n+1 555 0100\n");
    assert_eq!(own, "Hello\n\nBest wishes\nBob");
    let (own, quoted) = parts("Hello\n--\nBob\n\nOn 1 May 2026 Ann wrote:\n> Hi\n");
    assert_eq!((own.as_str(), quoted.as_str()), ("Hello", "Hi"));
    let footer =
        "Hello\n\n_______________________________________________\nx mailing list\nx@example.com\n";
    assert_eq!(parts(footer).0, "Hello");
    let (own, _) = parts("Hello\n\nbegin 666 a.png\nMB5!.1PT*&@H\n`\nend\n\nbegin 7 days early\n");
    assert_eq!(own, "Hello\n\nbegin 7 days early");
    assert_eq!(parts("Hello\n\nSent from my telephone\n").0, "Hello");
}

#[test]
fn ordinary_lines_are_not_taken_for_marks() {
    for body in [
        "From: here it is two miles.\nThen left.",
        "On Monday we wrote:\nno.",
        "I am bringing the original message with me.",
        "Columns:\n-----\na\n-----\nb",
        "--- a dash",
        "Am Ende schrieb er nichts.",
    ] {
        assert_eq!(parts(body), (body.to_owned(), String::new()));
    }
}

proptest! {
    #[test]
    fn no_line_is_the_authors_that_was_not_in_the_body(
        body in "((On 1 Jan x wrote:|> [a-c]|-- |--|From: a|Date: b|Subject: c|____________|[a-d]{0,3})\n){0,14}",
    ) {
        let text = MailText::of(&body);
        for line in text.own.lines().filter(|line| !line.is_empty()) {
            prop_assert!(body.lines().any(|given| given.trim_end() == line));
            prop_assert!(!line.starts_with('>'));
        }
    }
}
