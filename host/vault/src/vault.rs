//! The open vault.

use std::fmt;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::key::{self, DatabaseKey};
use crate::{Passphrase, StoreError, UnlockError, VaultDir, database};

/// An open vault. All methods block and take `&self`; a vault may be shared between threads. Dropping it locks it.
pub struct Vault {
    connection: Mutex<Connection>,
    directory: Option<VaultDir>,
    /// Held open: the lock goes with it. After the connection, so that it is released last.
    _lock: Option<File>,
}

impl Vault {
    /// A vault without a file, for tests: the same tables, gone when dropped.
    ///
    /// # Errors
    /// [`StoreError`] where SQLite gives no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        let connection = Mutex::new(database::in_memory()?);
        Ok(Self { connection, directory: None, _lock: None })
    }

    pub(crate) fn opened(connection: Connection, directory: VaultDir, lock: File) -> Self {
        Self { connection: Mutex::new(connection), directory: Some(directory), _lock: Some(lock) }
    }

    /// Locks the key under another passphrase. The data is not written again.
    ///
    /// # Errors
    /// [`UnlockError::WrongPassphrase`] for `old`, [`UnlockError::EmptyPassphrase`] for `new`; the key file is then as
    /// it was. [`UnlockError::NoVault`] for a vault in memory.
    pub fn change_passphrase(&self, old: &Passphrase, new: &Passphrase) -> Result<(), UnlockError> {
        self.rewrap(old, new, None)
    }

    /// As [`Self::change_passphrase`], with 2^`log_n` blocks of scrypt work: for tests.
    ///
    /// # Errors
    /// As [`Self::change_passphrase`].
    pub fn change_passphrase_with_work_factor(
        &self,
        old: &Passphrase,
        new: &Passphrase,
        log_n: u8,
    ) -> Result<(), UnlockError> {
        self.rewrap(old, new, Some(log_n))
    }

    fn rewrap(
        &self,
        old: &Passphrase,
        new: &Passphrase,
        work: Option<u8>,
    ) -> Result<(), UnlockError> {
        if new.text().is_empty() {
            return Err(UnlockError::EmptyPassphrase);
        }
        let Some(directory) = &self.directory else {
            return Err(UnlockError::NoVault { path: "in memory".into() });
        };
        // One change at a time.
        let _connection = self.connection();
        let path = directory.key_file();
        let key = DatabaseKey::unwrap(&key::read(&path)?, old)?;
        let wrapped = key.wrap(new, work).map_err(UnlockError::io("write", &path))?;
        key::replace(&path, &wrapped)
    }

    /// Where it lies; `None` for one in memory.
    pub fn directory(&self) -> Option<&VaultDir> {
        self.directory.as_ref()
    }

    /// Locks the vault: the journal is folded into the database and every key is dropped.
    pub fn lock(self) {
        drop(self);
    }

    /// Lets the vault grow by at most so many pages from now on, for tests: what needs more finds the disk full.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn limit_growth(&self, pages: u32) -> Result<(), StoreError> {
        self.read("limit its growth", |connection| {
            let used: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            connection.pragma_update_and_check(
                None,
                "max_page_count",
                used.saturating_add(pages.into()),
                |_row| Ok(()),
            )
        })
    }

    /// The key that marks compiled plugins as made here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn artefact_key(&self) -> Result<[u8; 32], StoreError> {
        self.secret("artefacts")
    }

    /// The key from which the seeds of plugin runs are derived.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn run_key(&self) -> Result<[u8; 32], StoreError> {
        self.secret("runs")
    }

    fn secret(&self, name: &str) -> Result<[u8; 32], StoreError> {
        self.write("make a key", |transaction| {
            let found: Option<Vec<u8>> = transaction
                .query_row("SELECT value FROM secrets WHERE name = ?1", [name], |row| row.get(0))
                .optional()?;
            match found {
                Some(bytes) => Ok(<[u8; 32]>::try_from(bytes)
                    .map_err(|_bytes| StoreError::BadRow { what: "key" })),
                None => {
                    let fresh = match key::random_bytes() {
                        Ok(fresh) => fresh,
                        Err(error) => return Ok(Err(error)),
                    };
                    transaction.execute(
                        "INSERT INTO secrets (name, value) VALUES (?1, ?2)",
                        (name, fresh),
                    )?;
                    Ok(Ok(fresh))
                }
            }
        })?
    }

    /// Reads; `op` names what for, in an error.
    pub(crate) fn read<T>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.connection()).map_err(StoreError::sql(op))
    }

    /// Writes in one transaction: all of it, or nothing.
    pub(crate) fn write<T>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let fail = StoreError::sql(op);
        let transaction = connection.transaction().map_err(&fail)?;
        let value = work(&transaction).map_err(&fail)?;
        transaction.commit().map_err(&fail)?;
        Ok(value)
    }

    /// A panic in another thread rolled its transaction back, so the connection is sound whatever the mutex says.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        // Closing would do it, too; but a failure there is silent.
        let folded = self.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE);");
        if folded.is_err() {
            tracing::warn!(
                "the journal could not be folded into the database; the next unlock does it"
            );
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Seconds since 1970.
pub(crate) fn now_secs() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_shared_between_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        let vault = Vault::in_memory().unwrap();
        shared(&vault);
        std::thread::scope(|scope| {
            for n in 0..4 {
                let vault = &vault;
                scope.spawn(move || vault.set_preference(&n.to_string(), "x").unwrap());
            }
        });
        assert_eq!(vault.preference("3").unwrap().as_deref(), Some("x"));
    }

    #[test]
    fn a_panic_in_a_transaction_changes_nothing_and_leaves_the_vault_usable() {
        let vault = Vault::in_memory().unwrap();
        vault.set_preference("a", "before").unwrap();
        let panicked = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    vault.write("panic", |transaction| -> rusqlite::Result<()> {
                        transaction.execute("UPDATE preferences SET value = 'after'", [])?;
                        panic!("as a fault would");
                    })
                })
                .join()
                .is_err()
        });
        assert!(panicked);
        assert_eq!(vault.preference("a").unwrap().as_deref(), Some("before"));
    }

    #[test]
    fn an_error_in_a_transaction_changes_nothing() {
        let vault = Vault::in_memory().unwrap();
        let failed = vault.write("fail", |transaction| {
            transaction.execute("INSERT INTO preferences VALUES ('a', 'b')", [])?;
            transaction.execute("INSERT INTO no_such_table VALUES (1)", [])
        });
        assert!(matches!(failed, Err(StoreError::Database { op: "fail", .. })));
        assert_eq!(vault.preference("a").unwrap(), None);
    }
}
