//! The mails of mail-parser's test suite, many malformed.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hearth_vault::{DocumentQuery, ImportState, Vault, check};
use serde_json::Value;

use crate::test_data;

#[test]
fn each_mail_of_the_corpus_is_imported_or_refused_with_a_reason() {
    let Some(corpus) = test_data(
        "each_mail_of_the_corpus_is_imported_or_refused_with_a_reason",
        "email/mail-parser/eml",
    ) else {
        return;
    };
    let vault = Vault::in_memory().unwrap();
    let (mut mails, mut compared) = (0, 0);
    vault
        .import(&corpus, Some("corpus"), &mut |progress| {
            let entry = progress.entry;
            if entry.path.extension().is_some_and(|extension| extension == "eml") {
                mails += 1;
                let panicked =
                    entry.reason.as_deref().is_some_and(|reason| reason.contains("gave up"));
                assert!(!panicked, "{}", entry.path.display());
                assert!(entry.state == ImportState::Done || entry.reason.is_some());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(mails, 67);

    let query = DocumentQuery { limit: 1000, ..DocumentQuery::default() };
    for head in vault.documents(&query).unwrap().heads {
        let document = vault.document(head.id).unwrap().unwrap();
        let path = PathBuf::from(&document.source);
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        assert_eq!(vault.raw(head.id).unwrap().unwrap(), fs::read(&path).unwrap());
        let expected = Expected::read(&path.with_extension("json"));
        if let Some(subject) = expected.subject.filter(|subject| !subject.contains('\u{fffd}')) {
            assert_eq!(head.title, subject, "{}", path.display());
        }
        assert_eq!(document.attachments.len(), expected.attachments, "{}", path.display());
        if expected.has_text {
            assert!(!document.body.trim().is_empty(), "{}", path.display());
        }
        compared += 1;
    }
    assert!(compared >= 60, "{compared} compared");
}

#[test]
fn no_mail_of_the_corpus_panics_the_parsers_when_cut_or_bent() {
    let Some(corpus) = test_data(
        "no_mail_of_the_corpus_panics_the_parsers_when_cut_or_bent",
        "email/mail-parser/eml",
    ) else {
        return;
    };
    let mut mbox = Vec::new();
    let mut add = |mail: &[u8]| {
        mbox.extend(b"From a@example.com Mon Jan  5 10:00:00 2026\n");
        mbox.extend(mail);
        mbox.extend(b"\n\n");
    };
    for entry in walkdir::WalkDir::new(&corpus).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let mail = fs::read(&path).unwrap();
        for part in 1..16 {
            add(&mail[..mail.len() * part / 16]);
            let mut bent = mail.clone();
            for position in (part..bent.len()).step_by(97) {
                bent[position] = bent[position].wrapping_mul(31).wrapping_add(part as u8);
            }
            add(&bent);
        }
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("bent.mbox");
    fs::write(&path, &mbox).unwrap();
    let report = check(&path, &mut |entry| {
        let gave_up = entry.reason.as_deref().is_some_and(|reason| reason.contains("gave up"));
        assert!(!gave_up, "message {}", entry.index);
        ControlFlow::Continue(())
    })
    .unwrap();
    let seen = report.done + report.skipped + report.failed;
    assert!(seen >= 67 * 30, "{seen} messages: {report:?}");
}

#[test]
fn a_check_says_the_same_without_a_vault() {
    let Some(corpus) =
        test_data("a_check_says_the_same_without_a_vault", "email/mail-parser/eml/legacy")
    else {
        return;
    };
    let (mut checked, mut imported) = (Vec::new(), Vec::new());
    check(&corpus, &mut |entry| {
        checked.push(entry.clone());
        ControlFlow::Continue(())
    })
    .unwrap();
    let vault = Vault::in_memory().unwrap();
    vault
        .import(&corpus, None, &mut |progress| {
            imported.push(progress.entry.clone());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(!checked.is_empty());
    assert_eq!(checked, imported);
}

/// What the crate's own snapshot says: one opinion, and that of our own parser, so only what matters to a reader.
struct Expected {
    subject: Option<String>,
    attachments: usize,
    has_text: bool,
}

impl Expected {
    fn read(path: &Path) -> Self {
        let tree: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let parts = tree["parts"].as_array().unwrap();
        let headers = parts[0]["headers"].as_array().unwrap();
        let subject = headers.iter().rfind(|header| header["name"] == "subject");
        let subject = subject.and_then(|header| header["value"]["Text"].as_str());
        let has_text = tree["text_body"].as_array().unwrap().iter().any(|id| {
            let body = &parts[id.as_u64().unwrap() as usize]["body"];
            body["Text"].as_str().is_some_and(|text| !text.trim().is_empty())
        });
        Self {
            subject: subject.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
            attachments: tree["attachments"].as_array().unwrap().len(),
            has_text,
        }
    }
}
