//! Text fields, each with a name that assistive technology reads.

use egui::{Align, Key, Layout, Margin, Response, TextEdit, Ui, vec2};

use crate::{
    icons,
    model::Secret,
    theme::{CONTROL_HEIGHT, Palette, icon, muted},
};

/// A field of one line.
pub(crate) fn line(ui: &mut Ui, text: &mut String, name: &str, hint: &str, width: f32) -> Response {
    let hint = muted(ui, hint);
    ui.add(
        TextEdit::singleline(text)
            .hint_text(hint)
            .desired_width(width)
            .margin(Margin::symmetric(10, 8)),
    )
    .accessible_name(name)
}

/// A field of several lines.
pub(crate) fn area(
    ui: &mut Ui,
    text: &mut String,
    name: &str,
    hint: &str,
    rows: usize,
) -> Response {
    let hint = muted(ui, hint);
    ui.add(
        TextEdit::multiline(text)
            .hint_text(hint)
            .desired_width(f32::INFINITY)
            .desired_rows(rows)
            .margin(Margin::symmetric(10, 8)),
    )
    .accessible_name(name)
}

/// A field whose text is never painted and never kept for undoing.
pub(crate) fn password(ui: &mut Ui, secret: &mut Secret, name: &str) -> Response {
    let mut output = TextEdit::singleline(&mut secret.0)
        .password(true)
        .char_limit(1000)
        .desired_width(f32::INFINITY)
        .margin(Margin::symmetric(10, 9))
        .show(ui);
    let response = output.response.response.clone();
    output.state.clear_undoer();
    output.state.store(ui.ctx(), response.id);
    response.accessible_name(name)
}

/// The search field.
pub(crate) fn search(ui: &mut Ui, text: &mut String, name: &str, hint: &str) -> Response {
    let glass = icon(icons::SEARCH, 16.0).color(Palette::of(ui).faint);
    let hint = muted(ui, hint);
    ui.add(
        TextEdit::singleline(text)
            .prefix(glass)
            .hint_text(hint)
            .desired_width(f32::INFINITY)
            .min_size(vec2(80.0, 0.0))
            .margin(Margin::symmetric(10, 8)),
    )
    .accessible_name(name)
}

/// A field for a path with `buttons` at its right, given from the right. True when the path is to be used.
pub(crate) fn path_row(
    ui: &mut Ui,
    path: &mut String,
    name: &str,
    hint: &str,
    buttons: impl FnOnce(&mut Ui) -> bool,
) -> bool {
    let size = vec2(ui.available_width(), CONTROL_HEIGHT);
    let used = ui
        .allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
            let clicked = buttons(ui);
            let width = ui.available_width();
            let field = line(ui, path, name, hint, width);
            clicked || (field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)))
        })
        .inner;
    used && !path.trim().is_empty()
}
