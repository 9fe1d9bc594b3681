//! Holds what came of a step against what was expected.

use std::collections::BTreeSet;

use hearth_base::{Label, Source};
use hearth_broker::{PanelNode, PanelView, ValueView};

use super::{
    format::{Expect, Placed, Step},
    report::Shown,
    stage::{Stage, Told},
};

/// Writes down which expectations came true, and for the others what was there instead.
pub(super) fn judge(stage: &Stage<'_>, step: &Step, told: &mut Told) {
    let ended = match (&step.fails, &told.report.failed) {
        (None, None) => None,
        (Some(words), Some(why)) if why.contains(words.as_str()) => {
            Some(Ok(format!("it fails: {words}")))
        }
        (Some(words), Some(why)) => Some(Err(format!("it fails with `{words}`: {why}"))),
        (Some(words), None) => Some(Err(format!("it fails with `{words}`: it did not fail"))),
        (None, Some(why)) => Some(Err(format!("it ends well: {why}"))),
    };
    let mut results: Vec<_> = ended.into_iter().collect();
    for Placed { line, it } in &step.expect {
        let at = |words: String| format!("line {line}: {words}");
        results.push(one(stage, it, told).map(at).map_err(at));
    }
    for result in results {
        match result {
            Ok(met) => told.report.met.push(met),
            Err(failure) => told.report.failures.push(failure),
        }
    }
}

/// What was expected, in words; with what was there instead where it did not come true.
type Verdict = Result<String, String>;

fn verdict(met: bool, expected: String, instead: impl FnOnce() -> String) -> Verdict {
    if met { Ok(expected) } else { Err(format!("{expected}: {}", instead())) }
}

fn one(stage: &Stage<'_>, expect: &Expect, told: &Told) -> Verdict {
    let report = &told.report;
    let among = |what: &str, words: &str, all: &[String]| {
        let met = all.iter().any(|line| line.contains(words));
        verdict(met, format!("{what} says `{words}`"), || listed(all))
    };
    match expect {
        Expect::Panel { panel, shows, hides, sources } => {
            let open = told.panels.iter().find(|open| open.key.panel == *panel);
            let Some(open) = open else {
                let all: Vec<String> =
                    report.panels.iter().map(|shown| shown.panel.clone()).collect();
                return Err(format!("panel {panel} is open: open are {}", listed(&all)));
            };
            panel_is(stage, open, shows.as_deref(), hides.as_deref(), sources.as_ref())
        }
        Expect::Saved { title, contains, sources } => {
            saved_is(stage, told, title, contains.as_deref(), sources.as_ref())
        }
        Expect::Call { call, refused, times } => {
            let made: Vec<_> = report.calls.iter().filter(|made| made.name == *call).collect();
            let fitting = made
                .iter()
                .filter(|made| {
                    refused
                        .as_ref()
                        .is_none_or(|why| made.refused && made.reply.contains(why.as_str()))
                })
                .count();
            let how =
                refused.as_ref().map_or_else(String::new, |why| format!(" is refused with {why}"));
            let often = times.map_or_else(String::new, |times| format!(", {times} times"));
            let met = times.map_or(fitting > 0, |times| fitting == times);
            verdict(met, format!("call {call}{how}{often}"), || {
                let replies: Vec<String> = made.iter().map(|made| made.reply.clone()).collect();
                format!("{fitting} such calls; {call} was answered {}", listed(&replies))
            })
        }
        Expect::Log(words) => among("the log", words, &report.log),
        Expect::Notice(words) => among("a notice", words, &report.notices),
        Expect::Asked(words) => among("the user is asked", words, &report.asked),
        Expect::Trouble(words) => among("the user is told", words, &report.troubles),
        Expect::FuelBelow(limit) => {
            let fuel = report.fuel;
            verdict(fuel < *limit, format!("fuel below {limit}"), || fuel.to_string())
        }
    }
}

fn panel_is(
    stage: &Stage<'_>,
    open: &PanelView,
    shows: Option<&str>,
    hides: Option<&str>,
    sources: Option<&BTreeSet<String>>,
) -> Verdict {
    let panel = &open.key.panel;
    let text = Shown::of(open).lines.join("\n");
    let mut expected = format!("panel {panel} is open");
    if let Some(words) = shows {
        expected = format!("panel {panel} shows `{words}`");
        if !text.contains(words) {
            return Err(format!("{expected}: it shows {text:?}"));
        }
    }
    if let Some(words) = hides {
        expected.push_str(&format!(", hides `{words}`"));
        if text.contains(words) {
            return Err(format!("{expected}: it shows {text:?}"));
        }
    }
    let Some(sources) = sources else { return Ok(expected) };
    expected.push_str(&format!(", made from {}", names(sources)));
    let shown: Vec<&ValueView> = values(open)
        .into_iter()
        .filter(|value| shows.is_none_or(|words| value.text.contains(words)))
        .collect();
    let labels: Result<Vec<Label>, _> =
        shown.iter().map(|value| stage.broker.value_label(value.id)).collect();
    match labels {
        Ok(labels) => {
            let found = names_of(stage, &Label::joined(&labels));
            verdict(!labels.is_empty() && found == *sources, expected, || {
                format!("made from {}", names(&found))
            })
        }
        Err(error) => Err(format!("{expected}: {error}")),
    }
}

fn saved_is(
    stage: &Stage<'_>,
    told: &Told,
    title: &str,
    contains: Option<&str>,
    sources: Option<&BTreeSet<String>>,
) -> Verdict {
    let mut expected = format!("`{title}` is saved");
    if let Some(words) = contains {
        expected.push_str(&format!(" with `{words}` in it"));
    }
    if let Some(sources) = sources {
        expected.push_str(&format!(", made from {}", names(sources)));
    }
    let mut instead = Vec::new();
    for id in &told.saved {
        let Ok(Some(document)) = stage.vault.document(*id) else { continue };
        let found = names_of(stage, &document.label);
        let fits = document.head.title.contains(title)
            && contains.is_none_or(|words| document.body.contains(words))
            && sources.is_none_or(|sources| *sources == found);
        if fits {
            return Ok(expected);
        }
        instead.push(format!("{:?} from {}", document.head.title, names(&found)));
    }
    Err(format!("{expected}: saved is {}", listed(&instead)))
}

fn values(panel: &PanelView) -> Vec<&ValueView> {
    let mut all = Vec::new();
    for node in &panel.nodes {
        match node {
            PanelNode::Value(value) => all.push(value),
            PanelNode::Items(Some(items)) | PanelNode::Picker { items: Some(items), .. } => {
                all.extend(items);
            }
            _ => {}
        }
    }
    all
}

/// What a label names, as the scenario calls it.
fn names_of(stage: &Stage<'_>, label: &Label) -> BTreeSet<String> {
    let name = |source: &Source| match source {
        Source::Document(id) => {
            let known = stage.documents.iter().find(|(_, known)| *known == id);
            known.map_or_else(|| format!("document {id}"), |(name, _)| name.clone())
        }
        Source::UserInput => "user-input".into(),
        Source::PrivateModel(_) => "model".into(),
    };
    label.sources.iter().map(name).collect()
}

fn names(all: &BTreeSet<String>) -> String {
    if all.is_empty() {
        return "nothing private".into();
    }
    all.iter().cloned().collect::<Vec<_>>().join(", ")
}

fn listed(all: &[String]) -> String {
    if all.is_empty() { "nothing".into() } else { all.join(" | ") }
}
