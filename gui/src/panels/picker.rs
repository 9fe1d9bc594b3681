//! Picking documents: for a message, or because a plugin asks.

use egui::{Id, Modal, ScrollArea, Ui};

use crate::{
    commands::Outbox,
    icons,
    model::{Model, PickFor, Tone},
    panels::library::document_row,
    theme::{heading, muted, small, space},
    types::{Command, PickView, View},
    widgets::{banner, primary_enabled, search, secondary},
    words,
};

/// Documents a message may carry.
const CHAT_LIMIT: usize = 16;

/// The dialog, where one is open.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let Some(mut picker) = model.picker.take() else { return };
    let question = match picker.purpose {
        PickFor::Chat => None,
        PickFor::Question(id) => view.questions.iter().find(|q| q.question == id),
    };
    let limit = question.map_or(CHAT_LIMIT, |q| usize::from(q.limit));
    let mut open = true;
    let modal = Modal::new(Id::unique("picker")).show(ui.ctx(), |ui| {
        ui.set_width(560.0);
        introduction(ui, question);
        search(ui, &mut picker.text, "Search documents to pick", "Search\u{2026}");
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let heads = &view.library.heads;
            ScrollArea::vertical()
                .id_salt("picker list")
                .auto_shrink(false)
                .max_height(340.0)
                .show_rows(ui, 54.0, heads.len(), |ui, range| {
                    for head in heads.get(range).unwrap_or_default() {
                        let chosen = picker.chosen.contains(&head.id);
                        if document_row(ui, head, chosen, model).clicked() {
                            if chosen {
                                picker.chosen.remove(&head.id);
                            } else if picker.chosen.len() < limit {
                                picker.chosen.insert(head.id);
                            }
                        }
                    }
                });
        });
        let state = format!("{} of at most {limit} chosen", picker.chosen.len());
        ui.label(small(ui, state));
        ui.add_space(space::XS);
        ui.horizontal(|ui| {
            let (yes, no) = match picker.purpose {
                PickFor::Chat => ("Attach", "Cancel"),
                PickFor::Question(_) => ("Hand them over", "No"),
            };
            if primary_enabled(ui, !picker.chosen.is_empty(), icons::CHECK, yes).clicked() {
                open = false;
            }
            if secondary(ui, "", no).clicked() {
                picker.chosen.clear();
                open = false;
            }
        });
    });
    if modal.should_close() {
        picker.chosen.clear();
        open = false;
    }
    if open {
        model.picker = Some(picker);
        return;
    }
    match picker.purpose {
        PickFor::Chat => {
            for id in picker.chosen {
                if !model.chat.attached.contains(&id) {
                    model.chat.attached.push(id);
                }
            }
            model.chat.focus = true;
        }
        PickFor::Question(question) => {
            let picked = picker.chosen.into_iter().collect();
            out.send(Command::AnswerPick { question, picked });
        }
    }
}

fn introduction(ui: &mut Ui, question: Option<&PickView>) {
    match question {
        None => {
            ui.label(heading("Attach documents"));
            ui.label(muted(ui, "The model reads them along with your message."));
        }
        Some(question) => {
            let name = words::plain(&question.plugin_name);
            ui.label(heading(format!("{name} asks you to pick documents")));
            banner(ui, Tone::Plain, icons::PUZZLE, |ui| {
                ui.label(small(ui, format!("{name} says")));
                ui.label(words::plain(&question.purpose));
            });
            ui.label(muted(ui, "It gets to hold what you pick, unopened."));
        }
    }
    ui.add_space(space::XS);
}
