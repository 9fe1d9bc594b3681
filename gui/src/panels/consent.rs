//! What the user is asked before a plugin may do anything: facts read off the file on one side, the publisher's
//! claims on the other, and a tick for each power.

use std::path::Path;

use egui::{Align, Layout, Slider, Ui};

use crate::{
    commands::{Outbox, Purpose},
    icons,
    model::{Consent, Model, Tone, fits},
    panels::plugins::publisher,
    theme::{Palette, heading, icon, muted, small, space, strong},
    types::{Capability, Command, FolderId, InstallVerdict, SlotKind, TryWhat, View},
    widgets::{
        badge, banner, bullet, card, ghost, page, primary_enabled, secondary, section, tone_colors,
    },
    words,
};

/// The page.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let Some(mut consent) = model.consent.take() else { return };
    let name = words::plain(&consent.manifest.name);
    let mut answer = None;
    let mut back = false;
    page(
        ui,
        &format!("May {name} work for you?"),
        if consent.install {
            "Nothing of it has run yet. You can change your mind at any time."
        } else {
            "It may do exactly what you tick. You can change your mind at any time."
        },
        |ui| back = ghost(ui, icons::BACK, "Back").clicked(),
        |ui| {
            ui.columns(2, |columns| {
                if let [left, right] = columns {
                    left.vertical(|ui| facts(ui, &consent));
                    right.vertical(|ui| claims(ui, &consent));
                }
            });
            publisher::lookalikes(ui, &consent.judgement.lookalikes);
            difference(ui, &mut consent);
            powers(ui, &mut consent);
            slots(ui, view, &mut consent);
            ui.add_space(space::M);
            answer = buttons(ui, &consent, model.demo.as_deref(), out);
        },
    );
    match answer {
        Some(true) => {
            grant(&mut consent, out);
            if consent.waiting {
                model.consent = Some(consent);
            }
        }
        Some(false) => {
            if !consent.install {
                out.send(Command::RevokePlugin(consent.plugin));
            }
        }
        None if back => {}
        None => model.consent = Some(consent),
    }
}

fn facts(ui: &mut Ui, consent: &Consent) {
    card(ui, |ui| {
        ui.set_min_height(190.0);
        ui.horizontal(|ui| {
            ui.label(icon(icons::SHIELD, 20.0).color(Palette::of(ui).good));
            ui.label(heading("Facts"));
        });
        ui.label(small(ui, "Read off the program by Hearth. It cannot lie about these."));
        let file = &consent.file;
        for fact in words::facts(&file.imports, consent.sealed) {
            let (ink, _) = tone_colors(ui, fact.tone);
            let glyph = match fact.tone {
                Tone::Good => icons::CHECK,
                Tone::Warn | Tone::Bad => icons::WARNING,
                Tone::Plain | Tone::Ember => icons::INFO,
            };
            bullet(ui, ink, glyph, fact.text);
        }
        let short: String = file.hash.chars().take(16).collect();
        publisher::signature(ui, &consent.judgement.signature);
        let text = format!("{} \u{b7} BLAKE3 {short}\u{2026}", words::bytes(file.size_bytes));
        ui.label(small(ui, text)).on_hover_text(&file.hash);
    });
}

fn claims(ui: &mut Ui, consent: &Consent) {
    let manifest = &consent.manifest;
    let (ink, ground) = tone_colors(ui, Tone::Plain);
    egui::Frame::new()
        .fill(ground)
        .corner_radius(egui::CornerRadius::same(crate::theme::RADIUS))
        .inner_margin(egui::Margin::same(16))
        .show(ui, |ui| {
            ui.take_available_width();
            ui.set_min_height(190.0);
            ui.horizontal(|ui| {
                ui.label(icon(icons::USER, 20.0).color(ink));
                ui.label(heading("Its publisher says"));
            });
            ui.label(small(ui, "Claims. Hearth has not checked them."));
            ui.label(strong(format!("{} {}", words::plain(&manifest.name), manifest.version)));
            if !manifest.description.is_empty() {
                ui.label(words::plain(&manifest.description));
            }
            ui.label(small(ui, manifest.id.as_str()));
            if let Some(version) = &consent.file.replaces {
                let text = format!("replaces the installed version {version}");
                badge(ui, Tone::Warn, icons::INFO, &text);
            }
        });
}

fn powers(ui: &mut Ui, consent: &mut Consent) {
    section(ui, "What it may do", "Untick what you do not like; it has to live with it.");
    card(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for capability in consent.manifest.requested() {
            power(ui, consent, capability);
        }
    });
}

fn power(ui: &mut Ui, consent: &mut Consent, capability: Capability) {
    let (name, meaning) = words::capability(capability);
    let mut on = consent.capabilities.contains(&capability);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 22.0;
        // Panels are how it speaks at all: granted with the rest, and harmless.
        let fixed = capability == Capability::Panel;
        ui.add_enabled_ui(!fixed, |ui| {
            if ui.checkbox(&mut on, strong(name)).changed() {
                if on {
                    consent.capabilities.insert(capability);
                } else {
                    consent.capabilities.remove(&capability);
                }
            }
        });
        if words::reveals(capability) {
            badge(ui, Tone::Warn, icons::WARNING, "lets it learn something");
        }
    });
    if capability == Capability::RevealChoice {
        bits(ui, consent, on);
    }
    ui.horizontal_top(|ui| {
        ui.add_space(26.0);
        ui.spacing_mut().interact_size.y = 18.0;
        ui.vertical(|ui| ui.label(small(ui, meaning)));
    });
    ui.add_space(space::XS);
}

