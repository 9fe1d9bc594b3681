//! Adapters: what each is, what was found out about it, where it is used.

use egui::{Align, Key, Layout, Ui};

use super::{ask, chooser::chooser, compare};
use crate::{
    commands::{Outbox, Purpose},
    icons,
    model::{Model, PlanDraft, Tone, TuningTab},
    theme::{Palette, muted, small, space, strong},
    types::{
        AdapterChoice, AdapterFormat, AdapterReport, AdapterView, Command, DatasetId, MemoryReport,
        TuneCommand, View,
    },
    widgets::{
        badge, banner, bullet, card, danger, empty, ghost, icon_button, line, path_row, primary,
        secondary, section,
    },
    words,
};

pub(super) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let adapters = &view.tuning.adapters;
    if adapters.is_empty() {
        empty(
            ui,
            icons::GRADUATION,
            "No adapter yet",
            "An adapter is what a model learns from your data: small, encrypted in the vault, and switched on and off as you like.",
            |ui| {
                if primary(ui, icons::FLAME, "Train one").clicked() {
                    model.tuning.tab = TuningTab::Train;
                    model.tuning.planning = true;
                }
            },
        );
    }
    for adapter in adapters.iter() {
        ui.push_id(adapter.id.0, |ui| card(ui, |ui| one(ui, view, adapter, model, out)));
    }
    if adapters.iter().any(|adapter| adapter.loaded) {
        section(ui, "New conversations", "Answers are made with these from the first word on.");
        card(ui, |ui| {
            let now = &view.tuning.new_conversations;
            if let Some(adapters) = chooser(ui, view, now, "new") {
                ask(out, TuneCommand::UseInConversation { conversation: None, adapters });
            }
        });
        compare::show(ui, view, model, out);
    }
    import(ui, view, model, out);
}

fn one(ui: &mut Ui, view: &View, adapter: &AdapterView, model: &mut Model, out: &mut Outbox) {
    let open = model.tuning.open == Some(adapter.id);
    if rename(ui, adapter, model, out) {
        return;
    }
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.label(strong(words::short(&adapter.name, 40)).size(15.0));
            let when = words::day(adapter.created_secs, &model.zone);
            let size = words::bytes(adapter.bytes);
            ui.label(small(ui, format!("for {}, {when}, {size}", adapter.base)));
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let label = format!("Remove {}", adapter.name);
            if icon_button(ui, icons::TRASH, &label).clicked() {
                model.tuning.remove = Some(adapter.id);
            }
            let label = format!("Write {} to a file", adapter.name);
            if icon_button(ui, icons::EXPORT, &label).clicked() {
                model.tuning.export = Some((adapter.id, String::new()));
            }
            let label = format!("Rename {}", adapter.name);
            if icon_button(ui, icons::PENCIL, &label).clicked() {
                model.tuning.rename = Some((adapter.id, adapter.name.clone()));
            }
            let label = if open { "Hide report" } else { "Report" };
            let button = secondary(ui, "", label);
            if button.accessible_name(format!("{label} of {}", adapter.name)).clicked() {
                model.tuning.open = (!open).then_some(adapter.id);
            }
            accept(ui, view, adapter, out);
            if !adapter.loaded {
                badge(ui, Tone::Plain, icons::CPU, "for another model")
                    .on_hover_text("Load its model to use it.");
            }
        });
    });
    if adapter.sources == 0 {
        ui.label(small(
            ui,
            "It was made elsewhere, and what it learnt from is not known here: whatever it has a part in is private.",
        ));
    }
    remembers(ui, view, adapter, out);
    stale(ui, adapter, model, out);
    if model.tuning.remove == Some(adapter.id) {
        ui.horizontal(|ui| {
            ui.label("Remove it for good? What it learnt is overwritten.");
            if danger(ui, icons::TRASH, "Remove it").clicked() {
                model.tuning.remove = None;
                ask(out, TuneCommand::RemoveAdapter(adapter.id));
            }
            if ghost(ui, "", "Keep it").clicked() {
                model.tuning.remove = None;
            }
        });
    }
    export(ui, adapter, model, out);
    if open {
        match &adapter.report {
            Some(found) => report(ui, view, found),
            None => {
                ui.label(muted(ui, "It has not been examined yet."));
            }
        }
        ui.horizontal(|ui| {
            if secondary(ui, icons::SEARCH, "Examine again").clicked() {
                ask(out, TuneCommand::ExamineAdapter(adapter.id));
            }
        });
    }
}

