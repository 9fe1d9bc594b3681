//! Small rounded labels.

use std::sync::Arc;

use egui::{
    Color32, CornerRadius, FontId, Frame, Margin, Response, RichText, Sense, TextStyle, Ui,
    WidgetInfo, accesskit::Role, pos2, vec2,
};

use crate::{
    icons,
    model::Tone,
    theme::{Palette, icon, icon_family},
    widgets::icon_button,
};

/// Ink and ground of a tone.
pub(crate) fn tone_colors(ui: &Ui, tone: Tone) -> (Color32, Color32) {
    let p = Palette::of(ui);
    match tone {
        Tone::Plain => (p.muted, p.raised),
        Tone::Good => (p.good, p.good_soft),
        Tone::Warn => (p.warn, p.warn_soft),
        Tone::Bad => (p.bad, p.bad_soft),
        Tone::Ember => (p.ember, p.ember_soft),
    }
}

/// A state in a word or two.
pub(crate) fn badge(ui: &mut Ui, tone: Tone, glyph: &str, text: &str) -> Response {
    let (ink, ground) = tone_colors(ui, tone);
    let painter = ui.painter().clone();
    let words = painter.layout_no_wrap(text.to_owned(), TextStyle::Small.resolve(ui.style()), ink);
    let mark = painter.layout_no_wrap(glyph.to_owned(), FontId::new(13.0, icon_family()), ink);
    let gap = if glyph.is_empty() { 0.0 } else { mark.size().x + 5.0 };
    let size = vec2(words.size().x + gap + 18.0, 22.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    painter.rect_filled(rect, CornerRadius::same(11), ground);
    let middle = |height: f32| rect.center().y - height / 2.0;
    painter.galley(pos2(rect.left() + 9.0, middle(mark.size().y)), Arc::clone(&mark), ink);
    let left = rect.left() + 9.0 + gap;
    painter.galley(pos2(left, middle(words.size().y)), Arc::clone(&words), ink);
    response
}

/// A thing that can be taken away: true when it was.
pub(crate) fn chip(ui: &mut Ui, glyph: &str, text: &str) -> bool {
    let p = Palette::of(ui);
    Frame::new()
        .fill(p.raised)
        .corner_radius(CornerRadius::same(255))
        .inner_margin(Margin { left: 10, right: 4, top: 0, bottom: 0 })
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            ui.horizontal(|ui| {
                ui.label(icon(glyph, 14.0).color(p.muted));
                ui.label(RichText::new(text).small());
                icon_button(ui, icons::CLOSE, &format!("Remove {text}")).clicked()
            })
            .inner
        })
        .inner
}
