//! Learning a text that the user has seen and let go.
//!
//! A bit is set aside for a refusal before anything is looked at, from the public accounts, and then from the sources of
//! the value. Where the user lets the text go, all of it is given back: what leaves was theirs to give.

use crate::{
    account::{Charge, Ledger, Sources, charge_sources},
    choice::{OverQuota, to_public},
    party::Party,
};

/// What a refusal tells.
const REFUSAL_MILLIBITS: u32 = 1_000;
/// Times an hour that a plugin may have the user asked.
const MOST_AN_HOUR: u32 = 3;
/// Longest text the user is asked about: nobody reads more before they say yes.
const MOST_BYTES: usize = 16 << 10;

/// A plugin asks for a text. All of this is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextAttempt {
    /// Whether the run began by the user's gesture in the plugin's own panel.
    pub gestured: bool,
    /// Attempts of this plugin within the last hour that came as far as to look at a value.
    pub within_the_hour: u32,
}

/// How an attempt begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "charges must be written before anything is looked at"]
pub struct TextBegun {
    /// Whether the text is looked at. Otherwise it is refused here, for a public reason.
    pub goes_on: bool,
    /// To write: a bit for a refusal.
    pub charges: Vec<Charge>,
}

/// Charges the public accounts for a refusal, and says whether the text may be looked at.
///
/// # Errors
/// [`OverQuota`] where a public account has no room for a refusal, from public facts alone.
pub fn begin_text(
    party: &Party,
    attempt: TextAttempt,
    ledger: &Ledger,
) -> Result<TextBegun, OverQuota> {
    let left_millibits = party.left_for_refusals(ledger);
    if left_millibits < REFUSAL_MILLIBITS {
        return Err(OverQuota { price_millibits: REFUSAL_MILLIBITS, left_millibits });
    }
    let goes_on = attempt.gestured && attempt.within_the_hour < MOST_AN_HOUR;
    Ok(TextBegun { goes_on, charges: to_public(party, REFUSAL_MILLIBITS) })
}

/// Whether the user is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// They are, and their answer is the verdict.
    Ask,
    /// It is refused: a source cannot pay for a refusal any more.
    Exhausted,
    /// It is refused: there is no such text.
    Failed,
    /// It is refused: it is longer than anybody would read.
    TooLong,
}

/// Whether the user is asked, and the charges to the sources of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "charges must be written before the user is asked or the plugin answered"]
pub struct TextPresented {
    /// Whether.
    pub verdict: Presented,
    /// To write; to be taken back where the user says yes.
    pub charges: Vec<Charge>,
}

/// Charges the sources for a refusal, each as far as it goes, and says whether the user is asked. `bytes` is the length of
/// the text; `None` where it could not be made.
pub fn present_text(sources: &Sources, bytes: Option<usize>, ledger: &Ledger) -> TextPresented {
    let (all_had_room, charges) = charge_sources(sources, REFUSAL_MILLIBITS, ledger);
    let verdict = match bytes {
        _ if !all_had_room => Presented::Exhausted,
        None => Presented::Failed,
        Some(bytes) if bytes > MOST_BYTES => Presented::TooLong,
        Some(_) => Presented::Ask,
    };
    TextPresented { verdict, charges }
}

/// How many of these moments, in seconds before now, are within the hour that [`TextAttempt`] speaks of.
pub fn within_the_hour(secs_ago: impl Iterator<Item = u64>) -> u32 {
    let recent = secs_ago.filter(|secs| *secs < 3600).count();
    u32::try_from(recent).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        account::Account,
        party::tests::{day, party},
    };

    const IN_A_PANEL: TextAttempt = TextAttempt { gestured: true, within_the_hour: 0 };

    #[test]
    fn a_refusal_is_paid_for_beforehand() {
        let party = party(0, true);
        let mut ledger = Ledger::default();
        for _ in 0..3 {
            let begun = begin_text(&party, IN_A_PANEL, &ledger).unwrap();
            assert!(begun.goes_on);
            let accounts = [
                Account::Plugin(party.plugin.clone(), day()),
                Account::Publisher("key".into(), day()),
                Account::PublisherForLife("key".into()),
            ];
            assert_eq!(begun.charges, accounts.map(|account| Charge { account, millibits: 1_000 }));
            ledger.write(&begun.charges);
        }
        let refused = OverQuota { price_millibits: 1_000, left_millibits: 0 };
        assert_eq!(begin_text(&party, IN_A_PANEL, &ledger), Err(refused));
        let published = [(Account::Publisher("key".into(), day()), 63_001)].into_iter().collect();
        assert!(begin_text(&party, IN_A_PANEL, &published).is_err());
    }

    #[test]
    fn without_the_grant_there_is_no_room() {
        let refused = OverQuota { price_millibits: 1_000, left_millibits: 0 };
        let begun = begin_text(&party(32, false), IN_A_PANEL, &Ledger::default());
        assert_eq!(begun, Err(refused));
    }

    #[test]
    fn only_a_gesture_goes_on_and_three_an_hour() {
        let party = party(32, true);
        for (gestured, within_the_hour, goes_on) in [
            (true, 0, true),
            (true, 2, true),
            (true, 3, false),
            (true, 4, false),
            (false, 0, false),
        ] {
            let attempt = TextAttempt { gestured, within_the_hour };
            let begun = begin_text(&party, attempt, &Ledger::default()).unwrap();
            assert_eq!(begun.goes_on, goes_on, "{attempt:?}");
            assert_eq!(begun.charges.len(), 3);
        }
        assert_eq!(within_the_hour([0, 3599, 3600, 9000].into_iter()), 2);
    }

    #[test]
    fn the_user_is_asked_about_what_can_be_read_and_paid_for() {
        let sources = Sources::from(["mail".into()]);
        let source = || Account::Source("mail".into());
        let spent = |millibits| [(source(), millibits)].into_iter().collect::<Ledger>();
        for (before, bytes, verdict) in [
            (0, Some(0), Presented::Ask),
            (7_000, Some(16_384), Presented::Ask),
            (0, Some(16_385), Presented::TooLong),
            (0, None, Presented::Failed),
            (7_001, Some(1), Presented::Exhausted),
            (8_000, None, Presented::Exhausted),
            (7_001, Some(16_385), Presented::Exhausted),
        ] {
            let presented = present_text(&sources, bytes, &spent(before));
            assert_eq!(presented.verdict, verdict, "{before} {bytes:?}");
            let charged: u32 = presented.charges.iter().map(|charge| charge.millibits).sum();
            assert_eq!(charged, 1_000.min(8_000 - before));
        }
    }
}