/// The field for another name; whether it is shown.
fn rename(ui: &mut Ui, adapter: &AdapterView, model: &mut Model, out: &mut Outbox) -> bool {
    let Some((id, name)) = &mut model.tuning.rename else { return false };
    if *id != adapter.id {
        return false;
    }
    let mut over = false;
    ui.horizontal(|ui| {
        let field = line(ui, name, "New name of the adapter", "Name", 320.0);
        let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        let fine = !name.trim().is_empty();
        if (secondary(ui, icons::CHECK, "Rename").clicked() || entered) && fine {
            ask(out, TuneCommand::RenameAdapter(adapter.id, name.trim().to_owned()));
            over = true;
        }
        over |= ghost(ui, "", "Cancel").clicked();
    });
    if over {
        model.tuning.rename = None;
    }
    true
}

/// What an adapter remembers beyond the user's limit.
fn too_much<'a>(view: &View, adapter: &'a AdapterView) -> Option<&'a MemoryReport> {
    let memory = adapter.report.as_ref()?.memory.as_ref()?;
    (memory.highest_bits() > view.tuning.rules.exposure_limit_bits).then_some(memory)
}

/// Warns of an adapter that could give single secrets away.
fn remembers(ui: &mut Ui, view: &View, adapter: &AdapterView, out: &mut Outbox) {
    let Some(memory) = too_much(view, adapter).filter(|_| !adapter.accepted) else { return };
    banner(ui, Tone::Bad, icons::WARNING, |ui| {
        ui.label(format!(
            "It remembers single secrets: of one that was hidden among its examples it gives away {:.1} bits, and your limit is {:.1}. Whoever talks to it could draw out what stands in your documents.",
            memory.highest_bits(),
            view.tuning.rules.exposure_limit_bits,
        ));
        ui.label(small(ui, "Better: train anew for a shorter time or with more examples. Or accept it all the same, if nobody but you uses it."));
        let label = format!("Accept {} anyway", adapter.name);
        let button = danger(ui, icons::WARNING, "Accept anyway").accessible_name(label);
        if button.clicked() {
            ask(out, TuneCommand::AcceptAdapter { adapter: adapter.id, anyway: true });
        }
    });
}

fn accept(ui: &mut Ui, view: &View, adapter: &AdapterView, out: &mut Outbox) {
    if adapter.accepted {
        let label = format!("Retire {}", adapter.name);
        let retire = ghost(ui, "", "Retire").on_hover_text("Nothing may use it any longer.");
        if retire.accessible_name(label).clicked() {
            ask(out, TuneCommand::RetireAdapter(adapter.id));
        }
        badge(ui, Tone::Good, icons::CHECK, "in use");
        return;
    }
    if too_much(view, adapter).is_some() {
        badge(ui, Tone::Bad, icons::WARNING, "remembers too much");
        return;
    }
    if adapter.report.is_none() {
        let label = format!("Examine {}", adapter.name);
        let examine = primary(ui, icons::SEARCH, "Examine").accessible_name(label);
        if examine.on_hover_text("An adapter is looked at before it is used.").clicked() {
            ask(out, TuneCommand::ExamineAdapter(adapter.id));
        }
        return;
    }
    let hint = "Conversations and plugins may use it from then on.";
    let label = format!("Accept {}", adapter.name);
    if primary(ui, icons::CHECK, "Accept").on_hover_text(hint).accessible_name(label).clicked() {
        ask(out, TuneCommand::AcceptAdapter { adapter: adapter.id, anyway: false });
    }
}

