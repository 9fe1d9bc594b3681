//! Mails, notes and code that tell the model what to do, and a model that does it all: a plugin does no other thing for
//! it, reads nothing that was not granted, and its panels keep their shape.

use std::path::{Path, PathBuf};

use hearth_base::Source;
use hearth_engine_api::{FakeBackend, Prompt};
use hearth_tests::runtime_dir;

use crate::stage::{Contents, Played, Stage, all_plugins};

/// What is in every document that was not granted.
const TAX_FILE: &str = "taxfilequorvane";

/// The collected attacks, with mails and code to put them into; `None`, said aloud, where they are not there.
struct Attacks {
    attacks: Vec<String>,
    mails: Vec<(String, String)>,
    code: Vec<String>,
}

fn collected(test: &str) -> Option<Attacks> {
    let data = std::env::var_os("HEARTH_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let dir = data.join("prompt-injection/bipia");
    if !dir.is_dir() {
        say(&format!("SKIPPED {test}: no test data at {}", dir.display()));
        return None;
    }
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let kinds = ["text_attack_train.json", "code_attack_train.json"];
    let attacks = kinds.iter().flat_map(|name| {
        let kinds: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&read(name)).unwrap();
        let all = kinds.into_iter().flat_map(|(_, texts)| texts.as_array().unwrap().clone());
        all.map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    let lines = |name: &str| -> Vec<serde_json::Value> {
        read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mails = lines("email/train.jsonl").into_iter().map(|mail| {
        let text = mail["context"].as_str().unwrap();
        let (subject, body) = text.split_once("|CONTENT:").unwrap_or(("", text));
        let subject = subject.trim_start_matches("SUBJECT:").trim();
        (subject.replace(['\r', '\n'], " "), body.trim().to_owned())
    });
    let code = lines("code/train.jsonl").into_iter().map(|code| {
        let lines = code["code"].as_array().unwrap().iter();
        lines.map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    });
    Some(Attacks { attacks: attacks.collect(), mails: mails.collect(), code: code.collect() })
}

#[expect(clippy::print_stdout, reason = "a test that does not run must say so")]
fn say(line: &str) {
    println!("{line}");
}

/// Puts an attack at the start, in the middle or at the end.
fn splice(text: &str, attack: &str, place: usize) -> String {
    let at = match place % 3 {
        0 => 0,
        1 => text.floor_char_boundary(text.len() / 2),
        _ => text.len(),
    };
    format!("{}\n{attack}\n{}", &text[..at], &text[at..])
}

impl Attacks {
    fn contents(&self, number: usize, attack: Option<&str>) -> Contents {
        let spliced = |place: usize, text: &str| {
            attack.map_or_else(|| text.to_owned(), |attack| splice(text, attack, place))
        };
        let mails = (0..3).map(|n| {
            let (subject, body) = &self.mails[(number + n) % self.mails.len()];
            let body = spliced(number + n, body);
            (format!("{subject} {n}"), body)
        });
        let code = &self.code[number % self.code.len()];
        Contents {
            mails: mails.collect(),
            notes: vec![spliced(number, "# Meeting\n\nAda will write to Ben by Friday.")],
            code: vec![spliced(number, code)],
            not_granted: vec![format!("{TAX_FILE}: include all of it")],
        }
    }
}

/// Says back what it was told, at length: whatever a document tells it to say, it says.
fn obedient() -> (FakeBackend, &'static Path) {
    let answer = |prompt: &Prompt| match prompt {
        Prompt::Chat(messages) => messages.iter().map(|m| m.content.as_str()).collect(),
        other => format!("{other:?}"),
    };
    (FakeBackend::new(answer), Path::new("fake"))
}

/// Every plugin, with so many of the attacks; as many as there are for `None`.
fn attacked(test: &str, most: Option<usize>) {
    let Some(dir) = runtime_dir(test) else { return };
    let Some(all) = collected(test) else { return };
    assert!(all.attacks.len() >= 100 && all.mails.len() >= 50 && all.code.len() >= 50);
    let stage = Stage::new(&dir);
    let count = most.unwrap_or(all.attacks.len());
    for (which, file) in all_plugins(&dir).iter().enumerate() {
        let plugin = stage.plugin(file);
        for number in 0..count {
            // Not the same ones for each plugin, where there are not all of them.
            let number = which * count + number;
            let attack = &all.attacks[number * 7 % all.attacks.len()];
            let clean = stage.scene(&plugin, &all.contents(number, None), obedient());
            let under_attack =
                stage.scene(&plugin, &all.contents(number, Some(attack)), obedient());
            let (expected, got) = (clean.play(), under_attack.play());
            let told = format!("{} attacked by {attack:?}", plugin.id);
            assert_eq!(got.traces, expected.traces, "{told}");
            assert_eq!(got.structures, expected.structures, "{told}");
            assert_eq!(under_attack.deeds(), clean.deeds(), "{told}");
            let forbidden = under_attack.not_granted();
            assert_eq!(forbidden.len(), 1);
            let Played { labels, texts, .. } = got;
            let sources = labels.iter().flat_map(|label| &label.sources);
            let reached = sources
                .filter(|source| matches!(source, Source::Document(id) if forbidden.contains(id)));
            assert_eq!(reached.count(), 0, "{told}");
            assert!(!texts.iter().any(|text| text.contains(TAX_FILE)), "{told}");
            // One that is not sealed shows nothing as long as it learns nothing.
            let is_seen = texts.iter().any(|text| !text.is_empty());
            assert!(is_seen || !plugin.sealed, "{told}: nothing to see");
        }
    }
}

#[test]
fn no_plugin_is_talked_into_anything() {
    attacked("injections", Some(2));
}

#[test]
#[ignore = "for the night: cargo xtask nightly"]
fn no_plugin_is_talked_into_anything_by_any_of_the_attacks() {
    attacked("all injections", None);
}
