//! Installed plugins: what they are, what they may, what they can do.

mod learnt;
pub(in crate::panels) mod publisher;
mod schedules;
mod settings;
mod tools;
mod update;

use std::path::PathBuf;

use egui::{Align, Layout, Ui};

use crate::{
    commands::{DialogFor, Intent, Outbox},
    icons,
    model::{Model, Screen, Tone},
    panels::{library::lead, tuning},
    theme::{Palette, icon, muted, small, space, strong},
    types::{
        Capability, Command, Focus, Grant, PluginView, SignatureView, TryWhat, TuneCommand, View,
    },
    widgets::{
        badge, banner, bar, card, empty, ghost, icon_button, page, path_row, primary,
        primary_enabled, secondary,
    },
    words,
};

/// The page.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let install = model.plugins.install_open;
    let mut toggled = false;
    page(
        ui,
        "Plugins",
        "Small programs that work on your documents without reading them.",
        |ui| {
            toggled = secondary(ui, icons::PLUS, "Install\u{2026}").clicked();
        },
        |ui| {
            if install {
                install_form(ui, view, model, out);
            }
            lead(ui, view, out);
            if view.plugins.is_empty() && !install {
                empty(
                    ui,
                    icons::PUZZLE,
                    "No plugins yet",
                    "Install a .wasm file that speaks Hearth's plugin interface. You see what it can do before anything of it runs.",
                    |_| {},
                );
            }
            for plugin in view.plugins.iter() {
                ui.push_id(plugin.id.as_str(), |ui| plugin_card(ui, view, plugin, model, out));
                ui.add_space(space::XS);
            }
        },
    );
    if toggled {
        model.plugins.install_open = !install;
    }
}

fn install_form(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    card(ui, |ui| {
        ui.label(strong("Install a plugin"));
        ui.label(muted(ui, "Choose its .wasm file, drop it on this window, or give its path. Nothing of it runs before you say yes."));
        let mut browse = false;
        let path = &mut model.plugins.path;
        let look = path_row(ui, path, "Path of the plugin", "/home/you/plugin.wasm", |ui| {
            browse = primary(ui, icons::PACKAGE, "Choose file\u{2026}").clicked();
            secondary(ui, "", "Look at it").clicked()
        });
        if look {
            out.push(Intent::Chosen(DialogFor::Plugin, PathBuf::from(path.trim())));
        }
        if browse {
            out.push(Intent::Dialog(DialogFor::Plugin));
        }
        developer(ui, view, out);
    });
    ui.add_space(space::S);
}

/// For people who write plugins themselves.
fn developer(ui: &mut Ui, view: &View, out: &mut Outbox) {
    let mut on = view.developer_mode;
    ui.add_space(space::XS);
    if ui.checkbox(&mut on, "Developer mode").changed() {
        out.send(Command::SetDeveloperMode(on));
    }
    ui.label(small(ui, "Lets plugins that nobody has signed be installed and run. Leave it off unless you write plugins."));
}

fn plugin_card(ui: &mut Ui, view: &View, plugin: &PluginView, model: &mut Model, out: &mut Outbox) {
    card(ui, |ui| {
        head(ui, plugin, out);
        if let Some(reason) = &plugin.suspended {
            suspended(ui, plugin, reason, out);
        }
        update::waiting(ui, plugin, model, out);
        running(ui, plugin, out);
        commands(ui, plugin, out);
        learnt::show(ui, plugin, out);
        schedules::show(ui, view, plugin, out);
        tools::show(ui, view, plugin, out);
        personal(ui, view, plugin, out);
        below(ui, plugin, model, out);
    });
}

fn head(ui: &mut Ui, plugin: &PluginView, out: &mut Outbox) {
    let p = Palette::of(ui);
    let manifest = &plugin.manifest;
    ui.horizontal(|ui| {
        ui.label(icon(icons::PUZZLE, 26.0).color(p.ember));
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.label(strong(words::plain(&manifest.name)).size(16.0));
            let by = words::maker(&plugin.provenance.signature);
            ui.label(small(ui, format!("{by} \u{b7} {}", manifest.version)));
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if plugin.grant.is_none() {
                let name = words::plain(&manifest.name);
                let set_up = primary(ui, icons::SHIELD, "Set up\u{2026}");
                if set_up.accessible_name(format!("Set up {name}\u{2026}")).clicked() {
                    out.push(Intent::SetUp(plugin.id.clone()));
                }
                badge(ui, Tone::Plain, "", "may do nothing yet");
            } else {
                badge(ui, Tone::Good, icons::CHECK, "allowed");
            }
            if plugin.provenance.signature == SignatureView::Unsigned {
                badge(ui, Tone::Bad, icons::WARNING, "unsigned");
            }
            if plugin.sealed {
                badge(ui, Tone::Good, icons::SHIELD, "sealed")
                    .on_hover_text("It cannot learn what your documents say.");
            } else {
                badge(ui, Tone::Warn, icons::WARNING, "not sealed");
            }
        });
    });
    if !manifest.description.is_empty() {
        ui.label(muted(ui, words::plain(&manifest.description)));
    }
}

