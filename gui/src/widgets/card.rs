//! Frames: pages, cards, banners, empty states.

use egui::{
    Align, Color32, CornerRadius, Frame, InnerResponse, Layout, Margin, Response, ScrollArea,
    Stroke, Ui, UiBuilder, WidgetText, vec2,
};

use crate::{
    model::Tone,
    theme::{Palette, RADIUS, heading, icon, muted, space, strong, title},
    widgets::tone_colors,
};

/// A rounded card of the width there is.
pub(crate) fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> InnerResponse<R> {
    let p = Palette::of(ui);
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(CornerRadius::same(RADIUS))
        .inner_margin(Margin::same(16))
        .show(ui, |ui| {
            ui.take_available_width();
            add(ui)
        })
}

/// A card in a tone, with an icon: what the host has to say.
pub(crate) fn banner<R>(
    ui: &mut Ui,
    tone: Tone,
    glyph: &str,
    add: impl FnOnce(&mut Ui) -> R,
) -> InnerResponse<R> {
    let (ink, ground) = tone_colors(ui, tone);
    Frame::new()
        .fill(ground)
        .corner_radius(CornerRadius::same(RADIUS))
        .inner_margin(Margin::symmetric(14, 10))
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(icon(glyph, 18.0).color(ink));
                ui.add_space(2.0);
                ui.vertical(|ui| {
                    ui.take_available_width();
                    add(ui)
                })
                .inner
            })
            .inner
        })
}

/// A line with an icon before it; its text wraps.
pub(crate) fn bullet(ui: &mut Ui, ink: Color32, glyph: &str, text: impl Into<WidgetText>) {
    ui.horizontal_top(|ui| {
        ui.spacing_mut().interact_size.y = 18.0;
        ui.label(icon(glyph, 15.0).color(ink));
        ui.vertical(|ui| ui.label(text));
    });
}

/// A page with a title that scrolls as a whole, in a column of readable width.
pub(crate) fn page<R>(
    ui: &mut Ui,
    name: &str,
    subtitle: &str,
    actions: impl FnOnce(&mut Ui),
    add: impl FnOnce(&mut Ui) -> R,
) -> R {
    ui.spacing_mut().scroll.floating_allocated_width = 0.0;
    ScrollArea::vertical()
        .id_salt(name)
        .auto_shrink(false)
        .show(ui, |ui| {
            centred_column(ui, 860.0, |ui| {
                ui.add_space(space::L);
                ui.horizontal(|ui| {
                    ui.vertical(|ui| {
                        ui.label(title(name));
                        ui.label(muted(ui, subtitle));
                    });
                    ui.with_layout(Layout::right_to_left(Align::Center), actions);
                });
                ui.add_space(space::M);
                let inner = add(ui);
                ui.add_space(space::XL);
                inner
            })
        })
        .inner
}

/// A column in the middle, at most `width` wide.
pub(crate) fn centred_column<R>(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui) -> R) -> R {
    let all = ui.available_rect_before_wrap();
    let wide = width.min(all.width() - 2.0 * space::L);
    let left = all.left() + ((all.width() - wide) / 2.0).floor();
    let mut rect = all;
    rect.set_left(left);
    rect.set_width(wide);
    ui.scope_builder(UiBuilder::new().max_rect(rect).layout(Layout::top_down(Align::Min)), |ui| {
        ui.set_width(wide);
        add(ui)
    })
    .inner
}

/// A titled part of a page.
pub(crate) fn section(ui: &mut Ui, name: &str, explanation: &str) {
    ui.add_space(space::S);
    ui.label(heading(name));
    if !explanation.is_empty() {
        ui.label(muted(ui, explanation));
    }
    ui.add_space(space::XS);
}

/// Nothing here yet: says what to do.
pub(crate) fn empty(
    ui: &mut Ui,
    glyph: &str,
    name: &str,
    text: &str,
    actions: impl FnOnce(&mut Ui),
) -> Response {
    let p = Palette::of(ui);
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.22).min(140.0));
        ui.label(icon(glyph, 40.0).color(p.faint));
        ui.add_space(space::XS);
        ui.label(strong(name).size(17.0));
        ui.allocate_ui(vec2(420.0_f32.min(ui.available_width()), 0.0), |ui| {
            ui.vertical_centered(|ui| ui.label(muted(ui, text)));
        });
        ui.add_space(space::S);
        actions(ui);
    })
    .response
}
