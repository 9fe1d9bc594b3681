//! The Hearth window.
//!
//! A thin shell over [`hearth_session`]: it paints [`hearth_session::View`] and sends [`hearth_session::Command`]s.
//! [`App`] works with anything that is a [`Port`], so tests and the gallery run it without a vault.
//!
//! What it must never do: wait, read or write a file, speak SQL, touch a tensor, keep private text beyond the lock,
//! follow a link, or load anything a document or a plugin names.
#![forbid(unsafe_code)]

mod app;
mod commands;
mod dialogs;
mod icons;
mod model;
mod panels;
mod port;
mod theme;
mod types;
mod widgets;
mod words;

pub use app::{App, Options};
pub use commands::DialogFor;
pub use model::Screen;
pub use port::{Port, SessionPort};
pub use theme::install;
