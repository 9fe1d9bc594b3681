//! What plugins were granted, what they did and what it took, as the vault recorded it.

mod rows;
mod sums;

use egui::Ui;

use crate::{
    commands::Outbox,
    icons,
    model::{Model, Screen},
    theme::{muted, space, title},
    types::{ActivityView, View},
    widgets::{centred_column, empty, tab},
    words,
};

/// The page.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &Model, out: &mut Outbox) {
    centred_column(ui, 980.0, |ui| {
        ui.add_space(space::L);
        ui.label(title("Activity"));
        ui.label(muted(ui, "What plugins did and what was refused, as the vault recorded it. It holds no private text."));
        ui.add_space(space::S);
        let Some(activity) = view.plugin_activity.as_deref() else {
            // Between the click and the vault's answer.
            rows::show(ui, view, &view.activity, model);
            return;
        };
        chooser(ui, activity, out);
        ui.add_space(space::S);
        if activity.rows.is_empty() && activity.runs.is_empty() {
            empty(
                ui,
                icons::PULSE,
                "Nothing yet",
                "Each run of a plugin leaves its lines here.",
                |_| {},
            );
            return;
        }
        sums::show(ui, view, activity, model);
        rows::show(ui, view, &activity.rows, model);
    });
}

/// Whose activity: all, or one plugin's.
fn chooser(ui: &mut Ui, activity: &ActivityView, out: &mut Outbox) {
    ui.horizontal_wrapped(|ui| {
        if tab(ui, "", "All plugins", activity.plugin.is_none()).clicked() {
            out.go(Screen::Activity);
        }
        for sum in &activity.plugins {
            let shown = activity.plugin.as_ref() == Some(&sum.plugin);
            if tab(ui, icons::PUZZLE, &words::plain(&sum.name), shown).clicked() {
                out.open_activity(Some(sum.plugin.clone()));
            }
        }
    });
}
