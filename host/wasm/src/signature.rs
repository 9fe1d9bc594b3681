//! Who a component comes from: minisign signatures over the whole file, the keys that make them, and statements by which
//! a publisher hands over to another key. Everything is checked here offline; which key is trusted for what is the
//! session's affair.

use std::fmt;

use data_encoding::{BASE32_NOPAD, BASE64, HEXUPPER};
use minisign_verify::{Error as MinisignError, PublicKey, Signature};

/// Longest signature or statement worth reading.
pub const MAX_SIGNATURE_BYTES: usize = 4 << 10;
/// What a signature's file name ends in, after the whole name of the file it is for.
pub const SIGNATURE_SUFFIX: &str = ".minisig";
/// A minisign public key: algorithm, id and Ed25519 key.
const KEY_BYTES: usize = 2 + KEY_ID_BYTES + 32;
const KEY_ID_BYTES: usize = 8;
/// The algorithm that public keys name. With the other one that minisign reads, a key would have two names.
const KEY_ALGORITHM: &[u8; 2] = b"Ed";
/// Bytes of a fingerprint that people compare: 120 bits.
const SHOWN_BYTES: usize = 15;
/// Longest trusted comment that is shown.
const COMMENT_CHARS: usize = 120;

/// A publisher's minisign public key. One key has one text.
#[derive(Clone, PartialEq, Eq)]
pub struct PublisherKey {
    text: String,
    id: [u8; KEY_ID_BYTES],
    key: PublicKey,
}

/// What a good signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The key it was made with.
    pub publisher: PublisherKey,
    /// The signed comment, safe to show and cut to 120 characters.
    pub trusted_comment: String,
}

/// A publisher's word that another key takes the place of theirs, for all of their plugins.
///
/// It is a TOML file, signed with the old key:
/// ```toml
/// statement = "hearth-key-rotation"
/// old = "RWQ…"
/// new = "RWQ…"
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key that hands over.
    pub old: PublisherKey,
    /// The key that takes over.
    pub new: PublisherKey,
}

/// Why a signature, a key or a statement was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Over [`MAX_SIGNATURE_BYTES`].
    #[error("the signature is over {limit_bytes} bytes, the longest there is")]
    TooLong {
        /// Longest allowed.
        limit_bytes: usize,
    },
    /// Not what minisign writes.
    #[error("the signature is not one that minisign wrote")]
    Malformed,
    /// Not a minisign public key.
    #[error("`{field}` is not a minisign public key: it is 56 characters that begin with RW")]
    MalformedKey {
        /// Where it stands.
        field: &'static str,
    },
    /// A signature, and a manifest that names nobody.
    #[error("the file is signed, but its manifest names no publisher")]
    NoPublisher,
    /// A manifest that names a publisher, and no signature.
    #[error("the manifest names a publisher, but there is no signature beside the file")]
    NoSignature,
    /// Made with another key than the one named.
    #[error("the file is signed with another key than the {expected} that it names")]
    OtherKey {
        /// The id of the key named.
        expected: String,
    },
    /// Made by a minisign from before signatures of hashes.
    #[error("the signature is of minisign's old form")]
    OldForm,
    /// It does not fit: the file is not the one that was signed.
    #[error("the signature does not fit the file: it was changed after it was signed")]
    DoesNotFit,
    /// Not a statement about keys.
    #[error("this is not a statement about keys: {reason}")]
    NotAStatement {
        /// What is wrong with it.
        reason: String,
    },
}

impl PublisherKey {
    /// Reads a key as a manifest names it. `field` is named in the error.
    ///
    /// # Errors
    /// [`SignatureError::MalformedKey`].
    pub fn parse(text: &str, field: &'static str) -> Result<Self, SignatureError> {
        let malformed = SignatureError::MalformedKey { field };
        let Ok(bytes) = BASE64.decode(text.as_bytes()) else { return Err(malformed) };
        let id = match bytes.split_at_checked(KEY_ALGORITHM.len()) {
            Some((algorithm, rest)) if algorithm == KEY_ALGORITHM && bytes.len() == KEY_BYTES => {
                rest.first_chunk::<KEY_ID_BYTES>().copied()
            }
            _ => None,
        };
        match (id, PublicKey::from_base64(text)) {
            (Some(id), Ok(key)) => Ok(Self { text: text.to_owned(), id, key }),
            _ => Err(malformed),
        }
    }

