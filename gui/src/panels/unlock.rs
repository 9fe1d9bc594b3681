//! Creating and opening the vault.

use egui::{Align2, Area, CornerRadius, Frame, Id, Key, Margin, Stroke, Ui, vec2};

use crate::{
    commands::{Outbox, Purpose},
    icons,
    model::{Model, Shake, Tone},
    theme::{Palette, icon, muted, small, space, strong, title},
    types::{Command, Passphrase, VaultState, View},
    widgets::{banner, bar, busy, password, primary_enabled, tone_colors},
    words,
};

/// Seconds a refused passphrase shakes the card.
const SHAKE_SECS: f64 = 0.4;

/// The whole window while the vault is not open.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let offset = shake(ui, model);
    let p = Palette::of(ui);
    Area::new(Id::unique("unlock")).anchor(Align2::CENTER_CENTER, vec2(offset, -12.0)).show(
        ui.ctx(),
        |ui| {
            ui.set_width(430.0);
            ui.vertical_centered(|ui| {
                ui.label(icon(icons::FLAME, 46.0).color(p.ember));
                ui.label(title("Hearth").size(28.0));
                ui.label(muted(
                    ui,
                    "Your documents and a model that reads them, on this machine alone.",
                ));
            });
            ui.add_space(space::M);
            Frame::new()
                .fill(p.card)
                .stroke(Stroke::new(1.0, p.line))
                .corner_radius(CornerRadius::same(14))
                .inner_margin(Margin::same(24))
                .show(ui, |ui| {
                    ui.take_available_width();
                    match view.vault {
                        VaultState::Absent => create(ui, model, out),
                        VaultState::Locked => unlock(ui, model, out),
                        VaultState::Closing => {
                            busy(ui, "Locking: work under way is being stopped.");
                        }
                        VaultState::Opening | VaultState::Open => opening(ui),
                    }
                });
            ui.add_space(space::S);
            ui.vertical_centered(|ui| {
                let path = view.vault_path.display();
                ui.label(small(ui, format!("The vault lies in {path}")));
            });
        },
    );
}

fn shake(ui: &Ui, model: &mut Model) -> f32 {
    let now = ui.input(|input| input.time);
    if model.unlock.shake == Shake::Due {
        model.unlock.shake = Shake::Since(now);
    }
    let Shake::Since(since) = model.unlock.shake else { return 0.0 };
    let share = (now - since) / SHAKE_SECS;
    if share >= 1.0 {
        model.unlock.shake = Shake::Still;
        return 0.0;
    }
    ui.ctx().request_repaint();
    ((share * 18.0).sin() * 9.0 * (1.0 - share)) as f32
}

fn create(ui: &mut Ui, model: &mut Model, out: &mut Outbox) {
    let form = &mut model.unlock;
    ui.label(strong("Create your vault").size(18.0));
    ui.label(muted(ui, "Everything you import, ask and save is encrypted under one passphrase."));
    ui.add_space(space::XS);
    ui.label(small(ui, "Passphrase"));
    let first = password(ui, &mut form.passphrase, "Passphrase");
    focus_once(&mut form.focused, &first);
    // Always there, so that the next field stays where it is while one types.
    let strength = words::strength(&form.passphrase.0);
    let (ink, _) = tone_colors(ui, strength.tone);
    let width = ui.available_width();
    bar(ui, Some(strength.share), width, "Strength of the passphrase");
    if form.passphrase.0.is_empty() {
        ui.label(small(ui, "A few unrelated words make a good one."));
    } else {
        ui.label(small(ui, strength.words).color(ink));
    }
    ui.label(small(ui, "The same again"));
    password(ui, &mut form.again, "Passphrase again");
    let same = form.passphrase.0 == form.again.0;
    if !same && !form.again.0.is_empty() && !form.passphrase.0.starts_with(&form.again.0) {
        ui.label(small(ui, "The two differ.").color(Palette::of(ui).bad));
    }
    error(ui, form.error.as_ref());
    ui.add_space(space::XS);
    banner(ui, Tone::Warn, icons::WARNING, |ui| {
        ui.label(
            "A lost passphrase cannot be recovered, by anybody. Write it down and keep it safe.",
        );
    });
    ui.add_space(space::S);
    let ready = same && !form.passphrase.0.is_empty();
    if submit(ui, ready, "Create vault") {
        let passphrase = Passphrase::new(form.passphrase.take());
        form.again.take();
        form.error = None;
        out.send_for(Command::CreateVault(passphrase), Purpose::Open);
    }
}

fn unlock(ui: &mut Ui, model: &mut Model, out: &mut Outbox) {
    let form = &mut model.unlock;
    ui.label(strong("Unlock your vault").size(18.0));
    ui.add_space(space::XS);
    ui.label(small(ui, "Passphrase"));
    let field = password(ui, &mut form.passphrase, "Passphrase");
    focus_once(&mut form.focused, &field);
    error(ui, form.error.as_ref());
    ui.add_space(space::S);
    let ready = !form.passphrase.0.is_empty();
    if submit(ui, ready, "Unlock") {
        let passphrase = Passphrase::new(form.passphrase.take());
        form.error = None;
        out.send_for(Command::Unlock(passphrase), Purpose::Open);
    }
}

fn opening(ui: &mut Ui) {
    ui.label(strong("Opening\u{2026}").size(18.0));
    let width = ui.available_width();
    bar(ui, None, width, "Opening the vault");
    busy(ui, "Slow on purpose: it slows down whoever guesses.");
}

fn submit(ui: &mut Ui, ready: bool, label: &str) -> bool {
    let entered = ui.input(|input| input.key_pressed(Key::Enter));
    let button = ui.vertical_centered_justified(|ui| primary_enabled(ui, ready, "", label)).inner;
    ready && (button.clicked() || entered)
}

fn error(ui: &mut Ui, error: Option<&(String, String)>) {
    if let Some((message, hint)) = error {
        ui.label(strong(message).color(Palette::of(ui).bad));
        if !hint.is_empty() {
            ui.label(small(ui, hint));
        }
    }
}

fn focus_once(focused: &mut bool, field: &egui::Response) {
    if !*focused {
        field.request_focus();
        *focused = true;
    }
}
