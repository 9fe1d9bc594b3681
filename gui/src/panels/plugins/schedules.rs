//! What a plugin may do by itself, each switched on by the user.

use egui::Ui;

use crate::{
    commands::Outbox,
    theme::small,
    types::{Command, Every, PluginView, View},
    words,
};

/// The switches, for plugins that were granted anything.
pub(super) fn show(ui: &mut Ui, view: &View, plugin: &PluginView, out: &mut Outbox) {
    if plugin.grant.is_none() {
        return;
    }
    for schedule in &plugin.manifest.schedules {
        let command = plugin.manifest.commands.iter().find(|c| c.id == schedule.command);
        let title = command.map_or(schedule.command.as_str(), |c| c.title.as_str());
        let record = view
            .schedules
            .iter()
            .find(|record| record.plugin == plugin.id && record.schedule == schedule.id);
        let mut on = record.is_some_and(|record| record.is_on);
        ui.horizontal_wrapped(|ui| {
            let label = format!("{}: {}", every(schedule.every), words::plain(title));
            if ui.checkbox(&mut on, label).changed() {
                let (plugin, schedule) = (plugin.id.clone(), schedule.id.clone());
                out.send(Command::SetSchedule { plugin, schedule, on });
            }
            ui.label(small(
                ui,
                "While the vault is open. Nothing is made up for days when it was not.",
            ));
        });
    }
}

fn every(every: Every) -> &'static str {
    match every {
        Every::Morning => "Each morning",
        Every::Evening => "Each evening",
        Every::Week => "Once a week",
    }
}
