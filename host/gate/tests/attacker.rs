//! Attackers with every power but the accounts: none learns more than its budget.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use hearth_base::{Date, PluginId};
use hearth_gate::{
    Account, Day, Ledger, Party, Presented, Sources, TextAttempt, Told, begin_text,
    choice_millibits, gesture, pay_choice, present_text, remaining, tell_choice,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

fn day(day: u8) -> Day {
    Day::of(Date { year: 2026, month: 1, day })
}

fn plugin(number: u8) -> PluginId {
    PluginId::new(format!("org.example.sybil-{number}")).unwrap()
}

fn party(number: u8, publisher: &str, on: u8, choice_bits: u32) -> Party {
    let publishers = [publisher.to_owned()].into();
    Party { plugin: plugin(number), publishers, day: day(on), choice_bits, text: true }
}

/// What is heard of an attempt to learn a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    OverQuota,
    Outcome(u64),
    Failed,
}

/// A plugin asks; an oracle that never errs knows the outcome.
fn ask(
    party: &Party,
    sources: &Sources,
    (outcomes, outcome): (u32, Option<u64>),
    ledger: &mut Ledger,
) -> Heard {
    let Ok(paid) = pay_choice(party, outcomes, ledger) else { return Heard::OverQuota };
    ledger.write(&paid.charges);
    let told = tell_choice(sources, paid.price_millibits, outcome.is_some(), ledger);
    ledger.write(&told.charges);
    match (told.verdict, outcome) {
        (Told::Outcome, Some(outcome)) => Heard::Outcome(outcome),
        _ => Heard::Failed,
    }
}

/// The limits, as the design has them.
fn limit_millibits(account: &Account, choice_bits: u32) -> u32 {
    match account {
        Account::Plugin(..) => choice_bits * 1000 + 3_000,
        Account::Publisher(..) => 64_000,
        Account::PublisherForLife(_) => 4_096_000,
        Account::Source(_) => 8_000,
        Account::Gestures(..) => 64_000,
        Account::GesturesAllowed(..) => 0,
    }
}

#[test]
fn an_adaptive_attacker_with_an_oracle_learns_no_more_of_a_secret_than_the_budget() {
    let mut runner = TestRunner::new(Config { cases: 10_000, ..Config::default() });
    let questions = proptest::collection::vec((2_u32..=64, 0_u8..10, 1_u8..28), 1..40);
    let attack = (any::<u64>(), questions, 1_u32..=64, any::<bool>());
    runner
        .run(&attack, |(secret, questions, choice_bits, is_source)| {
            let sources: Sources = is_source.then(|| "the secret".to_owned()).into_iter().collect();
            let mut ledger = Ledger::default();
            // What the secret may still be, in equal parts of what it could be before.
            let (mut low, mut width) = (0_u128, 1_u128 << 64);
            let mut paid_millibits = 0;
            for (outcomes, sybil, on) in questions {
                let party = party(sybil, &format!("key {sybil}"), on, choice_bits);
                let part = width.div_ceil(u128::from(outcomes));
                let outcome = u64::try_from((u128::from(secret) - low) / part).unwrap();
                match ask(&party, &sources, (outcomes, Some(outcome)), &mut ledger) {
                    Heard::Outcome(outcome) => {
                        low += u128::from(outcome) * part;
                        width = part;
                        paid_millibits += choice_millibits(outcomes);
                    }
                    Heard::OverQuota | Heard::Failed => {}
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "a bound in bits")]
            let learnt_bits = 64.0 - (width as f64).log2();
            prop_assert!(learnt_bits <= f64::from(paid_millibits) / 1000.0 + 1e-9);
            if is_source {
                prop_assert!(paid_millibits <= 8_000, "{paid_millibits}");
                prop_assert!(learnt_bits <= 8.0);
            }
            Ok(())
        })
        .unwrap();
}

