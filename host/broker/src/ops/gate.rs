//! Charging what private values tell. Each charge is read, decided and written in one transaction of the vault, with the
//! row of the audit trail that tells of it.

use std::sync::Arc;

use hearth_base::{Grant, Label, Manifest, PluginId};
use hearth_gate::{
    self as gate, Account, Charge, Day, GateEvent, Ledger, Party, Presented, Sources, TextAttempt,
    Told,
};
use hearth_vault::{AccountKey, AccountKind, Settlement, StoreError, Vault};

use crate::{
    audit,
    permit::{Operation, Permit},
    policy::{Access, Verdict, decide},
    scope::Scope,
    values::Fault,
};

/// Paying for one of so many outcomes, before the value is looked at.
pub(crate) struct PayChoice {
    pub(crate) outcomes: u32,
}

/// Charging the sources of a choice, before the plugin is told.
pub(crate) struct TellChoice {
    pub(crate) label: Label,
    pub(crate) price_millibits: u32,
    /// Whether there is an outcome.
    pub(crate) made: bool,
}

/// Setting a bit aside for a refusal, before a text is looked at.
pub(crate) struct BeginText(pub(crate) TextAttempt);

/// Setting a bit of its sources aside, before the user is asked about a text.
pub(crate) struct PresentText {
    pub(crate) label: Label,
    /// Length of the text; `None` where it could not be made.
    pub(crate) bytes: Option<usize>,
}

/// What the user said of a text, and what was set aside for a no.
pub(crate) struct AnswerText {
    pub(crate) allowed: bool,
    /// Length and hash of what they saw.
    pub(crate) bytes: usize,
    pub(crate) hash: String,
    pub(crate) set_aside: Vec<Charge>,
}

/// Asking what is left.
pub(crate) struct Remaining;

macro_rules! without_a_line {
    ($($operation:ty => $access:expr),* $(,)?) => {$(
        impl Operation for $operation {
            fn access(&self) -> Access<'_> {
                $access
            }
            /// The charge comes with a row of its own.
            fn line(&self) -> Option<String> {
                None
            }
        }
    )*};
}

without_a_line! {
    PayChoice => Access::RevealChoice,
    TellChoice => Access::RevealChoice,
    BeginText => Access::RevealText,
    PresentText => Access::RevealText,
    AnswerText => Access::RevealText,
    Remaining => Access::Own,
}

/// A decision to write down.
struct Decided<T> {
    outcome: T,
    charges: Vec<Charge>,
    event: Option<GateEvent>,
}

/// Charges the public accounts for a choice; its price, or nothing where they are short.
pub(crate) fn pay_choice(vault: &Vault, permit: Permit<PayChoice>) -> Result<Option<u32>, Fault> {
    let (PayChoice { outcomes }, scope) = permit.redeem();
    let party = party(vault, &scope.manifest, &scope.grant, scope.day)?;
    let decide = |ledger: &Ledger| match gate::pay_choice(&party, outcomes, ledger) {
        Ok(paid) => Decided {
            outcome: Some(paid.price_millibits),
            charges: paid.charges,
            event: Some(GateEvent::ChoicePaid { outcomes, price_millibits: paid.price_millibits }),
        },
        Err(_short) => Decided { outcome: None, charges: Vec::new(), event: None },
    };
    Ok(settle(vault, &scope, party.accounts(), decide)?)
}

/// Charges the sources of a choice, and says what is told of it.
pub(crate) fn tell_choice(vault: &Vault, permit: Permit<TellChoice>) -> Result<Told, Fault> {
    let (TellChoice { label, price_millibits, made }, scope) = permit.redeem();
    let sources = vault.sources_of(&label)?;
    let decide = |ledger: &Ledger| {
        let told = gate::tell_choice(&sources, price_millibits, made, ledger);
        let event = Some(GateEvent::Choice(told.verdict));
        Decided { outcome: told.verdict, charges: told.charges, event }
    };
    Ok(settle(vault, &scope, accounts_of(&sources), decide)?)
}

