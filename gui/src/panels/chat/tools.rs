//! Tools that the model calls: the question whether it may, and what came of it.

use egui::{CornerRadius, Frame, Label, Margin, RichText, Stroke, Ui};

use crate::{
    commands::Outbox,
    icons,
    model::{Model, Tone},
    theme::{Palette, heading, icon, muted, small, strong},
    types::{CallState, ChatTurn, Command, ToolCall, ToolCallView},
    widgets::{badge, ghost, primary, secondary},
    words,
};

/// The question, in the host's own frame.
pub(super) fn question(ui: &mut Ui, call: &ToolCallView, out: &mut Outbox) {
    let p = Palette::of(ui);
    Frame::new()
        .fill(p.ember_soft)
        .stroke(Stroke::new(1.5, p.ember))
        .corner_radius(CornerRadius::same(12))
        .inner_margin(Margin::symmetric(16, 12))
        .show(ui, |ui| {
            ui.take_available_width();
            let (name, title) = (words::plain(&call.plugin_name), words::plain(&call.title));
            ui.label(heading(format!("The model wants to use {name}")));
            ui.label(muted(ui, format!("Its command \u{201c}{title}\u{201d}, with exactly this:")));
            words_given(ui, call.input.as_deref());
            if call.document.is_some() {
                badge(ui, Tone::Plain, icons::CLIP, &words::short(&call.document_title, 60));
            }
            ui.label(small(
                ui,
                "The words are the model's; a mail it has read may have put them into its mouth.",
            ));
            ui.horizontal(|ui| {
                let answer = |allow, always| Command::AnswerToolCall {
                    question: call.question,
                    allow,
                    always,
                };
                if primary(ui, icons::CHECK, "Allow this once").clicked() {
                    out.send(answer(true, false));
                }
                if secondary(ui, "", "No").clicked() {
                    out.send(answer(false, false));
                }
                let always = ghost(ui, "", "Allow from now on");
                if always
                    .on_hover_text(format!("The chat may use {name} without asking."))
                    .clicked()
                {
                    out.send(answer(true, true));
                }
            });
        });
}

fn words_given(ui: &mut Ui, input: Option<&str>) {
    let p = Palette::of(ui);
    let Some(input) = input.filter(|words| !words.trim().is_empty()) else {
        ui.label(muted(ui, "No words."));
        return;
    };
    Frame::new()
        .fill(p.card)
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::symmetric(10, 6))
        .show(ui, |ui| {
            ui.take_available_width();
            ui.add(Label::new(RichText::new(words::plain(input)).monospace()).wrap());
        });
}

/// A call that is over, with its result.
pub(super) fn turn(ui: &mut Ui, turn: &ChatTurn, call: &ToolCall, model: &Model) {
    let p = Palette::of(ui);
    let (tone, state) = match call.state {
        CallState::Done => (Tone::Good, "done"),
        CallState::Refused => (Tone::Warn, "you said no"),
        CallState::Failed => (Tone::Bad, "failed"),
    };
    Frame::new()
        .fill(p.side)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(CornerRadius::same(12))
        .inner_margin(Margin::symmetric(14, 10))
        .show(ui, |ui| {
            ui.take_available_width();
            ui.horizontal_wrapped(|ui| {
                ui.label(icon(icons::PUZZLE, 16.0).color(p.ember));
                ui.label(strong(words::plain(&call.plugin_name)));
                ui.label(muted(ui, words::plain(&call.title)));
                badge(ui, tone, "", state);
            });
            if let Some(input) = call.input.as_deref().filter(|input| !input.is_empty()) {
                let asked = format!("asked for \u{201c}{}\u{201d}", words::plain(input));
                ui.label(small(ui, words::short(&asked, 300)));
            }
            if let Some(document) = call.document {
                let title = words::short(model.title_of(document), 60);
                badge(ui, Tone::Plain, icons::CLIP, &title);
            }
            if !turn.text.is_empty() {
                ui.label(RichText::new(words::plain(&turn.text)).line_height(Some(21.0)));
            }
            if !call.made_from.is_empty() {
                ui.label(small(ui, words::plain(&call.made_from)));
            }
        });
}
