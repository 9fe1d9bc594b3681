//! Opening the database: key, settings, migrations.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use crate::key::DatabaseKey;
use crate::lineage;
use crate::{StoreError, UnlockError, VaultPart};

/// In order; the position (from 1) is the schema number kept in `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/001_start.sql"),
    include_str!("../migrations/002_tuning.sql"),
    include_str!("../migrations/003_reveal.sql"),
    include_str!("../migrations/004_install.sql"),
    include_str!("../migrations/005_life.sql"),
    include_str!("../migrations/006_sources.sql"),
];
/// With this one, documents are noted by content.
const LINEAGE_BEGINS: i64 = 3;

/// A database file that is not there yet.
pub(crate) fn create(path: &Path, key: &DatabaseKey) -> Result<Connection, UnlockError> {
    open(path, key, OpenFlags::SQLITE_OPEN_CREATE)
}

/// A database file that must be there.
pub(crate) fn open_existing(path: &Path, key: &DatabaseKey) -> Result<Connection, UnlockError> {
    open(path, key, OpenFlags::empty())
}

/// A database without a file, with the same tables.
pub(crate) fn in_memory() -> Result<Connection, StoreError> {
    let mut connection = Connection::open_in_memory().map_err(StoreError::sql("open in memory"))?;
    configure(&connection)?;
    match migrate(&mut connection) {
        Ok(()) => Ok(connection),
        Err(UnlockError::Store(error)) => Err(error),
        Err(_) => Err(StoreError::BadRow { what: "schema number" }),
    }
}

fn open(path: &Path, key: &DatabaseKey, create: OpenFlags) -> Result<Connection, UnlockError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(StoreError::sql("open its file"))?;
    set_key(&connection, key)?;
    // The first read is where a wrong key or a damaged first page shows.
    let readable =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    match readable.map_err(StoreError::sql("read its schema")) {
        Ok(_tables) => {}
        Err(StoreError::Damaged { .. }) => {
            return Err(UnlockError::Damaged {
                part: VaultPart::Database,
                reason: "it does not decrypt under this vault's key",
            });
        }
        Err(other) => return Err(other.into()),
    }
    configure(&connection)?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(StoreError::sql("choose its journal"))?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Gives SQLCipher the raw key. The statement holds the key, so neither it nor an error about it may go further.
fn set_key(connection: &Connection, key: &DatabaseKey) -> Result<(), StoreError> {
    // SQLite's memory, its own copies of the key included, stays out of swap and is wiped when freed, so that locking
    // leaves nothing behind. An import takes about twice the time for it. Must come before the key. What goes wrong is told by
    // codes, not on stderr.
    connection
        .execute_batch("PRAGMA cipher_log_level = NONE; PRAGMA cipher_memory_security = ON;")
        .map_err(StoreError::sql("secure its memory"))?;
    let mut statement = Zeroizing::new(String::with_capacity(96));
    statement.push_str("PRAGMA key = \"x'");
    for byte in key.bytes() {
        for nibble in [byte >> 4, byte & 15] {
            statement.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    statement.push_str("'\";");
    connection.execute_batch(&statement).map_err(StoreError::sql("take its key"))
}

fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA secure_delete = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA synchronous = FULL;",
        )
        .map_err(StoreError::sql("configure itself"))
}

fn migrate(connection: &mut Connection) -> Result<(), UnlockError> {
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(StoreError::sql("read its schema number"))?;
    let supported = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let schema = u32::try_from(found).unwrap_or(u32::MAX);
    if schema > supported {
        return Err(UnlockError::TooNew { schema, supported });
    }
    for (number, sql) in (1i64..).zip(MIGRATIONS).skip(schema as usize) {
        let fail = StoreError::sql("migrate its tables");
        let transaction = connection.transaction().map_err(&fail)?;
        transaction.execute_batch(sql).map_err(&fail)?;
        if number == LINEAGE_BEGINS {
            lineage::begin(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", number).map_err(&fail)?;
        transaction.commit().map_err(&fail)?;
    }
    Ok(())
}
