//! Settings drawn from the manifest.

use egui::{ComboBox, DragValue, Key, Ui};

use crate::{
    commands::Outbox,
    model::Model,
    theme::{small, space},
    types::{Command, PluginView, SettingKind, SettingSpec, SettingValue},
    widgets::line,
    words,
};

/// The form. The plugin reads what is set here, so the form says so.
pub(super) fn show(ui: &mut Ui, plugin: &PluginView, model: &mut Model, out: &mut Outbox) {
    let name = words::plain(&plugin.manifest.name);
    ui.label(small(ui, format!("{name} reads these. Write nothing private here.")));
    for spec in &plugin.manifest.settings {
        let title = words::plain(if spec.title.is_empty() { &spec.key } else { &spec.title });
        let value = plugin.settings.get(&spec.key);
        if let Some(value) = control(ui, plugin, spec, value, &title, model) {
            let key = spec.key.clone();
            out.send(Command::SetPluginSetting { plugin: plugin.id.clone(), key, value });
        }
    }
    ui.add_space(space::XS);
}

/// The new value, where the user has set one.
fn control(
    ui: &mut Ui,
    plugin: &PluginView,
    spec: &SettingSpec,
    value: Option<&SettingValue>,
    title: &str,
    model: &mut Model,
) -> Option<SettingValue> {
    match (&spec.kind, value) {
        (SettingKind::Flag { default }, value) => {
            let mut on = match value {
                Some(SettingValue::Flag(on)) => *on,
                _ => *default,
            };
            ui.checkbox(&mut on, title).changed().then_some(SettingValue::Flag(on))
        }
        (SettingKind::Number { min, max, default }, value) => {
            let mut number = match value {
                Some(SettingValue::Number(number)) => *number,
                _ => *default,
            };
            ui.horizontal(|ui| {
                let drag =
                    ui.add(DragValue::new(&mut number).range(*min..=*max)).accessible_name(title);
                ui.label(title);
                drag.changed().then_some(SettingValue::Number(number))
            })
            .inner
        }
        (SettingKind::Text { default }, value) => {
            let now = match value {
                Some(SettingValue::Text(text)) => text,
                _ => default,
            };
            let key = (plugin.id.clone(), spec.key.clone());
            let text = model.plugins.texts.entry(key).or_insert_with(|| now.clone());
            ui.horizontal(|ui| {
                let field = line(ui, text, title, "", 260.0);
                ui.label(title);
                let over = field.lost_focus() || ui.input(|i| i.key_pressed(Key::Enter));
                (over && text != now).then(|| SettingValue::Text(text.clone()))
            })
            .inner
        }
        (SettingKind::Choice { options, default }, value) => {
            let now = match value {
                Some(SettingValue::Choice(index)) => *index,
                _ => *default,
            };
            choice(ui, title, options, now).map(SettingValue::Choice)
        }
    }
}

fn choice(ui: &mut Ui, title: &str, options: &[String], now: u32) -> Option<u32> {
    let label =
        |index: u32| options.get(index as usize).map(|o| words::plain(o)).unwrap_or_default();
    let mut picked = now;
    ComboBox::from_label(title).selected_text(label(now)).show_ui(ui, |ui| {
        for index in 0..u32::try_from(options.len()).unwrap_or_default() {
            ui.selectable_value(&mut picked, index, label(index));
        }
    });
    (picked != now).then_some(picked)
}
