//! What a user's press, entry or pick tells a plugin, after they have seen private values.

use hearth_base::PluginId;

use crate::{
    account::{Account, Charge, Day, GESTURES_DAY_MILLIBITS, Ledger},
    price::choice_millibits,
};

/// The day's account for gestures has no room for this one. The plugin must not hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{price_millibits} millibits told by this gesture, {left_millibits} left")]
pub struct GesturesSpent {
    /// The price.
    pub price_millibits: u32,
    /// What is left today.
    pub left_millibits: u32,
}

/// Charges a gesture in a panel with so many enabled controls: it tells which of them was used, or that none was.
///
/// # Errors
/// [`GesturesSpent`].
pub fn gesture(
    plugin: &PluginId,
    day: Day,
    controls: u32,
    ledger: &Ledger,
) -> Result<Charge, GesturesSpent> {
    let price_millibits = choice_millibits(controls);
    let left_millibits = gestures_left(plugin, day, ledger);
    if price_millibits > left_millibits {
        return Err(GesturesSpent { price_millibits, left_millibits });
    }
    Ok(Charge { account: Account::Gestures(plugin.clone(), day), millibits: price_millibits })
}

/// What gestures may still tell a plugin today, in thousandths of a bit.
pub fn gestures_left(plugin: &PluginId, day: Day, ledger: &Ledger) -> u32 {
    let added = ledger.spent_millibits(&Account::GesturesAllowed(plugin.clone(), day));
    let limit = GESTURES_DAY_MILLIBITS.saturating_add(added);
    ledger.left(&Account::Gestures(plugin.clone(), day), limit)
}

/// As much again for today, by the user's word.
pub fn allow_gestures(plugin: &PluginId, day: Day) -> Charge {
    let account = Account::GesturesAllowed(plugin.clone(), day);
    Charge { account, millibits: GESTURES_DAY_MILLIBITS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::tests::{day, party};

    #[test]
    fn gestures_have_an_account_of_their_own_that_the_user_can_fill() {
        let plugin = party(0, false).plugin;
        let mut ledger = Ledger::default();
        // Twenty presses among eight buttons, and a rest.
        for _ in 0..20 {
            let charge = gesture(&plugin, day(), 8, &ledger).unwrap();
            assert_eq!(charge.millibits, 3_170);
            assert_eq!(charge.account, Account::Gestures(plugin.clone(), day()));
            ledger.write(&[charge]);
        }
        let spent = GesturesSpent { price_millibits: 3_170, left_millibits: 600 };
        assert_eq!(gesture(&plugin, day(), 8, &ledger), Err(spent));
        assert_eq!(spent.to_string(), "3170 millibits told by this gesture, 600 left");
        ledger.write(&[allow_gestures(&plugin, day())]);
        assert_eq!(gestures_left(&plugin, day(), &ledger), 64_600);
        assert!(gesture(&plugin, day(), 8, &ledger).is_ok());
        let other = PluginId::new("org.example.other").unwrap();
        assert_eq!(gestures_left(&other, day(), &ledger), 64_000);
    }

    #[test]
    fn the_last_of_the_account_can_be_spent() {
        let plugin = party(0, false).plugin;
        let spent = |millibits| {
            [(Account::Gestures(plugin.clone(), day()), millibits)].into_iter().collect::<Ledger>()
        };
        assert!(gesture(&plugin, day(), 1, &spent(63_000)).is_ok());
        assert!(gesture(&plugin, day(), 1, &spent(63_001)).is_err());
    }
}
