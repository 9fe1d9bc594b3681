//! Accounts, and what was spent of them.

use std::collections::{BTreeMap, BTreeSet};

use hearth_base::{Date, PluginId};

use crate::party::Party;

/// Days since 1970 in the user's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day of a date, after Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
    pub fn of(date: Date) -> Self {
        let (month, day) = (i64::from(date.month), i64::from(date.day));
        // Years that begin in March, so that the day put in stands at the end.
        let year = i64::from(date.year) - i64::from(month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    /// The number.
    pub fn number(self) -> i64 {
        self.0
    }
}

/// Something that has so much to give away and no more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// What a plugin may learn on a day.
    Plugin(PluginId, Day),
    /// What all plugins of a publisher may on a day.
    Publisher(String, Day),
    /// And ever.
    PublisherForLife(String),
    /// What anybody may ever learn of one source, by the name of its content. Keys are free to make, so this is the account
    /// that binds.
    Source(String),
    /// What a user's gestures beside private values may tell a plugin on a day.
    Gestures(PluginId, Day),
    /// What the user has added to that: here "spent" is what was added.
    GesturesAllowed(PluginId, Day),
}

/// Names of the contents that a value depends on, back to the originals.
pub type Sources = BTreeSet<String>;

/// Bits that a publisher's plugins may learn on a day, in thousandths.
pub(crate) const PUBLISHER_DAY_MILLIBITS: u32 = 64_000;
/// And ever.
pub(crate) const PUBLISHER_LIFE_MILLIBITS: u32 = 4_096_000;
/// Bits that anybody may ever learn of one source.
pub(crate) const SOURCE_MILLIBITS: u32 = 8_000;
/// Bits that a plugin may hear by gestures on a day; and as many again each time that the user adds some.
pub(crate) const GESTURES_DAY_MILLIBITS: u32 = 64_000;

/// A change of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Which.
    pub account: Account,
    /// Thousandths of a bit.
    pub millibits: u32,
}

/// What has been spent, in thousandths of a bit. An account that is not there is untouched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger(BTreeMap<Account, u32>);

impl FromIterator<(Account, u32)> for Ledger {
    fn from_iter<T: IntoIterator<Item = (Account, u32)>>(rows: T) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl Ledger {
    /// Spent so far.
    pub fn spent_millibits(&self, account: &Account) -> u32 {
        self.0.get(account).copied().unwrap_or_default()
    }

    /// Writes charges down.
    pub fn write(&mut self, charges: &[Charge]) {
        for Charge { account, millibits } in charges {
            let spent = self.0.entry(account.clone()).or_default();
            *spent = spent.saturating_add(*millibits);
        }
    }

    /// Takes back charges that were written before.
    pub fn take_back(&mut self, charges: &[Charge]) {
        for Charge { account, millibits } in charges {
            let spent = self.0.entry(account.clone()).or_default();
            *spent = spent.saturating_sub(*millibits);
        }
    }

    /// What is left up to a limit.
    pub(crate) fn left(&self, account: &Account, limit_millibits: u32) -> u32 {
        limit_millibits.saturating_sub(self.spent_millibits(account))
    }
}

/// The accounts of sources.
impl Account {
    /// Those that a value of these sources is charged to.
    pub fn of_sources(sources: &Sources) -> impl Iterator<Item = Self> + '_ {
        sources.iter().cloned().map(Self::Source)
    }

    /// Those that stand open to the public, with their limits for choices, and what is added to the first for refusals.
    pub(crate) fn public(party: &Party) -> Vec<(Self, u32)> {
        let mut accounts =
            vec![(Self::Plugin(party.plugin.clone(), party.day), party.choice_millibits())];
        for publisher in &party.publishers {
            accounts.push((Self::Publisher(publisher.clone(), party.day), PUBLISHER_DAY_MILLIBITS));
            accounts.push((Self::PublisherForLife(publisher.clone()), PUBLISHER_LIFE_MILLIBITS));
        }
        accounts
    }
}

/// Charges all sources, each as far as it goes; and whether each had room for all of it.
pub(crate) fn charge_sources(
    sources: &Sources,
    price_millibits: u32,
    ledger: &Ledger,
) -> (bool, Vec<Charge>) {
    let mut all_had_room = true;
    let mut charges = Vec::with_capacity(sources.len());
    for account in Account::of_sources(sources) {
        let left = ledger.left(&account, SOURCE_MILLIBITS);
        all_had_room &= left >= price_millibits;
        if left > 0 {
            charges.push(Charge { account, millibits: price_millibits.min(left) });
        }
    }
    (all_had_room, charges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u8, day: u8) -> i64 {
        Day::of(Date { year, month, day }).number()
    }

    #[test]
    fn days_are_counted_from_1970() {
        for (date, number) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 1, 31), 20_484),
            ((1900, 3, 1), -25_508),
            ((-1, 1, 1), -719_893),
            ((2400, 12, 31), 157_419),
        ] {
            assert_eq!(day(date.0, date.1, date.2), number, "{date:?}");
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut last = day(1599, 12, 31);
        for year in 1600..2401 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, length) in (1..).zip(lengths) {
                for of_month in 1..=length {
                    assert_eq!(day(year, month, of_month), last + 1, "{year}-{month}-{of_month}");
                    last += 1;
                }
            }
        }
    }

    #[test]
    fn a_ledger_adds_up_and_never_overflows() {
        let account = Account::Source("x".into());
        let mut ledger = Ledger::default();
        assert_eq!(ledger.spent_millibits(&account), 0);
        let charge = |millibits| [Charge { account: account.clone(), millibits }];
        ledger.write(&charge(5));
        ledger.write(&charge(7));
        assert_eq!(ledger, [(account.clone(), 12)].into_iter().collect());
        assert_eq!((ledger.left(&account, 13), ledger.left(&account, 11)), (1, 0));
        ledger.take_back(&charge(2));
        assert_eq!(ledger.spent_millibits(&account), 10);
        ledger.take_back(&charge(11));
        assert_eq!(ledger.spent_millibits(&account), 0);
        ledger.write(&charge(u32::MAX));
        ledger.write(&charge(1));
        assert_eq!(ledger.spent_millibits(&account), u32::MAX);
    }

    #[test]
    fn sources_are_charged_as_far_as_they_go() {
        let sources = Sources::from(["a".into(), "b".into(), "c".into()]);
        let of = |name: &str| Account::Source(name.into());
        let ledger: Ledger = [(of("b"), 7_500), (of("c"), 8_000)].into_iter().collect();
        let (fits, charges) = charge_sources(&sources, 1_000, &ledger);
        assert!(!fits);
        let b = Charge { account: of("b"), millibits: 500 };
        assert_eq!(charges, [Charge { account: of("a"), millibits: 1_000 }, b]);
        let one = |name: &str, price| charge_sources(&[name.into()].into(), price, &ledger).0;
        assert!(one("a", 8_000) && !one("a", 8_001) && one("b", 500) && !one("b", 501));
        assert!(one("c", 0) && !one("c", 1));
        assert_eq!(charge_sources(&Sources::new(), 9_000, &ledger), (true, Vec::new()));
    }
}