    /// The key as manifests name it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its id, as `minisign` shows it.
    pub fn id(&self) -> String {
        let mut id = self.id;
        id.reverse();
        HEXUPPER.encode(&id)
    }

    /// The bytes that [`Self::fingerprint`] begins with; a picture of the key may be drawn from them.
    pub fn fingerprint_bytes(&self) -> [u8; 32] {
        *blake3::hash(self.text.as_bytes()).as_bytes()
    }

    /// Six groups of four characters for people to compare, 120 bits.
    pub fn fingerprint(&self) -> String {
        let text = BASE32_NOPAD.encode(&self.fingerprint_bytes()[..SHOWN_BYTES]);
        let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..at + 4]).collect();
        groups.join("-")
    }
}

impl fmt::Debug for PublisherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublisherKey({})", self.id())
    }
}

/// Checks a component's signature. `publisher` is what its manifest names, `signature` what lies beside it. `None` is an
/// unsigned component: neither is there.
///
/// # Errors
/// [`SignatureError`]. One that names a publisher and is not signed by them is an error, never unsigned.
pub fn verify_component(
    component: &[u8],
    publisher: &str,
    signature: Option<&str>,
) -> Result<Option<Signed>, SignatureError> {
    match (publisher.is_empty(), signature) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(SignatureError::NoPublisher),
        (false, None) => Err(SignatureError::NoSignature),
        (false, Some(signature)) => {
            let publisher = PublisherKey::parse(publisher, "publisher")?;
            verify(component, publisher, signature).map(Some)
        }
    }
}

/// Reads a statement by which one key hands over to another; it must be signed with the old one.
///
/// # Errors
/// [`SignatureError`].
pub fn verify_rotation(statement: &[u8], signature: &str) -> Result<Rotation, SignatureError> {
    let not = |reason: &str| SignatureError::NotAStatement { reason: reason.to_owned() };
    if statement.len() > MAX_SIGNATURE_BYTES {
        return Err(not("it is too long"));
    }
    let text = std::str::from_utf8(statement).map_err(|_utf8| not("it is not text"))?;
    let fields: toml::Table = toml::from_str(text).map_err(|error| not(error.message()))?;
    let field = |name: &str| {
        let value = fields.get(name).and_then(toml::Value::as_str);
        value.ok_or_else(|| not(&format!("it has no `{name}`")))
    };
    if field("statement")? != "hearth-key-rotation" || fields.len() != 3 {
        return Err(not("it says something else"));
    }
    let old = PublisherKey::parse(field("old")?, "old")?;
    let new = PublisherKey::parse(field("new")?, "new")?;
    if old == new {
        return Err(not("both keys are the same"));
    }
    let signed = verify(statement, old, signature)?;
    Ok(Rotation { old: signed.publisher, new })
}

fn verify(
    content: &[u8],
    publisher: PublisherKey,
    signature: &str,
) -> Result<Signed, SignatureError> {
    if signature.len() > MAX_SIGNATURE_BYTES {
        return Err(SignatureError::TooLong { limit_bytes: MAX_SIGNATURE_BYTES });
    }
    let signature = Signature::decode(signature).map_err(|_why| SignatureError::Malformed)?;
    publisher.key.verify(content, &signature, false).map_err(|error| match error {
        MinisignError::UnexpectedKeyId => SignatureError::OtherKey { expected: publisher.id() },
        MinisignError::UnexpectedAlgorithm => SignatureError::OldForm,
        _ => SignatureError::DoesNotFit,
    })?;
    let trusted_comment =
        signature.trusted_comment().escape_debug().take(COMMENT_CHARS).collect::<String>();
    Ok(Signed { publisher, trusted_comment })
}

#[cfg(test)]
mod tests;
