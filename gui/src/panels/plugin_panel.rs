//! What a plugin shows: its own words framed and attributed, values drawn by the host.

use egui::{
    Align, Color32, CornerRadius, Frame, Key, Label, Layout, Margin, RichText, ScrollArea, Stroke,
    Ui, UiBuilder, vec2,
};

use crate::{
    commands::{Intent, Outbox},
    icons,
    model::{Model, Tone},
    theme::{
        CONTROL_HEIGHT, Palette, READING_WIDTH, heading, icon, muted, small, space, strong, title,
    },
    types::{
        Command, PanelButton, PanelInput, PanelKey, PanelNode, PanelView, PluginView, ValueState,
        ValueView, View,
    },
    widgets::{
        area, badge, bar, centred_column, ghost, icon_button, line, primary, secondary_enabled,
    },
    words,
};

/// What is at hand while the nodes of a panel are painted.
struct Painter<'a> {
    panel: &'a PanelView,
    model: &'a mut Model,
    out: &'a mut Outbox,
}

/// The page of one panel, inside its own rectangle.
pub(crate) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox, key: &PanelKey) {
    let Some(panel) = view.panels.iter().find(|p| p.key == *key) else { return };
    let plugin = view.plugins.iter().find(|p| p.id == key.plugin);
    attribution(ui, panel, plugin.is_some_and(|p| p.sealed), out);
    ui.spacing_mut().scroll.floating_allocated_width = 0.0;
    // A room of its own: whatever is in it, it neither grows the page nor paints beside it.
    let rect = ui.available_rect_before_wrap();
    let mut room = ui.new_child(UiBuilder::new().max_rect(rect));
    room.shrink_clip_rect(rect);
    ui.advance_cursor_after_rect(rect);
    ScrollArea::vertical()
        .id_salt(("panel", key.plugin.as_str(), key.panel.as_str()))
        .auto_shrink(false)
        .show(&mut room, |ui| {
            centred_column(ui, READING_WIDTH + 60.0, |ui| {
                ui.add_space(space::M);
                ui.label(title(words::plain(&panel.title)));
                running(ui, plugin, out);
                nodes(ui, panel, model, out);
                ui.add_space(space::XL);
            });
        });
}

/// What it shows, one below the other.
pub(super) fn nodes(ui: &mut Ui, panel: &PanelView, model: &mut Model, out: &mut Outbox) {
    let mut painter = Painter { panel, model, out };
    let mut nodes = panel.nodes.as_slice();
    while !nodes.is_empty() {
        nodes = painter.group(ui, nodes);
    }
}

/// How far the run is.
fn running(ui: &mut Ui, plugin: Option<&PluginView>, out: &mut Outbox) {
    let Some(plugin) = plugin else { return };
    ui.horizontal(|ui| {
        // The row stays when the run ends, so that nothing moves under the pointer.
        let Some(ticket) = plugin.running else {
            ui.label(muted(ui, "The run has ended."));
            return;
        };
        let (percent, message) = plugin.progress.clone().unwrap_or((None, String::new()));
        bar(ui, percent.map(|p| f32::from(p) / 100.0), 160.0, "Run under way");
        ui.label(muted(ui, words::plain(&message)));
        if icon_button(ui, icons::STOP, "Stop the run").clicked() {
            out.cancel(ticket);
        }
    });
}

/// Always drawn, by the host: whose words these are.
fn attribution(ui: &mut Ui, panel: &PanelView, sealed: bool, out: &mut Outbox) {
    let p = Palette::of(ui);
    let (ink, ground) = if sealed { (p.good, p.good_soft) } else { (p.warn, p.warn_soft) };
    Frame::new().fill(ground).inner_margin(Margin::symmetric(24, 7)).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(icon(if sealed { icons::SHIELD } else { icons::WARNING }, 17.0).color(ink));
            let text = words::attribution(&panel.plugin_name, sealed);
            ui.label(RichText::new(text).color(ink));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, icons::CLOSE, "Close panel").clicked() {
                    out.send(Command::ClosePanel(panel.key.clone()));
                }
            });
        });
    });
}

