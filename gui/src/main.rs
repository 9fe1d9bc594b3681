//! `hearth-gui`: opens the session and the window.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use eframe::NativeOptions;
use egui::{Context, IconData, ViewportBuilder};
use hearth_gui::{App, Options, SessionPort};
use hearth_session::UserError;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            #[expect(clippy::print_stderr, reason = "there is no window to say it in")]
            {
                eprintln!("hearth-gui: {reason}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let vault_dir = arguments()?;
    hearth_app::log_to_stderr();
    // The window comes after the session, so the waker finds its context here once it is there.
    let window: Arc<OnceLock<Context>> = Arc::default();
    let woken = Arc::clone(&window);
    let waker = Arc::new(move || {
        if let Some(ctx) = woken.get() {
            ctx.request_repaint();
        }
    });
    let session =
        hearth_app::open(hearth_app::Options { vault_dir }, waker).map_err(|e| in_words(&e))?;
    let port = SessionPort::new(session.handle());
    let options = Options { demo: hearth_app::demo_dir(), zone: jiff::tz::TimeZone::system() };
    let viewport = ViewportBuilder::default()
        .with_title("Hearth")
        .with_app_id("hearth")
        .with_icon(icon())
        .with_inner_size([1240.0, 780.0])
        .with_min_inner_size([860.0, 560.0]);
    let native = NativeOptions { viewport, ..NativeOptions::default() };
    let ended = eframe::run_native(
        "hearth",
        native,
        Box::new(move |cc| {
            window.get_or_init(|| cc.egui_ctx.clone());
            Ok(Box::new(App::new(&cc.egui_ctx, port, options)))
        }),
    );
    session.shutdown();
    ended.map_err(|error| error.to_string())
}

/// `--vault DIR`, or nothing.
fn arguments() -> Result<Option<PathBuf>, String> {
    let mut args = std::env::args_os().skip(1);
    let Some(first) = args.next() else { return Ok(None) };
    match (first.to_str(), args.next(), args.next()) {
        (Some("--vault"), Some(dir), None) => Ok(Some(dir.into())),
        _ => Err("usage: hearth-gui [--vault DIR]".into()),
    }
}

fn in_words(error: &UserError) -> String {
    format!("{} {}", error.message, error.hint)
}

/// A flame on an ember ground.
fn icon() -> IconData {
    const SIDE: u32 = 64;
    let mut rgba = Vec::with_capacity((SIDE * SIDE * 4) as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (x, y) = (f64::from(x) / 32.0 - 1.0, f64::from(y) / 32.0 - 1.0);
            // A drop: its width grows from the tip down and closes in a round foot.
            let drop = |scale: f64, foot: f64| {
                let height = (foot - y) / scale;
                (0.0..1.0).contains(&height)
                    && x.abs() < scale * 0.75 * (height * (1.0 - height).powi(2)).sqrt() * 1.6
            };
            let corner = x.abs().max(y.abs()) > 0.97 || x.abs() + y.abs() > 1.72;
            let pixel = if corner {
                [0, 0, 0, 0]
            } else if drop(0.7, 0.68) {
                [0xf0, 0x8a, 0x4b, 0xff]
            } else if drop(1.45, 0.74) {
                [0xff, 0xf4, 0xea, 0xff]
            } else {
                [0xc2, 0x4e, 0x19, 0xff]
            };
            rgba.extend(pixel);
        }
    }
    IconData { rgba, width: SIDE, height: SIDE }
}
