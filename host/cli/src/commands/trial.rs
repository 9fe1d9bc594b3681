//! `hearth plugin try`: a plugin on invented data, with nothing of the user's.

use std::path::PathBuf;

use hearth_session::{
    Command, Event, Manifest, PanelNode, Passphrase, PluginView, Reply, TryWhat, ValueState,
    ValueView,
};
use serde_json::json;

use super::{demo::random_passphrase, panels::value_json, plugins::command_id};
use crate::{
    render::{Out, note},
    shell::{Failure, Outcome, Shell},
};

/// Tries a component that lies in a file, in a throwaway vault: the user's own is not even opened.
pub(crate) fn file(
    path: PathBuf,
    command: Option<String>,
    input: Option<String>,
    data: Option<PathBuf>,
    out: Out,
) -> Outcome {
    let dir = tempfile::Builder::new().prefix("hearth-try-").tempdir().map_err(|error| {
        Failure::user(format!("No throwaway folder can be made: {error}."), "Check TMPDIR.")
    })?;
    let shell = Shell::start(Some(dir.path().join("vault")))?;
    let Reply::Inspection(found) = shell.run(Command::InspectPlugin(path.clone()))? else {
        return Ok(());
    };
    shell.run(Command::CreateVault(Passphrase::new(random_passphrase()?)))?;
    let wish = Wish { command, input, data };
    try_out(&shell, &found.manifest, TryWhat::File(path), wish, out)
}

/// Tries an installed plugin.
pub(crate) fn installed(
    shell: &Shell,
    plugin: &PluginView,
    command: Option<String>,
    input: Option<String>,
    data: Option<PathBuf>,
    out: Out,
) -> Outcome {
    let what = TryWhat::Installed(plugin.id.clone());
    try_out(shell, &plugin.manifest, what, Wish { command, input, data }, out)
}

struct Wish {
    command: Option<String>,
    input: Option<String>,
    data: Option<PathBuf>,
}

fn try_out(shell: &Shell, manifest: &Manifest, what: TryWhat, wish: Wish, out: Out) -> Outcome {
    let Some(data) = wish.data.or_else(hearth_app::demo_dir) else {
        return Err(Failure::user(
            "The demonstration data is not here.",
            "Run from the repository, or name a folder of mail, notes and code with --data DIR.",
        ));
    };
    let command = command_id(manifest, wish.command)?;
    let command = Command::TryPlugin { what, command, input: wish.input, data };
    let mut told = 0;
    let reply = shell.run_with(command, &mut |event| {
        if matches!(event, Event::PanelsChanged)
            && let Some(trial) = &shell.view().trial
        {
            for line in trial.said.iter().skip(told) {
                note(line);
            }
            told = told.max(trial.said.len());
        }
    });
    let view = shell.view();
    if let Some(trial) = &view.trial {
        for panel in &trial.panels {
            out.text(format!("[trial] {}: {}", panel.plugin_name, panel.title));
            let values: Vec<&ValueView> = panel.nodes.iter().flat_map(show(out)).collect();
            if out.is_json() {
                let values: Vec<_> = values.into_iter().map(value_json).collect();
                out.json(
                    json!({"trial": trial.plugin, "panel": panel.key.panel, "values": values}),
                );
            }
        }
    }
    reply?;
    out.result(
        json!({"tried": manifest.id}),
        "\nThat was a trial on invented data; nothing of it is kept.",
    );
    Ok(())
}

/// Prints a node and gives its values.
fn show(out: Out) -> impl Fn(&PanelNode) -> Vec<&ValueView> {
    move |node| {
        let values: Vec<&ValueView> = match node {
            PanelNode::Heading(words) | PanelNode::Label(words) => {
                out.text(words);
                Vec::new()
            }
            PanelNode::Value(value) => vec![value],
            PanelNode::Items(Some(items)) | PanelNode::Picker { items: Some(items), .. } => {
                items.iter().collect()
            }
            _ => Vec::new(),
        };
        for value in &values {
            out.text(format!("\n— {}", value.made_from));
            match &value.state {
                ValueState::Failed(reason) => out.text(format!("[failed: {reason}]")),
                _ => out.text(value.text.trim_end()),
            }
        }
        values
    }
}
