//! Paints the shell: rail, top strip, the page, dialogs and toasts. Reads the view, changes only local state.

mod overlays;
mod shell;

use egui::{Frame, Key, KeyboardShortcut, Modifiers, OutputCommand, Ui};

use crate::{
    commands::{DialogFor, Intent, Outbox},
    model::{Model, Screen},
    panels,
    theme::Palette,
    types::{Command, VaultState, View},
};

const CTRL: fn(Key) -> KeyboardShortcut = |key| KeyboardShortcut::new(Modifiers::COMMAND, key);

/// One frame.
pub(super) fn paint(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let ground = Palette::of(ui).ground;
    ui.painter().rect_filled(ui.max_rect(), 0.0, ground);
    if view.vault == VaultState::Open {
        shortcuts(ui, model, out);
        shell::strip(ui, view, model, out);
        shell::rail(ui, view, model, out);
        egui::CentralPanel::no_frame()
            .frame(Frame::new().fill(ground))
            .show(ui, |ui| page(ui, view, model, out));
        overlays::dialogs(ui, view, model, out);
        dropped_files(ui, model, out);
    } else {
        panels::unlock::show(ui, view, model, out);
    }
    overlays::toasts(ui, view, model, out);
    inert_links(ui, out);
}

fn page(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    match model.screen.clone() {
        Screen::Library => panels::library::show(ui, view, model, out),
        Screen::Chat => panels::chat::show(ui, view, model, out),
        Screen::Plugins if model.consent.is_some() => panels::consent::show(ui, view, model, out),
        Screen::Plugins => panels::plugins::show(ui, view, model, out),
        Screen::Panel(key) => panels::plugin_panel::show(ui, view, model, out, &key),
        Screen::Trial => panels::trial::show(ui, view, model, out),
        Screen::Models => panels::models::show(ui, view, model, out),
        Screen::Tuning => panels::tuning::show(ui, view, model, out),
        Screen::Activity => panels::activity::show(ui, view, model, out),
    }
}

fn shortcuts(ui: &Ui, model: &mut Model, out: &mut Outbox) {
    let pressed = |shortcut| ui.input_mut(|input| input.consume_shortcut(&shortcut));
    if pressed(CTRL(Key::L)) {
        out.send(Command::Lock);
    }
    if pressed(CTRL(Key::F)) {
        out.go(Screen::Library);
        model.library.focus_search = true;
    }
    if pressed(CTRL(Key::N)) {
        model.chat.fresh = true;
        model.chat.attached.clear();
        out.go(Screen::Chat);
    }
    let screens = [
        Screen::Library,
        Screen::Chat,
        Screen::Plugins,
        Screen::Models,
        Screen::Tuning,
        Screen::Activity,
    ];
    let keys = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6];
    for (screen, key) in screens.into_iter().zip(keys) {
        if pressed(CTRL(key)) {
            out.go(screen);
        }
    }
    // Dialogs, menus and fields take Escape first; what is left closes the page's own layer.
    let free = model.picker.is_none()
        && model.library.confirm.is_none()
        && model.plugins.uninstall.is_none()
        && model.passphrase_change.is_none()
        && model.words_wanted.is_none()
        && model.reveal.is_none()
        && !egui::Popup::is_any_open(ui.ctx());
    if free && ui.input(|input| input.key_pressed(Key::Escape)) {
        escape(model, out);
    }
}

fn escape(model: &mut Model, out: &mut Outbox) {
    match model.screen {
        Screen::Plugins if model.consent.is_some() => model.consent = None,
        Screen::Plugins => model.plugins.install_open = false,
        Screen::Library if model.library.import_open => model.library.import_open = false,
        Screen::Library => out.send(Command::CloseDocument),
        Screen::Chat => model.chat.editing = None,
        Screen::Models => model.models.inspected = None,
        Screen::Tuning => model.tuning.draft = None,
        Screen::Panel(_) | Screen::Trial | Screen::Activity => {}
    }
}

/// A file dropped on the window goes where the page suggests: plugins to consent, models to inspection, the rest in.
fn dropped_files(ui: &Ui, model: &Model, out: &mut Outbox) {
    let paths: Vec<std::path::PathBuf> = ui
        .input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_owned()).collect());
    for path in paths.into_iter().filter(|path| !path.as_os_str().is_empty()) {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let purpose = match ending {
            "wasm" => DialogFor::Plugin,
            "gguf" | "safetensors" => DialogFor::Model,
            _ => DialogFor::ImportFile,
        };
        match purpose {
            DialogFor::Plugin => out.go(Screen::Plugins),
            DialogFor::Model => out.go(Screen::Models),
            _ if model.screen != Screen::Library => out.go(Screen::Library),
            _ => {}
        }
        out.push(Intent::Chosen(purpose, path));
    }
}

/// Links open nothing: a click copies the address.
fn inert_links(ui: &Ui, out: &mut Outbox) {
    let mut urls = Vec::new();
    ui.ctx().output_mut(|output| {
        output.commands.retain(|command| match command {
            OutputCommand::OpenUrl(open) => {
                urls.push(open.url.clone());
                false
            }
            _ => true,
        });
    });
    for url in urls {
        out.push(Intent::Copy(url, "Link"));
    }
}
