//! Models: which there are, which is loaded, what a file would cost.

use std::path::PathBuf;

use egui::{Align, Layout, Ui};

use crate::{
    commands::{DialogFor, Intent, Outbox, Purpose},
    icons,
    model::{Model, Screen, Tone},
    theme::{Palette, icon, muted, small, space, strong},
    types::{Command, MemoryEstimate, ModelId, ModelInfo, View},
    widgets::{
        badge, banner, bar, card, ghost, icon_button, page, path_row, primary, secondary, section,
    },
    words,
};

mod settings;

/// The page.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    page(
        ui,
        "Models",
        "They run on this machine. Files stay where they are; Hearth remembers the path.",
        |_| {},
        |ui| {
            loaded(ui, view, out);
            section(ui, "Ready to load", "");
            for entry in &view.models.models {
                model_card(ui, view, entry, out);
            }
            own_ways(ui, view, out);
            section(
                ui,
                "Add a model",
                "A GGUF or safetensors file of a Llama, Mistral, Qwen, Phi-3 or Gemma, or its folder.",
            );
            add(ui, model, out);
            section(ui, "How they run", "");
            settings::show(ui, view, out);
        },
    );
}

fn loaded(ui: &mut Ui, view: &View, out: &mut Outbox) {
    if let Some((ticket, share)) = view.models.loading {
        card(ui, |ui| {
            ui.label(strong("Loading\u{2026}"));
            ui.horizontal(|ui| {
                bar(ui, Some(share), 320.0, "Loading the model");
                ui.label(muted(ui, format!("{:.0} %", share * 100.0)));
                if icon_button(ui, icons::CLOSE, "Cancel loading").clicked() {
                    out.cancel(ticket);
                }
            });
        });
    }
    let Some(loaded) = &view.models.loaded else {
        if view.models.loading.is_none() {
            banner(ui, Tone::Plain, icons::INFO, |ui| {
                ui.label("No model is loaded. Chat and plugins need one.");
            });
        }
        return;
    };
    card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(icon(icons::CPU, 24.0).color(Palette::of(ui).ember));
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.label(strong(&loaded.info.name).size(16.0));
                ui.label(small(ui, describe(&loaded.info)));
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if secondary(ui, "", "Unload").clicked() {
                    out.send(Command::UnloadModel);
                }
                badge(ui, Tone::Good, icons::CHECK, "loaded");
            });
        });
        if loaded.id.is_none() {
            demonstration(ui);
        }
    });
}

/// Leads to training.
fn own_ways(ui: &mut Ui, view: &View, out: &mut Outbox) {
    if view.models.loaded.is_none() {
        return;
    }
    card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(icon(icons::GRADUATION, 24.0).color(Palette::of(ui).ember));
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.label(strong("Teach it your own ways"));
                let adapters = view.tuning.adapters.len() as u64;
                let text = if adapters == 0 {
                    "It can learn from your mail, notes and code, on this machine.".to_owned()
                } else {
                    format!("You have {}.", words::count(adapters, "adapter"))
                };
                ui.label(small(ui, text));
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if secondary(ui, icons::FLAME, "Go to training").clicked() {
                    out.go(Screen::Tuning);
                }
            });
        });
    });
}

fn demonstration(ui: &mut Ui) {
    banner(ui, Tone::Warn, icons::INFO, |ui| {
        ui.label("A demonstration, small enough to come with the program. It shows how Hearth works, not what a model can do: expect clumsy, often wrong text. Add a larger model for real work.");
    });
}

