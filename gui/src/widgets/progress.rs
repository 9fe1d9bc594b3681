//! Progress. Nothing here asks for a repaint: a bar moves when the session has news.

use egui::{CornerRadius, Rect, Response, Sense, Ui, WidgetInfo, accesskit::Role, vec2};

use crate::{
    theme::{Palette, muted},
    widgets::bullet,
};

/// A thin bar; `None` is "working", drawn as a quiet full track.
pub(crate) fn bar(ui: &mut Ui, share: Option<f32>, width: f32, name: &str) -> Response {
    let p = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 6.0), Sense::hover());
    let round = CornerRadius::same(3);
    ui.painter().rect_filled(rect, round, p.hover);
    let (from, to) = match share {
        Some(share) => (0.0, share.clamp(0.0, 1.0)),
        None => (0.35, 0.65),
    };
    let filled = Rect::from_min_max(
        egui::pos2(rect.left() + rect.width() * from, rect.top()),
        egui::pos2(rect.left() + rect.width() * to, rect.bottom()),
    );
    ui.painter().rect_filled(filled, round, p.ember);
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, name);
        info.value = share.map(|s| f64::from(s) * 100.0);
        info
    });
    response
}

/// Words with a mark before them, while something is awaited.
pub(crate) fn busy(ui: &mut Ui, text: &str) -> Response {
    let ember = Palette::of(ui).ember;
    let text = muted(ui, text);
    ui.scope(|ui| bullet(ui, ember, crate::icons::FLAME, text)).response
}
