//! The code helper: each command on a source file.

use super::stage::{Recipe, World, sample};

const PANEL: &str = "answer";

fn recipe() -> Recipe {
    let code = ("main.rs".to_owned(), "fn tok1() { tok2() }".to_owned());
    Recipe { granted: vec![code], ..Recipe::default() }
}

#[test]
fn each_command_works_on_the_file_in_focus() {
    let Some(sample) = sample("each_command_works_on_the_file_in_focus", "code-helper") else {
        return;
    };
    let mut world = World::new(&sample, &recipe());
    let file = world.granted()[0];
    for (command, heading, answer) in [
        ("explain", "What it does", "explain source: tok1 tok2"),
        ("review", "Review", "review source: tok1 tok2"),
        ("document", "Documentation", "write documentation: tok1 tok2"),
        ("tests", "Tests", "write unit: tok1 tok2"),
        ("rewrite", "Change, as a diff", "change source: tokwish tok1 tok2"),
    ] {
        let input = (command == "rewrite").then_some("tokwish");
        world.command(command, Some(file), input).unwrap();
        assert_eq!(world.under(PANEL, heading), ["main.rs", answer], "{command}");
        for label in world.labels(PANEL) {
            assert_eq!(label.documents().collect::<Vec<_>>(), [file], "{command}");
        }
    }
}

#[test]
fn the_panel_goes_on_with_the_same_file() {
    let Some(sample) = sample("the_panel_goes_on_with_the_same_file", "code-helper") else {
        return;
    };
    let mut world = World::new(&sample, &recipe());
    let file = world.granted()[0];
    world.command("explain", Some(file), None).unwrap();
    world.press(PANEL, "review").unwrap();
    assert_eq!(world.under(PANEL, "Review"), ["main.rs", "review source: tok1 tok2"]);
    world.enter(PANEL, "question", "What is tokq?").unwrap();
    assert_eq!(world.under(PANEL, "Answer"), ["main.rs", "answer questions: tokq tok1 tok2"]);
    world.enter(PANEL, "change", "Drop tokx").unwrap();
    let change = world.under(PANEL, "Change, as a diff");
    assert_eq!(change, ["main.rs", "change source: tokx tok1 tok2"]);
    assert_eq!(world.sources(PANEL), [[file].into(), [file].into()]);
}
