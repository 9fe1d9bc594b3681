//! The whole program, with real plugins in real processes and a model that answers by rule.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "it/canary.rs"]
mod canary;
#[path = "it/injections.rs"]
mod injections;
#[path = "it/main_job.rs"]
mod main_job;
#[path = "it/samples.rs"]
mod samples;
#[path = "it/short.rs"]
mod short;
#[path = "it/sources.rs"]
mod sources;
#[path = "it/stage.rs"]
mod stage;
#[path = "it/two_vaults.rs"]
mod two_vaults;
