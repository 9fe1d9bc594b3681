//! Shows one screen from a made-up view, for looking at it: `cargo run --example gallery -- chat light`.

#[path = "gallery/views.rs"]
mod views;

use hearth_gui::{App, Options, Screen};

fn main() -> eframe::Result {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let name = args.first().cloned().unwrap_or_else(|| "library".into());
    let theme = match args.get(1).map(String::as_str) {
        Some("light") => egui::ThemePreference::Light,
        Some("dark") => egui::ThemePreference::Dark,
        _ => egui::ThemePreference::System,
    };
    let (view, screen) = match name.as_str() {
        "create" => (views::absent(), Screen::Library),
        "unlock" => (views::locked(), Screen::Library),
        "empty" => (views::empty(), Screen::Library),
        "chat" => (views::full(), Screen::Chat),
        "fresh" => (views::empty(), Screen::Chat),
        "plugins" => (views::full(), Screen::Plugins),
        "waiting" => (views::waiting(), Screen::Plugins),
        "reveal" => {
            let view = views::reveal();
            let key = view.panels.first().map(|p| p.key.clone());
            (view, key.map_or(Screen::Plugins, Screen::Panel))
        }
        "usage" => (views::plugin_activity(), Screen::Activity),
        "trial" => (views::trial(), Screen::Trial),
        "tools" => (views::tools(), Screen::Chat),
        "offered" => (views::empty(), Screen::Plugins),
        "panel" => {
            let view = views::full();
            let key = view.panels.first().map(|p| p.key.clone());
            (view, key.map_or(Screen::Plugins, Screen::Panel))
        }
        "models" => (views::full(), Screen::Models),
        "training" => (views::training(), Screen::Tuning),
        "activity" => (views::full(), Screen::Activity),
        "news" => (views::news(), Screen::Library),
        _ => (views::full(), Screen::Library),
    };
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default().with_inner_size([1280.0, 800.0]),
        ..eframe::NativeOptions::default()
    };
    eframe::run_native(
        "Hearth gallery",
        native,
        Box::new(move |cc| {
            let options = Options { demo: Some("examples/demo".into()), ..Options::default() };
            let mut app = App::new(&cc.egui_ctx, views::Fake::new(view), options);
            cc.egui_ctx.set_theme(theme);
            app.show(screen);
            Ok(Box::new(app))
        }),
    )
}
