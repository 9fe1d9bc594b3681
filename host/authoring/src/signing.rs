//! A publisher's key and signatures with it, in minisign's formats: `minisign -V` and Hearth read the same files.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use hearth_wasm::InspectError;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use zeroize::Zeroizing;

/// Longest secret key file that is read; a real one is some 300 bytes.
const MAX_KEY_BYTES: u64 = 4 << 10;

/// Why a key could not be made, or a plugin not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// There is one already.
    #[error("{} is there already; a key that is overwritten is lost", path.display())]
    KeyExists {
        /// The file.
        path: PathBuf,
    },
    /// An empty passphrase.
    #[error("a publisher's key needs a passphrase")]
    NoPassphrase,
    /// The file holds no key, or one without a passphrase.
    #[error("{} is no secret key of minisign's with a passphrase", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open it.
    #[error("this passphrase does not open the key")]
    WrongPassphrase,
    /// The file to sign would be refused.
    #[error("{}: {source}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InspectError,
    },
    /// The manifest names another publisher, or none.
    #[error(
        "the manifest's publisher is {}; put this line into plugin.toml and build again:\n    publisher = \"{expected}\"",
        if found.is_empty() { "empty".to_owned() } else { format!("`{found}`") }
    )]
    OtherPublisher {
        /// What it names.
        found: String,
        /// The key's public half.
        expected: String,
    },
    /// The system gives no random numbers, or the like.
    #[error("the signature could not be made: {reason}")]
    Crypto {
        /// minisign's words.
        reason: String,
    },
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A key that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The secret half's file. Whoever has it and the passphrase is the publisher.
    pub secret_path: PathBuf,
    /// The public half's file.
    pub public_path: PathBuf,
    /// The public half, as manifests name it.
    pub public_key: String,
}

/// Makes a key pair: the secret half, locked by a passphrase, at `path`; the public half beside it, with `.pub`.
///
/// # Errors
/// [`SignError`]; a file that is there is never overwritten.
pub fn keygen(path: &Path, passphrase: &str) -> Result<NewKey, SignError> {
    if passphrase.is_empty() {
        return Err(SignError::NoPassphrase);
    }
    let public_path = with_suffix(path, ".pub");
    for file in [path, &public_path] {
        if file.exists() {
            return Err(SignError::KeyExists { path: file.to_path_buf() });
        }
    }
    let pair = KeyPair::generate_encrypted_keypair(Some(passphrase.to_owned())).map_err(crypto)?;
    let comment = "secret key of a publisher of Hearth plugins";
    let secret = Zeroizing::new(pair.sk.to_box(Some(comment)).map_err(crypto)?.into_string());
    write_new(path, secret.as_bytes(), true)?;
    let public = pair.pk.to_box().map_err(crypto)?.into_string();
    write_new(&public_path, public.as_bytes(), false)?;
    Ok(NewKey { secret_path: path.to_path_buf(), public_path, public_key: pair.pk.to_base64() })
}

/// Signs a plugin file as a whole and writes the signature beside it, with `.minisig`. Gives the signature's file.
///
/// # Errors
/// [`SignError`]; a plugin that Hearth would refuse, or whose manifest names another publisher, is not signed.
pub fn sign(plugin: &Path, key: &Path, passphrase: &str) -> Result<PathBuf, SignError> {
    let bytes = fs::read(plugin).map_err(file_error(plugin))?;
    let inspection = hearth_wasm::inspect(&bytes)
        .map_err(|source| SignError::Refused { path: plugin.to_path_buf(), source })?;
    let secret = read_key(key, passphrase)?;
    let public = PublicKey::from_secret_key(&secret).map_err(crypto)?;
    let expected = public.to_base64();
    let found = inspection.manifest.publisher;
    if found != expected {
        return Err(SignError::OtherPublisher { found, expected });
    }
    let trusted = format!("{} {}", inspection.manifest.id, inspection.manifest.version);
    let comment = format!("signature of {}", inspection.manifest.id);
    let signature =
        minisign::sign(Some(&public), &secret, bytes.as_slice(), Some(&trusted), Some(&comment))
            .map_err(crypto)?;
    let path = signature_path(plugin);
    fs::write(&path, signature.into_string()).map_err(file_error(&path))?;
    Ok(path)
}

/// Where the signature of a plugin's file lies.
pub fn signature_path(plugin: &Path) -> PathBuf {
    with_suffix(plugin, ".minisig")
}

fn read_key(path: &Path, passphrase: &str) -> Result<SecretKey, SignError> {
    let length = fs::metadata(path).map_err(file_error(path))?.len();
    let not_a_key = || SignError::NotAKey { path: path.to_path_buf() };
    if length > MAX_KEY_BYTES {
        return Err(not_a_key());
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(file_error(path))?);
    let parsed = SecretKeyBox::from_string(&text).map_err(|_words| not_a_key())?;
    parsed.into_secret_key(Some(passphrase.to_owned())).map_err(|error| match error.kind() {
        minisign::ErrorKind::Verify => SignError::WrongPassphrase,
        _ => not_a_key(),
    })
}

/// Writes a file that must not be there yet; a secret one for its owner's eyes alone.
fn write_new(path: &Path, bytes: &[u8], secret: bool) -> Result<(), SignError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _for_unix = secret;
    let mut file = options.open(path).map_err(file_error(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(file_error(path))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn crypto(error: minisign::PError) -> SignError {
    SignError::Crypto { reason: error.to_string() }
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> SignError {
    let path = path.to_path_buf();
    move |source| SignError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_needs_its_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.key");
        assert!(matches!(keygen(&path, ""), Err(SignError::NoPassphrase)));
        let key = keygen(&path, "correct horse").unwrap();
        assert!(key.public_key.starts_with("RW"));
        let public = fs::read_to_string(&key.public_path).unwrap();
        assert!(public.contains(&key.public_key));
        assert!(matches!(keygen(&path, "another"), Err(SignError::KeyExists { .. })));
        assert!(matches!(read_key(&path, "wrong"), Err(SignError::WrongPassphrase)));
        let secret = read_key(&path, "correct horse").unwrap();
        assert_eq!(PublicKey::from_secret_key(&secret).unwrap().to_base64(), key.public_key);
        assert!(matches!(read_key(&key.public_path, "x"), Err(SignError::NotAKey { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
