//! The gate: the only way by which anything private could become known to a plugin.
//!
//! Everything else a plugin hears is public by construction. What stands here decides whether a plugin may learn a
//! hidden choice or a text, and every attempt becomes a [`GateEvent`] for the audit trail, whatever the verdict. This
//! version refuses all of them: [`Gate::remaining_millibits`] is 0. Accounts that bound how many bits a plugin, a
//! publisher and a source ever give away, and a dialog in which the user reads the very bytes before they leave, come
//! with a later version of this crate, behind the same functions.
//!
//! It is pure: no I/O, no clock, no secrets, so that it can be tested alone and to the last branch. It must never see
//! the private value itself, only how much knowing it would tell.
//!
//! ```
//! use hearth_base::{PluginId, RunId};
//! use hearth_gate::{Gate, Verdict};
//! let plugin = PluginId::new("org.example.digest")?;
//! let attempt = Gate::new().reveal_choice(&plugin, RunId(1), 4);
//! assert_eq!(attempt.verdict, Verdict::Refused);
//! assert_eq!(attempt.event.to_string(), "asked to learn one of 4 outcomes (2322 millibits): refused");
//! # Ok::<(), hearth_base::IdError>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod price;

use std::fmt;

use hearth_base::{PluginId, RunId};

pub use price::choice_millibits;

/// What a plugin wanted to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Which of so many outcomes a choice is.
    Choice {
        /// Outcomes it has.
        outcomes: u32,
    },
    /// A text.
    Text,
}

/// Whether it may. There is no other verdict yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It may not, and learns nothing but this, which is the same for every value.
    Refused,
}

/// An attempt, for the audit trail. Holds nothing private; its `Display` is the row's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateEvent {
    /// Who.
    pub plugin: PluginId,
    /// In which run.
    pub run: RunId,
    /// What it wanted.
    pub wish: Wish,
}

impl fmt::Display for GateEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wish {
            Wish::Choice { outcomes } => write!(
                f,
                "asked to learn one of {outcomes} outcomes ({} millibits): refused",
                choice_millibits(outcomes)
            ),
            Wish::Text => f.write_str("asked to learn a text: refused"),
        }
    }
}

/// A verdict, and the event that must be recorded whatever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the event belongs in the audit trail"]
pub struct Attempt {
    /// The verdict.
    pub verdict: Verdict,
    /// What to record.
    pub event: GateEvent,
}

/// Decides what plugins may learn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate;

impl Gate {
    /// A gate that lets nothing through.
    pub const fn new() -> Self {
        Self
    }

    /// A plugin asks which of `outcomes` a choice is.
    pub fn reveal_choice(&self, plugin: &PluginId, run: RunId, outcomes: u32) -> Attempt {
        refuse(plugin, run, Wish::Choice { outcomes })
    }

    /// A plugin asks for a text.
    pub fn reveal_text(&self, plugin: &PluginId, run: RunId) -> Attempt {
        refuse(plugin, run, Wish::Text)
    }

    /// What the plugin may still learn today.
    pub const fn remaining_millibits(&self, _plugin: &PluginId) -> u32 {
        0
    }
}

fn refuse(plugin: &PluginId, run: RunId, wish: Wish) -> Attempt {
    Attempt { verdict: Verdict::Refused, event: GateEvent { plugin: plugin.clone(), run, wish } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wish_is_refused_and_recorded() {
        let plugin = PluginId::new("org.example.curious").unwrap();
        let gate = Gate::new();
        for outcomes in [0, 1, 2, 64, u32::MAX] {
            let attempt = gate.reveal_choice(&plugin, RunId(7), outcomes);
            assert_eq!(attempt.verdict, Verdict::Refused);
            assert_eq!(attempt.event.wish, Wish::Choice { outcomes });
            assert_eq!((attempt.event.run, &attempt.event.plugin), (RunId(7), &plugin));
        }
        let attempt = gate.reveal_text(&plugin, RunId(8));
        assert_eq!(attempt.verdict, Verdict::Refused);
        assert_eq!(attempt.event.to_string(), "asked to learn a text: refused");
        assert_eq!(gate.remaining_millibits(&plugin), 0);
    }
}
