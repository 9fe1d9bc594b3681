//! Errors. None holds private text: SQLite's own messages quote what they could not parse, so only its codes are kept.

use std::io;
use std::path::{Path, PathBuf};

/// A part of a vault on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultPart {
    /// `key.age`.
    Key,
    /// `hearth.db`.
    Database,
}

impl std::fmt::Display for VaultPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "key.age",
            Self::Database => "hearth.db",
        })
    }
}

/// Why a vault could not be created, opened or given another passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The passphrase is empty.
    #[error("the passphrase is empty; choose one of several words")]
    EmptyPassphrase,
    /// The passphrase does not open this vault.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// Another process, or another part of this one, has it open.
    #[error("the vault is open in another Hearth; close it there first: {}", path.display())]
    InUse {
        /// The vault.
        path: PathBuf,
    },
    /// There is no vault there.
    #[error("there is no vault at {}; create one first", path.display())]
    NoVault {
        /// Where one was sought.
        path: PathBuf,
    },
    /// There is a vault there already.
    #[error("there is a vault already at {}", path.display())]
    AlreadyExists {
        /// Where.
        path: PathBuf,
    },
    /// The directory holds other files.
    #[error("a new vault needs an empty or new directory; this one holds other files: {}", path.display())]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
    /// A file of the vault is missing, cut short or altered.
    #[error("{part} is damaged: {reason}; restore it from a backup")]
    Damaged {
        /// Which file.
        part: VaultPart,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key file asks for more work than any passphrase needs: it was made to stall or to exhaust memory.
    #[error("key.age asks for scrypt work factor {required}; at most {limit} is accepted")]
    ExcessiveWork {
        /// What it asks for, as a power of two.
        required: u8,
        /// The most that is accepted.
        limit: u8,
    },
    /// A newer Hearth wrote it.
    #[error("the vault has schema {schema}, newer than {supported}; open it with a newer Hearth")]
    TooNew {
        /// The vault's.
        schema: u32,
        /// The newest known here.
        supported: u32,
    },
    /// A file could not be read or written.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UnlockError {
    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { op, path, source }
    }
}

/// Why the open vault could not read or write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused, with SQLite's extended result code.
    #[error("the vault's database failed to {op} (SQLite code {code}: {meaning})")]
    Database {
        /// What was tried.
        op: &'static str,
        /// SQLite's extended result code; 0 where rusqlite itself refused.
        code: i32,
        /// What the code means.
        meaning: &'static str,
    },
    /// The disk is full.
    #[error("the disk is full: the vault could not {op}; nothing of it was kept")]
    DiskFull {
        /// What was tried.
        op: &'static str,
    },
    /// A page of the database fails its check.
    #[error("the vault's database is damaged (found on trying to {op}); restore it from a backup")]
    Damaged {
        /// What was tried.
        op: &'static str,
    },
    /// A row does not read as what was once written: not SQLite's fault.
    #[error("the vault holds a {what} that cannot be read")]
    BadRow {
        /// What.
        what: &'static str,
    },
    /// What the call is about is not there.
    #[error("the vault holds no such {what}")]
    NotFound {
        /// What.
        what: &'static str,
    },
    /// A search of more words or bytes than one looks for.
    #[error(
        "a search has at most {limit_words} words and {limit_bytes} bytes: leave out what matters least"
    )]
    SearchTooLong {
        /// Most words.
        limit_words: usize,
        /// Most bytes.
        limit_bytes: usize,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl StoreError {
    /// Keeps the code and drops the message, which may quote private text.
    pub(crate) fn sql(op: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        move |error| match &error {
            rusqlite::Error::SqliteFailure(failure, _)
            | rusqlite::Error::SqlInputError { error: failure, .. } => match failure.code {
                ErrorCode::DiskFull => Self::DiskFull { op },
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged { op },
                _ => Self::Database {
                    op,
                    code: failure.extended_code,
                    meaning: rusqlite::ffi::code_to_str(failure.extended_code),
                },
            },
            rusqlite::Error::QueryReturnedNoRows => Self::NotFound { what: "row" },
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => Self::BadRow { what: "row" },
            _ => Self::Database { op, code: 0, meaning: "refused before it reached SQLite" },
        }
    }
}

/// Why an import could not start, or had to stop. What is wrong with one message or file is in its entry instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The path could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Neither a file nor a directory.
    #[error("{} is neither a file nor a directory", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// The folder belongs to a plugin.
    #[error("that folder keeps what a plugin saved; import under another name")]
    FolderOfPlugin,
    /// The vault refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}
