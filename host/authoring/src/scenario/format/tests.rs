use super::*;

const GOOD: &str = r#"
today = 2026-11-23

[[documents]]
id = "tide"
title = "Low tide"
body = "The sea"

[[answers]]
in = "haiku"
contains = ["sea"]
text = "Sea gone"

[[steps]]
run = "haiku"
focus = "tide"

[[steps.expect]]
panel = "haiku"
shows = "Sea"
sources = ["tide"]
"#;

fn refusal(text: &str) -> (usize, String) {
    match Scenario::parse(text) {
        Err(
            ScenarioError::Malformed { line, reason } | ScenarioError::Invalid { line, reason },
        ) => (line, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sound_scenario_is_read() {
    let scenario = Scenario::parse(GOOD).unwrap();
    assert_eq!(scenario.today, Date { year: 2026, month: 11, day: 23 });
    assert_eq!(scenario.documents[0].it.kind, Kind::Note);
    assert!(matches!(&scenario.steps[0].action, Action::Run { focus: Some(f), .. } if f == "tide"));
    assert!(
        matches!(&scenario.steps[0].expect[0].it, Expect::Panel { sources: Some(s), .. } if s.len() == 1)
    );
}

#[test]
fn what_makes_no_sense_is_named_with_its_line() {
    for (from, to, line, words) in [
        ("title = ", "titel = ", 6, "unknown field"),
        ("focus = \"tide\"", "focus = \"ebb\"", 14, "no document `ebb`"),
        ("sources = [\"tide\"]", "sources = [\"ebb\"]", 18, "no document `ebb`"),
        ("run = \"haiku\"", "press = \"haiku\"", 14, "`focus` and `input` go with `run`"),
        ("run = \"haiku\"\nfocus = \"tide\"", "press = \"b\"", 14, "`press` needs `panel`"),
        ("run = \"haiku\"\nfocus = \"tide\"", "run = \"a\"\npick = \"b\"", 14, "one of `run`"),
        ("run = \"haiku\"\nfocus = \"tide\"", "revoke = [\"model\"]", 14, "cannot be expected"),
        ("panel = \"haiku\"\n", "", 18, "an expectation has one of"),
        ("panel = \"haiku\"", "log = \"haiku\"", 18, "`shows` does not go"),
        ("today = 2026-11-23", "today = 10:00:00", 1, "a day is written as"),
        ("id = \"tide\"", "id = \"tide\"\nauthor = \"Ann\"", 4, "only mail has an author"),
        ("Low tide", "Low/tide", 4, "no `/`"),
        ("today = ", "today == ", 2, ""),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let (at, reason) = refusal(&text);
        assert!(reason.contains(words), "{to}: {reason}");
        assert_eq!(at, line, "{to}: {reason}");
    }
    let twice = GOOD.replace(
        "[[answers]]",
        "[[documents]]\nid = \"tide\"\ntitle = \"x\"\nbody = \"\"\n\n[[answers]]",
    );
    assert_eq!(refusal(&twice), (9, "there are two documents `tide`".into()));
}
