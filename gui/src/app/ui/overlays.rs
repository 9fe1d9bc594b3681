//! What lies over the page: dialogs, questions, toasts.

use egui::{Align2, Area, Frame, Id, Key, Modal, Order, Ui, vec2};

use crate::{
    commands::{Intent, Outbox, Purpose},
    icons,
    model::{Confirm, Model, PassphraseChange, PickFor, Picker, Screen, Tone},
    panels,
    theme::{Palette, heading, icon, muted, small, space},
    types::{Command, Notice, NoticeKind, Passphrase, PluginId, View},
    widgets::{danger, icon_button, password, primary_enabled, secondary, tone_colors},
    words,
};

/// Seconds until good news goes by itself. Errors stay.
const GOOD_NEWS_SECS: f64 = 6.0;

/// Every dialog that is due.
pub(super) fn dialogs(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    if model.picker.is_none()
        && let Some(question) = view.questions.first()
    {
        let purpose = PickFor::Question(question.question);
        model.picker = Some(Picker { purpose, ..Picker::default() });
    }
    if let Some(confirm) = model.library.confirm.clone() {
        confirm_delete(ui, model, out, &confirm);
    }
    if let Some(plugin) = model.plugins.uninstall.clone() {
        uninstall(ui, view, model, out, &plugin);
    }
    if model.passphrase_change.is_some() {
        change_passphrase(ui, model, out);
    }
    panels::picker::show(ui, view, model, out);
    panels::words_wanted::show(ui, model, out);
    panels::reveal::show(ui, view, model, out);
}

fn confirm_delete(ui: &mut Ui, model: &mut Model, out: &mut Outbox, confirm: &Confirm) {
    let modal = Modal::new(Id::unique("confirm delete")).show(ui.ctx(), |ui| {
        ui.set_width(400.0);
        let (question, explanation) = match confirm {
            Confirm::Document(_, title) => (
                format!("Delete \u{201c}{}\u{201d}?", words::short(title, 60)),
                "It is wiped from the vault. The file it came from stays where it is.",
            ),
            Confirm::Folder(_, name, documents) => (
                format!(
                    "Delete the folder \u{201c}{name}\u{201d} and its {}?",
                    words::count(*documents, "document")
                ),
                "They are wiped from the vault. The files they came from stay where they are.",
            ),
        };
        ui.label(heading(question));
        ui.label(muted(ui, explanation));
        ui.add_space(space::S);
        ui.horizontal(|ui| {
            if danger(ui, icons::TRASH, "Delete for good").clicked() {
                let command = match confirm {
                    Confirm::Document(id, _) => Command::DeleteDocument(*id),
                    Confirm::Folder(id, ..) => Command::DeleteFolder(*id),
                };
                out.send_for(command, Purpose::Library);
                model.library.confirm = None;
                if matches!(confirm, Confirm::Folder(..)) {
                    model.library.folder = None;
                }
            }
            if secondary(ui, "", "Keep it").clicked() {
                model.library.confirm = None;
            }
        });
    });
    if modal.should_close() {
        model.library.confirm = None;
    }
}

fn uninstall(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox, id: &PluginId) {
    let Some(plugin) = view.plugins.iter().find(|p| p.id == *id) else {
        model.plugins.uninstall = None;
        return;
    };
    let saved: u64 =
        view.folders.iter().filter(|f| f.plugin.as_ref() == Some(id)).map(|f| f.documents).sum();
    let modal = Modal::new(Id::unique("uninstall")).show(ui.ctx(), |ui| {
        ui.set_width(420.0);
        ui.label(heading(format!("Uninstall {}?", words::plain(&plugin.manifest.name))));
        let text = if saved == 0 {
            "It loses what it was granted and what it remembers.".to_owned()
        } else {
            format!(
                "It loses what it was granted and what it remembers. It saved {} in your library.",
                words::count(saved, "document")
            )
        };
        ui.label(muted(ui, text));
        ui.add_space(space::S);
        ui.horizontal_wrapped(|ui| {
            let mut answer = None;
            if saved == 0 {
                if danger(ui, icons::TRASH, "Uninstall").clicked() {
                    answer = Some(true);
                }
            } else {
                if danger(ui, icons::TRASH, "Uninstall, keep its documents").clicked() {
                    answer = Some(true);
                }
                if danger(ui, icons::TRASH, "Uninstall and delete them").clicked() {
                    answer = Some(false);
                }
            }
            if secondary(ui, "", "Cancel").clicked() {
                model.plugins.uninstall = None;
            }
            if let Some(keep_saved) = answer {
                let command = Command::UninstallPlugin { plugin: id.clone(), keep_saved };
                out.send_for(command, Purpose::Library);
                model.plugins.uninstall = None;
            }
        });
    });
    if modal.should_close() {
        model.plugins.uninstall = None;
    }
}

