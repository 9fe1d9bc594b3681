//! The audit trail, row by row.

use egui::{Frame, Label, Margin, RichText, ScrollArea, Ui};

use crate::{
    model::{Model, Tone},
    theme::{Palette, muted},
    types::{AuditRow, View},
    widgets::badge,
    words,
};

/// Height of a row.
const ROW: f32 = 34.0;
/// Widths of the columns: when, who, verdict. The rest is what.
const WHEN: f32 = 150.0;
const WHO: f32 = 190.0;
const VERDICT: f32 = 90.0;

/// The rows, the last first.
pub(super) fn show(ui: &mut Ui, view: &View, rows: &[AuditRow], model: &Model) {
    if rows.is_empty() {
        return;
    }
    header(ui);
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical().id_salt("activity rows").auto_shrink(false).show_rows(
        ui,
        ROW,
        rows.len(),
        |ui, range| {
            for (index, row) in range.clone().zip(rows.get(range).unwrap_or_default()) {
                audit_row(ui, view, model, index, row);
            }
        },
    );
}

fn header(ui: &mut Ui) {
    line(ui, false, |ui| {
        for (name, width) in [("When", WHEN), ("Who", WHO), ("Verdict", VERDICT), ("What", 0.0)] {
            cell(ui, width, RichText::new(name).small().color(Palette::of(ui).faint));
        }
    });
}

fn audit_row(ui: &mut Ui, view: &View, model: &Model, index: usize, entry: &AuditRow) {
    let name = entry.plugin.as_ref().map_or("You".to_owned(), |id| {
        view.plugins
            .iter()
            .find(|p| p.id == *id)
            .map_or_else(|| id.to_string(), |p| words::plain(&p.manifest.name))
    });
    let who = match entry.run {
        Some(run) => format!("{name}, run {run}"),
        None => name,
    };
    line(ui, index % 2 == 1, |ui| {
        cell(ui, WHEN, muted(ui, words::moment(entry.at_secs, &model.zone)));
        cell(ui, WHO, RichText::new(who));
        ui.allocate_ui(egui::vec2(VERDICT, ROW), |ui| {
            ui.set_width(VERDICT);
            if entry.allowed {
                badge(ui, Tone::Good, "", "allowed");
            } else {
                badge(ui, Tone::Bad, "", "refused");
            }
        });
        cell(ui, 0.0, RichText::new(words::plain(&entry.what)));
    });
}

fn line(ui: &mut Ui, shaded: bool, add: impl FnOnce(&mut Ui)) {
    let p = Palette::of(ui);
    let fill = if shaded { p.side } else { p.ground };
    Frame::new().fill(fill).corner_radius(6).inner_margin(Margin::symmetric(10, 0)).show(
        ui,
        |ui| {
            ui.take_available_width();
            ui.set_height(ROW);
            ui.horizontal_centered(add);
        },
    );
}

fn cell(ui: &mut Ui, width: f32, text: RichText) {
    let width = if width > 0.0 { width } else { ui.available_width() };
    ui.allocate_ui(egui::vec2(width, ROW), |ui| {
        ui.set_width(width);
        ui.add(Label::new(text).truncate());
    });
}
