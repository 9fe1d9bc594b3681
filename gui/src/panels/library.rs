//! Folders, search, results, import, and the reader beside them.

use std::path::PathBuf;

use egui::{Align, Frame, Layout, Margin, Panel, ScrollArea, Ui};

use crate::{
    commands::{DialogFor, Intent, Outbox},
    icons,
    model::{Confirm, Lead, Model, Tone, next_step},
    panels::reader,
    theme::{Palette, icon, muted, small, space, strong},
    types::{
        Command, DocumentHead, DocumentKind, Folder, FolderId, ImportEntry, ImportState, View,
    },
    widgets::{
        Row, badge, banner, card, centred_column, empty, ghost, icon_button, path_row, primary,
        row, search, secondary,
    },
    words,
};

/// Height of a result.
const ROW: f32 = 54.0;

/// The page.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let p = Palette::of(ui);
    if view.folders.is_empty() {
        ScrollArea::vertical().id_salt("first import").auto_shrink(false).show(ui, |ui| {
            first_import(ui, model, out);
        });
        return;
    }
    Panel::left("folders")
        .resizable(true)
        .default_size(205.0)
        .size_range(150.0..=300.0)
        .frame(Frame::new().fill(p.ground).inner_margin(Margin::same(12)))
        .show(ui, |ui| folders(ui, view, model, out));
    Panel::left("results")
        .resizable(true)
        .default_size(340.0)
        .size_range(260.0..=560.0)
        .frame(Frame::new().fill(p.ground).inner_margin(Margin::same(12)))
        .show(ui, |ui| results(ui, view, model, out));
    egui::CentralPanel::no_frame()
        .frame(Frame::new().fill(p.ground).inner_margin(Margin::symmetric(20, 12)))
        .show(ui, |ui| right(ui, view, model, out));
}

fn first_import(ui: &mut Ui, model: &mut Model, out: &mut Outbox) {
    empty(
        ui,
        icons::TRAY,
        "Bring something in",
        "A mailbox (mbox, Maildir or .eml files), a folder of notes, a folder of source code. Hearth copies it into the vault; the originals stay as they are.",
        |_| {},
    );
    centred_column(ui, 520.0, |ui| {
        import_form(ui, model, out);
        if model.demo.is_some() {
            ui.add_space(space::S);
            banner(ui, Tone::Ember, icons::SPARKLE, |ui| {
                ui.label(
                    "Nothing at hand? An invented mailbox with notes and code comes with Hearth.",
                );
                if secondary(ui, icons::MAIL, "Try with the demo mailbox").clicked() {
                    out.push(Intent::ImportDemo);
                }
            });
        }
    });
}

/// Ways to name what is to be imported.
fn import_form(ui: &mut Ui, model: &mut Model, out: &mut Outbox) {
    card(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            if primary(ui, icons::IMPORT, "Choose file\u{2026}").clicked() {
                out.push(Intent::Dialog(DialogFor::ImportFile));
            }
            if secondary(ui, icons::FOLDER, "Choose folder\u{2026}").clicked() {
                out.push(Intent::Dialog(DialogFor::ImportFolder));
            }
        });
        ui.label(small(ui, "Or drop it on this window, or give its path:"));
        let hint = "/home/you/mail/inbox.mbox";
        let path = &mut model.library.import_path;
        if path_row(ui, path, "Path to import", hint, |ui| secondary(ui, "", "Import").clicked()) {
            let path = PathBuf::from(path.trim());
            out.push(Intent::Chosen(DialogFor::ImportFolder, path));
        }
    });
}

fn folders(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    ui.horizontal(|ui| {
        ui.label(strong("Folders"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, icons::PLUS, "Import\u{2026}").clicked() {
                model.library.import_open = true;
                out.send(Command::CloseDocument);
            }
        });
    });
    ui.spacing_mut().item_spacing.y = 2.0;
    ScrollArea::vertical().id_salt("folder list").auto_shrink(false).show(ui, |ui| {
        let total: u64 = view.folders.iter().map(|f| f.documents).sum();
        if folder_row(ui, icons::BOOKS, "Everything", total, model.library.folder.is_none()) {
            select_folder(model, None);
        }
        for folder in view.folders.iter() {
            let glyph = words::kind_icon(folder.kind);
            let selected = model.library.folder == Some(folder.id);
            if folder_row(ui, glyph, &folder.name, folder.documents, selected) {
                select_folder(model, Some(folder.id));
            }
        }
    });
}