impl Painter<'_> {
    /// Paints nodes up to the end of a group or of the panel; gives back what follows.
    fn group<'n>(&mut self, ui: &mut Ui, mut nodes: &'n [PanelNode]) -> &'n [PanelNode] {
        while let Some((node, rest)) = nodes.split_first() {
            nodes = match node {
                PanelNode::End => return rest,
                PanelNode::Row => ui.horizontal_wrapped(|ui| self.group(ui, rest)).inner,
                PanelNode::Column => ui.vertical(|ui| self.group(ui, rest)).inner,
                other => {
                    self.node(ui, other);
                    rest
                }
            };
        }
        nodes
    }

    fn node(&mut self, ui: &mut Ui, node: &PanelNode) {
        match node {
            PanelNode::Heading(text) => {
                ui.add_space(space::S);
                ui.label(heading(words::plain(text)));
            }
            PanelNode::Label(text) => {
                ui.label(muted(ui, words::plain(text)));
            }
            PanelNode::Divider => {
                ui.separator();
            }
            PanelNode::Value(value) => self.value(ui, value),
            PanelNode::Items(items) => self.items(ui, items.as_deref(), None),
            PanelNode::Picker { id, items } => self.items(ui, items.as_deref(), Some(id)),
            PanelNode::Button(button) => self.button(ui, button),
            PanelNode::Input(input) => self.input(ui, input),
            PanelNode::Progress(percent) => {
                let width = ui.available_width().min(320.0);
                bar(ui, percent.map(|p| f32::from(p) / 100.0), width, "Progress");
            }
            PanelNode::Row | PanelNode::Column | PanelNode::End => {}
        }
    }

    fn items(&mut self, ui: &mut Ui, items: Option<&[ValueView]>, picker: Option<&String>) {
        let Some(items) = items else {
            ui.label(muted(ui, "Looking how many there are\u{2026}"));
            return;
        };
        if items.is_empty() {
            ui.label(muted(ui, "Nothing here."));
        }
        for value in items {
            ui.push_id(value.id.0, |ui| {
                self.value(ui, value);
                if let Some(picker) = picker
                    && value.state == ValueState::Done
                    && primary(ui, icons::CHECK, "Choose").clicked()
                {
                    self.out.send(Command::PickItem {
                        panel: self.panel.key.clone(),
                        picker: picker.clone(),
                        value: value.id,
                    });
                }
            });
        }
    }

    /// A value, with what the host offers on each: copying and saving are the user's gestures.
    fn value(&mut self, ui: &mut Ui, value: &ValueView) {
        let p = Palette::of(ui);
        Frame::new()
            .fill(p.card)
            .stroke(Stroke::new(1.0, p.line))
            .corner_radius(CornerRadius::same(12))
            .inner_margin(Margin { left: 16, right: 10, top: 12, bottom: 6 })
            .show(ui, |ui| {
                ui.take_available_width();
                ui.spacing_mut().item_spacing.y = 4.0;
                content(ui, value, p.faint);
                let size = vec2(ui.available_width(), CONTROL_HEIGHT);
                ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
                    self.gestures(ui, value);
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        let provenance = small(ui, &value.made_from);
                        ui.add(Label::new(provenance).truncate());
                    });
                });
            });
    }

    fn gestures(&mut self, ui: &mut Ui, value: &ValueView) {
        match value.state {
            ValueState::Done => {
                if ghost(ui, icons::SAVE, "Save").clicked() {
                    self.out.send(Command::SaveValue(value.id));
                }
            }
            ValueState::Saved => {
                badge(ui, Tone::Good, icons::CHECK, "Saved");
            }
            ValueState::Waiting | ValueState::Streaming | ValueState::Failed(_) => {}
        }
        if !value.text.is_empty() && ghost(ui, icons::COPY, "Copy").clicked() {
            self.out.push(Intent::Copy(value.text.clone(), "Text"));
        }
    }

    fn button(&mut self, ui: &mut Ui, button: &PanelButton) {
        let glyph = words::glyph(button.icon);
        let label = named(&button.label, "Unnamed button");
        if secondary_enabled(ui, button.enabled, glyph, &label).clicked() {
            let panel = self.panel.key.clone();
            self.out.send(Command::Press { panel, button: button.id.clone() });
        }
    }

    fn input(&mut self, ui: &mut Ui, input: &PanelInput) {
        let label = named(&input.label, "Unnamed field");
        let hint = words::plain(&input.placeholder);
        let key = (self.panel.key.clone(), input.id.clone());
        let text = self.model.panel_inputs.entry(key).or_default();
        ui.label(strong(&label));
        let entered = if input.multiline {
            area(ui, text, &label, &hint, 4);
            false
        } else {
            let field = line(ui, text, &label, &hint, ui.available_width().min(420.0));
            field.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter))
        };
        if (secondary_enabled(ui, !text.is_empty(), icons::CHECK, "Enter").clicked() || entered)
            && !text.is_empty()
        {
            let text = std::mem::take(text);
            let panel = self.panel.key.clone();
            self.out.send(Command::Enter { panel, input: input.id.clone(), text });
        }
    }
}

/// A plugin's name for a control, which must have one.
fn named(label: &str, otherwise: &str) -> String {
    if label.trim().is_empty() { otherwise.to_owned() } else { words::plain(label) }
}

fn content(ui: &mut Ui, value: &ValueView, faint: Color32) {
    match &value.state {
        ValueState::Waiting if value.text.is_empty() => {
            ui.label(RichText::new("Waiting for its turn\u{2026}").color(faint));
        }
        ValueState::Failed(reason) => {
            if !value.text.is_empty() {
                ui.label(&value.text);
            }
            let bad = Palette::of(ui).bad;
            ui.horizontal_wrapped(|ui| {
                ui.label(icon(icons::WARNING, 15.0).color(bad));
                ui.label(RichText::new(reason).color(bad));
            });
        }
        state => {
            let mut text = value.text.trim().to_owned();
            if matches!(state, ValueState::Streaming) {
                text.push_str(" \u{2026}");
            }
            ui.label(RichText::new(text).line_height(Some(21.0)));
        }
    }
}