/// How much it may learn a day. A bit halves what could be true.
fn bits(ui: &mut Ui, consent: &mut Consent, on: bool) {
    let asked = consent.manifest.declassify.choice_bits_per_day;
    if !on {
        consent.choice_bits = 0;
        return;
    }
    let mut bits = consent.choice_bits.clamp(1, asked.max(1));
    ui.horizontal(|ui| {
        ui.add_space(26.0);
        let slider = Slider::new(&mut bits, 1..=asked.max(1)).suffix(" bits a day");
        ui.add(slider).accessible_name("Bits a day it may learn");
        ui.label(small(ui, format!("It asks for {asked}. Each yes or no costs it 1.6.")));
    });
    consent.choice_bits = bits;
}

/// What is new against the installed version.
fn difference(ui: &mut Ui, consent: &mut Consent) {
    let judgement = &consent.judgement;
    if !consent.install || (judgement.changes.is_empty() && judgement.stored.is_empty()) {
        return;
    }
    section(ui, "What is new", "Against the version that is installed.");
    card(ui, |ui| {
        publisher::changes(ui, &consent.judgement.changes);
        publisher::stored(ui, &consent.judgement.stored, &mut consent.keep_storage);
    });
}

fn slots(ui: &mut Ui, view: &View, consent: &mut Consent) {
    if consent.manifest.slots.is_empty() {
        return;
    }
    section(ui, "Which folders", "Only these, and only as long as you let it.");
    for slot in consent.manifest.slots.clone() {
        card(ui, |ui| {
            let who = words::plain(&consent.manifest.name);
            let why = format!("{who} asks for them \u{201c}{}\u{201d}", words::plain(&slot.why));
            ui.label(muted(ui, why));
            let mut folders: Vec<_> = view
                .folders
                .iter()
                .filter(|f| f.plugin.is_none() || slot.kind == SlotKind::Any)
                .collect();
            // A mixed folder may hold some of them too, so the others follow.
            folders.sort_by_key(|f| !fits(slot.kind, f.kind));
            if !folders.first().is_some_and(|f| fits(slot.kind, f.kind)) {
                banner(ui, Tone::Warn, icons::INFO, |ui| {
                    ui.label("No folder of this kind is in the library yet. Import one, then come back here.");
                });
            }
            let chosen = consent.slots.entry(slot.id.clone()).or_default();
            ui.spacing_mut().interact_size.y = 22.0;
            for folder in folders {
                let text =
                    format!("{}, {}", folder.name, words::count(folder.documents, "document"));
                let mut on = chosen.contains(&folder.id);
                if ui.checkbox(&mut on, text).changed() {
                    toggle(chosen, folder.id, on);
                }
            }
        });
    }
}

fn toggle(chosen: &mut std::collections::BTreeSet<FolderId>, id: FolderId, on: bool) {
    if on {
        chosen.insert(id);
    } else {
        chosen.remove(&id);
    }
}

/// `true` for yes, `false` for no.
fn buttons(ui: &mut Ui, consent: &Consent, demo: Option<&Path>, out: &mut Outbox) -> Option<bool> {
    let mut answer = None;
    let refused = match &consent.judgement.verdict {
        InstallVerdict::Refused(error) if consent.install => Some(error),
        _ => None,
    };
    if let Some(error) = refused {
        banner(ui, Tone::Bad, icons::WARNING, |ui| {
            ui.label(strong(words::plain(&error.message)));
            ui.label(words::plain(&error.hint));
        });
    }
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let label = if consent.install { "Install and allow" } else { "Allow" };
        let ready = !consent.waiting && refused.is_none();
        if primary_enabled(ui, ready, icons::CHECK, label).clicked() {
            answer = Some(true);
        }
        if secondary(ui, "", "Deny").clicked() {
            answer = Some(false);
        }
        if let Some(demo) = demo
            && ghost(ui, icons::PLAY, "Try it on invented data").clicked()
        {
            let what = TryWhat::File(consent.file.path.clone());
            out.try_out(what, &consent.manifest, demo);
        }
        if consent.waiting {
            ui.label(muted(ui, "Checking and compiling\u{2026}"));
        }
    });
    answer
}

fn grant(consent: &mut Consent, out: &mut Outbox) {
    if consent.install {
        consent.waiting = true;
        // Exactly what was looked at: the file may have been exchanged since.
        let install = Command::InstallPlugin {
            path: consent.file.path.clone(),
            expected_hash: Some(consent.file.hash.clone()),
        };
        out.send_for(install, Purpose::Install);
    } else {
        out.send(Command::GrantPlugin {
            plugin: consent.plugin.clone(),
            capabilities: consent.capabilities.clone(),
            slots: consent.slots.clone(),
            choice_bits_per_day: consent.choice_bits,
        });
    }
}