/// What became of a wish for a text, from public facts.
pub(crate) enum Begun {
    /// No account has room for a refusal.
    OverQuota,
    /// It is refused.
    Refused,
    /// The text is looked at; so much was set aside.
    GoesOn(Vec<Charge>),
}

/// Charges the public accounts for a refusal.
pub(crate) fn begin_text(vault: &Vault, permit: Permit<BeginText>) -> Result<Begun, Fault> {
    let (BeginText(attempt), scope) = permit.redeem();
    let party = party(vault, &scope.manifest, &scope.grant, scope.day)?;
    let decide = |ledger: &Ledger| match gate::begin_text(&party, attempt, ledger) {
        Ok(begun) if begun.goes_on => Decided {
            outcome: Begun::GoesOn(begun.charges.clone()),
            charges: begun.charges,
            event: None,
        },
        Ok(begun) => Decided {
            outcome: Begun::Refused,
            charges: begun.charges,
            event: Some(GateEvent::TextOutOfTurn { gestured: attempt.gestured }),
        },
        Err(_short) => Decided { outcome: Begun::OverQuota, charges: Vec::new(), event: None },
    };
    Ok(settle(vault, &scope, party.accounts(), decide)?)
}

/// Charges the sources of a text for a refusal, and says whether the user is asked.
pub(crate) fn present_text(
    vault: &Vault,
    permit: Permit<PresentText>,
) -> Result<(Presented, Vec<Charge>), Fault> {
    let (PresentText { label, bytes }, scope) = permit.redeem();
    let sources = vault.sources_of(&label)?;
    let decide = |ledger: &Ledger| {
        let presented = gate::present_text(&sources, bytes, ledger);
        Decided {
            outcome: (presented.verdict, presented.charges.clone()),
            charges: presented.charges,
            event: Some(GateEvent::Text(presented.verdict)),
        }
    };
    Ok(settle(vault, &scope, accounts_of(&sources), decide)?)
}

/// Writes down what the user said, and gives back what was set aside where it was yes.
pub(crate) fn answer_text(vault: &Vault, permit: Permit<AnswerText>) -> Result<(), Fault> {
    let (AnswerText { allowed, bytes, hash, set_aside }, scope) = permit.redeem();
    let settlement = |_spent: &[u32]| {
        if !allowed {
            let event = GateEvent::TextRefused;
            let rows = vec![audit::row(&scope, event.to_string(), event.is_allowed())];
            return Settlement { outcome: (), changes: Vec::new(), rows };
        }
        let changes = set_aside.iter();
        let changes = changes.map(|c| (key_of(&c.account), -i64::from(c.millibits))).collect();
        let event = GateEvent::TextGiven { bytes };
        let rows = vec![audit::row(&scope, format!("{event}, BLAKE3 {hash}"), event.is_allowed())];
        Settlement { outcome: (), changes, rows }
    };
    Ok(vault.settle(&[], settlement)?)
}

/// Charges a gesture; says whether the plugin may hear of it.
pub(crate) fn pay_gesture(
    vault: &Vault,
    scope: &Arc<Scope>,
    controls: u32,
) -> Result<Result<(), gate::GesturesSpent>, StoreError> {
    let (plugin, day) = (&scope.plugin, scope.day);
    let decide = |ledger: &Ledger| match gate::gesture(plugin, day, controls, ledger) {
        Ok(charge) => {
            let event = GateEvent::Gesture { controls, price_millibits: charge.millibits };
            Decided { outcome: Ok(()), charges: vec![charge], event: Some(event) }
        }
        Err(spent) => {
            let event = Some(GateEvent::GestureRefused { controls });
            Decided { outcome: Err(spent), charges: Vec::new(), event }
        }
    };
    settle(vault, scope, gestures_of(plugin, day), decide)
}