fn folder_row(ui: &mut Ui, glyph: &str, name: &str, documents: u64, selected: bool) -> bool {
    let aside = words::grouped(documents);
    let spoken = format!("{name}, {}", words::count(documents, "document"));
    row(
        ui,
        &Row {
            glyph,
            title: name,
            aside: &aside,
            selected,
            name: &spoken,
            height: 34.0,
            detail: "",
        },
    )
    .clicked()
}

fn select_folder(model: &mut Model, folder: Option<FolderId>) {
    model.library.folder = folder;
    model.library.log_of = None;
    model.library.more = 0;
}

fn results(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let field = search(ui, &mut model.library.text, "Search the library", "Search\u{2026}");
    if model.library.focus_search {
        field.request_focus();
        model.library.focus_search = false;
    }
    if field.changed() {
        model.library.more = 0;
    }
    kinds(ui, model);
    let library = &view.library;
    ui.label(small(ui, words::count(library.total, "document")));
    if library.heads.is_empty() {
        let searched = !model.library.text.trim().is_empty();
        let text = if searched {
            "Every word must appear; the last one may be half typed."
        } else {
            "This folder has no documents of this kind."
        };
        empty(ui, icons::SEARCH, "Nothing found", text, |_| {});
        return;
    }
    let open = view.document.as_ref().map(|d| d.head.id);
    ui.spacing_mut().item_spacing.y = 2.0;
    let rows = library.heads.len();
    ScrollArea::vertical().id_salt("results list").auto_shrink(false).show_rows(
        ui,
        ROW,
        rows,
        |ui, range| {
            if range.end + 20 > rows
                && (rows as u64) < library.total
                && library.query == model.wanted_query()
            {
                model.library.want_more();
            }
            for head in library.heads.get(range).unwrap_or_default() {
                if document_row(ui, head, open == Some(head.id), model).clicked() {
                    model.library.import_open = false;
                    out.send(Command::OpenDocument(head.id));
                }
            }
        },
    );
}

fn kinds(ui: &mut Ui, model: &mut Model) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (kind, label) in [
            (None, "All"),
            (Some(DocumentKind::Mail), "Mail"),
            (Some(DocumentKind::Note), "Notes"),
            (Some(DocumentKind::Code), "Code"),
            (Some(DocumentKind::Saved), "Saved"),
        ] {
            let selected = model.library.kind == kind;
            let tab = egui::Button::selectable(selected, egui::RichText::new(label).small());
            if ui.add(tab).accessible_name(format!("Show {label}")).clicked() {
                model.library.kind = kind;
                model.library.more = 0;
            }
        }
    });
}

/// A result, also in the picker.
pub(crate) fn document_row(
    ui: &mut Ui,
    head: &DocumentHead,
    selected: bool,
    model: &Model,
) -> egui::Response {
    let date = head.date_secs.map(|secs| words::day(secs, &model.zone)).unwrap_or_default();
    let title = if head.title.is_empty() { "(no subject)" } else { &head.title };
    let detail = if head.author.is_empty() {
        head.snippet.clone()
    } else {
        format!("{} \u{b7} {}", head.author, head.snippet)
    };
    let name = format!("{title}, {} {}", words::kind_name(head.kind), head.author);
    row(
        ui,
        &Row {
            glyph: words::kind_icon(head.kind),
            title,
            detail: &detail,
            aside: &date,
            selected,
            name: name.trim_end(),
            height: ROW,
        },
    )
}

fn right(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    if let Some(log) = &view.import_log
        && model.library.log_of == Some(log.0)
        && view.document.is_none()
    {
        import_log(ui, view, &log.1, model);
        return;
    }
    if model.library.import_open {
        importing(ui, model, out);
        return;
    }
    if let Some(document) = &view.document {
        reader::show(ui, view, document, model, out);
        return;
    }
    lead(ui, view, out);
    let chosen = model.library.folder;
    let folder = view.folders.iter().find(|f| Some(f.id) == chosen);
    if let Some(folder) = folder {
        folder_card(ui, folder, model, out);
    } else {
        empty(
            ui,
            icons::NOTE,
            "Nothing is open",
            "Choose a document at the left to read it here, or search with Ctrl+F.",
            |_| {},
        );
    }
}

fn importing(ui: &mut Ui, model: &mut Model, out: &mut Outbox) {
    ui.horizontal(|ui| {
        ui.label(strong("Import").size(18.0));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, icons::CLOSE, "Close import").clicked() {
                model.library.import_open = false;
            }
        });
    });
    ui.label(muted(
        ui,
        "A mailbox (mbox, Maildir or .eml files), notes, source code: a file or a whole folder.",
    ));
    ui.add_space(space::S);
    import_form(ui, model, out);
    if model.demo.is_some() {
        ui.add_space(space::S);
        if ghost(ui, icons::SPARKLE, "Import the demo mailbox").clicked() {
            out.push(Intent::ImportDemo);
        }
    }
}

