//! Hears events, keeps the model in step with the view, and carries out what panels asked for. Paints nothing.

use std::{path::PathBuf, sync::Arc};

use egui::Context;

use crate::{
    app::App,
    commands::{DialogFor, Intent, Purpose},
    model::{Asked, Consent, Model, PickFor, Screen, Shake, Tone},
    types::{Command, Event, NoticeKind, Reply, Ticket, UserError, VaultState, View},
};

/// Takes the newest view and everything that happened since the last frame.
pub(super) fn hear(app: &mut App, ctx: &Context) {
    let before = app.view.vault;
    app.view = app.port.view();
    if before == VaultState::Open && app.view.vault != VaultState::Open {
        forget(app, ctx);
    }
    if before != VaultState::Open && app.view.vault == VaultState::Open {
        app.model.library.sent = None;
    }
    while let Some(event) = app.port.next_event() {
        match event {
            Event::Done { ticket, reply } => done(app, ticket, reply),
            Event::Failed { ticket, error } => failed(app, ticket, &error),
            Event::Answer { ticket, .. } => arrived(&mut app.model, ticket),
            _ => {}
        }
    }
    while let Some((purpose, path)) = app.dialogs.next() {
        chosen(app, purpose, path);
    }
    let view = Arc::clone(&app.view);
    app.model.learn_titles(&view);
    follow_panels(&mut app.model, &view);
    reconcile_query(app);
}

/// Carries out what this frame's panels asked for.
pub(super) fn act(app: &mut App, ctx: &Context) {
    if app.outbox.is_empty() {
        return;
    }
    for intent in app.outbox.take() {
        match intent {
            Intent::Send(command, purpose) => {
                send(app, command, purpose);
            }
            Intent::Go(screen) => go(app, screen),
            Intent::Dialog(purpose) => {
                if let Err(error) = app.dialogs.open(purpose, ctx) {
                    let hint = "Type the path instead.";
                    app.model.toast(Tone::Bad, format!("No file dialog: {error}"), hint);
                }
            }
            Intent::Copy(text, what) => {
                ctx.copy_text(text);
                app.model.toast(Tone::Good, format!("{what} copied"), "");
            }
            Intent::Chosen(purpose, path) => chosen(app, purpose, path),
            Intent::ImportDemo => import_demo(app),
            Intent::ChatAbout(id) => {
                app.model.chat.fresh = true;
                app.model.chat.attached = vec![id];
                app.model.chat.focus = true;
                app.model.screen = Screen::Chat;
            }
            Intent::SetUp(id) => {
                let found = app.view.plugins.iter().find(|p| p.id == id);
                if let Some(path) = found.map(|p| p.component.clone()) {
                    send(app, Command::InspectPlugin(path), Purpose::InspectInstalled(id));
                }
            }
            Intent::Pick(picker) => app.model.picker = Some(picker),
            Intent::WantWords(wanted) => app.model.words_wanted = Some(wanted),
            Intent::DismissToast(id) => app.model.toasts.retain(|t| t.id != id),
        }
    }
    reconcile_query(app);
    // What was asked for changes what is painted: once more, now.
    ctx.request_repaint();
}

fn send(app: &mut App, command: Command, purpose: Purpose) -> Option<Ticket> {
    match app.port.send(command) {
        Ok(ticket) => {
            if let Purpose::Run(plugin) = &purpose {
                let open = app.view.panels.iter().map(|p| (p.key.clone(), p.run)).collect();
                app.model.awaited_panel = Some((plugin.clone(), open));
            }
            if purpose == Purpose::Ask
                && let Some(asked) = &mut app.model.chat.asked
            {
                asked.ticket = Some(ticket);
            }
            if purpose != Purpose::Plain {
                app.model.pending.insert(ticket, purpose);
            }
            Some(ticket)
        }
        Err(_busy) => {
            let text = "Hearth is busy";
            app.model.toast(Tone::Warn, text, "Try again in a moment.");
            undo(&mut app.model, &purpose);
            None
        }
    }
}

