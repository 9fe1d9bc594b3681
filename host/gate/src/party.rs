//! Who asks, and what the public accounts leave them.

use std::collections::BTreeSet;

use hearth_base::PluginId;

use crate::{
    account::{Account, Day, Ledger},
    gesture::gestures_left,
};

/// Bits a day for refusals of texts, beside those for choices, where the user has granted texts: in thousandths.
const REFUSALS_MILLIBITS: u32 = 3_000;

/// Who asks. All of it is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The plugin.
    pub plugin: PluginId,
    /// Its publisher by verified key, with the keys that came before; or the one name that all unsigned plugins share.
    pub publishers: BTreeSet<String>,
    /// The day of the run.
    pub day: Day,
    /// Bits of choices that it may learn a day: what its manifest asks for or what the user has granted, whichever is
    /// less.
    pub choice_bits: u32,
    /// Whether the user has granted that it may ask for texts.
    pub text: bool,
}

impl Party {
    /// The accounts that stand for it, for reading them.
    pub fn accounts(&self) -> Vec<Account> {
        let public = Account::public(self).into_iter().map(|(account, _)| account);
        let gestures = [
            Account::Gestures(self.plugin.clone(), self.day),
            Account::GesturesAllowed(self.plugin.clone(), self.day),
        ];
        public.chain(gestures).collect()
    }

    pub(crate) fn choice_millibits(&self) -> u32 {
        self.choice_bits.saturating_mul(1000)
    }

    /// The least that any of its public accounts leaves, with so much added to the plugin's own.
    pub(crate) fn left(&self, ledger: &Ledger, added_millibits: u32) -> u32 {
        let left = Account::public(self).into_iter().map(|(account, limit)| {
            let added = if matches!(account, Account::Plugin(..)) { added_millibits } else { 0 };
            ledger.left(&account, limit.saturating_add(added))
        });
        left.min().unwrap_or_default()
    }

    /// The same for a refused text.
    pub(crate) fn left_for_refusals(&self, ledger: &Ledger) -> u32 {
        if self.text { self.left(ledger, REFUSALS_MILLIBITS) } else { 0 }
    }
}

/// What a plugin may still learn of choices today, in thousandths of a bit, as far as public accounts go.
pub fn remaining(party: &Party, ledger: &Ledger) -> u32 {
    party.left(ledger, 0)
}

/// How a plugin's accounts stand, for the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Spent by the plugin today, in thousandths of a bit.
    pub spent_today_millibits: u32,
    /// What it may still learn of choices today.
    pub left_today_millibits: u32,
    /// Spent by all plugins of its publisher, ever.
    pub publisher_spent_millibits: u32,
    /// What these may still learn, ever.
    pub publisher_left_millibits: u32,
    /// What the user's gestures may still tell it today.
    pub gestures_left_millibits: u32,
}

/// How a plugin's accounts stand.
pub fn standing(party: &Party, ledger: &Ledger) -> Standing {
    let spent = |account: &Account| ledger.spent_millibits(account);
    let for_life = |publisher: &String| Account::PublisherForLife(publisher.clone());
    let limit = crate::account::PUBLISHER_LIFE_MILLIBITS;
    let publisher_spent = party.publishers.iter().map(|p| spent(&for_life(p))).max();
    let publisher_spent = publisher_spent.unwrap_or_default();
    Standing {
        spent_today_millibits: spent(&Account::Plugin(party.plugin.clone(), party.day)),
        left_today_millibits: remaining(party, ledger),
        publisher_spent_millibits: publisher_spent,
        publisher_left_millibits: limit.saturating_sub(publisher_spent),
        gestures_left_millibits: gestures_left(&party.plugin, party.day, ledger),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use hearth_base::Date;

    use super::*;
    use crate::account::Charge;

    pub(crate) fn day() -> Day {
        Day::of(Date { year: 2026, month: 1, day: 31 })
    }

    pub(crate) fn party(choice_bits: u32, text: bool) -> Party {
        let plugin = PluginId::new("org.example.curious").unwrap();
        Party { plugin, publishers: ["key".to_owned()].into(), day: day(), choice_bits, text }
    }

    fn with(charges: &[(Account, u32)]) -> Ledger {
        charges.iter().cloned().collect()
    }

    #[test]
    fn the_scarcest_public_account_is_what_is_left() {
        let mut party = party(32, true);
        let plugin = || Account::Plugin(party.plugin.clone(), party.day);
        let (today, life) =
            (Account::Publisher("key".into(), party.day), Account::PublisherForLife("key".into()));
        assert_eq!(remaining(&party, &Ledger::default()), 32_000);
        assert_eq!(remaining(&party, &with(&[(plugin(), 31_000)])), 1_000);
        assert_eq!(remaining(&party, &with(&[(plugin(), 33_000)])), 0);
        assert_eq!(remaining(&party, &with(&[(today.clone(), 63_500)])), 500);
        assert_eq!(remaining(&party, &with(&[(life.clone(), 4_095_999)])), 1);
        assert_eq!(remaining(&party, &with(&[(Account::Source("x".into()), 8_000)])), 32_000);
        let others = [Account::Publisher("other".into(), party.day)];
        assert_eq!(remaining(&party, &with(&[(others[0].clone(), 64_000)])), 32_000);
        // A key that came before counts as well.
        party.publishers.insert("other".into());
        assert_eq!(remaining(&party, &with(&[(others[0].clone(), 64_000)])), 0);
        party.choice_bits = u32::MAX;
        party.publishers.clear();
        assert_eq!(remaining(&party, &Ledger::default()), u32::MAX);
    }

    #[test]
    fn refusals_have_three_bits_of_their_own_where_texts_are_granted() {
        let ledger = Ledger::default();
        assert_eq!(party(0, true).left_for_refusals(&ledger), 3_000);
        assert_eq!(party(2, true).left_for_refusals(&ledger), 5_000);
        assert_eq!(party(2, false).left_for_refusals(&ledger), 0);
        assert_eq!(remaining(&party(0, true), &ledger), 0);
        let today = (Account::Publisher("key".into(), day()), 63_000);
        assert_eq!(party(2, true).left_for_refusals(&with(&[today])), 1_000);
    }

    #[test]
    fn the_standing_tells_all_accounts_of_a_party() {
        let party = party(8, false);
        let accounts = party.accounts();
        let expected = [
            Account::Plugin(party.plugin.clone(), day()),
            Account::Publisher("key".into(), day()),
            Account::PublisherForLife("key".into()),
            Account::Gestures(party.plugin.clone(), day()),
            Account::GesturesAllowed(party.plugin.clone(), day()),
        ];
        assert_eq!(accounts, expected);
        let mut ledger = Ledger::default();
        for (account, millibits) in accounts.into_iter().zip([1_000, 2_000, 3_000, 4_000, 5_000]) {
            ledger.write(&[Charge { account, millibits }]);
        }
        let expected = Standing {
            spent_today_millibits: 1_000,
            left_today_millibits: 7_000,
            publisher_spent_millibits: 3_000,
            publisher_left_millibits: 4_093_000,
            gestures_left_millibits: 65_000,
        };
        assert_eq!(standing(&party, &ledger), expected);
    }
}
