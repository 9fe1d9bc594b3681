//! The session as a shell sees it, with a model that is made up and plugins that are scripts.

#![expect(clippy::unwrap_used, reason = "what a test does not expect is its failure")]

#[path = "it/chat.rs"]
mod chat;
#[path = "it/develop.rs"]
mod develop;
#[path = "it/fetched.rs"]
mod fetched;
#[path = "it/install.rs"]
mod install;
#[path = "it/library.rs"]
mod library;
#[path = "it/life.rs"]
mod life;
#[path = "it/models.rs"]
mod models;
#[path = "it/plugins.rs"]
mod plugins;
#[path = "it/reveals.rs"]
mod reveals;
#[path = "it/stage.rs"]
mod stage;
#[path = "it/tools.rs"]
mod tools;
#[path = "it/tuning.rs"]
mod tuning;
#[path = "it/vault.rs"]
mod vault;
