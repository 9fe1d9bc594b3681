//! What a plugin that is not sealed has learnt, and may still learn.

use egui::Ui;

use crate::{
    commands::Outbox,
    icons,
    model::Tone,
    theme::small,
    types::{Command, PluginView},
    widgets::{badge, secondary},
    words,
};

/// A line of figures, and more gestures where they are used up.
pub(super) fn show(ui: &mut Ui, plugin: &PluginView, out: &mut Outbox) {
    if plugin.grant.is_none() {
        return;
    }
    let standing = &plugin.standing;
    if !plugin.sealed {
        ui.horizontal_wrapped(|ui| {
            let spent = words::bits(standing.spent_today_millibits);
            badge(ui, Tone::Warn, icons::INFO, &format!("learnt {spent} today"));
            let left = words::bits(standing.left_today_millibits);
            ui.label(small(ui, format!("It may learn {left} more today.")));
            let ever = words::bits(standing.publisher_spent_millibits);
            ui.label(small(ui, format!("Its publisher has learnt {ever} in all.")));
        });
    }
    // Less than the cheapest gesture costs.
    if standing.gestures_left_millibits < 1000 {
        ui.horizontal_wrapped(|ui| {
            badge(ui, Tone::Warn, icons::WARNING, "it hears no more clicks today");
            ui.label(small(ui, "What you press after seeing private things tells it a little, and today's share is used up."));
            let name = words::plain(&plugin.manifest.name);
            let more = secondary(ui, "", "Let it hear more today");
            if more.accessible_name(format!("Let {name} hear more today")).clicked() {
                out.send(Command::AllowGestures(plugin.id.clone()));
            }
        });
    }
}
