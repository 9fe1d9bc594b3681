//! What plugins have learnt of private values, in thousandths of a bit, by account.
//!
//! Which accounts there are, what they may hold and what is charged is decided elsewhere; here it is written down, in
//! the same transaction in which it was read. Rows outlive plugins and documents.

use std::collections::BTreeSet;

use hearth_base::PluginId;
use rusqlite::{Connection, OptionalExtension, params};

use crate::plugins::insert_audit;
use crate::{AuditRow, StoreError, Vault};

/// The one name that all plugins without a verified key share.
const UNSIGNED: &str = "unsigned";
/// The name of whoever wrote the plugins that come with the program. No key looks like it.
const BUNDLED: &str = "hearth";

/// What kind of account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// A plugin's, a day.
    Plugin = 0,
    /// A publisher's, a day.
    Publisher = 1,
    /// What gestures tell a plugin, a day.
    Gestures = 2,
    /// A publisher's, for life.
    PublisherForLife = 3,
    /// A source's, for life.
    Source = 4,
    /// What the user added to what gestures may tell a plugin, a day.
    GesturesAllowed = 5,
}

/// Names an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// What kind.
    pub kind: AccountKind,
    /// Whose.
    pub name: String,
    /// Days since 1970; 0 for life.
    pub day: i64,
}

/// What was decided about some accounts.
#[derive(Clone, Debug, Default)]
pub struct Settlement<T> {
    /// For the caller.
    pub outcome: T,
    /// Millibits to add; where negative, to take back.
    pub changes: Vec<(AccountKey, i64)>,
    /// Rows of the audit that tell of it.
    pub rows: Vec<AuditRow>,
}

impl Vault {
    /// What was spent of some accounts, in their order, in millibits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn spent_millibits(&self, accounts: &[AccountKey]) -> Result<Vec<u32>, StoreError> {
        self.read("read accounts", |connection| read(connection, accounts))
    }

    /// Reads some accounts, has their changes decided, and writes these and their audit rows: all in one transaction.
    /// No account falls below nothing.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is then changed.
    pub fn settle<T>(
        &self,
        accounts: &[AccountKey],
        decide: impl FnOnce(&[u32]) -> Settlement<T>,
    ) -> Result<T, StoreError> {
        self.write("charge accounts", |transaction| {
            let settlement = decide(&read(transaction, accounts)?);
            let mut statement = transaction.prepare_cached(
                "INSERT INTO reveal_accounts (kind, name, day, spent) VALUES (?1, ?2, ?3, max(0, ?4))
                 ON CONFLICT (kind, name, day) DO UPDATE SET spent = max(0, spent + ?4)",
            )?;
            for (account, change) in &settlement.changes {
                let AccountKey { kind, name, day } = account;
                statement.execute(params![*kind as i64, name, day, change])?;
            }
            for row in &settlement.rows {
                insert_audit(transaction, row)?;
            }
            Ok(settlement.outcome)
        })
    }

    /// Who answers for a plugin: the key it was verified with and all keys that this one has taken the place of; or the
    /// one name that all plugins without a key share. What a manifest claims is not looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn publishers_of(&self, plugin: &PluginId) -> Result<BTreeSet<String>, StoreError> {
        self.read("read a plugin's publisher", |connection| {
            let found: Option<(String, bool)> = connection
                .prepare_cached("SELECT publisher, bundled FROM plugins WHERE id = ?1")?
                .query_row([plugin.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let key = match found {
                Some((_, true)) => BUNDLED.to_owned(),
                Some((key, false)) if !key.is_empty() => key,
                Some(_) | None => UNSIGNED.to_owned(),
            };
            let mut statement = connection.prepare_cached(
                "WITH RECURSIVE keys (key) AS (
                     SELECT ?1 UNION SELECT p.key FROM publishers p JOIN keys ON p.replaced_by = keys.key
                 ) SELECT key FROM keys",
            )?;
            let keys = statement.query_map([key], |row| row.get(0))?;
            keys.collect()
        })
    }
}

fn read(connection: &Connection, accounts: &[AccountKey]) -> rusqlite::Result<Vec<u32>> {
    let mut statement = connection.prepare_cached(
        "SELECT spent FROM reveal_accounts WHERE kind = ?1 AND name = ?2 AND day = ?3",
    )?;
    let spent = accounts.iter().map(|AccountKey { kind, name, day }| {
        let spent = statement.query_row(params![*kind as i64, name, day], |row| row.get(0));
        // More than fits counts as all there is.
        let spent: i64 = spent.optional()?.unwrap_or_default();
        Ok(u32::try_from(spent).unwrap_or(u32::MAX))
    });
    spent.collect()
}

#[cfg(test)]
mod tests {
    use hearth_base::RunId;

    use super::*;

    fn key(kind: AccountKind, name: &str) -> AccountKey {
        AccountKey { kind, name: name.to_owned(), day: 20_000 }
    }

