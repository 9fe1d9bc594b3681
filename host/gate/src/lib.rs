//! The gate: the only way by which anything private could become known to a plugin.
//!
//! Everything else a plugin hears is public by construction. Three things are not: a hidden choice it asks to learn
//! ([`pay_choice`], then [`tell_choice`]), a text that the user lets it have ([`begin_text`], then [`present_text`]),
//! and what the user presses after seeing private values ([`gesture`]). Each has a price in thousandths of a bit, and
//! each price comes out of accounts that bound how much a plugin, its publisher, and every source of a value ever give
//! away. What comes of an attempt is a [`GateEvent`] for the audit trail, whatever the verdict.
//!
//! Functions here are pure: they look at a [`Ledger`], a snapshot of what was spent, and return the [`Charge`]s to
//! write, which the caller does in the same transaction in which it has read. No I/O, no clock, no secrets, so that
//! all of it can be tested to the last branch. The gate must never
//! - see the private value itself: only how much knowing it would tell;
//! - let a plugin tell an exhausted source from a value that could not be made: both are the outcome "failed", at full
//!   charge, for what a source has left is nobody's to know;
//! - refuse for a public reason after it has charged: a public account that is short costs nothing;
//! - let an account pass its limit.
//!
//! Prices are logarithms of the number of outcomes, "failed" included, since a deterministic program leaks at most
//! that much min-entropy (Smith, "On the Foundations of Quantitative Information Flow", FoSSaCS 2009), and since those
//! of several answers add up to at least what they tell together (Espinoza and Smith, "Min-entropy as a resource",
//! Information and Computation 226, 2013).
//!
//! ```
//! use std::collections::BTreeSet;
//! use hearth_base::{Date, PluginId};
//! use hearth_gate::{Day, Ledger, Party, Told, pay_choice, remaining, tell_choice};
//! let day = Day::of(Date { year: 2026, month: 1, day: 31 });
//! let plugin = PluginId::new("org.example.triage")?;
//! let party = Party { plugin, publishers: ["key".to_owned()].into(), day, choice_bits: 4, text: false };
//! let mut ledger = Ledger::default();
//! let paid = pay_choice(&party, 4, &ledger)?;
//! ledger.write(&paid.charges);
//! assert_eq!(remaining(&party, &ledger), 4_000 - 2_322);
//! let mail = BTreeSet::from(["content of a mail".to_owned()]);
//! let told = tell_choice(&mail, paid.price_millibits, true, &ledger);
//! assert_eq!(told.verdict, Told::Outcome);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod account;
mod choice;
mod event;
mod gesture;
mod party;
mod price;
mod text;

pub use account::{Account, Charge, Day, Ledger, Sources};
pub use choice::{ChoiceTold, OverQuota, Paid, Told, pay_choice, tell_choice};
pub use event::GateEvent;
pub use gesture::{GesturesSpent, allow_gestures, gesture, gestures_left};
pub use party::{Party, Standing, remaining, standing};
pub use price::choice_millibits;
pub use text::{
    Presented, TextAttempt, TextBegun, TextPresented, begin_text, present_text, within_the_hour,
};
