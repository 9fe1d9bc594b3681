//! Conversations with the model.

mod composer;
mod tools;
mod turn;

use egui::{Align, Frame, Key, Layout, Margin, Panel, ScrollArea, Ui};

use crate::{
    commands::{Intent, Outbox},
    icons,
    model::{Model, Screen},
    panels::tuning,
    theme::{Palette, muted, small, space, strong},
    types::{
        AdapterChoice, Answering, Command, ConversationId, ConversationView, TuneCommand, View,
    },
    widgets::{
        Row, bar, centred_column, danger, empty, ghost, icon_button, line, primary, row, secondary,
    },
    words,
};

/// Width of the conversation.
const COLUMN: f32 = 780.0;

/// The page.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let p = Palette::of(ui);
    Panel::left("conversations")
        .resizable(true)
        .default_size(230.0)
        .size_range(170.0..=340.0)
        .frame(Frame::new().fill(p.ground).inner_margin(Margin::same(12)))
        .show(ui, |ui| list(ui, view, model, out));
    let conversation = if model.chat.fresh { None } else { view.conversation.as_deref() };
    Panel::bottom("composer")
        .show_separator_line(false)
        .frame(Frame::new().fill(p.ground).inner_margin(Margin {
            left: 0,
            right: 0,
            top: 6,
            bottom: 16,
        }))
        .show(ui, |ui| {
            centred_column(ui, COLUMN, |ui| composer::show(ui, view, conversation, model, out));
        });
    egui::CentralPanel::no_frame().frame(Frame::new().fill(p.ground)).show(ui, |ui| {
        match conversation {
            Some(conversation) => talk(ui, view, conversation, model, out),
            None => fresh(ui, view, model, out),
        }
    });
}

fn list(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    ui.horizontal(|ui| {
        ui.label(strong("Conversations"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, icons::PLUS, "New chat").on_hover_text("Ctrl+N").clicked() {
                model.chat.fresh = true;
                model.chat.attached.clear();
                model.chat.focus = true;
            }
        });
    });
    if view.conversations.is_empty() {
        ui.label(small(ui, "What you talk about is kept here, inside the vault."));
        return;
    }
    let open = view.conversation.as_ref().map(|c| c.id).filter(|_| !model.chat.fresh);
    ui.spacing_mut().item_spacing.y = 2.0;
    let rows = view.conversations.len();
    ScrollArea::vertical().id_salt("conversation list").auto_shrink(false).show_rows(
        ui,
        48.0,
        rows,
        |ui, range| {
            for head in view.conversations.get(range).unwrap_or_default() {
                let detail = words::moment(head.updated_secs, &model.zone);
                let shown = Row {
                    title: &head.title,
                    detail: &detail,
                    selected: open == Some(head.id),
                    height: 48.0,
                    ..Row::default()
                };
                if row(ui, &shown).clicked() {
                    model.chat.fresh = false;
                    model.chat.editing = None;
                    model.chat.renaming = None;
                    out.send(Command::OpenConversation(head.id));
                }
            }
        },
    );
}

fn fresh(ui: &mut Ui, view: &View, model: &Model, out: &mut Outbox) {
    if model.chat.asked.is_none() && view.models.loaded.is_some() {
        centred_column(ui, COLUMN, |ui| {
            ui.add_space(space::S);
            adapters(ui, view, &view.tuning.new_conversations, None, out);
        });
    }
    if let Some(asked) = &model.chat.asked {
        centred_column(ui, COLUMN, |ui| {
            ui.add_space(space::L);
            turn::waiting(ui, &asked.text);
        });
        return;
    }
    let without = view.models.loaded.is_none();
    let text = if without {
        "No model is loaded yet. Load one, then ask it anything."
    } else {
        "Ask anything, or attach documents for the model to read along. Nothing leaves this machine."
    };
    empty(ui, icons::CHATS, "A new conversation", text, |ui| {
        if without && primary(ui, icons::CPU, "Choose a model").clicked() {
            out.go(Screen::Models);
        }
    });
}