/// A command that never went out leaves nothing waiting for its answer.
fn undo(model: &mut Model, purpose: &Purpose) {
    match purpose {
        Purpose::Search => model.library.in_flight = false,
        Purpose::Ask => give_back(model),
        Purpose::ChangePassphrase => {
            if let Some(change) = &mut model.passphrase_change {
                change.waiting = false;
            }
        }
        Purpose::Install => {
            if let Some(consent) = &mut model.consent {
                consent.waiting = false;
            }
        }
        Purpose::InspectModel => model.models.inspecting = None,
        _ => {}
    }
}

fn go(app: &mut App, screen: Screen) {
    if screen != Screen::Plugins {
        app.model.consent = None;
    }
    match screen {
        Screen::Chat => app.model.chat.focus = true,
        Screen::Activity => {
            send(app, Command::OpenActivity(None), Purpose::Plain);
        }
        _ => {}
    }
    app.model.screen = screen;
}

fn done(app: &mut App, ticket: Ticket, reply: Reply) {
    let purpose = app.model.pending.remove(&ticket);
    match (purpose, reply) {
        (Some(Purpose::Open), _) => {
            app.model.forget();
            app.model.library.sent = None;
        }
        (Some(Purpose::Search), _) => app.model.library.in_flight = false,
        (Some(Purpose::Library), _) | (_, Reply::Imported(_) | Reply::Saved(_)) => {
            app.model.library.sent = None;
        }
        (Some(Purpose::Inspect), Reply::Inspection(inspection)) => {
            app.model.consent = Some(Consent::of_file(*inspection, &app.view));
            app.model.plugins.install_open = false;
            app.model.plugins.path.clear();
            app.model.screen = Screen::Plugins;
        }
        (Some(Purpose::InspectInstalled(id)), Reply::Inspection(inspection)) => {
            let view = Arc::clone(&app.view);
            if let Some(plugin) = view.plugins.iter().find(|p| p.id == id) {
                app.model.consent = Some(Consent::of_installed(plugin, *inspection, &view));
                app.model.screen = Screen::Plugins;
            }
        }
        (Some(Purpose::Install), Reply::Installed(plugin)) => {
            // Only what was agreed to, and only for whom.
            let agreed = |consent: &mut Consent| consent.waiting && consent.plugin == plugin;
            if let Some(consent) = app.model.consent.take_if(agreed) {
                let grant = Command::GrantPlugin {
                    plugin,
                    capabilities: consent.capabilities,
                    slots: consent.slots,
                    choice_bits_per_day: consent.choice_bits,
                };
                send(app, grant, Purpose::Plain);
            }
        }
        (Some(Purpose::Install), Reply::UpdateWaits(plugin)) => {
            // What it asks for beyond the installed version stood on the page that was agreed to.
            let agreed = |consent: &&Consent| consent.waiting && consent.plugin == plugin;
            if let Some(consent) = app.model.consent.as_ref().filter(agreed) {
                let keep_storage = consent.keep_storage;
                send(app, Command::AcceptUpdate { plugin, keep_storage }, Purpose::Install);
            }
        }
        (Some(Purpose::Install), _) => app.model.consent = None,
        (Some(Purpose::InspectModel), Reply::ModelInspection(info, estimate)) => {
            if let Some(path) = app.model.models.inspecting.take() {
                app.model.models.inspected = Some((path, info, estimate));
            }
        }
        (Some(Purpose::AddModel), _) => {
            app.model.models.inspected = None;
            app.model.models.path.clear();
        }
        (Some(Purpose::ImportExamples), _) => app.model.tuning.import_path.clear(),
        (Some(Purpose::ImportAdapter), _) => app.model.tuning.adapter_path.clear(),
        (Some(Purpose::Written(what)), _) => {
            app.model.toast(Tone::Good, format!("{what} was written"), "It is not encrypted.");
        }
        (Some(Purpose::ChangePassphrase), _) => {
            app.model.passphrase_change = None;
            app.model.toast(Tone::Good, "The passphrase was changed", "");
        }
        (Some(Purpose::Ask), _) => arrived(&mut app.model, ticket),
        _ => {}
    }
}

