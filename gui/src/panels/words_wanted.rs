//! The words that a plugin's command asks for before it runs.

use egui::{Id, Key, Modal, Ui};

use crate::{
    commands::Outbox,
    icons,
    model::{Model, WordsWanted},
    theme::{heading, muted, small, space},
    widgets::{area, primary_enabled, secondary},
    words,
};

/// The dialog, where one is open.
pub(crate) fn show(ui: &mut Ui, model: &mut Model, out: &mut Outbox) {
    let Some(mut wanted) = model.words_wanted.take() else { return };
    let mut send = false;
    let mut close = false;
    let modal = Modal::new(Id::unique("words wanted")).show(ui.ctx(), |ui| {
        ui.set_width(460.0);
        let name = words::plain(&wanted.plugin_name);
        ui.label(heading(words::plain(&wanted.title)));
        ui.label(muted(ui, format!("{name} asks: {}", words::plain(&wanted.label))));
        ui.add_space(space::XS);
        let field = area(ui, &mut wanted.text, "Your words", "", 3);
        if !wanted.focused {
            field.request_focus();
            wanted.focused = true;
        }
        ui.label(small(ui, "It gets to hold your words, unopened. Ctrl+Enter runs it."));
        ui.add_space(space::XS);
        let ready = !wanted.text.trim().is_empty();
        let entered = ui.input(|input| input.modifiers.command && input.key_pressed(Key::Enter));
        ui.horizontal(|ui| {
            let button = primary_enabled(ui, ready, icons::PLAY, "Run");
            send = ready && (button.clicked() || entered);
            close = secondary(ui, "", "Cancel").clicked();
        });
    });
    if send {
        let WordsWanted { plugin, command, focus, text, .. } = wanted;
        out.run_with(plugin, command, focus, Some(text.trim().to_owned()));
    } else if !close && !modal.should_close() {
        model.words_wanted = Some(wanted);
    }
}
