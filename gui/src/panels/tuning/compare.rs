//! The same question with and without adapters, side by side.

use egui::Ui;

use super::{
    ask,
    chooser::{choose, names},
};
use crate::{
    commands::Outbox,
    icons,
    model::Model,
    theme::{Palette, muted, small, strong},
    types::{AdapterChoice, Command, ComparisonSide, TuneCommand, View},
    widgets::{area, card, ghost, primary_enabled, secondary, section},
    words,
};

/// Sides beside the model as it is.
const MOST_ADAPTERS: usize = 3;

pub(super) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    section(ui, "Compare", "The same question to the model as it is and with each adapter ticked.");
    card(ui, |ui| {
        let draft = &mut model.tuning.compare;
        let loaded = |choice: &AdapterChoice| {
            view.tuning.adapters.iter().any(|known| known.loaded && known.id == choice.adapter)
        };
        draft.adapters.retain(loaded);
        for adapter in view.tuning.adapters.iter().filter(|adapter| adapter.loaded) {
            ui.push_id(adapter.id.0, |ui| {
                ui.horizontal(|ui| {
                    let name = format!("Compare {}", adapter.name);
                    choose(ui, adapter, &mut draft.adapters, &name);
                });
            });
        }
        if draft.adapters.len() > MOST_ADAPTERS {
            draft.adapters.truncate(MOST_ADAPTERS);
        }
        area(
            ui,
            &mut draft.text,
            "Question to compare",
            "Write a mail that says I will be late",
            2,
        );
        let running =
            view.tuning.comparison.as_ref().is_some_and(|c| c.sides.iter().any(|s| !s.done));
        ui.horizontal(|ui| {
            let ready = !draft.text.trim().is_empty() && !draft.adapters.is_empty() && !running;
            if primary_enabled(ui, ready, icons::COLUMNS, "Compare").clicked() {
                let with = draft.adapters.iter().map(|choice| vec![*choice]);
                let sides = std::iter::once(Vec::new()).chain(with).collect();
                ask(out, TuneCommand::Compare { text: draft.text.trim().to_owned(), sides });
            }
            if let Some(comparison) = &view.tuning.comparison {
                if running && secondary(ui, icons::STOP, "Stop").clicked() {
                    out.send(Command::Cancel(comparison.ticket));
                }
                if ghost(ui, "", "Clear").clicked() {
                    ask(out, TuneCommand::CloseComparison);
                }
            } else if draft.adapters.is_empty() {
                ui.label(muted(ui, "Tick an adapter to compare."));
            }
        });
        answers(ui, view);
    });
}

fn answers(ui: &mut Ui, view: &View) {
    let Some(comparison) = &view.tuning.comparison else { return };
    ui.separator();
    ui.label(strong(&comparison.text));
    ui.columns(comparison.sides.len(), |columns| {
        for (ui, side) in columns.iter_mut().zip(&comparison.sides) {
            // Columns by themselves would stretch the lines.
            ui.vertical(|ui| answer(ui, view, side));
        }
    });
}

fn answer(ui: &mut Ui, view: &View, side: &ComparisonSide) {
    let name = names(view, &side.adapters);
    let name = if name.is_empty() { "The model as it is".to_owned() } else { name };
    ui.label(small(ui, name));
    ui.label(words::plain(&side.text));
    match &side.error {
        Some(error) => {
            ui.colored_label(Palette::of(ui).bad, &error.message);
            ui.label(small(ui, &error.hint));
        }
        None if !side.done => {
            ui.label(muted(ui, "\u{2026}"));
        }
        None => {}
    }
}