fn failed(app: &mut App, ticket: Ticket, error: &UserError) {
    let purpose = app.model.pending.remove(&ticket).unwrap_or(Purpose::Plain);
    undo(&mut app.model, &purpose);
    match purpose {
        Purpose::Open => {
            app.model.unlock.error = Some((error.message.clone(), error.hint.clone()));
            app.model.unlock.shake = Shake::Due;
            app.model.unlock.focused = false;
            return;
        }
        Purpose::ChangePassphrase => {
            if let Some(change) = &mut app.model.passphrase_change {
                change.error = Some(error.message.clone());
                return;
            }
        }
        Purpose::Run(_) => app.model.awaited_panel = None,
        _ => {}
    }
    // The session may have put the same words among its notices already.
    let told = app.port.view().notices.iter().any(|notice| match &notice.what {
        NoticeKind::Error(known) => known.message == error.message,
        _ => false,
    });
    if !told && error.kind != hearth_session::ErrorKind::Cancelled {
        app.model.toast(Tone::Bad, error.message.clone(), error.hint.clone());
    }
}

/// The answer streams: the message is in the view from here on, in a conversation that has a place of its own.
fn arrived(model: &mut Model, ticket: Ticket) {
    if model.chat.asked.as_ref().is_some_and(|a| a.ticket == Some(ticket)) {
        model.chat.asked = None;
        model.chat.fresh = false;
    }
}

/// A message that could not be sent goes back to where it was written.
fn give_back(model: &mut Model) {
    if let Some(Asked { text, attached, .. }) = model.chat.asked.take() {
        if model.chat.draft.is_empty() {
            model.chat.draft = text;
        }
        if model.chat.attached.is_empty() {
            model.chat.attached = attached;
        }
    }
}

/// What a path is for decides what happens to it.
fn chosen(app: &mut App, purpose: DialogFor, path: PathBuf) {
    if app.view.vault != VaultState::Open {
        return;
    }
    match purpose {
        DialogFor::ImportFile | DialogFor::ImportFolder => {
            app.model.library.import_open = false;
            app.model.library.import_path.clear();
            send(app, Command::Import { path, name: None }, Purpose::Library);
        }
        DialogFor::Plugin => {
            send(app, Command::InspectPlugin(path), Purpose::Inspect);
        }
        DialogFor::Model => {
            app.model.models.inspecting = Some(path.clone());
            send(app, Command::InspectModel(path), Purpose::InspectModel);
        }
    }
}

/// Its parts become folders of their own, as a user's mail, notes and code would.
fn import_demo(app: &mut App) {
    let Some(demo) = app.model.demo.clone() else { return };
    app.model.library.import_open = false;
    for (part, name) in [("mail", "Demo mail"), ("notes", "Demo notes"), ("code", "Demo code")] {
        let command = Command::Import { path: demo.join(part), name: Some(name.to_owned()) };
        send(app, command, Purpose::Library);
    }
}

/// Goes to the panel that a run has opened, and away from one that has closed.
fn follow_panels(model: &mut Model, view: &View) {
    if let Some((plugin, before)) = &model.awaited_panel {
        let opened = view.panels.iter().find(|panel| {
            panel.key.plugin == *plugin && !before.contains(&(panel.key.clone(), panel.run))
        });
        if let Some(panel) = opened {
            model.screen = Screen::Panel(panel.key.clone());
            model.consent = None;
            model.awaited_panel = None;
        }
    }
    if let Screen::Panel(key) = &model.screen
        && !view.panels.iter().any(|p| p.key == *key)
    {
        model.screen = Screen::Plugins;
    }
    if let Some(picker) = &model.picker
        && let PickFor::Question(id) = picker.purpose
        && !view.questions.iter().any(|q| q.question == id)
    {
        model.picker = None;
    }
}

/// Sends the query that the list wants, one at a time: typing fast asks once for what was typed last.
fn reconcile_query(app: &mut App) {
    if app.view.vault != VaultState::Open || app.model.library.in_flight {
        return;
    }
    let wanted = app.model.wanted_query();
    if app.model.library.sent.as_ref() == Some(&wanted) {
        return;
    }
    app.model.library.in_flight = true;
    if send(app, Command::Browse(wanted.clone()), Purpose::Search).is_some() {
        app.model.library.sent = Some(wanted);
    }
}

/// Drops every draft, title and undo step: the vault has closed.
fn forget(app: &mut App, ctx: &Context) {
    app.model.forget();
    ctx.memory_mut(|memory| memory.data.clear());
}
