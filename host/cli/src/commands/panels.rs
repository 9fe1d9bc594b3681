//! A plugin's panels as text: what is whole is printed at once, the rest as it comes.

use std::collections::{BTreeMap, BTreeSet};

use hearth_session::{
    Command, DocumentId, Event, PanelNode, PanelView, PluginId, Reply, ValueId, ValueState,
    ValueView, View,
};
use serde_json::json;

use super::reveals::{self, Reveal};
use crate::{
    render::{Out, note, plain, prompt},
    shell::{Failure, Outcome, Shell},
};

/// What a run is asked to do besides.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunWishes {
    /// Documents to give where the plugin asks to pick some.
    pub(crate) pick: Vec<DocumentId>,
    /// Save every result.
    pub(crate) save: bool,
    /// What is said to a plugin that wants to learn a text; asked for where nothing is said.
    pub(crate) reveal: Option<Reveal>,
}

/// Runs a command of a plugin, printing its panels as they fill.
///
/// Gives the values its panels show in the end.
pub(crate) fn run(
    shell: &Shell,
    plugin: &PluginId,
    command: Command,
    wishes: &RunWishes,
    out: Out,
) -> Result<Vec<ValueView>, Failure> {
    let mut printer =
        Printer { plugin: plugin.clone(), out, printed: BTreeMap::new(), headed: BTreeSet::new() };
    let mut answered = BTreeSet::new();
    let reply = shell.run_with(command, &mut |event| match event {
        Event::PanelsChanged => {
            let view = shell.view();
            answer_questions(shell, &view, wishes, &mut answered);
            reveals::answer(shell, &view, wishes.reveal, &mut answered);
            printer.print(&view);
        }
        Event::RunProgress { percent, message, .. } => {
            let percent = percent.map_or(String::new(), |p| format!(" {p}%"));
            note(&format!("{plugin}:{percent} {message}"));
        }
        _ => {}
    });
    let view = shell.view();
    printer.print(&view);
    reply?;
    let values = values_of(&view, plugin);
    printer.sum_up(&view);
    if wishes.save {
        save_all(shell, &values, out)?;
    }
    let failed = values.iter().filter(|v| matches!(v.state, ValueState::Failed(_))).count();
    if failed > 0 {
        let message = format!("{failed} of {} results could not be made.", values.len());
        return Err(Failure::user(message, "The reasons are above."));
    }
    Ok(values)
}

/// Prints what all panels show.
pub(crate) fn print_all(view: &View, out: Out) {
    let plugins: BTreeSet<&PluginId> = view.panels.iter().map(|panel| &panel.key.plugin).collect();
    for plugin in plugins {
        let (printed, headed) = (BTreeMap::new(), BTreeSet::new());
        let mut printer = Printer { plugin: plugin.clone(), out, printed, headed };
        printer.print(view);
        printer.sum_up(view);
    }
}

/// All values a plugin's panels show, in order.
pub(crate) fn values_of(view: &View, plugin: &PluginId) -> Vec<ValueView> {
    let panels = view.panels.iter().filter(|panel| panel.key.plugin == *plugin);
    panels.flat_map(|panel| &panel.nodes).flat_map(values_in).cloned().collect()
}

fn values_in(node: &PanelNode) -> &[ValueView] {
    match node {
        PanelNode::Value(value) => std::slice::from_ref(value),
        PanelNode::Items(Some(items)) | PanelNode::Picker { items: Some(items), .. } => items,
        _ => &[],
    }
}

fn save_all(shell: &Shell, values: &[ValueView], out: Out) -> Outcome {
    for value in values.iter().filter(|value| value.state == ValueState::Done) {
        if let Reply::Saved(document) = shell.run(Command::SaveValue(value.id))? {
            out.result(
                json!({"saved": document, "value": value.id}),
                format!("Saved as document {document}."),
            );
        }
    }
    Ok(())
}

