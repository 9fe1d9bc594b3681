//! Plain data about adapters. `Debug` shows lengths of private text, not the text.

use std::fmt;

use hearth_base::{AdapterId, Label, TuneRunId};
use serde::{Deserialize, Serialize};

use crate::LearntFrom;
use crate::hidden::Hidden;

/// An adapter to keep.
#[derive(Clone)]
pub struct NewAdapter<'a> {
    /// What the user calls it.
    pub name: &'a str,
    /// Name of the model it was made for.
    pub base_name: &'a str,
    /// Names that model's content.
    pub base_hash: &'a str,
    /// Names the chat template that it learnt with.
    pub template_hash: &'a str,
    /// `adapter_config.json`.
    pub config: &'a str,
    /// `adapter_model.safetensors`.
    pub weights: &'a [u8],
    /// What it depends on. Its documents count as learnt from, whether they are named again or not.
    pub label: Label,
    /// Whatever else it learnt from.
    pub learnt_from: Vec<LearntFrom>,
    /// What was found out about it, in JSON.
    pub report: Option<&'a str>,
    /// The run it came of; what that learnt from, the adapter did.
    pub run: Option<TuneRunId>,
}

impl fmt::Debug for NewAdapter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAdapter")
            .field("name", &Hidden(self.name))
            .field("weights", &self.weights.len())
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// An adapter, without its bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterRecord {
    /// Its number; never used again.
    pub id: AdapterId,
    /// What the user calls it.
    pub name: String,
    /// Name of the model it was made for.
    pub base_name: String,
    /// Names that model's content.
    pub base_hash: String,
    /// Names the chat template that it learnt with.
    pub template_hash: String,
    /// Length of its weights.
    pub bytes: u64,
    /// What was found out about it, in JSON.
    pub report: Option<String>,
    /// The run it came of, if that is still there.
    pub run: Option<TuneRunId>,
    /// Whether the user has accepted it for use.
    pub live: bool,
    /// When it was made, in seconds since 1970.
    pub created_secs: i64,
    /// How many documents, conversations and files it learnt from.
    pub sources: u64,
    /// How many of these read otherwise now.
    pub sources_changed: u64,
    /// How many were deleted since.
    pub sources_gone: u64,
}

impl AdapterRecord {
    /// Whether it knows something that was deleted or changed since; a new run without it is in order.
    pub fn is_stale(&self) -> bool {
        self.sources_changed + self.sources_gone > 0
    }
}

impl fmt::Debug for AdapterRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterRecord")
            .field("id", &self.id)
            .field("name", &Hidden(&self.name))
            .field("bytes", &self.bytes)
            .field("run", &self.run)
            .field("live", &self.live)
            .field("created_secs", &self.created_secs)
            .field("sources", &self.sources)
            .field("sources_changed", &self.sources_changed)
            .field("sources_gone", &self.sources_gone)
            .finish_non_exhaustive()
    }
}

/// An adapter's configuration and weights.
#[derive(Clone, PartialEq, Eq)]
pub struct AdapterBytes {
    /// `adapter_config.json`.
    pub config: String,
    /// `adapter_model.safetensors`.
    pub weights: Vec<u8>,
}

impl fmt::Debug for AdapterBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterBytes").field("weights", &self.weights.len()).finish_non_exhaustive()
    }
}

/// An adapter that something runs with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterChoice {
    /// Which.
    pub adapter: AdapterId,
    /// What its part is multiplied by: 1 as it was trained.
    pub strength: f32,
}