    fn plugin(name: &str) -> PluginId {
        PluginId::new(format!("org.example.{name}")).unwrap()
    }

    fn row() -> AuditRow {
        let what = "asked".to_owned();
        AuditRow { at_secs: 1, plugin: None, run: Some(RunId(1)), what, allowed: true }
    }

    fn charge(vault: &Vault, account: &AccountKey, change: i64) -> u32 {
        vault
            .settle(std::slice::from_ref(account), |spent| Settlement {
                outcome: spent[0],
                changes: vec![(account.clone(), change)],
                rows: vec![row()],
            })
            .unwrap()
    }

    fn install(vault: &Vault, id: &PluginId, publisher: &str, bundled: bool) {
        let sql =
            "INSERT INTO plugins (id, version, manifest, component_hash, sealed, bundled, enabled,
                                        installed_secs, publisher)
                   VALUES (?1, '1.0.0', '', '00', 0, ?2, 1, 0, ?3)";
        vault
            .write("install for a test", |transaction| {
                transaction.execute(sql, params![id.as_str(), bundled, publisher])
            })
            .unwrap();
    }

    #[test]
    fn accounts_add_up_by_kind_name_and_day() {
        let vault = Vault::in_memory().unwrap();
        let account = key(AccountKind::Plugin, "a");
        assert_eq!(charge(&vault, &account, 1_500), 0);
        assert_eq!(charge(&vault, &account, 500), 1_500);
        let others = [
            key(AccountKind::Gestures, "a"),
            key(AccountKind::Plugin, "b"),
            AccountKey { day: 20_001, ..account.clone() },
        ];
        assert_eq!(vault.spent_millibits(&others).unwrap(), [0; 3]);
        assert_eq!(charge(&vault, &account, -1_999), 2_000);
        assert_eq!(charge(&vault, &account, -2), 1);
        assert_eq!(charge(&vault, &account, i64::from(u32::MAX)), 0);
        assert_eq!(charge(&vault, &account, 1), u32::MAX);
        assert_eq!(vault.spent_millibits(&[account]).unwrap(), [u32::MAX]);
        let fresh = key(AccountKind::Source, "never charged");
        assert_eq!(charge(&vault, &fresh, -5), 0);
        assert_eq!(vault.spent_millibits(&[fresh]).unwrap(), [0]);
        assert_eq!(vault.audit_rows(None, 100).unwrap(), vec![row(); 7]);
    }

    #[test]
    fn charges_at_the_same_time_never_pass_a_limit() {
        let vault = Vault::in_memory().unwrap();
        let account = key(AccountKind::Source, "mail");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let decide = |spent: &[u32]| {
                            let room = i64::from(spent[0] + 30 <= 8_000) * 30;
                            let changes = vec![(account.clone(), room)];
                            Settlement { outcome: (), changes, rows: Vec::new() }
                        };
                        vault.settle(std::slice::from_ref(&account), decide).unwrap();
                    }
                });
            }
        });
        assert_eq!(vault.spent_millibits(&[account]).unwrap(), [7_980]);
    }

    #[test]
    fn what_was_learnt_outlives_the_plugin() {
        let vault = Vault::in_memory().unwrap();
        let id = plugin("curious");
        install(&vault, &id, "", false);
        let account = key(AccountKind::Plugin, id.as_str());
        charge(&vault, &account, 700);
        vault.remove_plugin(&id, false).unwrap();
        install(&vault, &id, "", false);
        assert_eq!(vault.spent_millibits(&[account]).unwrap(), [700]);
    }

    #[test]
    fn a_publisher_is_a_verified_key_with_those_it_replaced() {
        let vault = Vault::in_memory().unwrap();
        let ids = ["unsigned", "too", "bundled", "old", "new"].map(plugin);
        for (id, publisher) in ids.iter().zip(["", "", "", "K1", "K3"]) {
            install(&vault, id, publisher, id.as_str().ends_with("bundled"));
        }
        vault
            .write("note keys", |transaction| {
                transaction.execute_batch(
                    "INSERT INTO publishers (key, first_seen_secs, replaced_by)
                     VALUES ('K1', 1, 'K2'), ('K2', 2, 'K3'), ('K3', 3, 'K1'), ('K9', 4, NULL)",
                )
            })
            .unwrap();
        let names = |id: &PluginId| Vec::from_iter(vault.publishers_of(id).unwrap());
        assert_eq!(names(&ids[0]), ["unsigned"]);
        assert_eq!(names(&ids[1]), ["unsigned"]);
        assert_eq!(names(&ids[2]), ["hearth"]);
        // Even statements that run in a circle come to an end.
        assert_eq!(names(&ids[3]), ["K1", "K2", "K3"]);
        assert_eq!(names(&ids[4]), ["K1", "K2", "K3"]);
        assert_eq!(names(&plugin("nobody")), ["unsigned"]);
    }
}
