//! What a Hearth plugin written in Rust is made with.
//!
//! A plugin never sees the user's data. It holds *values* ([`Text`], [`Collection`], [`Choice`], [`Document`]): promises
//! that it can pass to the model, to a panel or to the vault, and never look into. So it cannot leak them, and needs no
//! trust.
//!
//! ```
//! use hearth_plugin_sdk::{
//!     Document, Failure, Field, Options, Plugin, Text, generate, heading, needed, panel, system, user, value, words,
//! };
//!
//! struct Haiku;
//!
//! impl Plugin for Haiku {
//!     fn run(_command: &str, focus: Option<Document>, _input: Option<Text>) -> Result<(), Failure> {
//!         let body = needed(focus, "choose a note first")?.get(Field::Body)?;
//!         let prompt = [system("You write haiku."), user([words("About this:\n\n"), value(&body)])];
//!         let haiku = generate(&prompt, &Options::exact(60))?;
//!         Ok(panel::show("haiku", &[heading("A haiku"), panel::Node::Value(&haiku)])?)
//!     }
//! }
//!
//! hearth_plugin_sdk::register_plugin!(Haiku);
//! # fn main() {}
//! ```
//!
//! Work over many documents is a few calls, whatever their number, and none of them waits:
//!
//! ```no_run
//! use hearth_plugin_sdk::{
//!     Failure, Field, Options, Schema, Sort, decide_each, each, fill_each, generate_each, granted, item, needed, system,
//!     user, words,
//! };
//!
//! # fn main() -> Result<(), Failure> {
//! let mails = granted("inbox", Sort::Newest, 300)?;
//! let ask = [system("You sort e-mail."), user([words("Is this urgent?\n\n"), each()])];
//! let urgent = needed(decide_each(&mails, &ask, &Schema::Boolean)?.pop(), "a decision has two outcomes")?;
//! let summaries = generate_each(&urgent, &[user([words("Sum up:\n\n"), each()])], &Options::exact(60))?;
//! let titles = fill_each(&urgent, &[item(Field::Title), words(", from "), item(Field::Author)])?;
//! let digest = titles.zip(&summaries, "\n")?.join("\n\n")?;
//! // The panel can say that there is none, and the plugin does not hear of it.
//! let none = hearth_plugin_sdk::Text::literal("Nothing is urgent.")?;
//! let shown = urgent.count(1)?.select(&[&none, &digest])?;
//! # Ok(()) }
//! ```
//!
//! The crate is a `cdylib` with a `plugin.toml` beside its `Cargo.toml`; `cargo xtask pack PATH` makes one `.wasm` file
//! of both. Each call runs in a fresh instance: statics do not survive it, [`storage`] and [`keep`] do. A plugin that
//! never calls [`declassify`] has no import for it and is *sealed*. Natively the crate compiles, so that a plugin's own
//! logic can be tested, but calls to the host panic.
#![deny(missing_docs)]

mod nodes;
mod plugin;
mod prompt;
pub mod settings;

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

pub use nodes::{button, field, heading, label, row};
#[doc(hidden)]
pub use plugin::log_panics;
pub use plugin::{Plugin, needed};
pub use prompt::{each, item, one_of, system, user, value, words};
// Values.
pub use wit::hearth::plugin::values::{Choice, Collection, Text, keep, kept};
// Documents.
pub use wit::hearth::plugin::documents::{
    Document, Field, Sort, granted, pick, save, save_each, search, thread, threads,
};
// The model.
pub use wit::hearth::plugin::model::{
    Completion, Message, Options, Part, Role, Schema, Style, Weights, decide, decide_each,
    fill_each, generate, generate_each, reduce,
};
// What a plugin offers and why something failed.
pub use wit::exports::hearth::plugin::guest::{Event, Failure};
pub use wit::hearth::plugin::types::{Capability, Date, Error, Quota};
// Used by their module's name.
pub use wit::hearth::plugin::{declassify, host, panel, storage};
