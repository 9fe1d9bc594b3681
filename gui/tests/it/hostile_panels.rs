//! What a plugin shows stays inside its rectangle, whatever it shows, and a click there asks for nothing of the host's.

use egui::{Pos2, Rect, epaint::ClippedShape};
use hearth_gui::Screen;
use hearth_session::{
    Button, Command, Glyph, Input, PanelNode, PanelView, ValueId, ValueState, ValueView, View,
};

use crate::{
    stage::Window,
    views::{self, Fake},
};

/// Panels made to break out.
const PANELS: u64 = 12;
/// Clicks on each.
const CLICKS: u64 = 12;

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn words(&mut self) -> String {
        let pieces = [
            "Allow",
            "Unlock\n\n\n",
            "\u{202e}",
            "W".repeat(4096).leak(),
            "a\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}",
            "\u{1b}[31m",
            "https://example.org/x.png",
            "\u{200b}\u{200d}",
            "\u{fdfd}\u{fdfd}\u{fdfd}",
            "\t\t\t\t",
            "Passphrase",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "![x](http://example.org)",
            "\u{0}",
            "\r\r",
            "\u{12031}\u{12031}",
        ];
        let count = self.below(6);
        (0..count).map(|_| pieces[self.below(pieces.len() as u64) as usize]).collect()
    }

    fn value(&mut self, n: u64) -> ValueView {
        let state = match self.below(5) {
            0 => ValueState::Waiting,
            1 => ValueState::Streaming,
            2 => ValueState::Saved,
            3 => ValueState::Failed(self.words()),
            _ => ValueState::Done,
        };
        ValueView { id: ValueId(n), text: self.words(), state, made_from: self.words() }
    }

    fn node(&mut self, n: u64) -> PanelNode {
        match self.below(13) {
            0 => PanelNode::Heading(self.words()),
            1 => PanelNode::Label(self.words()),
            2 => PanelNode::Divider,
            3 | 4 => PanelNode::Value(self.value(n * 100)),
            5 => PanelNode::Items(Some(
                (0..self.below(5)).map(|i| self.value(n * 100 + i)).collect(),
            )),
            6 => PanelNode::Items(None),
            7 => PanelNode::Picker { id: n.to_string(), items: Some(vec![self.value(n * 100)]) },
            8 => PanelNode::Button(Button {
                id: n.to_string(),
                label: self.words(),
                icon: Glyph::Warning,
                enabled: n.is_multiple_of(2),
            }),
            9 => PanelNode::Input(Input {
                id: n.to_string(),
                label: self.words(),
                placeholder: self.words(),
                multiline: n.is_multiple_of(2),
            }),
            10 => PanelNode::Progress(Some(200)),
            11 => PanelNode::Row,
            _ => PanelNode::Column,
        }
    }

    fn nodes(&mut self) -> Vec<PanelNode> {
        (0..self.below(60)).map(|n| self.node(n)).collect()
    }
}

/// A window that shows a panel of the first plugin with these nodes.
fn window(nodes: Vec<PanelNode>) -> (Window, Fake, PanelView) {
    let mut view = views::full();
    let panel = PanelView { nodes, ..view.panels[0].clone() };
    view = View { panels: vec![panel.clone()].into(), ..view };
    let fake = Fake::new(view);
    let mut window = Window::open(fake.clone());
    // As in the real window: a character that no font has is a box.
    window.0.ctx.set_missing_glyph_policy(egui::MissingGlyphPolicy::Tofu);
    window.show(Screen::Panel(panel.key.clone()));
    (window, fake, panel)
}

/// Where the panel may paint: below the strip that names the plugin, right of the host's own rail.
fn rectangle(window: &Window) -> Rect {
    let strip = window.rect("Close panel");
    let rail = window.rect("Library");
    let (left, top) = (rail.right(), strip.bottom());
    Rect::from_min_max(Pos2::new(left, top), Pos2::new(1280.0, 1700.0))
}

/// What of a shape can be seen.
fn seen(clipped: &ClippedShape) -> Rect {
    clipped.shape.visual_bounding_rect().intersect(clipped.clip_rect)
}

fn outside(window: &Window, rectangle: Rect) -> Vec<ClippedShape> {
    let shapes = window.0.output().shapes.iter();
    let shows = |clipped: &&ClippedShape| {
        let seen = seen(clipped);
        seen.is_positive() && !rectangle.contains_rect(seen)
    };
    shapes.filter(shows).cloned().collect()
}

#[test]
fn no_panel_paints_outside_its_rectangle() {
    let (calm, ..) = window(Vec::new());
    let rectangle = rectangle(&calm);
    let host = outside(&calm, rectangle);
    assert!(host.len() > 20, "the host paints {} shapes around a panel", host.len());
    for seed in 0..PANELS {
        let (hostile, ..) = window(Chance(seed).nodes());
        let around = outside(&hostile, rectangle);
        for shape in &around {
            assert!(host.contains(shape), "panel {seed} paints at {:?}: {shape:?}", seen(shape));
        }
        assert_eq!(around.len(), host.len(), "panel {seed} hides something of the host's");
    }
}

#[test]
fn a_click_into_a_panel_asks_for_nothing_but_the_panels_own() {
    for seed in 0..PANELS / 2 {
        let mut chance = Chance(seed);
        let (mut window, fake, panel) = window(chance.nodes());
        let rectangle = rectangle(&window);
        fake.sent.lock().unwrap().clear();
        for _ in 0..CLICKS {
            let x = rectangle.left() + chance.below(rectangle.width() as u64) as f32;
            let y = rectangle.top() + chance.below(rectangle.height() as u64) as f32;
            window.click_at(Pos2::new(x, y));
        }
        for command in fake.sent.lock().unwrap().iter() {
            let its_own = match command {
                Command::Press { panel: key, .. }
                | Command::Enter { panel: key, .. }
                | Command::PickItem { panel: key, .. } => *key == panel.key,
                Command::SaveValue(_) | Command::Browse(_) => true,
                _ => false,
            };
            assert!(its_own, "panel {seed} made the window send {command:?}");
        }
    }
}
