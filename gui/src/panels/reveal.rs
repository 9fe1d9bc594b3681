//! A plugin wants to learn a text. The user sees exactly what it would be given, over all of the window: there no plugin
//! can draw, so that none can make a question of its own look like this one.

use egui::{CornerRadius, Frame, Id, Label, Margin, Modal, RichText, ScrollArea, Stroke, Ui};
use hearth_session::escape_text;

use crate::{
    commands::Outbox,
    icons,
    model::{Model, RevealShown, Tone},
    theme::{Palette, heading, icon, muted, small, space, strong},
    types::{Command, RevealSource, RevealView, View},
    widgets::{badge, banner, primary, secondary_enabled},
    words,
};

/// The answer "yes" can be given only after this: a click that was meant for something else must not give it.
const ARM_SECS: f64 = 0.7;
/// Sources that are named; the others are counted.
const NAMED_SOURCES: usize = 12;

/// The first of the questions, if any.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let Some(reveal) = view.reveals.first() else {
        model.reveal = None;
        return;
    };
    let (now, focused) = ui.input(|input| (input.time, input.focused));
    let shown = match model.reveal {
        // A window that was somewhere behind may be clicked to bring it forward.
        Some(shown) if shown.question == reveal.question && focused => shown,
        _ => RevealShown { question: reveal.question, since: now },
    };
    model.reveal = Some(shown);
    let left = ARM_SECS - (now - shown.since);
    if left > 0.0 {
        ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64(left));
    }
    let answer = dialog(ui, reveal, left <= 0.0);
    if let Some(allow) = answer {
        out.send(Command::AnswerReveal { question: reveal.question, allow });
    }
}

fn dialog(ui: &mut Ui, reveal: &RevealView, armed: bool) -> Option<bool> {
    let p = Palette::of(ui);
    let name = words::plain(&reveal.plugin_name);
    let mut answer = None;
    let frame = Frame::popup(ui.style()).stroke(Stroke::new(2.0, p.warn)).inner_margin(20);
    let modal = Modal::new(Id::unique("reveal")).frame(frame).show(ui.ctx(), |ui| {
        ui.set_width(620.0);
        ui.horizontal(|ui| {
            ui.label(icon(icons::WARNING, 22.0).color(p.warn));
            ui.label(heading(format!("May {name} learn this text?")));
        });
        let bytes = words::bytes(reveal.text.len() as u64);
        ui.label(muted(ui, format!("It gets exactly what stands here, {bytes}, and can keep it. What it is told cannot be taken back.")));
        ui.add_space(space::XS);
        exactly(ui, reveal);
        banner(ui, Tone::Plain, icons::PUZZLE, |ui| {
            ui.label(small(ui, format!("{name} claims that it is for this")));
            ui.label(words::plain(&reveal.purpose));
        });
        sources(ui, reveal);
        ui.add_space(space::S);
        ui.horizontal(|ui| {
            // The answer that costs nothing is the one at hand.
            if primary(ui, "", "Keep it private").clicked() {
                answer = Some(false);
            }
            let tell = secondary_enabled(ui, armed, icons::WARNING, "Let it learn this text");
            if tell.clicked() {
                answer = Some(true);
            }
        });
    });
    if modal.should_close() {
        answer = Some(false);
    }
    answer
}

/// All of it, with nothing invisible.
fn exactly(ui: &mut Ui, reveal: &RevealView) {
    let p = Palette::of(ui);
    Frame::new()
        .fill(p.side)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(CornerRadius::same(8))
        .inner_margin(Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.take_available_width();
            ScrollArea::vertical().id_salt("reveal text").max_height(260.0).show(ui, |ui| {
                let text = RichText::new(escape_text(&reveal.text)).monospace();
                ui.add(Label::new(text).wrap().selectable(true));
            });
        });
    let short: String = reveal.hash.chars().take(16).collect();
    ui.label(small(ui, format!("BLAKE3 {short}\u{2026}"))).on_hover_text(&reveal.hash);
}

fn sources(ui: &mut Ui, reveal: &RevealView) {
    ui.label(strong(words::plain(&reveal.made_from)));
    ui.horizontal_wrapped(|ui| {
        ui.label(small(ui, "It depends on"));
        for source in reveal.sources.iter().take(NAMED_SOURCES) {
            let text = match source {
                RevealSource::Document { title: Some(title), .. } => words::plain(title),
                RevealSource::Document { title: None, .. } => "a deleted document".to_owned(),
                RevealSource::UserInput => "what you entered".to_owned(),
                RevealSource::PrivateModel(name) => format!("the model {}", words::plain(name)),
            };
            badge(ui, Tone::Warn, "", &words::short(&text, 48));
        }
        let more = reveal.sources.len().saturating_sub(NAMED_SOURCES) + reveal.more_sources;
        if more > 0 {
            badge(ui, Tone::Warn, "", &format!("and {more} more"));
        }
    });
}