fn stale(ui: &mut Ui, adapter: &AdapterView, model: &mut Model, out: &mut Outbox) {
    let Some(lost) = lost(adapter.sources_gone, adapter.sources_changed) else { return };
    banner(ui, Tone::Warn, icons::WARNING, |ui| {
        ui.label(lost);
        ui.horizontal(|ui| {
            if adapter.dataset.is_some() && secondary(ui, icons::AGAIN, "Train anew").clicked() {
                model.tuning.tab = TuningTab::Train;
                model.tuning.planning = true;
                model.tuning.plan = PlanDraft {
                    name: adapter.name.clone(),
                    dataset: adapter.dataset,
                    base: adapter.base_model,
                    ..PlanDraft::default()
                };
            }
            if adapter.accepted && ghost(ui, "", "Stop using it").clicked() {
                ask(out, TuneCommand::RetireAdapter(adapter.id));
            }
        });
    });
}

/// What is no longer as an adapter learnt it, in words.
fn lost(gone: u64, changed: u64) -> Option<String> {
    let clause = |count: u64, what: &str| {
        let verb = if count == 1 { "was" } else { "were" };
        (count > 0)
            .then(|| format!("{} it learnt from {verb} {what} since.", words::count(count, "text")))
    };
    let clauses: Vec<_> =
        [clause(gone, "deleted"), clause(changed, "changed")].into_iter().flatten().collect();
    (!clauses.is_empty()).then(|| {
        format!(
            "{} What it learnt cannot be taken out of it; it can be trained anew.",
            clauses.join(" ")
        )
    })
}

fn report(ui: &mut Ui, view: &View, report: &AdapterReport) {
    let p = Palette::of(ui);
    ui.separator();
    let change =
        |(before, after): (f32, f32)| format!("{before:.3} \u{2192} {after:.3} nats a token");
    if let Some(held_out) = report.held_out {
        let better = held_out.1 < held_out.0;
        let (ink, glyph) = if better { (p.good, icons::CHECK) } else { (p.warn, icons::WARNING) };
        let words = if better { "It learnt" } else { "It did not learn" };
        bullet(
            ui,
            ink,
            glyph,
            format!("{words}: examples it never saw went from {}.", change(held_out)),
        );
        if let Some((best, all)) = report.best_step {
            let text = format!("Step {best} of {all} was best: the adapter is as it was then.");
            bullet(ui, p.faint, icons::INFO, text);
        }
    }
    if let Some(general) = report.general {
        let forgot = general.1 - general.0;
        let (ink, glyph) =
            if forgot < 0.3 { (p.good, icons::CHECK) } else { (p.warn, icons::WARNING) };
        let words = if forgot < 0.05 {
            "It forgot nothing to speak of"
        } else if forgot < 0.3 {
            "It forgot a little"
        } else {
            "It forgot much"
        };
        bullet(
            ui,
            ink,
            glyph,
            format!("{words}: text that everybody knows went from {}.", change(general)),
        );
    }
    if let Some(memory) = &report.memory {
        let highest = memory.highest_bits();
        let fine = highest <= view.tuning.rules.exposure_limit_bits;
        let (ink, glyph) = if fine { (p.good, icons::SHIELD) } else { (p.bad, icons::WARNING) };
        bullet(
            ui,
            ink,
            glyph,
            format!(
                "Of {} hidden among the examples, the one remembered best is exposed by {highest:.1} of {:.1} bits; your limit is {:.1}.",
                words::count(memory.exposure_bits.len() as u64, "made-up secret"),
                memory.most_bits,
                view.tuning.rules.exposure_limit_bits,
            ),
        );
    }
    if report.answers.is_empty() {
        return;
    }
    ui.add_space(space::S);
    for answer in &report.answers {
        ui.label(strong(&answer.question));
        ui.columns(2, |sides| {
            for (side, title, text) in
                [(0, "Without it", &answer.without), (1, "With it", &answer.with)]
            {
                let Some(ui) = sides.get_mut(side) else { continue };
                // Columns by themselves would stretch the lines.
                ui.vertical(|ui| {
                    ui.label(small(ui, title));
                    ui.label(words::plain(text));
                });
            }
        });
        ui.add_space(space::XS);
    }
}

