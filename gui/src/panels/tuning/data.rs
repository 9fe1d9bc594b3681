//! Datasets: which there are, and what one comes to.

use egui::{Align, Layout, RichText, Ui};

use super::{ask, editor, plot};
use crate::{
    commands::{Outbox, Purpose},
    icons,
    model::{Model, Tone, TuningTab},
    theme::{Palette, muted, small, space, strong},
    types::{Command, DatasetView, PreviewView, Template, TuneCommand, View},
    widgets::{badge, card, empty, ghost, icon_button, path_row, primary, secondary, section},
    words,
};

pub(super) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    if model.tuning.draft.is_some() {
        editor::show(ui, view, model, out);
        preview(ui, view, out);
        return;
    }
    if view.tuning.datasets.is_empty() {
        empty(
            ui,
            icons::DATABASE,
            "No dataset yet",
            "A dataset says what is learnt: which documents, and how they become examples. Documents stay where they are.",
            |ui| {
                if primary(ui, icons::PLUS, "Make a dataset").clicked() {
                    model.tuning.draft = Some(editor::fresh(view));
                }
            },
        );
    } else {
        ui.horizontal(|ui| {
            if primary(ui, icons::PLUS, "Make a dataset").clicked() {
                model.tuning.draft = Some(editor::fresh(view));
            }
        });
    }
    for set in view.tuning.datasets.iter() {
        ui.push_id(set.id.0, |ui| card(ui, |ui| one(ui, view, set, model, out)));
    }
    preview(ui, view, out);
    section(
        ui,
        "Bring examples along",
        "A file of JSON lines: {\"messages\": [\u{2026}]}, {\"prompt\", \"completion\"}, {\"instruction\", \"input\", \"output\"} or {\"text\"}.",
    );
    card(ui, |ui| {
        let path = &mut model.tuning.import_path;
        let used = path_row(ui, path, "Path of the examples", "/home/you/examples.jsonl", |ui| {
            secondary(ui, icons::IMPORT, "Import").clicked()
        });
        if used {
            let import = TuneCommand::ImportDataset { path: path.trim().into(), name: None };
            out.send_for(Command::Tune(import), Purpose::ImportExamples);
        }
    });
}

fn one(ui: &mut Ui, view: &View, set: &DatasetView, model: &mut Model, out: &mut Outbox) {
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.label(strong(&set.name).size(15.0));
            ui.label(small(ui, template_name(&set.recipe.template)));
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, icons::TRASH, &format!("Forget {}", set.name)).clicked() {
                ask(out, TuneCommand::RemoveDataset(set.id));
            }
            let change = secondary(ui, icons::PENCIL, "Change");
            if change.accessible_name(format!("Change {}", set.name)).clicked() {
                model.tuning.draft = Some(editor::of(set, &model.zone));
            }
            let look = secondary(ui, icons::SEARCH, "Look at it");
            if look.accessible_name(format!("Look at {}", set.name)).clicked() {
                let recipe = (*set.recipe).clone();
                let base = model.tuning.plan.base(view);
                ask(out, TuneCommand::PreviewDataset { recipe, base });
            }
            let train = secondary(ui, icons::FLAME, "Train");
            if train.accessible_name(format!("Train with {}", set.name)).clicked() {
                model.tuning.plan.dataset = Some(set.id);
                model.tuning.planning = true;
                model.tuning.tab = TuningTab::Train;
            }
        });
    });
}

pub(super) fn template_name(template: &Template) -> &'static str {
    match template {
        Template::WriteLikeMe { .. } => "Write like me",
        Template::AnswerFromNotes => "Answer from my notes",
        Template::SummariseLikeThis => "Summarise like this",
        Template::CompleteCode => "Complete my code",
        Template::Plain => "Texts as they are",
        Template::Imported { .. } => "Imported examples",
    }
}

fn preview(ui: &mut Ui, view: &View, out: &mut Outbox) {
    let Some(preview) = &view.tuning.preview else { return };
    section(ui, "What it comes to", "");
    card(ui, |ui| {
        ui.horizontal(|ui| {
            let learnt = words::grouped(preview.learnt_tokens);
            ui.label(strong(format!(
                "{} to learn from, {} held out",
                words::count(preview.train as u64, "example"),
                preview.held_out
            )));
            let tokens = words::grouped(preview.tokens);
            ui.label(muted(ui, format!("{tokens} tokens, {learnt} of them learnt")));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ghost(ui, "", "Close").clicked() {
                    ask(out, TuneCommand::ClosePreview);
                }
            });
        });
        left_out(ui, preview);
        if !preview.lengths.is_empty() {
            plot::lengths(ui, preview);
        }
    });
    for (number, sample) in preview.samples.iter().enumerate() {
        card(ui, |ui| {
            ui.push_id(number, |ui| {
                ui.horizontal(|ui| {
                    ui.label(small(ui, words::short(&sample.titles.join(" + "), 80)));
                    ui.label(small(ui, words::count(u64::from(sample.tokens), "token")));
                    if sample.held_out {
                        badge(ui, Tone::Plain, "", "held out");
                    }
                });
                pieces(ui, &sample.pieces);
            });
        });
    }
}

fn left_out(ui: &mut Ui, preview: &PreviewView) {
    let report = &preview.report;
    for (counts, what) in [(&report.left_out, "document"), (&report.samples_left_out, "example")] {
        for (why, count) in counts {
            ui.label(small(ui, format!("{} left out: {why}", words::count(*count, what))));
        }
    }
}

/// What is learnt stands out; what is only read is paler.
fn pieces(ui: &mut Ui, pieces: &[(String, bool)]) {
    let p = Palette::of(ui);
    for (text, learnt) in pieces {
        let ink = if *learnt { p.prose_strong } else { p.faint };
        ui.label(RichText::new(words::plain(text)).color(ink));
    }
    ui.add_space(space::XS);
}
