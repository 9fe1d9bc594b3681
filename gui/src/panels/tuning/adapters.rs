//! Adapters: what each is, what was found out about it, where it is used.

use egui::{Align, Layout, Slider, Ui};

use super::{ask, compare};
use crate::{
    commands::Outbox,
    icons,
    model::{Model, PlanDraft, Tone, TuningTab},
    theme::{Palette, muted, small, space, strong},
    types::{AdapterChoice, AdapterId, AdapterReport, AdapterView, TuneCommand, View},
    widgets::{
        badge, banner, bullet, card, danger, empty, ghost, icon_button, path_row, primary,
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
                }
            },
        );
    }
    for adapter in adapters.iter() {
        card(ui, |ui| one(ui, view, adapter, model, out));
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
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.label(strong(&adapter.name).size(15.0));
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
            let label = if open { "Hide report" } else { "Report" };
            if secondary(ui, "", label).clicked() {
                model.tuning.open = (!open).then_some(adapter.id);
            }
            accept(ui, adapter, out);
            if !adapter.loaded {
                badge(ui, Tone::Plain, icons::CPU, "for another model")
                    .on_hover_text("Load its model to use it.");
            }
        });
    });
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

fn accept(ui: &mut Ui, adapter: &AdapterView, out: &mut Outbox) {
    if adapter.accepted {
        if ghost(ui, "", "Retire").on_hover_text("Nothing may use it any longer.").clicked() {
            ask(out, TuneCommand::RetireAdapter(adapter.id));
        }
        badge(ui, Tone::Good, icons::CHECK, "in use");
        return;
    }
    let hint = "Conversations and plugins may use it from then on.";
    let label = format!("Accept {}", adapter.name);
    if primary(ui, icons::CHECK, "Accept").on_hover_text(hint).accessible_name(label).clicked() {
        ask(out, TuneCommand::AcceptAdapter { adapter: adapter.id, anyway: false });
    }
}

fn stale(ui: &mut Ui, adapter: &AdapterView, model: &mut Model, out: &mut Outbox) {
    let lost = adapter.sources_gone + adapter.sources_changed;
    if lost == 0 {
        return;
    }
    banner(ui, Tone::Warn, icons::WARNING, |ui| {
        ui.label(format!(
            "{} of what it learnt {} since. That cannot be taken out of it; it can be trained anew without.",
            words::count(lost, "document"),
            if adapter.sources_gone > 0 { "was deleted" } else { "was changed" }
        ));
        ui.horizontal(|ui| {
            if adapter.dataset.is_some() && secondary(ui, icons::AGAIN, "Train anew").clicked() {
                model.tuning.tab = TuningTab::Train;
                model.tuning.plan = PlanDraft {
                    name: adapter.name.clone(),
                    dataset: adapter.dataset,
                    base: adapter.base_model.flatten(),
                    ..PlanDraft::default()
                };
            }
            if adapter.accepted && ghost(ui, "", "Stop using it").clicked() {
                ask(out, TuneCommand::RetireAdapter(adapter.id));
            }
        });
    });
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
                ui.label(small(ui, title));
                ui.label(words::plain(text));
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
                .on_hover_text("Base and adapter as one GGUF")
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
            Some(TuneCommand::MergeAdapter { choice, path: path.clone() })
        } else if gguf {
            Some(export(hearth_session::AdapterFormat::Gguf))
        } else {
            peft.then(|| export(hearth_session::AdapterFormat::Peft))
        }
    };
    over |= command.is_some();
    if let Some(command) = command {
        ask(out, command);
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
        let path = &mut model.tuning.adapter_path;
        let used = path_row(ui, path, "Path of the adapter", "/home/you/adapter", |ui| {
            secondary(ui, icons::IMPORT, "Import").clicked()
        });
        if used {
            let path = path.trim().into();
            ask(out, TuneCommand::ImportAdapter { path, name: None, base });
        }
    });
}

/// Adapters with their strengths, to be chosen from those that are in use; the new choice, once one is made.
pub(crate) fn chooser(
    ui: &mut Ui,
    view: &View,
    now: &[AdapterChoice],
    salt: &str,
) -> Option<Vec<AdapterChoice>> {
    let usable = view.tuning.adapters.iter().filter(|adapter| adapter.accepted && adapter.loaded);
    let mut chosen = now.to_vec();
    let mut settled = false;
    let mut none = true;
    for adapter in usable {
        none = false;
        ui.push_id((salt, adapter.id.0), |ui| {
            ui.horizontal(|ui| settled |= choose(ui, adapter, &mut chosen));
        });
    }
    if none {
        ui.label(muted(ui, "No adapter is in use yet: look at its report and accept it first."));
    }
    (settled && chosen != now).then_some(chosen)
}

/// Whether a choice was made.
fn choose(ui: &mut Ui, adapter: &AdapterView, chosen: &mut Vec<AdapterChoice>) -> bool {
    let place = chosen.iter().position(|choice| choice.adapter == adapter.id);
    let mut on = place.is_some();
    let mut settled = false;
    if ui.checkbox(&mut on, &adapter.name).changed() {
        settled = true;
        match place {
            Some(place) => {
                chosen.remove(place);
            }
            None => chosen.push(AdapterChoice { adapter: adapter.id, strength: 1.0 }),
        }
    }
    let choice = chosen.iter_mut().find(|choice| choice.adapter == adapter.id);
    let Some(choice) = choice else { return settled };
    // While it is being dragged the slider keeps its own value; each would else be a command.
    let id = ui.scope_id().with("strength");
    let mut strength = ui.data(|data| data.get_temp(id)).unwrap_or(choice.strength);
    let slider = ui.add(Slider::new(&mut strength, 0.0..=2.0).fixed_decimals(2).text("strength"));
    slider.clone().accessible_name(format!("Strength of {}", adapter.name));
    if slider.dragged() {
        ui.data_mut(|data| data.insert_temp(id, strength));
    } else if slider.drag_stopped() || slider.changed() {
        ui.data_mut(|data| data.remove::<f32>(id));
        choice.strength = strength;
        settled = true;
    }
    settled
}

/// The names of chosen adapters, for a line.
pub(crate) fn names(view: &View, chosen: &[AdapterChoice]) -> String {
    let name = |id: AdapterId| view.tuning.adapters.iter().find(|adapter| adapter.id == id);
    let names: Vec<String> = chosen
        .iter()
        .filter_map(|choice| {
            let name = &name(choice.adapter)?.name;
            Some(match (choice.strength - 1.0).abs() < 0.005 {
                true => name.clone(),
                false => format!("{name} \u{d7} {:.2}", choice.strength),
            })
        })
        .collect();
    names.join(" + ")
}