/// A deterministic attacker: what it asks follows from all it has heard.
fn question(seed: u64, heard: &[Heard]) -> (u32, u64, bool) {
    let mut state = seed;
    for answer in heard {
        let number = match answer {
            Heard::OverQuota => 1,
            Heard::Failed => 2,
            Heard::Outcome(outcome) => 3 + outcome,
        };
        state = (state ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    // Outcomes, how the secret falls into them, and whether there is one that fails.
    (2 + u32::try_from(state % 15).unwrap(), state >> 8, state & 64 != 0)
}

#[test]
fn over_all_secrets_no_attacker_hears_more_tales_than_the_budget_has_numbers() {
    for seed in 0..16 {
        let mut tales = BTreeSet::new();
        for secret in 0..(1_u64 << 12) {
            // The source binds, or the plugin's own account does.
            let is_source = seed % 2 == 0;
            let party = party(0, "key", 1, if is_source { 32 } else { 8 });
            let mut ledger = Ledger::default();
            let sources: Sources = is_source.then(|| "the secret".into()).into_iter().collect();
            let mut heard = Vec::new();
            for _ in 0..12 {
                let (outcomes, falls, may_fail) = question(seed, &heard);
                let fallen = (secret ^ falls).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
                let outcome = fallen % u64::from(outcomes + u32::from(may_fail));
                let outcome = (outcome < u64::from(outcomes)).then_some(outcome);
                heard.push(ask(&party, &sources, (outcomes, outcome), &mut ledger));
            }
            tales.insert(heard);
        }
        assert!(tales.len() <= 256, "{} of attacker {seed}", tales.len());
        assert!(tales.len() > 1, "attacker {seed} heard nothing");
    }
}

/// Something that Sybils do.
#[derive(Clone, Debug)]
enum Deed {
    Choice {
        outcomes: u32,
        sources: BTreeSet<u8>,
        made: bool,
    },
    Text {
        sources: BTreeSet<u8>,
        gestured: bool,
        bytes: Option<usize>,
        allowed: bool,
    },
    Gesture {
        controls: u32,
    },
    /// What was installed is removed and comes back: nothing of it is in the ledger's hands.
    Reinstall,
}

fn deeds() -> impl Strategy<Value = Vec<(u8, u8, u8, Deed)>> {
    let sources = || proptest::collection::btree_set(0_u8..4, 0..4);
    let deed = prop_oneof![
        4 => (0_u32..=64, sources(), any::<bool>())
            .prop_map(|(outcomes, sources, made)| Deed::Choice { outcomes, sources, made }),
        2 => (sources(), any::<bool>(), proptest::option::of(0_usize..20_000), any::<bool>())
            .prop_map(|(sources, gestured, bytes, allowed)| Deed::Text { sources, gestured, bytes, allowed }),
        2 => (0_u32..=64).prop_map(|controls| Deed::Gesture { controls }),
        1 => Just(Deed::Reinstall),
    ];
    proptest::collection::vec((0_u8..10, 0_u8..3, 1_u8..4, deed), 1..300)
}

fn named(sources: &BTreeSet<u8>) -> Sources {
    sources.iter().map(|n| format!("mail {n}")).collect()
}

proptest! {
    #![proptest_config(Config { cases: 400, ..Config::default() })]

    /// Ten plugins of three publishers over three days, coming and going.
    #[test]
    fn no_account_ever_passes_its_limit_or_falls_below_nothing(deeds in deeds()) {
        const BITS: u32 = 32;
        let mut ledger = Ledger::default();
        let mut seen: BTreeMap<Account, u32> = BTreeMap::new();
        for (who, publisher, on, deed) in deeds {
            let party = party(who, &format!("key {publisher}"), on, BITS);
            let before = ledger.clone();
            match deed {
                Deed::Choice { outcomes, sources, made } => {
                    let outcome = made.then_some(0);
                    let heard = ask(&party, &named(&sources), (outcomes, outcome), &mut ledger);
                    if heard == Heard::OverQuota {
                        prop_assert!(choice_millibits(outcomes) > remaining(&party, &before));
                        prop_assert_eq!(&ledger, &before);
                    }
                }
                Deed::Text { sources, gestured, bytes, allowed } => {
                    let attempt = TextAttempt { gestured, within_the_hour: u32::from(on) };
                    let Ok(begun) = begin_text(&party, attempt, &ledger) else { continue };
                    ledger.write(&begun.charges);
                    if begun.goes_on {
                        let presented = present_text(&named(&sources), bytes, &ledger);
                        ledger.write(&presented.charges);
                        if presented.verdict == Presented::Ask && allowed {
                            ledger.take_back(&presented.charges);
                            ledger.take_back(&begun.charges);
                            prop_assert_eq!(
                                party.accounts().iter().map(|a| ledger.spent_millibits(a)).collect::<Vec<_>>(),
                                party.accounts().iter().map(|a| before.spent_millibits(a)).collect::<Vec<_>>()
                            );
                        }
                    }
                }
                Deed::Gesture { controls } => {
                    if let Ok(charge) = gesture(&party.plugin, party.day, controls, &ledger) {
                        ledger.write(&[charge]);
                    }
                }
                Deed::Reinstall => {}
            }
            let sources = (0..4).map(|n| Account::Source(format!("mail {n}")));
            for account in party.accounts().into_iter().chain(sources) {
                let spent = ledger.spent_millibits(&account);
                prop_assert!(spent <= limit_millibits(&account, BITS), "{account:?}: {spent}");
                // Texts that the user lets go give back what they took, and nothing else does.
                let least = seen.get(&account).copied().unwrap_or_default();
                prop_assert!(spent >= least);
                seen.insert(account, spent);
            }
        }
    }

    #[test]
    fn an_exhausted_source_is_a_failure_at_full_charge(outcomes in 2_u32..=64, made in any::<bool>()) {
        let party = party(0, "key", 1, 32);
        let full = || Account::Source("mail".into());
        let mut ledger: Ledger = [(full(), 8_000)].into_iter().collect();
        let before = remaining(&party, &ledger);
        let sources = Sources::from(["mail".into(), "other".into()]);
        let heard = ask(&party, &sources, (outcomes, made.then_some(1)), &mut ledger);
        prop_assert_eq!(heard, Heard::Failed);
        prop_assert_eq!(remaining(&party, &ledger), before - choice_millibits(outcomes));
        prop_assert_eq!(ledger.spent_millibits(&Account::Source("other".into())), choice_millibits(outcomes));
        prop_assert_eq!(ledger.spent_millibits(&full()), 8_000);
    }

    #[test]
    fn prices_grow_with_the_outcomes_and_are_never_below_their_logarithm(outcomes in 0_u32..u32::MAX) {
        let price = choice_millibits(outcomes);
        prop_assert!(price <= choice_millibits(outcomes + 1));
        prop_assert!(f64::from(price) >= (f64::from(outcomes) + 1.0).log2() * 1000.0);
        prop_assert!(f64::from(price) < (f64::from(outcomes) + 1.0).log2() * 1000.0 + 1.0);
    }
}
