//! A window without a screen, and the gestures tests make in it.

use std::time::{Duration, Instant};

use egui::{Event, Key, Modifiers, accesskit::Role};
use egui_kittest::{
    Harness, Node,
    kittest::{NodeT as _, Queryable as _},
};
use hearth_gui::{App, Options, Port, Screen};

/// Longest a test waits for what it expects.
const PATIENCE: Duration = Duration::from_secs(20);

/// The window, with what a user does to it.
pub(crate) struct Window(pub(crate) Harness<'static, App>);

impl Window {
    pub(crate) fn open(port: impl Port + 'static) -> Self {
        Self::with(port, Options::default())
    }

    pub(crate) fn with(port: impl Port + 'static, options: Options) -> Self {
        let harness = Harness::builder()
            .with_size([1280.0, 1700.0])
            .with_max_steps(60)
            .build_eframe(|cc| App::new(&cc.egui_ctx, port, options));
        let mut window = Self(harness);
        window.settle();
        window
    }

    /// Paints until nothing moves.
    pub(crate) fn settle(&mut self) {
        self.0.run_ok();
        self.0.run_ok();
    }

    pub(crate) fn show(&mut self, screen: Screen) {
        self.0.state_mut().show(screen);
        self.settle();
    }

    /// The button, tab, box or field of this name.
    fn control<'a>(&'a self, label: &'a str) -> Option<Node<'a>> {
        let labels = [Role::Label, Role::TextRun, Role::Paragraph];
        self.0
            .query_all_by_label(label)
            .find(|node| !labels.contains(&node.accesskit_node().role()))
    }

    #[track_caller]
    pub(crate) fn click(&mut self, label: &str) {
        let Some(control) = self.control(label) else {
            panic!("no control {label:?}\n{}", self.text())
        };
        control.click();
        self.settle();
    }

    #[track_caller]
    pub(crate) fn write(&mut self, field: &str, text: &str) {
        let Some(control) = self.control(field) else {
            panic!("no field {field:?}\n{}", self.text())
        };
        control.focus();
        self.settle();
        self.0.event(Event::Text(text.to_owned()));
        self.settle();
    }

    pub(crate) fn press(&mut self, modifiers: Modifiers, key: Key) {
        self.0.key_press_modifiers(modifiers, key);
        self.settle();
    }

    /// A press and release of the pointer, wherever it goes.
    pub(crate) fn click_at(&mut self, pos: egui::Pos2) {
        self.0.event(Event::PointerMoved(pos));
        for pressed in [true, false] {
            let button = egui::PointerButton::Primary;
            self.0.event(Event::PointerButton { pos, button, pressed, modifiers: Modifiers::NONE });
        }
        self.settle();
    }

    /// Where a control is.
    #[track_caller]
    pub(crate) fn rect(&self, label: &str) -> egui::Rect {
        let Some(control) = self.control(label) else {
            panic!("no control {label:?}\n{}", self.text())
        };
        control.rect()
    }

    pub(crate) fn has(&self, label: &str) -> bool {
        self.control(label).is_some()
    }

    pub(crate) fn is_enabled(&self, label: &str) -> bool {
        self.control(label).is_some_and(|node| !node.accesskit_node().is_disabled())
    }

    /// Whether these words can be read anywhere.
    pub(crate) fn reads(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    /// Everything that can be read, for messages of failed tests too.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        collect(&self.0.root(), &mut out);
        out
    }

    /// Paints until it is as wished.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wished: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            self.settle();
            if wished(self) {
                return;
            }
            assert!(Instant::now() < give_up, "never came about: {what}\n{}", self.text());
            std::thread::yield_now();
        }
    }
}

fn collect(node: &Node<'_>, out: &mut String) {
    for text in [node.accesskit_node().label(), node.accesskit_node().value()].into_iter().flatten()
    {
        out.push_str(&text);
        out.push('\n');
    }
    for child in node.children() {
        collect(&child, out);
    }
}
