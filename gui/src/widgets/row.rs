//! A row of a list: icon, two lines, something at the right. The whole row is one button.

use egui::{
    Align, CornerRadius, FontId, Rect, Response, Sense, TextWrapMode, Ui, WidgetInfo, WidgetText,
    accesskit::Role, pos2, vec2,
};

use crate::theme::{Palette, icon, strong_family};

/// What a row shows.
#[derive(Default)]
pub(crate) struct Row<'a> {
    /// Before the text; may be empty.
    pub(crate) glyph: &'a str,
    /// First line.
    pub(crate) title: &'a str,
    /// Second line; may be empty.
    pub(crate) detail: &'a str,
    /// At the right of the first line.
    pub(crate) aside: &'a str,
    /// It is the one that is shown.
    pub(crate) selected: bool,
    /// What assistive technology reads; the title if empty.
    pub(crate) name: &'a str,
    /// Its height in points.
    pub(crate) height: f32,
}

/// Paints a row of the width there is.
pub(crate) fn row(ui: &mut Ui, row: &Row<'_>) -> Response {
    let p = Palette::of(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), row.height), Sense::click());
    let name = if row.name.is_empty() { row.title } else { row.name };
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, row.selected, name));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let ground = if row.selected {
        Some(p.ember_soft)
    } else if response.hovered() || response.has_focus() {
        Some(p.raised)
    } else {
        None
    };
    if let Some(ground) = ground {
        ui.painter().rect_filled(rect, CornerRadius::same(8), ground);
    }
    let mut inner = rect.shrink2(vec2(10.0, 6.0));
    if !row.glyph.is_empty() {
        let ink = if row.selected { p.ember } else { p.faint };
        let galley = WidgetText::from(icon(row.glyph, 17.0).color(ink)).into_galley(
            ui,
            Some(TextWrapMode::Extend),
            40.0,
            FontId::proportional(17.0),
        );
        let top = if row.detail.is_empty() {
            rect.center().y - galley.size().y / 2.0
        } else {
            inner.top() + 1.0
        };
        ui.painter().galley(pos2(inner.left(), top), galley, ink);
        inner.set_left(inner.left() + 27.0);
    }
    texts(ui, row, inner);
    response
}

fn texts(ui: &Ui, row: &Row<'_>, inner: Rect) {
    let p = Palette::of(ui);
    let mut first_width = inner.width();
    if !row.aside.is_empty() {
        let aside =
            ui.painter().layout_no_wrap(row.aside.into(), FontId::proportional(12.0), p.muted);
        first_width -= aside.size().x + 10.0;
        let y = if row.detail.is_empty() {
            inner.center().y - aside.size().y / 2.0
        } else {
            inner.top() + 2.0
        };
        ui.painter().galley(pos2(inner.right() - aside.size().x, y), aside, p.muted);
    }
    let line = |text: &str, font: FontId, ink, width: f32| {
        let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, ink);
        job.wrap = egui::text::TextWrapping::truncate_at_width(width.max(20.0));
        job.halign = Align::Min;
        ui.painter().layout_job(job)
    };
    let title = line(row.title, FontId::new(14.0, strong_family()), p.text, first_width);
    if row.detail.is_empty() {
        let y = inner.center().y - title.size().y / 2.0;
        ui.painter().galley(pos2(inner.left(), y), title, p.text);
    } else {
        let below = inner.top() + title.size().y + 2.0;
        ui.painter().galley(inner.left_top(), title, p.text);
        let detail = line(row.detail, FontId::proportional(12.5), p.muted, inner.width());
        ui.painter().galley(pos2(inner.left(), below), detail, p.muted);
    }
}
