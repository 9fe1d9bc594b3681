//! What a Hearth plugin written in Rust is made with.
//!
//! A plugin never sees the user's data. It holds *values* ([`Text`], [`Collection`], [`Choice`], [`Document`]): promises
//! that it can pass to the model, to a panel or to the vault, and never look into. So it cannot leak them, and needs no
//! trust.
//!
//! ```
//! use hearth_plugin_sdk::{Document, Failure, Options, Plugin, Text, generate, item, panel, system, user, value, words};
//!
//! struct Haiku;
//!
//! impl Plugin for Haiku {
//!     fn run(_command: &str, focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
//!         let note = focus.ok_or(Failure::BadInput("choose a note first".into()))?;
//!         let body = note.get(hearth_plugin_sdk::Field::Body)?;
//!         let prompt = [system("You write haiku."), user([words("About this:\n\n"), value(&body)])];
//!         let haiku = generate(&prompt, &Options::exact(60))?;
//!         panel::show("haiku", &[panel::Node::Value(&haiku)])?;
//!         Ok(())
//!     }
//! }
//!
//! hearth_plugin_sdk::register_plugin!(Haiku);
//! # fn main() {}
//! ```
//!
//! The crate is a `cdylib` with a `plugin.toml` beside its `Cargo.toml`; `cargo xtask pack PATH` makes one `.wasm` file
//! of both. Each call runs in a fresh instance: statics do not survive it, [`storage`] and [`keep`] do. A plugin that
//! never calls [`declassify`] has no import for it and is *sealed*. Natively the crate compiles, so that a plugin's own
//! logic can be tested, but calls to the host panic.
#![deny(missing_docs)]

mod plugin;
mod prompt;

#[doc(hidden)]
#[allow(unsafe_code, missing_docs, clippy::all, reason = "generated from wit/")]
pub mod wit {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "plugin",
        pub_export_macro: true,
        default_bindings_module: "hearth_plugin_sdk::wit",
        generate_all,
    });
}

pub use plugin::Plugin;
#[doc(hidden)]
pub use plugin::log_panics;
pub use prompt::{item, system, user, value, words};
// Values.
pub use wit::hearth::plugin::values::{Choice, Collection, Text, keep, kept};
// Documents.
pub use wit::hearth::plugin::documents::{
    Document, Field, Sort, granted, pick, save, save_each, search,
};
// The model.
pub use wit::hearth::plugin::model::{
    Completion, Message, Options, Part, Role, Schema, Style, Weights, decide, decide_each,
    generate, generate_each, reduce,
};
// What a plugin offers and why something failed.
pub use wit::exports::hearth::plugin::guest::{Event, Failure};
pub use wit::hearth::plugin::types::{Capability, Date, Error, Quota};
// Used by their module's name.
pub use wit::hearth::plugin::{declassify, host, panel, settings, storage};
