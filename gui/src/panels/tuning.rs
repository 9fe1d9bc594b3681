//! Training: adapters, the runs that make them, and the data they are made of.

mod adapters;
mod chooser;
mod compare;
mod data;
mod editor;
mod plan;
mod plot;
mod runs;

use egui::Ui;

use crate::{
    commands::Outbox,
    icons,
    model::{Model, TuningTab},
    theme::space,
    types::{Command, TuneCommand, View},
    widgets::{self, page},
};

pub(crate) use chooser::choice_line;

/// The page.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    page(
        ui,
        "Training",
        "Teach a model your own ways, from your own data. Nothing leaves this machine, and what it learns stays in the vault.",
        |_| {},
        |ui| {
            tabs(ui, view, model);
            ui.add_space(space::XS);
            match model.tuning.tab {
                TuningTab::Adapters => adapters::show(ui, view, model, out),
                TuningTab::Train => {
                    plan::show(ui, view, model, out);
                    runs::show(ui, view, model, out);
                }
                TuningTab::Data => data::show(ui, view, model, out),
            }
        },
    );
}

fn tabs(ui: &mut Ui, view: &View, model: &mut Model) {
    let going = view.tuning.runs.iter().any(|run| run.ticket.is_some());
    let train = if going { "Train (running)" } else { "Train" };
    ui.horizontal(|ui| {
        for (tab, glyph, label) in [
            (TuningTab::Adapters, icons::GRADUATION, "Adapters"),
            (TuningTab::Train, icons::FLAME, train),
            (TuningTab::Data, icons::DATABASE, "Data"),
        ] {
            if widgets::tab(ui, glyph, label, model.tuning.tab == tab).clicked() {
                model.tuning.tab = tab;
            }
        }
    });
}

/// Something about training, for the session.
fn ask(out: &mut Outbox, command: TuneCommand) {
    out.send(Command::Tune(command));
}
