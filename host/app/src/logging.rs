//! The log: stderr, when `HEARTH_LOG` asks for it, Hearth's own lines alone.

use tracing_subscriber::{
    Layer, filter::LevelFilter, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Starts logging if `HEARTH_LOG` names a level. Other libraries' lines are left out, since what they quote is not ours
/// to vouch for.
pub fn log_to_stderr() {
    let level: Option<LevelFilter> =
        std::env::var("HEARTH_LOG").ok().and_then(|level| level.trim().parse().ok());
    let Some(level) = level else { return };
    let ours = filter_fn(move |line| {
        line.target().starts_with("hearth") && LevelFilter::from_level(*line.level()) <= level
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(ours);
    // A program that has set up its own log keeps it.
    tracing_subscriber::registry().with(lines).try_init().ok();
}
