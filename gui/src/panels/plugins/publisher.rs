//! Who made a plugin, how that is known, and in what a new version differs from the one before.

use egui::{Color32, CornerRadius, RichText, Sense, Ui, WidgetInfo, accesskit::Role, pos2, vec2};

use crate::{
    icons,
    model::Tone,
    theme::{Palette, small, strong},
    types::{KeyStanding, LookAlike, PluginChange, SignatureView, StoredEntry},
    widgets::{banner, bullet, tone_colors},
    words,
};

/// Cells of a key's picture, each way.
const CELLS: usize = 7;
const CELL: f32 = 6.0;

/// The signature, with what people compare.
pub(in crate::panels) fn signature(ui: &mut Ui, signature: &SignatureView) {
    let (tone, glyph, text) = words::signature(signature);
    let (ink, _) = tone_colors(ui, tone);
    bullet(ui, ink, glyph, text);
    let SignatureView::Signed { key, fingerprint, picture, trusted_comment, standing, .. } =
        signature
    else {
        return;
    };
    ui.horizontal(|ui| {
        ui.add_space(20.0);
        draw(ui, picture);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.label(RichText::new(fingerprint).monospace()).on_hover_text(key);
            if *standing == KeyStanding::New {
                ui.label(small(ui, "Compare it with what the publisher shows."));
            }
            if !trusted_comment.is_empty() {
                let text = format!("signed: \u{201c}{}\u{201d}", words::plain(trusted_comment));
                ui.label(small(ui, words::short(&text, 80)));
            }
        });
    });
}

/// A key as a picture that is the same on both sides: other keys look other.
fn draw(ui: &mut Ui, bytes: &[u8; 32]) {
    let p = Palette::of(ui);
    let side = CELL * CELLS as f32;
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
    let name = "Picture of the publisher's key";
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
    response.on_hover_text("The same key always gives the same picture.");
    let [hue, ..] = *bytes;
    let ink: Color32 = egui::ecolor::Hsva::new(f32::from(hue) / 256.0, 0.55, 0.7, 1.0).into();
    let painter = ui.painter();
    painter.rect_filled(rect, CornerRadius::same(4), p.raised);
    let half = CELLS.div_ceil(2);
    for cell in 0..half * CELLS {
        let (column, row) = (cell % half, cell / half);
        let bit = bytes.get(1 + cell / 8).is_some_and(|byte| byte >> (cell % 8) & 1 == 1);
        if !bit {
            continue;
        }
        for column in [column, CELLS - 1 - column] {
            let min = pos2(rect.left() + column as f32 * CELL, rect.top() + row as f32 * CELL);
            painter.rect_filled(
                egui::Rect::from_min_size(min, vec2(CELL, CELL)),
                CornerRadius::ZERO,
                ink,
            );
        }
    }
}

/// Installed plugins that this one could be taken for.
pub(in crate::panels) fn lookalikes(ui: &mut Ui, lookalikes: &[LookAlike]) {
    for other in lookalikes {
        banner(ui, Tone::Warn, icons::WARNING, |ui| {
            let name = words::plain(&other.name);
            ui.label(strong(format!("It could be taken for {name}")));
            let whose = if other.refused {
                "which is another publisher's and installed here."
            } else {
                "which is of the same publisher and installed here."
            };
            ui.label(format!("Its name or id looks like that of {}, {whose}", other.plugin));
        });
    }
}

/// In what it differs: what asks for more comes first.
pub(in crate::panels) fn changes(ui: &mut Ui, changes: &[PluginChange]) {
    let (warn, plain) = (tone_colors(ui, Tone::Warn).0, tone_colors(ui, Tone::Plain).0);
    for change in changes.iter().filter(|change| change.wider) {
        bullet(ui, warn, icons::WARNING, strong(words::plain(&change.what)));
    }
    for change in changes.iter().filter(|change| !change.wider) {
        bullet(ui, plain, icons::INFO, words::plain(&change.what));
    }
}

/// What a version without a seal has kept, and whether the sealed one may read it.
pub(in crate::panels) fn stored(ui: &mut Ui, entries: &[StoredEntry], keep: &mut bool) {
    if entries.is_empty() {
        return;
    }
    ui.label("The version before could learn private things, and has kept this between its runs:");
    for entry in entries {
        let preview = words::short(&words::plain(&entry.preview), 60);
        let size = words::bytes(entry.bytes as u64);
        ui.label(small(ui, format!("{}: {preview} ({size})", words::plain(&entry.key))));
    }
    ui.checkbox(keep, "Let the new version, which is sealed, read it");
}
