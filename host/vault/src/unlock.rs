//! The vault's directory: creating and unlocking.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::key::{self, DatabaseKey};
use crate::{UnlockError, Vault, VaultPart, database};

const DATABASE: &str = "hearth.db";
const KEY: &str = "key.age";
const LOCK: &str = "vault.lock";
const FOLDERS: [&str; 3] = ["plugins", "artefacts", "adapters"];

/// What opens a vault. Each copy is wiped when dropped, and none is ever shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text as it is: nothing is trimmed.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// A directory that holds a vault, or could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultDir {
    path: PathBuf,
}

impl VaultDir {
    /// Names a directory. Nothing is read or made yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where installed components lie.
    pub fn plugins_dir(&self) -> PathBuf {
        self.path.join("plugins")
    }

    /// Where compiled components lie.
    pub fn artefacts_dir(&self) -> PathBuf {
        self.path.join("artefacts")
    }

    /// Where fine-tuned adapters lie.
    pub fn adapters_dir(&self) -> PathBuf {
        self.path.join("adapters")
    }

    /// Whether it holds a vault, sound or not.
    pub fn exists(&self) -> bool {
        self.file(KEY).exists() || self.file(DATABASE).exists()
    }

    /// Makes a new vault, opened. The key file takes about a second's work to open on this machine.
    ///
    /// # Errors
    /// [`UnlockError`]; an existing vault, and a directory with other files, are left as they are.
    pub fn create(&self, passphrase: &Passphrase) -> Result<Vault, UnlockError> {
        self.make(passphrase, None)
    }

    /// As [`Self::create`], with 2^`log_n` blocks of scrypt work: for tests, which need no strong key file.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_with_work_factor(
        &self,
        passphrase: &Passphrase,
        log_n: u8,
    ) -> Result<Vault, UnlockError> {
        self.make(passphrase, Some(log_n))
    }

    /// Opens the vault.
    ///
    /// # Errors
    /// [`UnlockError`] says which part is wrong. Nothing is written unless the passphrase fits.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<Vault, UnlockError> {
        if !self.exists() {
            return Err(UnlockError::NoVault { path: self.path.clone() });
        }
        let lock = self.lock()?;
        self.finish_creation()?;
        for (name, part) in [(KEY, VaultPart::Key), (DATABASE, VaultPart::Database)] {
            if !self.file(name).exists() {
                return Err(UnlockError::Damaged { part, reason: "the file is missing" });
            }
        }
        let key = DatabaseKey::unwrap(&key::read(&self.file(KEY))?, passphrase)?;
        let connection = database::open_existing(&self.file(DATABASE), &key)?;
        self.make_folders()?;
        Ok(Vault::opened(connection, self.clone(), lock))
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.file(KEY)
    }

    fn make(&self, passphrase: &Passphrase, work: Option<u8>) -> Result<Vault, UnlockError> {
        if passphrase.text().is_empty() {
            return Err(UnlockError::EmptyPassphrase);
        }
        if self.exists() {
            return Err(UnlockError::AlreadyExists { path: self.path.clone() });
        }
        self.refuse_other_files()?;
        make_directory(&self.path)?;
        let lock = self.lock()?;
        if self.exists() {
            return Err(UnlockError::AlreadyExists { path: self.path.clone() });
        }
        self.make_folders()?;

        // Both files are written in full under other names and renamed last, the key after the database: a crash leaves
        // nothing that looks like a vault, or (between the two renames) one that `finish_creation` completes.
        let (fresh_key, fresh_database) = (self.fresh_key(), self.file("hearth.db.new"));
        for left_over in [&fresh_key, &fresh_database] {
            if left_over.exists() {
                fs::remove_file(left_over).map_err(UnlockError::io("remove", left_over))?;
            }
        }
        let database_key = DatabaseKey::make()?;
        let wrapped =
            database_key.wrap(passphrase, work).map_err(UnlockError::io("write", &fresh_key))?;
        // SQLite takes over the mode of an empty file for its journals, too.
        key::write_new(&fresh_database, &[])?;
        drop(database::create(&fresh_database, &database_key)?);
        key::write_new(&fresh_key, &wrapped)?;
        key::rename(&fresh_database, &self.file(DATABASE))?;
        key::rename(&fresh_key, &self.file(KEY))?;

        let connection = database::open_existing(&self.file(DATABASE), &database_key)?;
        Ok(Vault::opened(connection, self.clone(), lock))
    }

    /// A crash between the two renames of a creation leaves the key under its first name; one during a change of
    /// passphrase leaves a second key file, which must not go on opening the vault.
    fn finish_creation(&self) -> Result<(), UnlockError> {
        let fresh = self.fresh_key();
        match (self.file(KEY).exists(), fresh.exists()) {
            (false, true) => key::rename(&fresh, &self.file(KEY)),
            (true, true) => fs::remove_file(&fresh).map_err(UnlockError::io("remove", &fresh)),
            _ => Ok(()),
        }
    }

    /// The lock is the operating system's: it goes when the process does, however it ends.
    fn lock(&self) -> Result<File, UnlockError> {
        let path = self.file(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        key::private(&mut options);
        let file = options.open(&path).map_err(UnlockError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(UnlockError::InUse { path: self.path.clone() }),
            Err(TryLockError::Error(source)) => Err(UnlockError::Io { op: "lock", path, source }),
        }
    }

    fn refuse_other_files(&self) -> Result<(), UnlockError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                return Err(UnlockError::Io { op: "read", path: self.path.clone(), source });
            }
        };
        for entry in entries {
            let name = entry.map_err(UnlockError::io("read", &self.path))?.file_name();
            let ours =
                [LOCK, "key.age.new", "hearth.db.new", "hearth.db.new-wal", "hearth.db.new-shm"];
            let known = ours.iter().chain(&FOLDERS).any(|known| name == *known);
            if !known {
                return Err(UnlockError::NotEmpty { path: self.path.clone() });
            }
        }
        Ok(())
    }

    fn make_folders(&self) -> Result<(), UnlockError> {
        FOLDERS.iter().try_for_each(|folder| make_directory(&self.path.join(folder)))
    }

    fn fresh_key(&self) -> PathBuf {
        self.file("key.age.new")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes a directory, or takes one that is there, for the owner alone.
fn make_directory(path: &Path) -> Result<(), UnlockError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(UnlockError::io("create", path))?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(path, mode).map_err(UnlockError::io("protect", path))?;
    }
    Ok(())
}
