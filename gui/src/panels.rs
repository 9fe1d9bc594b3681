//! One module a screen. Each paints a part of the view and pushes what the user asks for.

pub(crate) mod activity;
pub(crate) mod chat;
pub(crate) mod consent;
pub(crate) mod library;
pub(crate) mod models;
pub(crate) mod picker;
pub(crate) mod plugin_panel;
pub(crate) mod plugins;
mod reader;
pub(crate) mod reveal;
pub(crate) mod trial;
pub(crate) mod tuning;
pub(crate) mod unlock;
pub(crate) mod words_wanted;
