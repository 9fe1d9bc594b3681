//! Mails and code that give orders: whatever they say, a plugin makes the same calls, and no label names more than was
//! granted.

use std::{collections::BTreeSet, path::Path};

use hearth_base::{Focus, HostCall, HostReply};

use super::{
    NAMES,
    stage::{File, Recipe, Sample, World, injections, mail, sample},
};

/// Says back what it was told, orders and all, and decides by length.
fn obedient(_: &str, said: &str) -> String {
    if said.len().is_multiple_of(2) { said.to_owned() } else { format!("yes {said}") }
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn attacks(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let by_kind: serde_json::Value = serde_json::from_str(&text).unwrap();
    let kinds = by_kind.as_object().unwrap().values();
    kinds
        .flat_map(|of_kind| of_kind.as_array().unwrap())
        .map(|a| a.as_str().unwrap().to_owned())
        .collect()
}

/// Mails with an attack at the end, in the middle or at the start, and a file with one among its comments.
fn poisoned(data: &Path) -> Vec<File> {
    let attacks_text = attacks(&data.join("text_attack_train.json"));
    let bodies = lines(&data.join("email/train.jsonl"));
    let mut files: Vec<File> = attacks_text
        .iter()
        .zip(bodies.iter().cycle())
        .enumerate()
        .map(|(n, (attack, body))| {
            let body = body["context"].as_str().unwrap();
            let middle = body.floor_char_boundary(body.len() / 2);
            let body = match n % 3 {
                0 => format!("{body}\n{attack}"),
                1 => format!("{}\n{attack}\n{}", &body[..middle], &body[middle..]),
                _ => format!("{attack}\n{body}"),
            };
            mail(n, "Re: Rims", &body.replace('\n', "\r\n"))
        })
        .collect();
    let code: String = attacks(&data.join("code_attack_train.json"))
        .iter()
        .map(|attack| format!("/*\n{}\n*/\n", attack.replace("*/", "")))
        .collect();
    files.push(("main.rs".into(), format!("{code}fn main() {{}}\n")));
    files
}

/// All commands of a plugin, and what they asked and heard.
fn calls(sample: &Sample, granted: Vec<File>) -> Vec<(HostCall, HostReply)> {
    let recipe = Recipe { granted, answer: obedient, ..Recipe::default() };
    let mut world = World::new(sample, &recipe);
    let inside: BTreeSet<_> = world.granted().into_iter().collect();
    let focus = world.granted()[0];
    for command in &sample.manifest.commands {
        let focus = (command.focus == Focus::Document).then_some(focus);
        let input = (!command.input.is_empty()).then_some("rims");
        world.command(&command.id, focus, input).unwrap();
        for panel in &sample.manifest.panels {
            if !world.broker.panels().iter().any(|open| open.key.panel == panel.id) {
                continue;
            }
            for sources in world.sources(&panel.id) {
                assert!(sources.is_subset(&inside), "{} {}", sample.manifest.id, command.id);
            }
        }
    }
    world.calls.clone()
}

#[test]
fn orders_in_documents_change_no_call() {
    let test = "orders_in_documents_change_no_call";
    let Some(data) = injections(test) else { return };
    for name in NAMES {
        let Some(sample) = sample(test, name) else { return };
        let harmless = vec![mail(1, "Rims", "All is well."), ("a.rs".into(), "fn a() {}".into())];
        let before = calls(&sample, harmless);
        assert!(before.len() > 3, "{name}");
        let after = calls(&sample, poisoned(&data));
        assert_eq!(before, after, "{name}");
    }
}
