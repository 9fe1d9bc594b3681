//! One message: the user's, the model's, or the host's own.

use egui::{CornerRadius, Frame, Margin, RichText, Stroke, Ui};
use egui_commonmark::CommonMarkViewer;

use super::{copy, tools};
use crate::{
    commands::{Outbox, Purpose},
    icons,
    model::{Model, Tone},
    theme::{Palette, icon, muted, small, strong},
    types::{ChatTurn, Command, Rating, Speaker, TuneCommand},
    widgets::{area, badge, banner, ghost, icon_button, icon_toggle, primary, tone_colors},
    words,
};

/// A message that is in the vault.
pub(super) fn show(ui: &mut Ui, turn: &ChatTurn, busy: bool, model: &mut Model, out: &mut Outbox) {
    ui.push_id(turn.id.0, |ui| match turn.speaker {
        Speaker::User => user(ui, turn, busy, model, out),
        Speaker::Assistant => {
            assistant(ui, &turn.text, model);
            ui.horizontal(|ui| {
                copy(ui, &turn.text, out);
                rate(ui, turn, out);
                if !turn.model.is_empty() {
                    ui.label(small(ui, words::short(&turn.model, 60)));
                }
                if turn.stopped {
                    badge(ui, Tone::Warn, icons::STOP, "stopped before its end");
                }
            });
        }
        Speaker::Notice => {
            banner(ui, Tone::Warn, icons::INFO, |ui| {
                ui.label(small(ui, "Hearth says").color(tone_colors(ui, Tone::Warn).0));
                ui.label(&turn.text);
            });
        }
        Speaker::Tool => {
            if let Some(call) = &turn.call {
                tools::turn(ui, turn, call, model);
            }
        }
    });
}

/// What the user thinks of an answer; a second click takes it back.
fn rate(ui: &mut Ui, turn: &ChatTurn, out: &mut Outbox) {
    ui.spacing_mut().item_spacing.x = 2.0;
    for (glyph, label, mark) in [
        (icons::THUMBS_UP, "Good answer: it can be learnt", Rating::Good),
        (icons::THUMBS_DOWN, "Bad answer", Rating::Bad),
    ] {
        let on = turn.rating == mark;
        if icon_toggle(ui, glyph, label, on).clicked() {
            let rating = if on { Rating::None } else { mark };
            out.send(Command::Tune(TuneCommand::RateTurn { turn: turn.id, rating }));
        }
    }
}

fn user(ui: &mut Ui, turn: &ChatTurn, busy: bool, model: &mut Model, out: &mut Outbox) {
    if let Some((editing, text)) = &mut model.chat.editing
        && *editing == turn.id
    {
        if edit(ui, turn, text, out) {
            model.chat.editing = None;
        }
        return;
    }
    bubble(ui, |ui| {
        ui.label(RichText::new(&turn.text).line_height(Some(21.0)));
        if !turn.attached.is_empty() {
            ui.horizontal_wrapped(|ui| {
                for id in &turn.attached {
                    let title = words::short(model.title_of(*id), 40);
                    badge(ui, Tone::Plain, icons::CLIP, &title);
                }
            });
        }
    });
    ui.horizontal(|ui| {
        copy(ui, &turn.text, out);
        if !busy {
            if icon_button(ui, icons::PENCIL, "Edit and ask again").clicked() {
                model.chat.editing = Some((turn.id, turn.text.clone()));
            }
            if icon_button(ui, icons::AGAIN, "Ask again").clicked() {
                out.send_for(Command::AskAgain { turn: turn.id, text: None }, Purpose::Plain);
            }
        }
    });
}

/// True when it is over.
fn edit(ui: &mut Ui, turn: &ChatTurn, text: &mut String, out: &mut Outbox) -> bool {
    let mut over = false;
    area(ui, text, "Edit the message", "", 3);
    ui.label(small(ui, "What came after it is deleted."));
    ui.horizontal(|ui| {
        if primary(ui, icons::SEND, "Ask again").clicked() && !text.trim().is_empty() {
            let text = Some(text.trim().to_owned());
            out.send(Command::AskAgain { turn: turn.id, text });
            over = true;
        }
        over |= ghost(ui, "", "Cancel").clicked();
    });
    over
}

/// A message that is on its way into the vault.
pub(super) fn waiting(ui: &mut Ui, text: &str) {
    bubble(ui, |ui| {
        ui.label(RichText::new(text).line_height(Some(21.0)));
    });
    ui.label(muted(ui, "\u{2026}"));
}

fn bubble(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    let p = Palette::of(ui);
    who(ui, icons::USER, "You");
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(CornerRadius::same(12))
        .inner_margin(Margin::symmetric(14, 10))
        .show(ui, |ui| {
            ui.take_available_width();
            add(ui);
        });
}

/// The model's words, as markdown that neither loads nor opens anything.
pub(super) fn assistant(ui: &mut Ui, text: &str, model: &mut Model) {
    who(ui, icons::FLAME, "Model");
    ui.scope(|ui| {
        let p = Palette::of(ui);
        ui.spacing_mut().item_spacing.y = 6.0;
        ui.spacing_mut().interact_size.y = 18.0;
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.noninteractive.fg_stroke.color = p.prose;
        widgets.active.fg_stroke.color = p.prose_strong;
        CommonMarkViewer::new().show(ui, &mut model.chat.markdown, text);
    });
}

fn who(ui: &mut Ui, glyph: &str, name: &str) {
    let p = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.label(icon(glyph, 15.0).color(p.ember));
        ui.label(strong(name).size(13.0).color(p.muted));
    });
}
