//! The window as assistive technology sees it: every control is found by its label.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "it/hostile_panels.rs"]
mod hostile_panels;
#[path = "it/main_job.rs"]
mod main_job;
#[path = "it/screens.rs"]
mod screens;
#[path = "it/stage.rs"]
mod stage;
#[path = "it/strangers.rs"]
mod strangers;
#[path = "it/training.rs"]
mod training;
#[path = "../examples/gallery/views.rs"]
#[allow(dead_code, reason = "the gallery shows more than the tests ask for")]
mod views;