fn suspended(ui: &mut Ui, plugin: &PluginView, reason: &str, out: &mut Outbox) {
    banner(ui, Tone::Warn, icons::WARNING, |ui| {
        ui.label(strong("Suspended"));
        ui.label(words::plain(reason));
        if secondary(ui, icons::PLAY, "Let it run again").clicked() {
            out.send(Command::ResumePlugin(plugin.id.clone()));
        }
    });
}

fn running(ui: &mut Ui, plugin: &PluginView, out: &mut Outbox) {
    let Some(ticket) = plugin.running else { return };
    ui.horizontal(|ui| {
        let (percent, message) = plugin.progress.clone().unwrap_or((None, String::new()));
        bar(ui, percent.map(|p| f32::from(p) / 100.0), 160.0, "Run under way");
        ui.label(muted(ui, words::plain(&message)));
        if icon_button(ui, icons::STOP, "Stop the run").clicked() {
            out.cancel(ticket);
        }
    });
}

fn commands(ui: &mut Ui, plugin: &PluginView, out: &mut Outbox) {
    if plugin.grant.is_none() {
        return;
    }
    let free = plugin.suspended.is_none() && plugin.running.is_none();
    ui.horizontal_wrapped(|ui| {
        for command in &plugin.manifest.commands {
            let title = words::plain(&command.title);
            if command.focus == Focus::Document {
                if ghost(ui, icons::FILE_CODE, &title)
                    .on_hover_text("It works on one document: open one in the library.")
                    .clicked()
                {
                    out.go(Screen::Library);
                }
            } else if primary_enabled(ui, free, icons::PLAY, &title).clicked() {
                out.run(plugin, command, None);
            }
        }
    });
}

/// The adapters of a plugin that may use the user's own model.
fn personal(ui: &mut Ui, view: &View, plugin: &PluginView, out: &mut Outbox) {
    let granted = |grant: &Grant| grant.capabilities.contains(&Capability::PersonalModel);
    if !plugin.grant.as_ref().is_some_and(granted) {
        return;
    }
    let name = words::plain(&plugin.manifest.name);
    let what =
        format!("What {name} gets when it asks for your own model. What it makes is private.");
    if let Some(adapters) = tuning::choice_line(ui, view, &plugin.adapters, &what, "Works with") {
        let plugin = plugin.id.clone();
        out.send(Command::Tune(TuneCommand::UseInPlugin { plugin, adapters }));
    }
}

fn below(ui: &mut Ui, plugin: &PluginView, model: &mut Model, out: &mut Outbox) {
    let name = words::plain(&plugin.manifest.name);
    let open = model.plugins.settings_open.as_ref() == Some(&plugin.id);
    ui.separator();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if !plugin.manifest.settings.is_empty() {
            let label = if open { "Hide settings" } else { "Settings" };
            let button = ghost(ui, icons::GEAR, label);
            if button.accessible_name(format!("{label} of {name}")).clicked() {
                model.plugins.settings_open = (!open).then(|| plugin.id.clone());
            }
        }
        if plugin.grant.is_some() {
            let change = ghost(ui, icons::SHIELD, "Permissions\u{2026}");
            if change.accessible_name(format!("Permissions of {name}\u{2026}")).clicked() {
                out.push(Intent::SetUp(plugin.id.clone()));
            }
            let revoke = ghost(ui, icons::HIDDEN, "Revoke")
                .on_hover_text("Takes everything back and stops its work.");
            if revoke.accessible_name(format!("Revoke {name}")).clicked() {
                out.send(Command::RevokePlugin(plugin.id.clone()));
            }
        }
        if plugin.grant.is_none()
            && let Some(demo) = &model.demo
        {
            let try_out = ghost(ui, icons::PLAY, "Try it");
            if try_out.accessible_name(format!("Try {name} on invented data")).clicked() {
                let what = TryWhat::Installed(plugin.id.clone());
                out.try_out(what, &plugin.manifest, demo);
            }
        }
        let activity = ghost(ui, icons::PULSE, "Activity");
        if activity.accessible_name(format!("Activity of {name}")).clicked() {
            out.go(Screen::Activity);
            out.open_activity(Some(plugin.id.clone()));
        }
        update::former(ui, plugin, out);
        let uninstall = ghost(ui, icons::TRASH, "Uninstall\u{2026}");
        if uninstall.accessible_name(format!("Uninstall {name}\u{2026}")).clicked() {
            model.plugins.uninstall = Some(plugin.id.clone());
        }
    });
    if open {
        settings::show(ui, plugin, model, out);
    }
}
