//! What stays the same throughout one run.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use hearth_base::{Grant, Label, Manifest, PluginId, RunId, Source, Weights};
use hearth_engine_api::AdapterUse;
use hearth_gate::Day;

use crate::{PersonalAdapter, escape_words};

/// Stands in the label of whatever was asked of personal weights, be there an adapter or none: that there is one is private,
/// too, and so must not be told by a label.
pub(crate) const PERSONAL_WEIGHTS: &str = "personal weights";

/// One run of a plugin: who it is, what it may do, and whether it still goes on.
pub(crate) struct Scope {
    pub(crate) plugin: PluginId,
    /// Its name, escaped.
    pub(crate) name: String,
    pub(crate) run: RunId,
    pub(crate) seed: u64,
    pub(crate) manifest: Manifest,
    /// As it was when the run began. Replies depend on this one; promises are kept under the one of their moment.
    pub(crate) grant: Grant,
    /// What its personal weights are.
    personal: Personal,
    /// The day that its charges count for.
    pub(crate) day: Day,
    /// Whether it began by the user's gesture in one of its panels.
    pub(crate) in_panel: bool,
    stopped: AtomicBool,
    /// Bytes of its values that are there.
    bytes: AtomicUsize,
    /// Operations it has asked a permit for.
    operations: AtomicU32,
    most_rows: u32,
}

/// Adapters, and what everything depends on that they have a part in.
#[derive(Default)]
pub(crate) struct Personal {
    adapters: Vec<AdapterUse>,
    label: Label,
}

impl Personal {
    pub(crate) fn new(chosen: Vec<PersonalAdapter>) -> Self {
        let mut personal = Self::default();
        for PersonalAdapter { slot, strength, name, label } in chosen {
            personal.adapters.push(AdapterUse { slot, strength });
            personal.label.join(&label);
            personal.label.sources.insert(Source::PrivateModel(name));
        }
        personal.label.sources.insert(Source::PrivateModel(PERSONAL_WEIGHTS.into()));
        personal
    }
}

impl Scope {
    pub(crate) fn new(
        manifest: Manifest,
        grant: Grant,
        (run, seed): (RunId, u64),
        personal: Personal,
        (day, in_panel): (Day, bool),
        most_rows: u32,
    ) -> Self {
        Self {
            plugin: manifest.id.clone(),
            name: escape_words(&manifest.name),
            run,
            seed,
            manifest,
            grant,
            personal,
            day,
            in_panel,
            stopped: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            operations: AtomicU32::new(0),
            most_rows,
        }
    }

    /// The row of the audit trail for an operation: its own line; the one that says that no more are listed; or none.
    pub(crate) fn listed(&self, line: String, allowed: bool) -> Option<(String, bool)> {
        let before = self.operations.fetch_add(1, Ordering::Relaxed);
        match before.cmp(&self.most_rows) {
            std::cmp::Ordering::Less => Some((line, allowed)),
            std::cmp::Ordering::Equal => {
                Some((format!("did more than {before} things; the rest is not listed"), allowed))
            }
            std::cmp::Ordering::Greater => None,
        }
    }

    /// Ends the run's work: no promise of it is kept any more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Makes room for a value, unless the run's values are too many bytes together.
    pub(crate) fn reserve(&self, bytes: usize, limit_bytes: usize) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= limit_bytes;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Gives the room of a value back.
    pub(crate) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Names what the plugin itself has said, among all that the engine may keep. Nobody else's requests are under it,
    /// and nothing private ever is.
    pub(crate) fn own_words(&self, weights: Weights) -> String {
        let with = match weights {
            Weights::Base => "",
            Weights::Personal => " with personal weights",
        };
        format!("plugin {:?} {:?}{with}", self.manifest.publisher, self.plugin.as_str())
    }

    /// The adapters that such weights have.
    pub(crate) fn adapters(&self, weights: Weights) -> Vec<AdapterUse> {
        match weights {
            Weights::Base => Vec::new(),
            Weights::Personal => self.personal.adapters.clone(),
        }
    }

    /// What an answer of such weights depends on, apart from the loaded model itself.
    pub(crate) fn learnt(&self, weights: Weights) -> Label {
        match weights {
            Weights::Base => Label::public(),
            Weights::Personal => self.personal.label.clone(),
        }
    }

    /// The label of the plugin's own words.
    pub(crate) fn literal(&self) -> Label {
        Label::literal(&self.plugin)
    }
}