fn talk(
    ui: &mut Ui,
    view: &View,
    conversation: &ConversationView,
    model: &mut Model,
    out: &mut Outbox,
) {
    centred_column(ui, COLUMN, |ui| {
        ui.add_space(space::S);
        heading(ui, conversation, model, out);
        let id = Some(conversation.id);
        adapters(ui, view, &conversation.adapters, id, out);
    });
    // The column stays where the composer's is.
    ui.spacing_mut().scroll.floating_allocated_width = 0.0;
    ScrollArea::vertical()
        .id_salt(("talk", conversation.id.0))
        .auto_shrink(false)
        .stick_to_bottom(true)
        .show(ui, |ui| {
            centred_column(ui, COLUMN, |ui| {
                ui.spacing_mut().item_spacing.y = 12.0;
                for turn in &conversation.turns {
                    turn::show(ui, turn, conversation.answering.is_some(), model, out);
                }
                if let Some(asked) = &model.chat.asked
                    && conversation.answering.is_none()
                {
                    turn::waiting(ui, &asked.text);
                }
                if let Some(answering) = &conversation.answering {
                    answer(ui, answering, model, out);
                }
                for call in view.tool_calls.iter().filter(|c| c.conversation == conversation.id) {
                    tools::question(ui, call, out);
                }
                ui.add_space(space::M);
            });
        });
}

fn heading(ui: &mut Ui, conversation: &ConversationView, model: &mut Model, out: &mut Outbox) {
    if let Some(mut name) = model.chat.renaming.take() {
        ui.horizontal(|ui| {
            let field = line(ui, &mut name, "New name", "Name", 360.0);
            let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            if (secondary(ui, icons::CHECK, "Rename").clicked() || entered)
                && !name.trim().is_empty()
            {
                out.send(Command::RenameConversation(conversation.id, name.trim().to_owned()));
            } else if !ghost(ui, "", "Cancel").clicked() {
                model.chat.renaming = Some(name);
            }
        });
        return;
    }
    if model.chat.confirm_delete {
        ui.horizontal(|ui| {
            ui.label("Delete this conversation for good?");
            if danger(ui, icons::TRASH, "Delete it").clicked() {
                model.chat.confirm_delete = false;
                out.send(Command::DeleteConversation(conversation.id));
            }
            if secondary(ui, "", "Keep it").clicked() {
                model.chat.confirm_delete = false;
            }
        });
        return;
    }
    ui.horizontal(|ui| {
        ui.label(strong(words::short(&conversation.title, 60)).size(16.0));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, icons::TRASH, "Delete conversation").clicked() {
                model.chat.confirm_delete = true;
            }
            if icon_button(ui, icons::PENCIL, "Rename conversation").clicked() {
                model.chat.renaming = Some(conversation.title.clone());
            }
        });
    });
}

/// The adapters that answers are made with; a click chooses others.
fn adapters(
    ui: &mut Ui,
    view: &View,
    now: &[AdapterChoice],
    conversation: Option<ConversationId>,
    out: &mut Outbox,
) {
    let what = match conversation {
        Some(_) => "What this conversation is answered with, from the next answer on.",
        None => "What every new conversation is answered with.",
    };
    if let Some(adapters) = tuning::choice_line(ui, view, now, what, "Answers with") {
        out.send(Command::Tune(TuneCommand::UseInConversation { conversation, adapters }));
    }
}

/// The answer under way, with its figures.
fn answer(ui: &mut Ui, answering: &Answering, model: &mut Model, out: &mut Outbox) {
    turn::assistant(ui, &answering.text, model);
    ui.horizontal(|ui| {
        if secondary(ui, icons::STOP, "Stop").clicked() {
            out.cancel(answering.ticket);
        }
        if !answering.doing.is_empty() {
            ui.spinner();
            ui.label(muted(ui, words::plain(&answering.doing)));
        } else if answering.tokens == 0 {
            bar(ui, Some(answering.prompt_share), 140.0, "Reading the prompt");
            let share = answering.prompt_share * 100.0;
            ui.label(muted(ui, format!("Reading, {share:.0} %")));
        } else {
            let speed = answering.tokens_per_sec;
            let tokens = words::count(u64::from(answering.tokens), "token");
            ui.label(muted(ui, format!("{tokens}, {speed:.1} a second")));
        }
    });
}

/// Copies a message.
fn copy(ui: &mut Ui, text: &str, out: &mut Outbox) {
    if icon_button(ui, icons::COPY, "Copy message").clicked() {
        out.push(Intent::Copy(text.to_owned(), "Message"));
    }
}
