//! Scenarios tell what is so from what is not.

use std::sync::OnceLock;

use hearth_authoring::{Scenario, ScenarioReport, run_scenario};

use crate::{haiku, hello, runtime};

static ARTEFACTS: OnceLock<tempfile::TempDir> = OnceLock::new();

fn play(test: &str, text: &str) -> Option<ScenarioReport> {
    let (runtime, plugin) = (runtime(test)?, hello(test)?);
    // Compiled once for all of them.
    let artefacts = ARTEFACTS.get_or_init(|| tempfile::tempdir().unwrap());
    let scenario = Scenario::parse(text).unwrap();
    Some(run_scenario(&plugin, &scenario, &runtime, artefacts.path()).unwrap())
}

#[test]
fn the_example_passes_its_scenario() {
    let Some(report) = play("the example's scenario", &haiku()) else { return };
    assert!(report.passed, "{report}");
    assert!(report.sealed);
    let first = &report.steps[0];
    let names: Vec<&str> = first.calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["document.get", "model.generate", "panel.show"]);
    assert!(first.fuel > 0);
    assert_eq!(first.panels[0].lines[0], "# Your haiku");
    let again = play("the example's scenario", &haiku()).unwrap();
    assert_eq!(again.to_string(), report.to_string(), "the same scenario, another report");
}

#[test]
fn what_does_not_come_true_fails() {
    for (from, to, words) in [
        ("shows = \"Sea gone, sand shining\"", "shows = \"Mountains\"", "shows `Mountains`"),
        ("sources = [\"tide\"]", "sources = []", "made from tide"),
        ("panel = \"haiku\"", "panel = \"other\"", "panel other is open"),
        ("refused = \"denied(model)\"", "refused = \"over-quota\"", "0 such calls"),
        (
            "fails = \"not allowed to use the model\"",
            "fails = \"asleep\"",
            "it fails with `asleep`",
        ),
        ("fails = \"not allowed to use the model\"", "", "it ends well"),
        ("focus = \"tide\"", "focus = \"tide\"\nfails = \"x\"", "it did not fail"),
        ("run = \"haiku\"", "run = \"limerick\"", "no command `limerick`"),
        ("call = \"model.generate\"", "call = \"model.generate\"\ntimes = 2", "1 such calls"),
    ] {
        let text = haiku().replacen(from, to, 1);
        assert_ne!(text, haiku(), "{from}");
        let Some(report) = play("a scenario that fails", &text) else { return };
        assert!(!report.passed, "{to}: {report}");
        assert!(report.to_string().contains(words), "{to}: {report}");
    }
}

#[test]
fn what_nobody_scripted_is_said() {
    let text =
        haiku().replace("contains = [\"The sea had gone out\"]", "contains = [\"mountain\"]");
    let Some(report) = play("an unscripted answer", &text) else { return };
    assert!(!report.passed);
    assert_eq!(report.steps[0].unscripted.len(), 1, "{report}");
}