/// Answers what plugins ask: with the documents named beforehand, else by asking, else with none.
fn answer_questions(shell: &Shell, view: &View, wishes: &RunWishes, answered: &mut BTreeSet<u64>) {
    use std::io::IsTerminal;
    for question in view.questions.iter() {
        if !answered.insert(question.question) {
            continue;
        }
        note(&format!(
            "{} asks for up to {} documents and says: {}",
            question.plugin_name, question.limit, question.purpose
        ));
        let picked = if wishes.pick.is_empty() && std::io::stdin().is_terminal() {
            prompt("Numbers of documents, or nothing for none: ");
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).ok();
            line.split_whitespace().filter_map(|n| n.parse().ok().map(DocumentId)).collect()
        } else {
            wishes.pick.clone()
        };
        let answer = Command::AnswerPick { question: question.question, picked };
        // A question that cannot be answered now stays, and Ctrl-C still ends the run.
        shell.handle().send(answer).ok();
    }
}

/// Prints what panels show, each piece once and in order.
struct Printer {
    plugin: PluginId,
    out: Out,
    /// Bytes printed of each value, and whether it is through.
    printed: BTreeMap<ValueId, (usize, bool)>,
    headed: BTreeSet<(String, usize)>,
}

impl Printer {
    fn print(&mut self, view: &View) {
        if self.out.is_json() {
            return;
        }
        for panel in view.panels.iter() {
            if panel.key.plugin == self.plugin && !self.print_panel(panel) {
                return;
            }
        }
    }

    /// Prints as far as the panel has come; `false` where something is still to come.
    fn print_panel(&mut self, panel: &PanelView) -> bool {
        for (index, node) in panel.nodes.iter().enumerate() {
            let words = match node {
                PanelNode::Heading(words) => Some(format!("{}: {words}", panel.plugin_name)),
                PanelNode::Label(words) => Some(words.clone()),
                PanelNode::Items(None) | PanelNode::Picker { items: None, .. } => return false,
                _ => None,
            };
            if let Some(words) = words
                && self.headed.insert((panel.key.panel.clone(), index))
            {
                self.out.text(words);
            }
            for value in values_in(node) {
                if !self.print_value(value) {
                    return false;
                }
            }
        }
        true
    }

    /// Prints the text that is new; `false` where more is to come.
    fn print_value(&mut self, value: &ValueView) -> bool {
        let done = match self.printed.get(&value.id) {
            Some((_, true)) => return true,
            Some((done, false)) => *done,
            None if value.state == ValueState::Waiting => return false,
            None => {
                self.out.text(format!("\n— {}", value.made_from));
                0
            }
        };
        // Blank lines at the end wait for what may follow them.
        let text = value.text.trim_end();
        self.out.piece(text.get(done..).unwrap_or_default());
        let through = !matches!(value.state, ValueState::Waiting | ValueState::Streaming);
        if let ValueState::Failed(reason) = &value.state {
            self.out.piece(&format!("[failed: {reason}]"));
        }
        if through {
            self.out.text("");
        }
        self.printed.insert(value.id, (text.len().max(done), through));
        through
    }

    /// One line of JSON a panel.
    fn sum_up(&self, view: &View) {
        if !self.out.is_json() {
            return;
        }
        for panel in view.panels.iter().filter(|panel| panel.key.plugin == self.plugin) {
            let values: Vec<_> = panel.nodes.iter().flat_map(values_in).map(value_json).collect();
            self.out.json(json!({
                "plugin": panel.key.plugin, "panel": panel.key.panel, "title": panel.title,
                "run": panel.run, "values": values,
            }));
        }
    }
}

pub(super) fn value_json(value: &ValueView) -> serde_json::Value {
    let (state, reason) = match &value.state {
        ValueState::Waiting => ("waiting", None),
        ValueState::Streaming => ("streaming", None),
        ValueState::Done => ("done", None),
        ValueState::Saved => ("saved", None),
        ValueState::Failed(reason) => ("failed", Some(plain(reason))),
    };
    json!({
        "id": value.id, "text": value.text, "state": state, "reason": reason,
        "made_from": value.made_from,
    })
}