fn change_passphrase(ui: &mut Ui, model: &mut Model, out: &mut Outbox) {
    let Some(change) = &mut model.passphrase_change else { return };
    let mut close = false;
    let modal = Modal::new(Id::unique("change passphrase")).show(ui.ctx(), |ui| {
        ui.set_width(400.0);
        ui.label(heading("Change the passphrase"));
        ui.label(muted(ui, "Only the key is wrapped anew; your data stays as it is."));
        for (secret, name) in [
            (&mut change.old, "Passphrase in use"),
            (&mut change.new, "New passphrase"),
            (&mut change.again, "New passphrase again"),
        ] {
            ui.label(small(ui, name));
            password(ui, secret, name);
        }
        if let Some(error) = &change.error {
            ui.colored_label(Palette::of(ui).bad, error);
        }
        ui.add_space(space::XS);
        let ready = !change.waiting
            && !change.old.0.is_empty()
            && !change.new.0.is_empty()
            && change.new.0 == change.again.0;
        let entered = ui.input(|input| input.key_pressed(Key::Enter));
        ui.horizontal(|ui| {
            let button = primary_enabled(ui, ready, icons::CHECK, "Change it");
            if ready && (button.clicked() || entered) {
                send_change(change, out);
            }
            close = secondary(ui, "", "Cancel").clicked();
        });
    });
    if close || modal.should_close() {
        model.passphrase_change = None;
    }
}

fn send_change(change: &mut PassphraseChange, out: &mut Outbox) {
    let old = Passphrase::new(change.old.take());
    let new = Passphrase::new(change.new.take());
    *change = PassphraseChange { waiting: true, ..PassphraseChange::default() };
    out.send_for(Command::ChangePassphrase { old, new }, Purpose::ChangePassphrase);
}

/// News in the corner, the newest at the bottom.
pub(super) fn toasts(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let now = ui.input(|input| input.time);
    model.notices_since.retain(|id, _| view.notices.iter().any(|n| n.id == *id));
    if view.notices.is_empty() && model.toasts.is_empty() {
        return;
    }
    // The composer's button stays free.
    let above = if model.screen == Screen::Chat { -126.0 } else { -18.0 };
    Area::new(Id::unique("toasts"))
        .order(Order::Foreground)
        .anchor(Align2::RIGHT_BOTTOM, vec2(-18.0, above))
        .show(ui.ctx(), |ui| {
            ui.set_width(340.0);
            let first = view.notices.len().saturating_sub(4);
            for notice in view.notices.iter().skip(first) {
                notice_toast(ui, notice, model, out, now);
            }
            for toast in &mut model.toasts {
                let since = *toast.since.get_or_insert(now);
                let goes = matches!(toast.tone, Tone::Good | Tone::Plain);
                let gone = goes && overdue(ui, since, now);
                if toast_frame(ui, toast.tone, "", &toast.text, &toast.hint) || gone {
                    out.push(Intent::DismissToast(toast.id));
                }
            }
        });
}

fn notice_toast(ui: &mut Ui, notice: &Notice, model: &mut Model, out: &mut Outbox, now: f64) {
    let since = *model.notices_since.entry(notice.id).or_insert(now);
    let (closed, goes) = match &notice.what {
        NoticeKind::Success(text) => (toast_frame(ui, Tone::Good, "", text, ""), true),
        NoticeKind::Error(error) => {
            (toast_frame(ui, Tone::Bad, "", &error.message, &error.hint), false)
        }
        NoticeKind::Plugin(words) => {
            let name = format!("{} says", words::plain(&words.plugin_name));
            let text = words::plain(&words.message);
            (toast_frame(ui, Tone::Plain, &name, &text, ""), false)
        }
    };
    // Asked for once: the notice leaves the view soon after.
    let due = goes && since.is_finite() && overdue(ui, since, now);
    if closed || due {
        model.notices_since.insert(notice.id, f64::INFINITY);
        out.send(Command::DismissNotice(notice.id));
    }
}

/// Whether good news has been read; else asks to be painted again when it has.
fn overdue(ui: &Ui, since: f64, now: f64) -> bool {
    let left = since + GOOD_NEWS_SECS - now;
    if left > 0.0 {
        ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64(left));
    }
    left <= 0.0
}

/// True when it was closed.
fn toast_frame(ui: &mut Ui, tone: Tone, who: &str, text: &str, hint: &str) -> bool {
    let (ink, _) = tone_colors(ui, tone);
    let p = Palette::of(ui);
    let glyph = match tone {
        Tone::Good => icons::CHECK_CIRCLE,
        Tone::Warn | Tone::Bad => icons::WARNING,
        Tone::Plain | Tone::Ember => icons::INFO,
    };
    Frame::popup(ui.style())
        .fill(p.card)
        .inner_margin(12)
        .show(ui, |ui| {
            ui.horizontal_top(|ui| {
                ui.label(icon(glyph, 18.0).color(ink));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Min), |ui| {
                    let closed = icon_button(ui, icons::CLOSE, "Dismiss").clicked();
                    ui.with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
                        ui.spacing_mut().item_spacing.y = 2.0;
                        if !who.is_empty() {
                            ui.label(small(ui, who));
                        }
                        ui.label(text);
                        if !hint.is_empty() {
                            ui.label(small(ui, hint));
                        }
                    });
                    closed
                })
                .inner
            })
            .inner
        })
        .inner
}
