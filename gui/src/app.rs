//! The application: `logic` hears and acts, `ui` paints.

mod logic;
mod ui;

use std::{path::PathBuf, sync::Arc};

use egui::Context;

use crate::{
    commands::Outbox,
    dialogs::Dialogs,
    model::{Model, Screen},
    port::Port,
    theme,
    types::View,
};

/// What the shell knows before anything is open.
#[derive(Clone, Debug)]
pub struct Options {
    /// The demonstration folder, where it was found.
    pub demo: Option<PathBuf>,
    /// Time zone for dates.
    pub zone: jiff::tz::TimeZone,
}

impl Default for Options {
    fn default() -> Self {
        Self { demo: None, zone: jiff::tz::TimeZone::UTC }
    }
}

/// The window's content.
pub struct App {
    port: Box<dyn Port>,
    view: Arc<View>,
    model: Model,
    outbox: Outbox,
    dialogs: Dialogs,
}

impl App {
    /// Sets up fonts and themes, and shows what the port's view says.
    pub fn new(ctx: &Context, port: impl Port + 'static, options: Options) -> Self {
        theme::install(ctx);
        let view = port.view();
        Self {
            port: Box::new(port),
            view,
            model: Model::new(options.zone, options.demo),
            outbox: Outbox::default(),
            dialogs: Dialogs::default(),
        }
    }

    /// Goes to a screen.
    pub fn show(&mut self, screen: Screen) {
        self.model.screen = screen;
    }

    /// The screen shown.
    pub fn screen(&self) -> &Screen {
        &self.model.screen
    }

    /// The state painted last.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Before each frame: hears what happened and takes the newest view.
    pub fn hear(&mut self, ctx: &Context) {
        logic::hear(self, ctx);
    }

    /// One frame: paints, then sends off what the user asked for.
    pub fn paint(&mut self, ui: &mut egui::Ui) {
        ui::paint(ui, &self.view, &mut self.model, &mut self.outbox);
        logic::act(self, ui.ctx());
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.hear(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.paint(ui);
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn persist_egui_memory(&self) -> bool {
        false
    }
}
