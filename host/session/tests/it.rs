//! The session as a shell sees it, with a model that is made up and plugins that are scripts.

#[path = "it/chat.rs"]
mod chat;
#[path = "it/library.rs"]
mod library;
#[path = "it/plugins.rs"]
mod plugins;
#[path = "it/stage.rs"]
mod stage;
#[path = "it/vault.rs"]
mod vault;
