//! The same question with and without adapters, side by side.

use egui::Ui;

use super::{ask, names};
use crate::{
    commands::Outbox,
    icons,
    model::Model,
    theme::{muted, small, strong},
    types::{AdapterChoice, Command, TuneCommand, View},
    widgets::{area, card, ghost, primary_enabled, secondary, section},
    words,
};

/// Sides beside the model as it is.
const MOST_ADAPTERS: usize = 3;

pub(super) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    section(ui, "Compare", "The same question to the model as it is and with each adapter ticked.");
    card(ui, |ui| {
        let draft = &mut model.tuning.compare;
        ui.horizontal_wrapped(|ui| {
            for adapter in view.tuning.adapters.iter().filter(|adapter| adapter.loaded) {
                let place = draft.adapters.iter().position(|known| known.adapter == adapter.id);
                let mut on = place.is_some();
                let box_ = ui.checkbox(&mut on, &adapter.name);
                let box_ = box_.accessible_name(format!("Compare {}", adapter.name));
                if box_.changed() {
                    match place {
                        Some(place) => {
                            draft.adapters.remove(place);
                        }
                        None if draft.adapters.len() < MOST_ADAPTERS => {
                            draft
                                .adapters
                                .push(AdapterChoice { adapter: adapter.id, strength: 1.0 });
                        }
                        None => {}
                    }
                }
            }
        });
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
            let ready = !draft.text.trim().is_empty() && !running;
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
            let name = names(view, &side.adapters);
            let name = if name.is_empty() { "The model as it is".to_owned() } else { name };
            ui.label(small(ui, name));
            ui.label(words::plain(&side.text));
            match &side.error {
                Some(error) => {
                    ui.label(&error.message);
                }
                None if !side.done => {
                    ui.label(muted(ui, "\u{2026}"));
                }
                None => {}
            }
        }
    });
}
