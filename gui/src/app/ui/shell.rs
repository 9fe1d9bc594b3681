//! The rail at the left and the strip at the top.

use egui::{
    Align, Align2, CornerRadius, FontId, Frame, Layout, Margin, Panel, RichText, ScrollArea, Sense,
    Ui, WidgetInfo, accesskit::Role, pos2, vec2,
};

use crate::{
    commands::Outbox,
    icons,
    model::{Model, PassphraseChange, Screen, Tone},
    theme::{Palette, icon, icon_family, small, strong, strong_family},
    types::{Command, JobView, View},
    widgets::{badge, bar, ghost, icon_button, secondary},
    words,
};

/// Where one can go.
pub(super) fn rail(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let p = Palette::of(ui);
    Panel::left("rail")
        .resizable(false)
        .exact_size(184.0)
        .frame(Frame::new().fill(p.side).inner_margin(Margin {
            left: 12,
            right: 12,
            top: 12,
            bottom: 12,
        }))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            for (screen, glyph, label) in [
                (Screen::Library, icons::BOOKS, "Library"),
                (Screen::Chat, icons::CHATS, "Chat"),
                (Screen::Plugins, icons::PUZZLE, "Plugins"),
                (Screen::Models, icons::CPU, "Models"),
                (Screen::Tuning, icons::GRADUATION, "Training"),
                (Screen::Activity, icons::PULSE, "Activity"),
            ] {
                if entry(ui, glyph, label, model.screen == screen).clicked() {
                    out.go(screen);
                }
            }
            if !view.panels.is_empty() {
                ui.add_space(14.0);
                ui.label(small(ui, "Open panels"));
                ScrollArea::vertical().id_salt("open panels").show(ui, |ui| {
                    for panel in view.panels.iter() {
                        let screen = Screen::Panel(panel.key.clone());
                        let title = words::plain(&panel.title);
                        if entry(ui, icons::SPARKLE, &title, model.screen == screen).clicked() {
                            out.go(screen);
                        }
                    }
                });
            }
        });
}

fn entry(ui: &mut Ui, glyph: &str, label: &str, selected: bool) -> egui::Response {
    let p = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 38.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, selected, label));
    let ground = if selected {
        Some(p.ember_soft)
    } else if response.hovered() || response.has_focus() {
        Some(p.raised)
    } else {
        None
    };
    if let Some(ground) = ground {
        ui.painter().rect_filled(rect, CornerRadius::same(9), ground);
    }
    let ink = if selected { p.ember } else { p.muted };
    let middle = rect.center().y;
    ui.painter().text(
        pos2(rect.left() + 12.0, middle),
        Align2::LEFT_CENTER,
        glyph,
        FontId::new(19.0, icon_family()),
        ink,
    );
    let ink = if selected { p.text } else { p.muted };
    let mut job = egui::text::LayoutJob::simple_singleline(
        label.to_owned(),
        FontId::new(14.0, strong_family()),
        ink,
    );
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width() - 52.0);
    let galley = ui.painter().layout_job(job);
    let at = pos2(rect.left() + 41.0, middle - galley.size().y / 2.0);
    ui.painter().galley(at, galley, ink);
    response
}

/// Whether the vault is open, what runs, which model answers.
pub(super) fn strip(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let p = Palette::of(ui);
    Panel::top("strip")
        .exact_size(50.0)
        .frame(Frame::new().fill(p.side).inner_margin(Margin::symmetric(18, 8)))
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.label(icon(icons::FLAME, 22.0).color(p.ember));
                ui.label(strong("Hearth").size(16.5));
                ui.add_space(6.0);
                jobs(ui, view, out);
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let lock = secondary(ui, icons::LOCK, "Lock").on_hover_text("Ctrl+L");
                    if lock.clicked() {
                        out.send(Command::Lock);
                    }
                    menu(ui, view, model);
                    badge(ui, Tone::Good, icons::LOCK_OPEN, "Vault open");
                    loaded(ui, view, out);
                });
            });
        });
}

fn menu(ui: &mut Ui, view: &View, model: &mut Model) {
    let gear = icon_button(ui, icons::GEAR, "Settings");
    egui::Popup::menu(&gear).show(|ui| {
        ui.set_min_width(230.0);
        ui.label(small(ui, "Vault"));
        ui.label(RichText::new(view.vault_path.display().to_string()).small());
        if ghost(ui, icons::LOCK, "Change passphrase\u{2026}").clicked() {
            model.passphrase_change = Some(PassphraseChange::default());
            ui.close();
        }
        ui.separator();
        ui.label(small(ui, "Theme"));
        let now = ui.ctx().options(|options| options.theme_preference);
        for (choice, label) in [
            (egui::ThemePreference::System, "As the system"),
            (egui::ThemePreference::Light, "Light"),
            (egui::ThemePreference::Dark, "Dark"),
        ] {
            if ui.radio(now == choice, label).clicked() {
                ui.ctx().set_theme(choice);
            }
        }
    });
}

fn loaded(ui: &mut Ui, view: &View, out: &mut Outbox) {
    let (glyph, text) = match (&view.models.loading, &view.models.loaded) {
        (Some((_, share)), _) => (icons::CPU, format!("Loading the model, {:.0} %", share * 100.0)),
        (None, Some(loaded)) => (icons::CPU, words::short(&loaded.info.name, 28)),
        (None, None) => (icons::CPU, "No model loaded".to_owned()),
    };
    if ghost(ui, glyph, &text).on_hover_text("Models").clicked() {
        out.go(Screen::Models);
    }
}

fn jobs(ui: &mut Ui, view: &View, out: &mut Outbox) {
    let Some(first) = view.jobs.first() else { return };
    let p = Palette::of(ui);
    Frame::new()
        .fill(p.card)
        .corner_radius(CornerRadius::same(17))
        .inner_margin(Margin { left: 12, right: 6, top: 2, bottom: 2 })
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                job(ui, view, first, out, 90.0);
            });
        });
    if view.jobs.len() > 1 {
        let more = ghost(ui, "", &format!("and {} more", view.jobs.len() - 1));
        egui::Popup::menu(&more).show(|ui| {
            for other in view.jobs.iter().skip(1) {
                ui.horizontal(|ui| job(ui, view, other, out, 140.0));
            }
        });
    }
}

fn job(ui: &mut Ui, view: &View, job: &JobView, out: &mut Outbox, width: f32) {
    ui.label(RichText::new(words::short(&job.title, 36)).small());
    bar(ui, job.share, width, &job.title).on_hover_text(&job.detail);
    if !job.detail.is_empty() && ui.available_width() > 520.0 {
        ui.label(small(ui, words::short(&job.detail, 42)));
    }
    // A run of training is kept with all it has learnt; it goes on when it is resumed.
    let is_run = view.tuning.runs.iter().any(|run| run.ticket == Some(job.ticket));
    let (glyph, verb) = if is_run { (icons::PAUSE, "Pause") } else { (icons::CLOSE, "Cancel") };
    if icon_button(ui, glyph, &format!("{verb} {}", job.title)).clicked() {
        out.cancel(job.ticket);
    }
}
