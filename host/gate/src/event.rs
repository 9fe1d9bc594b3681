//! What the audit trail says of an attempt.

use std::fmt;

use crate::{choice::Told, text::Presented};

/// A thing that happened at the gate. Holds nothing private; its `Display` is the row's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateEvent {
    /// A plugin asked which of so many outcomes a choice has, and paid.
    ChoicePaid {
        /// Outcomes it has.
        outcomes: u32,
        /// What it paid.
        price_millibits: u32,
    },
    /// It could not pay.
    ChoiceOverQuota {
        /// Outcomes it has.
        outcomes: u32,
        /// What it would have paid.
        price_millibits: u32,
    },
    /// It was told.
    Choice(Told),
    /// It asked for a text and could not pay for a refusal.
    TextOverQuota,
    /// It asked for a text at a time when none is given.
    TextOutOfTurn {
        /// Whether it was its gesture that was missing, or else that it had asked too often.
        gestured: bool,
    },
    /// It was refused, or the user was asked.
    Text(Presented),
    /// The user said no, or was not there.
    TextRefused,
    /// The user said yes.
    TextGiven {
        /// Length of the text.
        bytes: usize,
    },
    /// It was told of a gesture.
    Gesture {
        /// Enabled controls of the panel.
        controls: u32,
        /// What it paid.
        price_millibits: u32,
    },
    /// A gesture was not told.
    GestureRefused {
        /// Enabled controls of the panel.
        controls: u32,
    },
    /// The user let it hear more gestures today.
    GesturesAllowed,
}

impl GateEvent {
    /// Whether it was allowed.
    pub fn is_allowed(&self) -> bool {
        match self {
            Self::ChoicePaid { .. }
            | Self::Choice(Told::Outcome)
            | Self::Text(Presented::Ask)
            | Self::TextGiven { .. }
            | Self::Gesture { .. }
            | Self::GesturesAllowed => true,
            Self::ChoiceOverQuota { .. }
            | Self::Choice(Told::Exhausted | Told::Failed)
            | Self::TextOverQuota
            | Self::TextOutOfTurn { .. }
            | Self::Text(Presented::Exhausted | Presented::Failed | Presented::TooLong)
            | Self::TextRefused
            | Self::GestureRefused { .. } => false,
        }
    }
}

impl fmt::Display for GateEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChoicePaid { outcomes, price_millibits } => {
                write!(
                    f,
                    "asked to learn one of {outcomes} outcomes and paid {} bits",
                    Bits(*price_millibits)
                )
            }
            Self::ChoiceOverQuota { outcomes, price_millibits } => write!(
                f,
                "asked to learn one of {outcomes} outcomes: refused, for it has no {} bits left",
                Bits(*price_millibits)
            ),
            Self::Choice(Told::Outcome) => f.write_str("was told which outcome it is"),
            Self::Choice(Told::Exhausted) => {
                f.write_str("was told that it failed, for a source has given all it may")
            }
            Self::Choice(Told::Failed) => f.write_str("was told that it failed, which it had"),
            Self::TextOverQuota => {
                f.write_str("asked to learn a text: refused, for it has no bit left")
            }
            Self::TextOutOfTurn { gestured: false } => f.write_str(
                "asked to learn a text without a gesture in its panel: refused, and paid a bit",
            ),
            Self::TextOutOfTurn { gestured: true } => {
                f.write_str("asked to learn texts too often: refused, and paid a bit")
            }
            Self::Text(Presented::Ask) => f.write_str("asked to learn a text: the user was asked"),
            Self::Text(Presented::Exhausted) => f.write_str(
                "asked to learn a text: refused, for a source has given all it may; paid a bit",
            ),
            Self::Text(Presented::Failed) => {
                f.write_str("asked to learn a text that could not be made: refused, and paid a bit")
            }
            Self::Text(Presented::TooLong) => {
                f.write_str("asked to learn a text that is too long: refused, and paid a bit")
            }
            Self::TextRefused => {
                f.write_str("the user did not let it have the text; it paid a bit")
            }
            Self::TextGiven { bytes } => write!(f, "the user let it have a text of {bytes} bytes"),
            Self::Gesture { controls, price_millibits } => write!(
                f,
                "was told of a gesture among {controls} controls and paid {} bits",
                Bits(*price_millibits)
            ),
            Self::GestureRefused { controls } => write!(
                f,
                "was not told of a gesture among {controls} controls: its account for gestures is empty"
            ),
            Self::GesturesAllowed => f.write_str("the user let it hear more gestures today"),
        }
    }
}

/// Thousandths as a decimal.
struct Bits(u32);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_words_and_a_verdict() {
        let (outcomes, price_millibits, controls) = (4, 2_022, 8);
        for (event, allowed, words) in [
            (
                GateEvent::ChoicePaid { outcomes, price_millibits },
                true,
                "asked to learn one of 4 outcomes and paid 2.022 bits",
            ),
            (
                GateEvent::ChoiceOverQuota { outcomes, price_millibits },
                false,
                "asked to learn one of 4 outcomes: refused, for it has no 2.022 bits left",
            ),
            (GateEvent::Choice(Told::Outcome), true, "was told which outcome it is"),
            (
                GateEvent::Choice(Told::Exhausted),
                false,
                "was told that it failed, for a source has given all it may",
            ),
            (GateEvent::Choice(Told::Failed), false, "was told that it failed, which it had"),
            (
                GateEvent::TextOverQuota,
                false,
                "asked to learn a text: refused, for it has no bit left",
            ),
            (
                GateEvent::TextOutOfTurn { gestured: false },
                false,
                "asked to learn a text without a gesture in its panel: refused, and paid a bit",
            ),
            (
                GateEvent::TextOutOfTurn { gestured: true },
                false,
                "asked to learn texts too often: refused, and paid a bit",
            ),
            (GateEvent::Text(Presented::Ask), true, "asked to learn a text: the user was asked"),
            (
                GateEvent::Text(Presented::Exhausted),
                false,
                "asked to learn a text: refused, for a source has given all it may; paid a bit",
            ),
            (
                GateEvent::Text(Presented::Failed),
                false,
                "asked to learn a text that could not be made: refused, and paid a bit",
            ),
            (
                GateEvent::Text(Presented::TooLong),
                false,
                "asked to learn a text that is too long: refused, and paid a bit",
            ),
            (GateEvent::TextRefused, false, "the user did not let it have the text; it paid a bit"),
            (GateEvent::TextGiven { bytes: 12 }, true, "the user let it have a text of 12 bytes"),
            (
                GateEvent::Gesture { controls, price_millibits },
                true,
                "was told of a gesture among 8 controls and paid 2.022 bits",
            ),
            (
                GateEvent::GestureRefused { controls },
                false,
                "was not told of a gesture among 8 controls: its account for gestures is empty",
            ),
            (GateEvent::GesturesAllowed, true, "the user let it hear more gestures today"),
        ] {
            assert_eq!((event.to_string().as_str(), event.is_allowed()), (words, allowed));
        }
    }
}