fn folder_card(ui: &mut Ui, folder: &Folder, model: &mut Model, out: &mut Outbox) {
    card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(icon(words::kind_icon(folder.kind), 22.0).color(Palette::of(ui).ember));
            ui.label(strong(&folder.name).size(18.0));
        });
        ui.label(muted(ui, words::count(folder.documents, "document")));
        if folder.plugin.is_some() {
            ui.label(muted(ui, "Saved by a plugin. Its words may repeat what strangers wrote."));
        }
        ui.horizontal_wrapped(|ui| {
            if folder.plugin.is_none() && secondary(ui, icons::LIST, "What was imported").clicked()
            {
                model.library.log_of = Some(folder.id);
                out.send(Command::OpenImportLog(folder.id));
            }
            if ghost(ui, icons::TRASH, "Delete folder").clicked() {
                model.library.confirm =
                    Some(Confirm::Folder(folder.id, folder.name.clone(), folder.documents));
            }
        });
    });
}

/// The next step of a new user.
pub(crate) fn lead(ui: &mut Ui, view: &View, out: &mut Outbox) {
    let Some(step) = next_step(view) else { return };
    let plugin = |id| view.plugins.iter().find(|p| p.id == id);
    match step {
        Lead::Import => {}
        Lead::Grant(id) => {
            let Some(plugin) = plugin(id) else { return };
            let name = words::plain(&plugin.manifest.name);
            banner(ui, Tone::Ember, icons::SPARKLE, |ui| {
                ui.label(strong(format!("Next: say what {name} may use")));
                ui.label(muted(ui, words::plain(&plugin.manifest.description)));
                if primary(ui, icons::SHIELD, &format!("Set up {name}\u{2026}")).clicked() {
                    out.push(Intent::SetUp(plugin.id.clone()));
                }
            });
        }
        Lead::Run(id, command) => {
            let Some(plugin) = plugin(id) else { return };
            let manifest = &plugin.manifest;
            let Some(command) = manifest.commands.iter().find(|c| c.id == command) else { return };
            banner(ui, Tone::Ember, icons::SPARKLE, |ui| {
                ui.label(strong(format!("{} is ready", words::plain(&manifest.name))));
                if primary(ui, icons::PLAY, &words::plain(&command.title)).clicked() {
                    out.run(plugin, command, None);
                }
            });
        }
    }
    ui.add_space(space::S);
}

fn import_log(ui: &mut Ui, view: &View, entries: &[ImportEntry], model: &mut Model) {
    let number = |state| entries.iter().filter(|e| e.state == state).count() as u64;
    ui.horizontal(|ui| {
        ui.label(strong("What was imported").size(18.0));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ghost(ui, icons::BACK, "Back to the folder").clicked() {
                model.library.log_of = None;
            }
        });
    });
    ui.horizontal_wrapped(|ui| {
        badge(ui, Tone::Good, icons::CHECK, &format!("{} taken in", number(ImportState::Done)));
        badge(ui, Tone::Plain, "", &format!("{} skipped", number(ImportState::Skipped)));
        let failed = number(ImportState::Failed);
        let tone = if failed > 0 { Tone::Bad } else { Tone::Plain };
        badge(ui, tone, "", &format!("{failed} failed"));
    });
    if !view.jobs.is_empty() {
        ui.label(small(ui, "Work is under way; the list grows."));
    }
    ui.spacing_mut().item_spacing.y = 2.0;
    ScrollArea::vertical().id_salt("import log").auto_shrink(false).show_rows(
        ui,
        ROW,
        entries.len(),
        |ui, range| {
            for entry in entries.get(range).unwrap_or_default() {
                log_row(ui, entry);
            }
        },
    );
}

fn log_row(ui: &mut Ui, entry: &ImportEntry) {
    let (glyph, state) = match entry.state {
        ImportState::Done => (icons::CHECK, "taken in"),
        ImportState::Skipped => (icons::HIDDEN, "skipped"),
        ImportState::Failed => (icons::WARNING, "failed"),
    };
    let file = entry.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let title = entry.subject.clone().unwrap_or(file.clone());
    let detail = match &entry.reason {
        Some(reason) => reason.clone(),
        None => match &entry.from {
            Some(from) => format!("{from} \u{b7} {file} #{}", entry.index + 1),
            None => entry.path.display().to_string(),
        },
    };
    let name = format!("{title}: {state}");
    row(
        ui,
        &Row {
            glyph,
            title: &title,
            detail: &detail,
            aside: state,
            name: &name,
            selected: false,
            height: ROW,
        },
    )
    .on_hover_text(&detail);
}
