//! The broker: everything a plugin may do, and nothing else.
//!
//! A plugin's run gets a [`Client`], which answers each [`hearth_base::HostCall`] at once. What the plugin asks for
//! about private data becomes a promise in a value graph, and the plugin holds no more than its number. Promises are
//! kept when a panel shows them or a save needs them, under a permit that is checked again at that moment; their texts
//! go to the user's eyes ([`PanelView`]) and to the vault, never back to the plugin.
//!
//! It defends the user's documents against plugins, and against documents that try to steer plugins. It must never
//! - let a reply depend on anything but public facts: the plugin's own calls, its grant and its counters. Not on the
//!   content, number, length, order, readiness or failure of anything private;
//! - let a value lose a part of its label on the way;
//! - touch the vault or the model for a run except in `ops`, which take a permit;
//! - cut a text silently: what cannot be done is said to the user, where the value would have stood;
//! - write private text to the audit trail or the log.
//!
//! ```
//! use hearth_broker::{Limits, escape_words};
//! assert_eq!(escape_words("pay \u{202e}lap"), r"pay \u{202e}lap");
//! assert_eq!(Limits::default().panel_nodes, 512);
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// The test harness is written from outside, and lies in `tests/it`.
#[cfg(test)]
extern crate self as hearth_broker;

mod audit;
mod broker;
mod client;
mod error;
mod gestures;
mod inner;
mod limits;
mod loaded;
mod ops;
mod outside;
mod panel;
mod permit;
mod policy;
mod scope;
mod spent;
mod start;
#[cfg(test)]
mod tests;
mod values;
mod view;
mod words;

// Runs.
pub use broker::Broker;
pub use client::Client;
pub use error::{BeginError, ValueError};
pub use limits::Limits;
pub use spent::Spent;
pub use start::{ModelFacts, ModelTrust, Occasion, PersonalAdapter, RunEnd, Start};

// What they learn.
pub use hearth_gate::Standing;

// Whoever speaks with the user.
pub use outside::{
    Asker, Observer, PickAnswer, PickQuestion, RevealAnswer, RevealQuestion, RevealSource,
};
pub use view::{PanelKey, PanelNode, PanelView, PluginNotice, ValueId, ValueState, ValueView};
pub use words::{escape_text, escape_words};
