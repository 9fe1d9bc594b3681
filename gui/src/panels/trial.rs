//! A plugin tried on invented data: what it would show, and nothing that it could do.

use egui::{Align, Layout, ScrollArea, Ui};

use crate::{
    commands::Outbox,
    icons,
    model::{Model, Screen, Tone},
    panels::plugin_panel,
    theme::{READING_WIDTH, heading, muted, small, space, title},
    types::{Command, TrialView, View},
    widgets::{banner, bar, centred_column, ghost, icon_button},
    words,
};

/// The page.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let Some(trial) = view.trial.as_deref() else {
        centred_column(ui, READING_WIDTH, |ui| {
            ui.add_space(space::L);
            ui.label(muted(ui, "The trial is being prepared\u{2026}"));
        });
        return;
    };
    let rect = ui.available_rect_before_wrap();
    ui.shrink_clip_rect(rect);
    ScrollArea::vertical().id_salt("trial").auto_shrink(false).show(ui, |ui| {
        centred_column(ui, READING_WIDTH + 60.0, |ui| {
            ui.add_space(space::M);
            head(ui, trial, out);
            for panel in &trial.panels {
                ui.push_id(&panel.key.panel, |ui| {
                    ui.label(heading(words::plain(&panel.title)));
                    // Its buttons lead nowhere: there is nothing behind them any more.
                    plugin_panel::nodes(ui, panel, model, &mut Outbox::default());
                });
            }
            said(ui, trial);
            ui.add_space(space::XL);
        });
    });
}

fn head(ui: &mut Ui, trial: &TrialView, out: &mut Outbox) {
    let name = words::plain(&trial.name);
    ui.horizontal(|ui| {
        ui.label(title(format!("Trying {name}")));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ghost(ui, icons::CLOSE, "End the trial").clicked() {
                out.send(Command::CloseTrial);
                out.go(Screen::Plugins);
            }
        });
    });
    banner(ui, Tone::Ember, icons::INFO, |ui| {
        let documents = words::count(trial.documents as u64, "invented document");
        ui.label(format!(
            "It works on {documents}, and sees nothing of yours. Nothing of the trial is kept."
        ));
    });
    if let Some(ticket) = trial.running {
        ui.horizontal(|ui| {
            bar(ui, None, 160.0, "Trial under way");
            if icon_button(ui, icons::STOP, "Stop the trial").clicked() {
                out.cancel(ticket);
            }
        });
    }
}

fn said(ui: &mut Ui, trial: &TrialView) {
    if trial.said.is_empty() {
        return;
    }
    ui.add_space(space::M);
    ui.label(heading("What else it said and asked for"));
    for line in &trial.said {
        ui.label(small(ui, words::plain(line)));
    }
}
