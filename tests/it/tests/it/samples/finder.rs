//! The finder: what is looked for, found, and answered from.

use std::collections::BTreeSet;

use hearth_base::SettingValue;
use hearth_broker::{PanelKey, PanelNode, Start};

use super::stage::{File, Recipe, World, by_rule, sample};

const PANEL: &str = "found";

fn note(name: &str, text: &str) -> File {
    (format!("{name}.md"), text.to_owned())
}

/// Knows one other word for `bicycle`.
fn answer(system: &str, said: &str) -> String {
    if system.starts_with("You help to search") {
        return (if said.contains("bicycle") { "velocipede" } else { "none" }).into();
    }
    by_rule(system, said)
}

fn recipe() -> Recipe {
    Recipe {
        granted: vec![
            note("one", "tok1 A bicycle with new rims. helps=no"),
            note("two", "tok2 The velocipede is in the shed. helps=yes"),
            note("three", "tok3 Nothing to see. helps=yes"),
        ],
        other: vec![note("secret", "tok99 Another bicycle. helps=yes")],
        answer,
        ..Recipe::default()
    }
}

#[test]
fn what_is_meant_is_found_by_other_words() {
    let Some(sample) = sample("what_is_meant_is_found_by_other_words", "finder") else { return };
    let mut world = World::new(&sample, &recipe());
    world.command("find", None, Some("Where is my bicycle?")).unwrap();
    let shown = world.under(PANEL, "Answer");
    assert_eq!(shown, ["Where is my bicycle?", "answer questions: tok2"]);
    assert_eq!(world.under(PANEL, "Where it may stand").len(), 1);
    assert_eq!(world.under(PANEL, "Also found").len(), 1);
    // What was found depends on all that was searched, and on the words; on no other folder.
    let granted: BTreeSet<_> = world.granted().into_iter().collect();
    assert_eq!(world.sources(PANEL)[1], granted);

    // The user chooses one: the plugin gets its text without seeing it.
    let panel = world.panel(PANEL);
    let picker = panel.nodes.iter().find_map(|node| match node {
        PanelNode::Picker { id, items: Some(items) } => Some((id.clone(), items[0].id)),
        _ => None,
    });
    let (picker, value) = picker.unwrap();
    let panel = PanelKey { plugin: world.plugin.clone(), panel: PANEL.into() };
    world.run(Start::Picked { panel, picker, value }).unwrap();
    let read = world.under(PANEL, "What it says");
    assert_eq!(read, ["Where is my bicycle?", "answer questions: tok2"]);
    assert!(world.under(PANEL, "The document")[0].contains("in the shed"));

    world.enter(PANEL, "again", "Anything to see?").unwrap();
    assert_eq!(world.under(PANEL, "Answer")[1], "answer questions: tok3");
}

#[test]
fn where_nothing_helps_the_panel_says_so_and_the_plugin_does_not_hear_it() {
    let test = "where_nothing_helps_the_panel_says_so_and_the_plugin_does_not_hear_it";
    let Some(sample) = sample(test, "finder") else { return };
    let mut calls = Vec::new();
    for (words, answer) in [
        ("rims", "None of the documents found seems to tell."),
        ("zeppelin", "Nothing was found in the folders this plugin may search."),
        ("velocipede", "answer questions: tok2"),
    ] {
        let mut world = World::new(&sample, &recipe());
        world.set("widen", SettingValue::Flag(false));
        world.command("find", None, Some(words)).unwrap();
        let shown = world.under(PANEL, "Answer");
        assert!(shown[1].starts_with(answer), "{words}: {shown:?}");
        calls.push(world.calls.clone());
    }
    assert!(calls.iter().all(|of_one| *of_one == calls[0]), "it could tell them apart");
}
