//! Choosing adapters and how much of each.

use egui::{Popup, PopupCloseBehavior, Slider, Ui};

use crate::{
    icons,
    theme::{muted, small},
    types::{AdapterChoice, AdapterView, View},
    widgets::ghost,
    words,
};

/// Most of an adapter that can be chosen; 1 is as it was trained.
const MOST_STRENGTH: f32 = 2.0;

/// A line that says which adapters are chosen; a click opens the choice. Nothing where there is nothing to choose.
/// The new choice, once one is made.
pub(crate) fn choice_line(
    ui: &mut Ui,
    view: &View,
    now: &[AdapterChoice],
    what: &str,
    verb: &str,
) -> Option<Vec<AdapterChoice>> {
    let none = !view.tuning.adapters.iter().any(usable);
    if none && names(view, now).is_empty() {
        return None;
    }
    let names = names(view, now);
    let names = if names.is_empty() { "the model as it is" } else { names.as_str() };
    let button = ghost(ui, icons::GRADUATION, &words::short(&format!("{verb} {names}"), 80));
    let mut chosen = None;
    Popup::menu(&button).close_behavior(PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
        ui.set_width(420.0);
        ui.label(small(ui, what));
        chosen = chooser(ui, view, now, "line");
    });
    chosen
}

/// Adapters with their strengths, to be chosen from those that are in use; the new choice, once one is made.
pub(super) fn chooser(
    ui: &mut Ui,
    view: &View,
    now: &[AdapterChoice],
    salt: &str,
) -> Option<Vec<AdapterChoice>> {
    let is_chosen = |adapter: &&AdapterView| now.iter().any(|known| known.adapter == adapter.id);
    let adapters = view.tuning.adapters.iter();
    let listed: Vec<_> = adapters.filter(|adapter| usable(adapter) || is_chosen(adapter)).collect();
    if listed.is_empty() {
        ui.label(muted(ui, "No adapter is in use yet: look at its report and accept it first."));
        return None;
    }
    let mut chosen = now.to_vec();
    let mut settled = false;
    for adapter in listed {
        ui.push_id((salt, adapter.id.0), |ui| {
            ui.horizontal(|ui| {
                settled |= choose(ui, adapter, &mut chosen, &adapter.name);
                if !adapter.accepted {
                    ui.label(small(ui, "not accepted"));
                } else if !adapter.loaded {
                    ui.label(small(ui, format!("for {}", adapter.base)));
                }
            });
        });
    }
    // One that was retired since cannot be chosen again.
    chosen.retain(|choice| {
        view.tuning.adapters.iter().any(|known| known.id == choice.adapter && known.accepted)
    });
    (settled && chosen != now).then_some(chosen)
}

fn usable(adapter: &AdapterView) -> bool {
    adapter.accepted && adapter.loaded
}

/// A box and a slider for one adapter; whether a choice was made.
pub(super) fn choose(
    ui: &mut Ui,
    adapter: &AdapterView,
    chosen: &mut Vec<AdapterChoice>,
    name: &str,
) -> bool {
    let place = chosen.iter().position(|choice| choice.adapter == adapter.id);
    let mut on = place.is_some();
    let mut settled = false;
    let box_ = ui.checkbox(&mut on, words::short(&adapter.name, 40)).accessible_name(name);
    if box_.changed() {
        settled = true;
        match place {
            Some(place) => {
                chosen.remove(place);
            }
            None => chosen.push(AdapterChoice { adapter: adapter.id, strength: 1.0 }),
        }
    }
    let choice = chosen.iter_mut().find(|choice| choice.adapter == adapter.id);
    let Some(choice) = choice else { return settled };
    // While it is being dragged the slider keeps its own value; each would else be a command.
    let id = ui.scope_id().with("strength");
    let mut strength = ui.data(|data| data.get_temp(id)).unwrap_or(choice.strength);
    let slider = Slider::new(&mut strength, 0.0..=MOST_STRENGTH).fixed_decimals(2).step_by(0.05);
    let slider = ui.add(slider).on_hover_text("How much of it: 1 is as it was trained.");
    let slider = slider.accessible_name(format!("Strength of {name}"));
    if slider.dragged() {
        ui.data_mut(|data| data.insert_temp(id, strength));
    } else if slider.drag_stopped() || slider.changed() {
        ui.data_mut(|data| data.remove::<f32>(id));
        choice.strength = strength;
        settled = true;
    }
    settled
}

/// The names of chosen adapters, for a line.
pub(crate) fn names(view: &View, chosen: &[AdapterChoice]) -> String {
    let named = chosen.iter().filter_map(|choice| {
        let adapter = view.tuning.adapters.iter().find(|known| known.id == choice.adapter)?;
        Some(if (choice.strength - 1.0).abs() < 0.005 {
            adapter.name.clone()
        } else {
            format!("{} \u{d7} {:.2}", adapter.name, choice.strength)
        })
    });
    named.collect::<Vec<_>>().join(" + ")
}
