//! The database key and its age file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, scrypt};
use zeroize::Zeroizing;

use crate::{Passphrase, StoreError, UnlockError, VaultPart};

/// The most scrypt work a key file may ask for: 2^22 blocks, 4 GiB of memory and half a minute.
pub(crate) const MAX_WORK_FACTOR: u8 = 22;

/// A key file is a header and 32 bytes: some 300 bytes in all.
const MAX_KEY_FILE_BYTES: u64 = 4096;

const KEY_BYTES: usize = 32;

/// The raw key of the database. Wiped when dropped.
pub(crate) struct DatabaseKey(Zeroizing<[u8; KEY_BYTES]>);

impl DatabaseKey {
    pub(crate) fn make() -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut()).map_err(no_randomness)?;
        Ok(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The key in an age file that `passphrase` opens. `work_factor` is a power of two; about a second's work if absent.
    pub(crate) fn wrap(
        &self,
        passphrase: &Passphrase,
        work_factor: Option<u8>,
    ) -> io::Result<Vec<u8>> {
        let mut recipient = scrypt::Recipient::new(secret(passphrase));
        if let Some(log_n) = work_factor {
            recipient.set_work_factor(log_n.clamp(1, MAX_WORK_FACTOR));
        }
        let recipients: [&dyn age::Recipient; 1] = [&recipient];
        let encryptor =
            Encryptor::with_recipients(recipients.into_iter()).map_err(io::Error::other)?;
        let mut file = Vec::new();
        let mut writer = encryptor.wrap_output(&mut file)?;
        writer.write_all(self.bytes())?;
        writer.finish()?;
        Ok(file)
    }

    /// The key from an age file.
    pub(crate) fn unwrap(file: &[u8], passphrase: &Passphrase) -> Result<Self, UnlockError> {
        let content = decrypt(file, passphrase)?;
        let bytes = <[u8; KEY_BYTES]>::try_from(content.as_slice())
            .map_err(|_length| damaged("it does not hold a key of 32 bytes"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

/// What an age file holds, if a passphrase and nothing else locks it.
pub(crate) fn decrypt(
    file: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, UnlockError> {
    let decryptor = Decryptor::new_buffered(file).map_err(refusal)?;
    if !decryptor.is_scrypt() {
        return Err(damaged("it is not locked by a passphrase alone"));
    }
    let mut identity = scrypt::Identity::new(secret(passphrase));
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let reader =
        decryptor.decrypt([&identity as &dyn age::Identity].into_iter()).map_err(refusal)?;
    // Read to the end before anything is used: only then is the last chunk authenticated.
    let mut content = Zeroizing::new(Vec::with_capacity(file.len()));
    reader
        .take(MAX_KEY_FILE_BYTES)
        .read_to_end(&mut content)
        .map_err(|_payload| damaged("its payload fails authentication"))?;
    Ok(content)
}

/// Reads a key file, refusing one that is too long to be one.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, UnlockError> {
    let file = File::open(path).map_err(UnlockError::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(MAX_KEY_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(UnlockError::io("read", path))?;
    if bytes.len() as u64 > MAX_KEY_FILE_BYTES {
        return Err(damaged("it is too long to be a key file"));
    }
    Ok(bytes)
}

/// Puts `bytes` at `path`, so that after a crash either the old content or the new is there, never a part. What was
/// there is overwritten once nothing refers to it; a disk that writes elsewhere (most flash) may still hold a copy.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), UnlockError> {
    let fresh = path.with_extension("age.new");
    write_new(&fresh, bytes)?;
    let old = OpenOptions::new().write(true).open(path).ok();
    rename(&fresh, path)?;
    if let Some(mut old) = old {
        // The new key is in place; a failure to wipe the old file must not report it as not changed.
        if let Err(error) = wipe(&mut old) {
            tracing::warn!(%error, "the former key file could not be overwritten");
        }
    }
    Ok(())
}

/// Writes a file for the owner's eyes alone, down to the disk.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), UnlockError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    let mut file = options.open(path).map_err(UnlockError::io("create", path))?;
    file.write_all(bytes).map_err(UnlockError::io("write", path))?;
    file.sync_all().map_err(UnlockError::io("write", path))
}

/// Renames within a directory, down to the disk.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), UnlockError> {
    fs::rename(from, to).map_err(UnlockError::io("rename", from))?;
    let Some(directory) = to.parent() else { return Ok(()) };
    sync_directory(directory).map_err(UnlockError::io("write", directory))
}

/// New files only the owner can read, where the system has such a notion.
pub(crate) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

fn wipe(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len().min(MAX_KEY_FILE_BYTES) as usize;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&vec![0; length])?;
    file.sync_all()
}

fn secret(passphrase: &Passphrase) -> SecretString {
    SecretString::from(passphrase.text())
}

fn refusal(error: DecryptError) -> UnlockError {
    match error {
        DecryptError::ExcessiveWork { required, .. } => {
            UnlockError::ExcessiveWork { required, limit: MAX_WORK_FACTOR }
        }
        DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed
        | DecryptError::NoMatchingKeys => UnlockError::WrongPassphrase,
        DecryptError::InvalidMac => damaged("its header fails authentication"),
        DecryptError::UnknownFormat => damaged("it is of an unknown age version"),
        _ => damaged("it is not a whole age file"),
    }
}

fn damaged(reason: &'static str) -> UnlockError {
    UnlockError::Damaged { part: VaultPart::Key, reason }
}

fn no_randomness(_error: getrandom::Error) -> StoreError {
    StoreError::NoRandomness
}

/// 32 random bytes.
pub(crate) fn random_bytes() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(no_randomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
