//! One document: headers, plain text, attachments, and what can be done with it.

use egui::{Align, Label, Layout, RichText, ScrollArea, Ui};

use crate::{
    commands::{Intent, Outbox},
    icons,
    model::{Confirm, Model, Tone},
    theme::{READING_WIDTH, muted, small, space, strong},
    types::{Command, Document, DocumentKind, Focus, SlotKind, View},
    widgets::{badge, icon_button, secondary},
    words,
};

/// The reader.
pub(crate) fn show(
    ui: &mut Ui,
    view: &View,
    document: &Document,
    model: &mut Model,
    out: &mut Outbox,
) {
    toolbar(ui, view, document, model, out);
    ui.add_space(space::S);
    ScrollArea::vertical().id_salt(("reader", document.head.id.0)).auto_shrink(false).show(
        ui,
        |ui| {
            ui.set_max_width(READING_WIDTH.min(ui.available_width()));
            headers(ui, document);
            ui.add_space(space::S);
            body(ui, document);
            attachments(ui, document);
            ui.add_space(space::L);
        },
    );
}

fn toolbar(ui: &mut Ui, view: &View, document: &Document, model: &mut Model, out: &mut Outbox) {
    let id = document.head.id;
    ui.horizontal(|ui| {
        badge(
            ui,
            Tone::Plain,
            words::kind_icon(document.head.kind),
            words::kind_name(document.head.kind),
        );
        if let Some(secs) = document.head.date_secs {
            ui.label(small(ui, words::moment(secs, &model.zone)));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, icons::CLOSE, "Close document").clicked() {
                out.send(Command::CloseDocument);
            }
            if icon_button(ui, icons::TRASH, "Delete document").clicked() {
                model.library.confirm = Some(Confirm::Document(id, document.head.title.clone()));
            }
            if icon_button(ui, icons::COPY, "Copy text").clicked() {
                out.push(Intent::Copy(document.body.clone(), "Text"));
            }
        });
    });
    ui.horizontal_wrapped(|ui| {
        if secondary(ui, icons::CHATS, "Chat about this").clicked() {
            out.push(Intent::ChatAbout(id));
        }
        focus_commands(ui, view, document, out);
    });
}

/// What granted plugins offer for a document.
fn focus_commands(ui: &mut Ui, view: &View, document: &Document, out: &mut Outbox) {
    for plugin in view.plugins.iter().filter(|p| p.grant.is_some() && p.suspended.is_none()) {
        let offered = plugin
            .manifest
            .commands
            .iter()
            .filter(|c| c.focus == Focus::Document && meant_for(c.kind, document.head.kind));
        for command in offered {
            let title = words::plain(&command.title);
            let by = format!("Runs {}", words::plain(&plugin.manifest.name));
            if secondary(ui, icons::SPARKLE, &title).on_hover_text(by).clicked() {
                out.run(plugin, command, Some(document.head.id));
            }
        }
    }
}

fn meant_for(wanted: SlotKind, kind: DocumentKind) -> bool {
    match wanted {
        SlotKind::Any => true,
        SlotKind::Mail => kind == DocumentKind::Mail,
        SlotKind::Note => kind == DocumentKind::Note,
        SlotKind::Code => kind == DocumentKind::Code,
    }
}

fn headers(ui: &mut Ui, document: &Document) {
    let head = &document.head;
    let title = if head.title.is_empty() { "(no subject)" } else { &head.title };
    ui.add(Label::new(strong(title).size(21.0)).wrap());
    ui.spacing_mut().item_spacing.y = 3.0;
    ui.spacing_mut().interact_size.y = 18.0;
    for (name, value) in
        [("From", &head.author), ("To", &document.recipients), ("Source", &document.source)]
    {
        if !value.is_empty() {
            ui.horizontal_wrapped(|ui| {
                ui.label(small(ui, name));
                ui.label(RichText::new(value).small());
            });
        }
    }
    ui.separator();
}

/// Plain text always: nothing is loaded, nothing is followed.
fn body(ui: &mut Ui, document: &Document) {
    let text = if document.head.kind == DocumentKind::Code {
        RichText::new(&document.body).monospace()
    } else {
        RichText::new(&document.body).line_height(Some(21.0))
    };
    if document.body.trim().is_empty() {
        ui.label(muted(ui, "There is no text in it."));
    } else {
        ui.add(Label::new(text).wrap().selectable(true));
    }
}

fn attachments(ui: &mut Ui, document: &Document) {
    if document.attachments.is_empty() {
        return;
    }
    ui.add_space(space::M);
    let count = document.attachments.len() as u64;
    ui.label(small(ui, words::count(count, "attachment")));
    ui.horizontal_wrapped(|ui| {
        for attachment in &document.attachments {
            let name = if attachment.name.is_empty() { "unnamed" } else { &attachment.name };
            let text = format!("{name}, {}", words::bytes(attachment.bytes));
            badge(ui, Tone::Plain, icons::CLIP, &text).on_hover_text(&attachment.media_type);
        }
    });
    ui.label(small(ui, "Kept in the vault as they came."));
}
