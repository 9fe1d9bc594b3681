//! Learning which outcome a hidden choice has.
//!
//! Public accounts are charged before the value is looked at; its sources, which are private, once it is there.

use crate::{
    account::{Account, Charge, Ledger, Sources, charge_sources},
    party::{Party, remaining},
    price::choice_millibits,
};

/// A public account has no room for the price. Nothing was charged, and nothing must be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{price_millibits} millibits asked for, {left_millibits} left")]
pub struct OverQuota {
    /// The price.
    pub price_millibits: u32,
    /// What the public accounts leave.
    pub left_millibits: u32,
}

/// What an answer costs, and the charges to public accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "charges must be written before the value is looked at"]
pub struct Paid {
    /// The price.
    pub price_millibits: u32,
    /// To write.
    pub charges: Vec<Charge>,
}

/// Charges the public accounts in full for learning one of so many outcomes, whatever will be the answer.
///
/// # Errors
/// [`OverQuota`], from public facts alone.
pub fn pay_choice(party: &Party, outcomes: u32, ledger: &Ledger) -> Result<Paid, OverQuota> {
    let price_millibits = choice_millibits(outcomes);
    let left_millibits = remaining(party, ledger);
    if price_millibits > left_millibits {
        return Err(OverQuota { price_millibits, left_millibits });
    }
    Ok(Paid { price_millibits, charges: to_public(party, price_millibits) })
}

/// The same charge to every public account.
pub(crate) fn to_public(party: &Party, millibits: u32) -> Vec<Charge> {
    let accounts = Account::public(party).into_iter();
    accounts.map(|(account, _)| Charge { account, millibits }).collect()
}

/// What a plugin is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The outcome.
    Outcome,
    /// That it failed, since a source has given all that it ever will.
    Exhausted,
    /// That it failed, since the value could not be made.
    Failed,
}

/// What a plugin is told, and the charges to the sources of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "charges must be written before the answer goes out"]
pub struct ChoiceTold {
    /// What. Both failures are one and the same answer.
    pub verdict: Told,
    /// To write.
    pub charges: Vec<Charge>,
}

/// Charges the sources, each as far as it goes, and says whether the outcome may be told. A value that could not be made
/// (`made` is false) is charged like any other: that it failed is an answer.
pub fn tell_choice(
    sources: &Sources,
    price_millibits: u32,
    made: bool,
    ledger: &Ledger,
) -> ChoiceTold {
    let (all_had_room, charges) = charge_sources(sources, price_millibits, ledger);
    let verdict = match (all_had_room, made) {
        (false, _) => Told::Exhausted,
        (true, false) => Told::Failed,
        (true, true) => Told::Outcome,
    };
    ChoiceTold { verdict, charges }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::tests::{day, party};

    #[test]
    fn public_accounts_pay_in_full_or_not_at_all() {
        let mut ledger = Ledger::default();
        let party = party(4, true);
        for left_millibits in [4_000, 4_000 - 1_585] {
            let paid = pay_choice(&party, 2, &ledger).unwrap();
            assert_eq!(paid.price_millibits, 1_585);
            let accounts = [
                Account::Plugin(party.plugin.clone(), day()),
                Account::Publisher("key".into(), day()),
                Account::PublisherForLife("key".into()),
            ];
            let expected = accounts.map(|account| Charge { account, millibits: 1_585 });
            assert_eq!(paid.charges, expected);
            assert_eq!(remaining(&party, &ledger), left_millibits);
            ledger.write(&paid.charges);
        }
        // The three bits for refusals do not pay for choices.
        let refused = OverQuota { price_millibits: 1_585, left_millibits: 830 };
        assert_eq!(pay_choice(&party, 2, &ledger), Err(refused));
        assert_eq!(refused.to_string(), "1585 millibits asked for, 830 left");
    }

    #[test]
    fn the_last_of_an_account_can_be_spent() {
        let ledger = Ledger::default();
        assert!(pay_choice(&party(2, false), 3, &ledger).is_ok());
        assert!(pay_choice(&party(2, false), 4, &ledger).is_err());
        assert!(pay_choice(&party(0, false), 2, &ledger).is_err());
    }

    #[test]
    fn sources_pay_whatever_is_told() {
        let source = || Account::Source("mail".into());
        let sources = Sources::from(["mail".into()]);
        let spent = |millibits| [(source(), millibits)].into_iter().collect::<Ledger>();
        for (before, made, verdict, charged) in [
            (0, true, Told::Outcome, 2_000),
            (0, false, Told::Failed, 2_000),
            (6_000, true, Told::Outcome, 2_000),
            (6_001, true, Told::Exhausted, 1_999),
            (6_001, false, Told::Exhausted, 1_999),
        ] {
            let told = tell_choice(&sources, 2_000, made, &spent(before));
            assert_eq!(told.verdict, verdict);
            assert_eq!(told.charges, [Charge { account: source(), millibits: charged }]);
        }
        let told = tell_choice(&sources, 2_000, true, &spent(8_000));
        assert_eq!((told.verdict, told.charges.len()), (Told::Exhausted, 0));
    }
}