fn model_card(ui: &mut Ui, view: &View, entry: &hearth_session::ModelView, out: &mut Outbox) {
    let is_loaded = view.models.loaded.as_ref().is_some_and(|l| l.id == entry.id);
    card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.label(strong(&entry.name));
                let place = if entry.id.is_none() {
                    "Comes with Hearth: a demonstration".to_owned()
                } else {
                    entry.path.display().to_string()
                };
                ui.label(small(ui, place));
                if let Some(id) = entry.id {
                    trust(ui, id, entry, out);
                }
                if entry.sources_gone > 0 {
                    let texts = words::count(entry.sources_gone, "text");
                    ui.label(small(
                        ui,
                        format!("{texts} that an adapter in it learnt from were deleted since: it still knows them."),
                    ));
                }
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if let Some(id) = entry.id {
                    let label = format!("Forget {}", entry.name);
                    if icon_button(ui, icons::TRASH, &label).clicked() {
                        out.send(Command::RemoveModel(id));
                    }
                }
                if !entry.present {
                    badge(ui, Tone::Bad, icons::WARNING, "file is gone");
                } else if is_loaded {
                    badge(ui, Tone::Good, icons::CHECK, "loaded");
                } else {
                    let load = secondary(ui, icons::PLAY, "Load");
                    if load.accessible_name(format!("Load {}", entry.name)).clicked() {
                        out.send(Command::LoadModel(entry.id));
                    }
                }
                if entry.is_default {
                    badge(ui, Tone::Plain, "", "loaded at start");
                }
            });
        });
    });
}

/// Whether what the model writes from public words alone may be told to a plugin.
fn trust(ui: &mut Ui, id: ModelId, entry: &hearth_session::ModelView, out: &mut Outbox) {
    let mut public = entry.public;
    let mark = ui.checkbox(&mut public, "As published: it was not trained on private data");
    let mark = mark.accessible_name(format!("{} is as published", entry.name));
    let hint = "Unticked, all it writes counts as private, and no plugin may see any of it.";
    if mark.on_hover_text(hint).changed() {
        out.send(Command::MarkModel { model: id, public });
    }
}

fn add(ui: &mut Ui, model: &mut Model, out: &mut Outbox) {
    card(ui, |ui| {
        let mut browse = false;
        let path = &mut model.models.path;
        let look = path_row(ui, path, "Path of the model", "/home/you/models/model.gguf", |ui| {
            browse = secondary(ui, icons::FOLDER, "Choose file\u{2026}").clicked();
            secondary(ui, "", "Look at it").clicked()
        });
        if look {
            out.push(Intent::Chosen(DialogFor::Model, PathBuf::from(path.trim())));
        }
        if browse {
            out.push(Intent::Dialog(DialogFor::Model));
        }
        if model.models.inspecting.is_some() {
            ui.label(muted(ui, "Reading its headers\u{2026}"));
        }
    });
    let Some((path, info, estimate)) = model.models.inspected.clone() else { return };
    card(ui, |ui| {
        ui.label(strong(&info.name).size(16.0));
        ui.label(small(ui, path.display().to_string()));
        ui.label(describe(&info));
        ui.label(memory(&estimate));
        if !info.has_chat_template {
            ui.label(muted(ui, "It brings no chat template; Hearth uses a plain one."));
        }
        ui.add_space(space::XS);
        ui.horizontal(|ui| {
            if primary(ui, icons::PLUS, "Add it").clicked() {
                out.send_for(Command::AddModel(path), Purpose::AddModel);
            }
            if ghost(ui, "", "Leave it").clicked() {
                model.models.inspected = None;
            }
        });
    });
}

fn describe(info: &ModelInfo) -> String {
    let mut parts = vec![info.architecture.clone()];
    if info.parameters > 0 {
        parts.push(format!("{} parameters", parameters(info.parameters)));
    }
    parts.push(info.weight_format.clone());
    parts.push(words::bytes(info.file_bytes));
    let context = words::grouped(u64::from(info.context_tokens));
    parts.push(format!("remembers {context} tokens"));
    parts.join(" \u{b7} ")
}

fn parameters(n: u64) -> String {
    let n = n as f64;
    if n >= 1e9 { format!("{:.1} billion", n / 1e9) } else { format!("{:.1} million", n / 1e6) }
}

fn memory(estimate: &MemoryEstimate) -> String {
    let all = estimate.weights_bytes + estimate.kv_cache_bytes + estimate.work_bytes;
    format!(
        "Needs about {} of memory: {} for its weights, {} for a full conversation, {} to work",
        words::bytes(all),
        words::bytes(estimate.weights_bytes),
        words::bytes(estimate.kv_cache_bytes),
        words::bytes(estimate.work_bytes),
    )
}
