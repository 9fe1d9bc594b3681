//! What runs take of the model and of the user's documents. The host counts it, for the user's eyes: no plugin hears of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hearth_base::{PluginId, RunId};
use hearth_engine_api::Usage;

use crate::scope::Scope;

/// What a run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens that the model read.
    pub prompt_tokens: u64,
    /// Tokens that the model wrote.
    pub answer_tokens: u64,
    /// Documents read.
    pub documents: u64,
    /// Time in the model.
    pub model_micros: u64,
}

/// What runs took since it was last asked for.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<(PluginId, RunId), Spent>>);

impl Ledger {
    /// The model answered, or came as far as this.
    pub(crate) fn answered(&self, scope: &Scope, usage: &Usage) {
        let micros = (usage.prefill_secs + usage.decode_secs).max(0.0) * 1e6;
        self.of(scope, |spent| {
            spent.prompt_tokens += u64::from(usage.prompt_tokens);
            spent.answer_tokens += u64::from(usage.generated_tokens);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time")]
            let micros = micros as u64;
            spent.model_micros = spent.model_micros.saturating_add(micros);
        });
    }

    /// A document was read.
    pub(crate) fn read_document(&self, scope: &Scope) {
        self.of(scope, |spent| spent.documents += 1);
    }

    /// Hands over what was taken, and begins anew.
    pub(crate) fn take(&self) -> Vec<(PluginId, RunId, Spent)> {
        let all = std::mem::take(&mut *self.lock());
        all.into_iter().map(|((plugin, run), spent)| (plugin, run, spent)).collect()
    }

    fn of(&self, scope: &Scope, count: impl FnOnce(&mut Spent)) {
        count(self.lock().entry((scope.plugin.clone(), scope.run)).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(PluginId, RunId), Spent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
