//! What an adapter tells of how it came to be.

use hearth_engine_api::{Fingerprint, TuneSettings};
use serde::{Deserialize, Serialize};

/// The `hearth` object in an adapter's description. It names no document and holds no word of what was learnt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HearthMeta {
    /// What it goes with.
    pub fingerprint: Option<Fingerprint>,
    /// How it was trained.
    pub settings: Option<TuneSettings>,
    /// Steps done.
    pub steps: u32,
    /// Tokens read.
    pub tokens: u64,
}
