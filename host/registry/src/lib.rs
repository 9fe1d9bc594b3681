//! Fetches plugins that the user asks for: from an OCI registry (`oci://host/name:tag`) or by a static index
//! (`https://host/index.json#org.example.plugin`).
//!
//! This is the only crate of Hearth that opens a socket. It must never
//! - do so unless the user has just asked for it: nothing here runs by itself, and nothing is told of the user, their
//!   vault or what is installed;
//! - speak in the clear with anything but this machine, follow more than a few redirects, or take more bytes than it
//!   was told to;
//! - hand on a component whose digest is not the one that was named. Who made it is for its signature to say, which is
//!   checked elsewhere.
//!
//! Calls block; run them on a thread that may.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
mod http;
mod index;
mod oci;
mod reference;

use std::ops::ControlFlow;

pub use error::FetchError;
pub use reference::{IndexReference, OciReference, Reference};

use http::Http;

/// Told how many bytes of a component are there, and of how many; may break the fetching off.
pub type Progress<'a> = &'a mut (dyn FnMut(u64, u64) -> ControlFlow<()> + Send);

/// Most bytes that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a component.
    pub component_bytes: usize,
    /// Of a signature.
    pub signature_bytes: usize,
}

/// A component as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes; their digest is the one that was named.
    pub component: Vec<u8>,
    /// The minisign signature that came with it, not yet checked.
    pub signature: Option<String>,
}

/// What a reference leads to at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its version, if it is told.
    pub version: Option<String>,
    /// The component's digest.
    pub digest: Digest,
}

/// A component's digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digest {
    /// BLAKE3, in hex.
    Blake3(String),
    /// SHA-256, in hex.
    Sha256(String),
}

impl Digest {
    /// Whether it is the digest of these bytes.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Blake3(hex) => blake3::hash(bytes).to_hex().as_str() == hex,
            Self::Sha256(hex) => sha256(bytes) == *hex,
        }
    }
}

/// Fetches.
pub struct Registry {
    http: Http,
    limits: Limits,
}

impl Registry {
    /// With limits. Opens nothing.
    pub fn new(limits: Limits) -> Self {
        Self { http: Http::new(), limits }
    }

    /// Fetches what a reference leads to.
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn fetch(
        &self,
        reference: &Reference,
        progress: Progress<'_>,
    ) -> Result<Fetched, FetchError> {
        match reference {
            Reference::Oci(reference) => oci::fetch(&self.http, self.limits, reference, progress),
            Reference::Index(reference) => {
                index::fetch(&self.http, self.limits, reference, progress)
            }
        }
    }

    /// Asks what a reference leads to, without fetching it.
    ///
    /// # Errors
    /// [`FetchError`].
    pub fn offer(&self, reference: &Reference) -> Result<Offer, FetchError> {
        match reference {
            Reference::Oci(reference) => oci::offer(&self.http, self.limits, reference),
            Reference::Index(reference) => index::offer(&self.http, reference),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}
