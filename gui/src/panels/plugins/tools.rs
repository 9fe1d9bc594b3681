//! Whether the chat may call what a plugin offers.

use egui::{ComboBox, Ui};

use crate::{
    commands::Outbox,
    theme::small,
    types::{Command, PluginView, ToolMode, View},
    words,
};

/// The choice, for plugins that offer something to the chat and were granted anything.
pub(super) fn show(ui: &mut Ui, view: &View, plugin: &PluginView, out: &mut Outbox) {
    let offers: Vec<String> = plugin
        .manifest
        .commands
        .iter()
        .filter(|command| !command.tool.is_empty())
        .map(|command| words::plain(&command.title))
        .collect();
    if offers.is_empty() || plugin.grant.is_none() {
        return;
    }
    let now = view.tools.get(&plugin.id).copied();
    let name = words::plain(&plugin.manifest.name);
    ui.horizontal(|ui| {
        let label = format!("Whether the chat may use {name}");
        let combo =
            ComboBox::from_id_salt(("tools", plugin.id.as_str())).selected_text(mode_words(now));
        let shown = combo.show_ui(ui, |ui| {
            let mut chosen = None;
            for mode in [None, Some(ToolMode::Ask), Some(ToolMode::Always)] {
                if ui.selectable_label(mode == now, mode_words(mode)).clicked() && mode != now {
                    chosen = Some(mode);
                }
            }
            chosen
        });
        let what = format!("In a conversation the model may then call: {}.", offers.join(", "));
        shown.response.accessible_name(label).on_hover_text(&what);
        ui.label(small(ui, words::short(&what, 90)));
        if let Some(mode) = shown.inner.flatten() {
            out.send(Command::SetPluginTools { plugin: plugin.id.clone(), mode });
        }
    });
}

fn mode_words(mode: Option<ToolMode>) -> &'static str {
    match mode {
        None => "Not in the chat",
        Some(ToolMode::Ask) => "In the chat, asking me each time",
        Some(ToolMode::Always) => "In the chat, without asking",
    }
}
