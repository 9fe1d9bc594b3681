//! Which model is loaded, and which private ones have been.

use std::collections::BTreeMap;

use hearth_base::{Label, Source};

use crate::{ModelFacts, ModelTrust};

/// The loaded model, and a count of how often it was exchanged.
#[derive(Default)]
pub(crate) struct Loaded {
    facts: Option<ModelFacts>,
    epoch: u64,
    /// Private models, with the last epoch in which each was loaded.
    private: BTreeMap<String, u64>,
}

impl Loaded {
    pub(crate) fn facts(&self) -> Option<&ModelFacts> {
        self.facts.as_ref()
    }

    /// Differs whenever the model may have been another one in between.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn set(&mut self, facts: Option<ModelFacts>) {
        self.epoch += 1;
        if let Some(ModelFacts { trust: ModelTrust::Private(name), .. }) = &facts {
            self.private.insert(name.clone(), self.epoch);
        }
        self.facts = facts;
    }

    /// The weights that an answer may have come from which was asked for in that epoch and is there now.
    pub(crate) fn weights_since(&self, epoch: u64) -> Label {
        let names = self.private.iter().filter(|(_, last)| **last >= epoch);
        let sources = names.map(|(name, _)| Source::PrivateModel(name.clone())).collect();
        Label { sources, ..Label::public() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(trust: ModelTrust) -> Option<ModelFacts> {
        Some(ModelFacts { trust, context_tokens: 1 })
    }

    #[test]
    fn a_private_model_between_two_public_ones_is_not_forgotten() {
        let mut loaded = Loaded::default();
        loaded.set(facts(ModelTrust::Public));
        let asked = loaded.epoch();
        assert!(loaded.weights_since(asked).is_public());
        loaded.set(facts(ModelTrust::Private("mine".into())));
        loaded.set(None);
        loaded.set(facts(ModelTrust::Public));
        assert_ne!(loaded.epoch(), asked);
        let mine = Source::PrivateModel("mine".into());
        assert_eq!(loaded.weights_since(asked).sources, [mine].into());
        assert!(loaded.weights_since(loaded.epoch()).is_public());
    }
}
