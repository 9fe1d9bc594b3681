//! Buttons of four ranks. Each has a name that assistive technology reads.

use std::sync::Arc;

use egui::{Button, Color32, CornerRadius, Response, RichText, Stroke, Ui, vec2};

use crate::theme::{CONTROL_HEIGHT, Palette, RADIUS_SMALL, icon, strong_family};

/// What to do next: at most one in sight.
pub(crate) fn primary(ui: &mut Ui, glyph: &str, label: &str) -> Response {
    primary_enabled(ui, true, glyph, label)
}

/// As [`primary`], greyed out if not `enabled`.
pub(crate) fn primary_enabled(ui: &mut Ui, enabled: bool, glyph: &str, label: &str) -> Response {
    let p = Palette::of(ui);
    painted(ui, enabled, glyph, label, [p.ember, p.ember_hover, p.on_ember, p.ember])
}

/// What can be done.
pub(crate) fn secondary(ui: &mut Ui, glyph: &str, label: &str) -> Response {
    secondary_enabled(ui, true, glyph, label)
}

/// As [`secondary`], greyed out if not `enabled`.
pub(crate) fn secondary_enabled(ui: &mut Ui, enabled: bool, glyph: &str, label: &str) -> Response {
    let p = Palette::of(ui);
    painted(ui, enabled, glyph, label, [p.card, p.raised, p.text, p.line])
}

/// What destroys something.
pub(crate) fn danger(ui: &mut Ui, glyph: &str, label: &str) -> Response {
    let p = Palette::of(ui);
    painted(ui, true, glyph, label, [p.bad_soft, p.bad_soft, p.bad, p.bad])
}

/// What stays in the background.
pub(crate) fn ghost(ui: &mut Ui, glyph: &str, label: &str) -> Response {
    let p = Palette::of(ui);
    let clear = Color32::TRANSPARENT;
    painted(ui, true, glyph, label, [clear, p.raised, p.muted, clear])
}

/// One of several pages of a page.
pub(crate) fn tab(ui: &mut Ui, glyph: &str, label: &str, shown: bool) -> Response {
    let p = Palette::of(ui);
    let colors = if shown {
        [p.ember_soft, p.ember_soft, p.text, p.ember_soft]
    } else {
        [Color32::TRANSPARENT, p.raised, p.muted, Color32::TRANSPARENT]
    };
    painted(ui, true, glyph, label, colors)
}

/// Only an icon; `label` is its name and its tooltip.
pub(crate) fn icon_button(ui: &mut Ui, glyph: &str, label: &str) -> Response {
    let p = Palette::of(ui);
    let response = ui
        .scope(|ui| {
            let clear = Color32::TRANSPARENT;
            tint(ui, [clear, p.raised, p.muted, clear]);
            ui.spacing_mut().button_padding = vec2(6.0, 4.0);
            ui.add(Button::new(icon(glyph, 17.0)).min_size(vec2(28.0, 28.0)))
        })
        .inner;
    response.on_hover_text(label).accessible_name(label)
}

/// An icon that is switched on and off; `label` is its name and its tooltip.
pub(crate) fn icon_toggle(ui: &mut Ui, glyph: &str, label: &str, on: bool) -> Response {
    let p = Palette::of(ui);
    let response = ui
        .scope(|ui| {
            let clear = Color32::TRANSPARENT;
            let (rest, ink) = if on { (p.ember_soft, p.ember) } else { (clear, p.muted) };
            tint(ui, [rest, p.raised, ink, clear]);
            ui.spacing_mut().button_padding = vec2(6.0, 4.0);
            ui.add(Button::new(icon(glyph, 17.0)).selected(on).min_size(vec2(28.0, 28.0)))
        })
        .inner;
    response.on_hover_text(label).accessible_name(label)
}

/// `colors`: at rest, under the pointer, text, edge.
fn painted(ui: &mut Ui, enabled: bool, glyph: &str, label: &str, colors: [Color32; 4]) -> Response {
    // Not in a scope of its own: a row that wraps would not see how wide it is.
    let style = Arc::clone(ui.style());
    tint(ui, colors);
    let text = RichText::new(label).family(strong_family()).size(13.5);
    let button =
        if glyph.is_empty() { Button::new(text) } else { Button::new((icon(glyph, 16.0), text)) };
    let response = ui.add_enabled(enabled, button.min_size(vec2(0.0, CONTROL_HEIGHT)));
    ui.set_style(style);
    response.accessible_name(label)
}

fn tint(ui: &mut Ui, [rest, hover, ink, edge]: [Color32; 4]) {
    let focus = Palette::of(ui).text;
    let widgets = &mut ui.visuals_mut().widgets;
    for (state, fill, line) in [
        (&mut widgets.noninteractive, rest, edge),
        (&mut widgets.inactive, rest, edge),
        (&mut widgets.hovered, hover, edge),
        (&mut widgets.active, hover, focus),
    ] {
        state.weak_bg_fill = fill;
        state.bg_fill = fill;
        state.bg_stroke = Stroke::new(1.0, line);
        state.fg_stroke = Stroke::new(1.5, ink);
        state.corner_radius = CornerRadius::same(RADIUS_SMALL);
    }
}
