//! Versions of a plugin beside the one that runs: a newer one that waits, and the one before.

use egui::Ui;

use super::publisher;
use crate::{
    commands::Outbox,
    icons,
    model::{Model, Tone},
    theme::{small, strong},
    types::{Command, PluginView, WaitingView},
    widgets::{badge, banner, ghost, primary, secondary},
    words,
};

/// A version that asks for more than the user was asked about.
pub(super) fn waiting(ui: &mut Ui, plugin: &PluginView, model: &mut Model, out: &mut Outbox) {
    let Some(waiting) = plugin.provenance.waiting.as_deref() else { return };
    banner(ui, Tone::Warn, icons::PACKAGE, |ui| {
        ui.horizontal(|ui| {
            let title = format!("Version {} waits for you", words::plain(&waiting.version));
            ui.label(strong(title));
            sealed(ui, waiting);
        });
        ui.label(small(ui, "It asks for more than you have agreed to, so it is not used yet."));
        publisher::changes(ui, &waiting.changes);
        let mut keep = model.plugins.keep_storage.contains(&plugin.id);
        publisher::stored(ui, &waiting.stored, &mut keep);
        if keep {
            model.plugins.keep_storage.insert(plugin.id.clone());
        } else {
            model.plugins.keep_storage.remove(&plugin.id);
        }
        ui.horizontal(|ui| {
            let name = words::plain(&plugin.manifest.name);
            let accept = primary(ui, icons::CHECK, "Accept the update");
            if accept.accessible_name(format!("Accept the update of {name}")).clicked() {
                let id = plugin.id.clone();
                out.send(Command::AcceptUpdate { plugin: id, keep_storage: keep });
            }
            let decline = secondary(ui, "", "Stay with this version");
            if decline.accessible_name(format!("Decline the update of {name}")).clicked() {
                out.send(Command::DeclineUpdate(plugin.id.clone()));
            }
        });
    });
}

fn sealed(ui: &mut Ui, waiting: &WaitingView) {
    if waiting.sealed {
        badge(ui, Tone::Good, icons::SHIELD, "sealed");
    } else {
        badge(ui, Tone::Warn, icons::WARNING, "not sealed");
    }
}

/// Back to the version before.
pub(super) fn former(ui: &mut Ui, plugin: &PluginView, out: &mut Outbox) {
    let Some(former) = &plugin.provenance.former else { return };
    let former = words::plain(former);
    let name = words::plain(&plugin.manifest.name);
    let back = ghost(ui, icons::BACK, &format!("Back to {former}"))
        .on_hover_text("The version before, with what it was granted and what it remembered.");
    if back.accessible_name(format!("Take {name} back to {former}")).clicked() {
        out.send(Command::RollBackPlugin(plugin.id.clone()));
    }
}
