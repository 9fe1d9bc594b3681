//! What became of a scenario, as data and as lines to read.

use std::fmt;

use hearth_broker::{PanelNode, PanelView, ValueState, ValueView};
use serde::Serialize;

/// What became of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioReport {
    /// The plugin's id.
    pub plugin: String,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Whether every expectation came true.
    pub passed: bool,
    /// Its steps.
    pub steps: Vec<StepReport>,
}

/// What became of a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// What was done.
    pub title: String,
    /// Its line in the file.
    pub line: usize,
    /// What the plugin asked for, in order.
    pub calls: Vec<Call>,
    /// Why it did not end well, if so.
    pub failed: Option<String>,
    /// Fuel burnt: deterministic.
    pub fuel: u64,
    /// Prompts that no scripted answer was for.
    pub unscripted: Vec<String>,
    /// What the panels show at its end.
    pub panels: Vec<Shown>,
    /// Lines of the plugin's log.
    pub log: Vec<String>,
    /// The plugin's notices.
    pub notices: Vec<String>,
    /// What the user was asked on the plugin's behalf, and said.
    pub asked: Vec<String>,
    /// What the user was told of the plugin's work that went wrong.
    pub troubles: Vec<String>,
    /// Titles of what was saved.
    pub saved: Vec<String>,
    /// Expectations that came true.
    pub met: Vec<String>,
    /// Expectations that did not, and what was there instead.
    pub failures: Vec<String>,
}

/// A call of the plugin's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// As in `model.generate`.
    pub name: String,
    /// Its arguments, in short.
    pub arguments: String,
    /// The answer, in short; `denied(model)` and the like for a refusal.
    pub reply: String,
    /// Whether it was refused.
    pub refused: bool,
}

/// A panel, as lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The manifest's id of it.
    pub panel: String,
    /// Its title, with whose it is.
    pub title: String,
    /// What stands in it.
    pub lines: Vec<String>,
}

impl Shown {
    /// A panel as the user reads it.
    pub(super) fn of(panel: &PanelView) -> Self {
        let mut lines = Vec::new();
        for node in &panel.nodes {
            describe(node, &mut lines);
        }
        Self {
            panel: panel.key.panel.clone(),
            title: format!("{} ({})", panel.title, panel.plugin_name),
            lines,
        }
    }
}

fn describe(node: &PanelNode, lines: &mut Vec<String>) {
    let all = |prefix: &str, items: &Option<Vec<ValueView>>, lines: &mut Vec<String>| match items {
        Some(items) if items.is_empty() => lines.push(format!("{prefix}(nothing)")),
        Some(items) => lines.extend(items.iter().map(|item| format!("{prefix}{}", value(item)))),
        None => lines.push(format!("{prefix}(still being made)")),
    };
    match node {
        PanelNode::Heading(text) => lines.push(format!("# {text}")),
        PanelNode::Label(text) => lines.push(text.clone()),
        PanelNode::Divider => lines.push("---".into()),
        PanelNode::Value(shown) => lines.push(value(shown)),
        PanelNode::Items(items) => all("- ", items, lines),
        PanelNode::Picker { id, items } => all(&format!("({id}) "), items, lines),
        PanelNode::Button(button) => {
            let off = if button.enabled { "" } else { ", off" };
            lines.push(format!("[{}] (button {}{off})", button.label, button.id));
        }
        PanelNode::Input(input) => {
            lines.push(format!("{}: ____ (field {})", input.label, input.id))
        }
        PanelNode::Progress(Some(percent)) => lines.push(format!("{percent} %")),
        PanelNode::Progress(None) => lines.push("working".into()),
        PanelNode::Row | PanelNode::Column | PanelNode::End => {}
    }
}

/// A value as the user reads it: its text, or why there is none; and what it was made from.
fn value(shown: &ValueView) -> String {
    let mut line = match &shown.state {
        ValueState::Failed(why) => format!("(failed: {why})"),
        ValueState::Waiting | ValueState::Streaming => format!("{} (still being made)", shown.text),
        ValueState::Done | ValueState::Saved => shown.text.trim().to_owned(),
    };
    if !shown.made_from.is_empty() {
        line.push_str(&format!("  [{}]", shown.made_from));
    }
    line
}

impl fmt::Display for ScenarioReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            step.fmt(f)?;
        }
        let failures: usize = self.steps.iter().map(|step| step.failures.len()).sum();
        let met: usize = self.steps.iter().map(|step| step.met.len()).sum();
        match failures {
            0 => write!(f, "passed: {met} expectations"),
            _ => write!(f, "FAILED: {failures} of {} expectations", failures + met),
        }
    }
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "line {}: {}", self.line, self.title)?;
        for call in &self.calls {
            writeln!(f, "    {} {} -> {}", call.name, call.arguments, call.reply)?;
        }
        match &self.failed {
            Some(why) => writeln!(f, "    = {why}; {} fuel", self.fuel)?,
            // A step in which the plugin did not run.
            None if self.fuel == 0 => return Ok(()),
            None => writeln!(f, "    = done; {} fuel", self.fuel)?,
        }
        for line in &self.log {
            writeln!(f, "    log: {line}")?;
        }
        for line in &self.notices {
            writeln!(f, "    notice: {line}")?;
        }
        for line in &self.asked {
            writeln!(f, "    asked {line}")?;
        }
        for line in &self.troubles {
            writeln!(f, "    trouble: {line}")?;
        }
        for prompt in &self.unscripted {
            writeln!(f, "    no scripted answer for: {prompt}")?;
        }
        for title in &self.saved {
            writeln!(f, "    saved: {title}")?;
        }
        for panel in &self.panels {
            writeln!(f, "  panel {}: {}", panel.panel, panel.title)?;
            for line in panel.lines.iter().flat_map(|line| line.lines()) {
                writeln!(f, "    | {line}")?;
            }
        }
        for met in &self.met {
            writeln!(f, "  ok    {met}")?;
        }
        for failure in &self.failures {
            writeln!(f, "  FAIL  {failure}")?;
        }
        Ok(())
    }
}
