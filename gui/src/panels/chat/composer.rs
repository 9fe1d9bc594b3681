//! Where messages are written.

use egui::{
    Align, CornerRadius, Frame, Key, KeyboardShortcut, Layout, Margin, Modifiers, Stroke, TextEdit,
    Ui,
};

use crate::{
    commands::{Intent, Outbox, Purpose},
    icons,
    model::{Asked, Model, PickFor, Picker},
    theme::{Palette, muted},
    types::{Command, ConversationView, DocumentId, View},
    widgets::{chip, ghost, primary_enabled},
    words,
};

/// The field, its attachments and its button.
pub(super) fn show(
    ui: &mut Ui,
    view: &View,
    conversation: Option<&ConversationView>,
    model: &mut Model,
    out: &mut Outbox,
) {
    let p = Palette::of(ui);
    let busy = conversation.is_some_and(|c| c.answering.is_some()) || model.chat.asked.is_some();
    Frame::new()
        .fill(p.card)
        .stroke(Stroke::new(1.0, p.line))
        .corner_radius(CornerRadius::same(14))
        .inner_margin(Margin { left: 12, right: 10, top: 8, bottom: 8 })
        .show(ui, |ui| {
            attachments(ui, model);
            let field = field(ui, model);
            if model.chat.focus {
                field.request_focus();
                model.chat.focus = false;
            }
            let entered = field.has_focus()
                && ui.input(|i| i.key_pressed(Key::Enter) && i.modifiers.is_none());
            ui.horizontal(|ui| {
                if ghost(ui, icons::CLIP, "Attach\u{2026}").clicked() {
                    let picker = Picker { purpose: PickFor::Chat, ..Picker::default() };
                    out.push(Intent::Pick(picker));
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let ready = !busy
                        && !model.chat.draft.trim().is_empty()
                        && view.models.loaded.is_some();
                    let send = primary_enabled(ui, ready, icons::SEND, "Send");
                    if ready && (send.clicked() || entered) {
                        ask(conversation, model, out);
                    }
                    let hint = if view.models.loaded.is_none() {
                        "Load a model first"
                    } else {
                        "Enter sends, Shift+Enter starts a line"
                    };
                    ui.label(muted(ui, hint).small());
                });
            });
        });
}

fn field(ui: &mut Ui, model: &mut Model) -> egui::Response {
    let rows = model.chat.draft.lines().count().clamp(1, 8);
    let hint = muted(ui, "Ask something\u{2026}");
    ui.add(
        TextEdit::multiline(&mut model.chat.draft)
            .hint_text(hint)
            .frame(Frame::NONE)
            .margin(Margin::symmetric(2, 4))
            .desired_width(f32::INFINITY)
            .desired_rows(rows)
            .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter)),
    )
    .accessible_name("Message")
}

fn attachments(ui: &mut Ui, model: &mut Model) {
    if model.chat.attached.is_empty() {
        return;
    }
    let mut gone: Option<DocumentId> = None;
    ui.horizontal_wrapped(|ui| {
        for id in &model.chat.attached {
            if chip(ui, icons::CLIP, &words::short(model.title_of(*id), 40)) {
                gone = Some(*id);
            }
        }
    });
    model.chat.attached.retain(|id| Some(*id) != gone);
}

fn ask(conversation: Option<&ConversationView>, model: &mut Model, out: &mut Outbox) {
    let text = std::mem::take(&mut model.chat.draft).trim().to_owned();
    let attached = std::mem::take(&mut model.chat.attached);
    model.chat.asked = Some(Asked { ticket: None, text: text.clone(), attached: attached.clone() });
    model.chat.focus = true;
    let conversation = conversation.map(|c| c.id);
    out.send_for(Command::Ask { conversation, text, attached }, Purpose::Ask);
}