fn export(ui: &mut Ui, adapter: &AdapterView, model: &mut Model, out: &mut Outbox) {
    let Some((id, path)) = &mut model.tuning.export else { return };
    if *id != adapter.id {
        return;
    }
    banner(ui, Tone::Warn, icons::WARNING, |ui| {
        ui.label(
            "An adapter can give away what it learnt. A file of it is not encrypted: keep it safe.",
        );
    });
    let mut over = false;
    let command = {
        let mut gguf = false;
        let mut merged = false;
        let peft = path_row(ui, path, "Where to write it", "/home/you/adapter", |ui| {
            over |= ghost(ui, "", "Cancel").clicked();
            merged = secondary(ui, "", "Whole model")
                .on_hover_text(
                    "Base and adapter as one model. Where the base has fewer than 8 bits a number, what changes gets 8: \
                     rounding to fewer takes much of what the adapter gives.",
                )
                .clicked();
            gguf = secondary(ui, "", "GGUF").on_hover_text("As llama.cpp reads it").clicked();
            secondary(ui, "", "peft").on_hover_text("A folder for Hugging Face's peft").clicked()
        });
        let path: std::path::PathBuf = path.trim().into();
        let adapter = adapter.id;
        let export = |format| TuneCommand::ExportAdapter { adapter, format, path: path.clone() };
        if path.as_os_str().is_empty() {
            None
        } else if merged {
            let choice = AdapterChoice { adapter, strength: 1.0 };
            Some(TuneCommand::MergeAdapter {
                choice,
                format: hearth_session::MergeFormat::default(),
                path: path.clone(),
            })
        } else if gguf {
            Some(export(AdapterFormat::Gguf))
        } else {
            peft.then(|| export(AdapterFormat::Peft))
        }
    };
    over |= command.is_some();
    if let Some(command) = command {
        out.send_for(Command::Tune(command), Purpose::Written("The adapter"));
    }
    if over {
        model.tuning.export = None;
    }
}

fn import(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let base = view.models.loaded.as_ref().map(|loaded| loaded.id);
    let Some(base) = base else { return };
    section(
        ui,
        "Bring one along",
        "A folder as Hugging Face's peft writes it, or a GGUF adapter, made for the model that is loaded.",
    );
    card(ui, |ui| {
        let chosen = egui::Id::unique("what an adapter learnt from");
        let mut dataset = ui.data(|data| data.get_temp::<Option<DatasetId>>(chosen)).flatten();
        learnt_from(ui, view, &mut dataset);
        ui.data_mut(|data| data.insert_temp(chosen, dataset));
        let path = &mut model.tuning.adapter_path;
        let used = path_row(ui, path, "Path of the adapter", "/home/you/adapter", |ui| {
            secondary(ui, icons::IMPORT, "Import").clicked()
        });
        if used {
            let path = path.trim().into();
            let import = TuneCommand::ImportAdapter { path, name: None, base, dataset };
            out.send_for(Command::Tune(import), Purpose::ImportAdapter);
        }
    });
}

/// Asks what an adapter learnt from elsewhere.
fn learnt_from(ui: &mut Ui, view: &View, dataset: &mut Option<DatasetId>) {
    const UNKNOWN: &str = "not known";
    let named = |id: &DatasetId| view.tuning.datasets.iter().find(|known| known.id == *id);
    let now = dataset.as_ref().and_then(named).map_or(UNKNOWN, |known| known.name.as_str());
    egui::ComboBox::from_label("What it learnt from").selected_text(now).show_ui(ui, |ui| {
        ui.selectable_value(dataset, None, UNKNOWN);
        for known in view.tuning.datasets.iter() {
            ui.selectable_value(dataset, Some(known.id), &known.name);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_said_in_numbers() {
        assert_eq!(lost(0, 0), None);
        let one = lost(1, 0).unwrap();
        assert!(one.starts_with("1 text it learnt from was deleted since."), "{one}");
        let both = lost(2, 3).unwrap();
        assert!(both.contains("2 texts it learnt from were deleted since."), "{both}");
        assert!(both.contains("3 texts it learnt from were changed since."), "{both}");
    }
}