/// Lets a plugin hear as many gestures again today.
pub(crate) fn allow_gestures(vault: &Vault, plugin: &PluginId, day: Day) -> Result<(), StoreError> {
    let charge = gate::allow_gestures(plugin, day);
    let event = GateEvent::GesturesAllowed;
    let row = audit::row_about(plugin, event.to_string(), event.is_allowed());
    vault.settle(&[], |_| Settlement {
        outcome: (),
        changes: vec![(key_of(&charge.account), i64::from(charge.millibits))],
        rows: vec![row],
    })
}

/// What is left to a run.
pub(crate) fn remaining(vault: &Vault, permit: Permit<Remaining>) -> Result<u32, Fault> {
    let (Remaining, scope) = permit.redeem();
    let Scope { manifest, grant, day, .. } = &*scope;
    Ok(standing(vault, manifest, grant, *day)?.left_today_millibits)
}

/// How the accounts of a plugin stand.
pub(crate) fn standing(
    vault: &Vault,
    manifest: &Manifest,
    grant: &Grant,
    day: Day,
) -> Result<gate::Standing, StoreError> {
    let party = party(vault, manifest, grant, day)?;
    let accounts = party.accounts();
    let keys: Vec<AccountKey> = accounts.iter().map(key_of).collect();
    let ledger = accounts.into_iter().zip(vault.spent_millibits(&keys)?).collect();
    Ok(gate::standing(&party, &ledger))
}

/// Whoever asks: all of it as it was when the run began.
fn party(vault: &Vault, manifest: &Manifest, grant: &Grant, day: Day) -> Result<Party, StoreError> {
    let may = |access| decide(manifest, grant, access) == Verdict::Allow;
    let asked = manifest.declassify.choice_bits_per_day;
    let choice_bits =
        if may(Access::RevealChoice) { asked.min(grant.choice_bits_per_day) } else { 0 };
    Ok(Party {
        plugin: manifest.id.clone(),
        publishers: vault.publishers_of(&manifest.id)?,
        day,
        choice_bits,
        text: may(Access::RevealText),
    })
}

/// Reads the accounts, decides, and writes.
fn settle<T>(
    vault: &Vault,
    scope: &Scope,
    accounts: Vec<Account>,
    decide: impl FnOnce(&Ledger) -> Decided<T>,
) -> Result<T, StoreError> {
    let keys: Vec<AccountKey> = accounts.iter().map(key_of).collect();
    vault.settle(&keys, |spent| {
        let ledger: Ledger = accounts.into_iter().zip(spent.iter().copied()).collect();
        let Decided { outcome, charges, event } = decide(&ledger);
        let changes = charges.iter().map(|c| (key_of(&c.account), c.millibits.into())).collect();
        let row = |event: GateEvent| audit::row(scope, event.to_string(), event.is_allowed());
        Settlement { outcome, changes, rows: event.map(row).into_iter().collect() }
    })
}

fn accounts_of(sources: &Sources) -> Vec<Account> {
    Account::of_sources(sources).collect()
}

fn gestures_of(plugin: &PluginId, day: Day) -> Vec<Account> {
    vec![Account::Gestures(plugin.clone(), day), Account::GesturesAllowed(plugin.clone(), day)]
}

/// The row an account is kept in.
fn key_of(account: &Account) -> AccountKey {
    let (kind, name, day) = match account {
        Account::Plugin(plugin, day) => (AccountKind::Plugin, plugin.as_str(), day.number()),
        Account::Publisher(name, day) => (AccountKind::Publisher, name.as_str(), day.number()),
        Account::PublisherForLife(name) => (AccountKind::PublisherForLife, name.as_str(), 0),
        Account::Source(name) => (AccountKind::Source, name.as_str(), 0),
        Account::Gestures(plugin, day) => (AccountKind::Gestures, plugin.as_str(), day.number()),
        Account::GesturesAllowed(plugin, day) => {
            (AccountKind::GesturesAllowed, plugin.as_str(), day.number())
        }
    };
    AccountKey { kind, name: name.to_owned(), day }
}
