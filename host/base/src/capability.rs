//! What a plugin may be allowed to do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::FolderId;

/// A power a plugin can ask for, as in the WIT enum `types.capability`, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Run the model over values.
    Model,
    /// Run the user's fine-tuned model.
    PersonalModel,
    /// Hold documents of a granted slot, or ones the user picks.
    DocumentsRead,
    /// Search inside a granted slot.
    DocumentsSearch,
    /// Save results into the plugin's own folder.
    DocumentsSave,
    /// Show panels and notices.
    Panel,
    /// Keep a little state of its own between runs.
    Storage,
    /// Learn a choice among few, priced in bits.
    RevealChoice,
    /// Learn a text the user has seen and approved.
    RevealText,
}

/// A limit that can run out, as in the WIT enum `types.quota`, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quota {
    /// Host calls of a run.
    Calls,
    /// Model tokens asked for.
    Tokens,
    /// Values alive at once.
    Handles,
    /// Bytes in one call.
    Bytes,
    /// Items in one list.
    Items,
    /// Panels and nodes.
    Panels,
    /// Bytes of storage.
    Storage,
    /// Bits revealed.
    Bits,
}

/// What the user has allowed one plugin. Without a grant a plugin may do nothing but show panels and read settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The powers allowed.
    pub capabilities: BTreeSet<Capability>,
    /// For each slot of the manifest the folders behind it.
    pub slots: std::collections::BTreeMap<String, BTreeSet<FolderId>>,
    /// Bits of choices that it may learn a day, of those it asks for.
    #[serde(default)]
    pub choice_bits_per_day: u32,
    /// Counts up at each change; a run that started under another epoch gets no more data.
    pub epoch: u64,
}

impl Grant {
    /// Whether `capability` is allowed.
    pub fn allows(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
