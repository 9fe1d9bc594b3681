//! What a value was made from. Labels join by union and never shrink.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{DocumentId, PluginId};

/// Something private that a value depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A document of the vault.
    Document(DocumentId),
    /// What the user typed or picked in a plugin's panel.
    UserInput,
    /// A model whose weights are private: fine-tuned on, or merged with, the user's data, or added by the user and
    /// not marked public. Named by the model's hash or adapter name.
    PrivateModel(String),
}

/// Whose words a value may contain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// The user's.
    User,
    /// A stranger's: mail, downloaded text, model output over such.
    External,
    /// A plugin's literals, or values it made.
    Plugin(PluginId),
}

/// The label of a value: confidentiality (`sources`) and integrity (`origins`), each a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Private things the value depends on. Empty means public.
    pub sources: BTreeSet<Source>,
    /// Whose words it may contain.
    pub origins: BTreeSet<Origin>,
}

impl Label {
    /// Public, and of no origin: the neutral element of [`Label::join`].
    pub fn public() -> Self {
        Self::default()
    }

    /// The label of a plugin's own literal: public.
    pub fn literal(plugin: &PluginId) -> Self {
        Self { sources: BTreeSet::new(), origins: BTreeSet::from([Origin::Plugin(plugin.clone())]) }
    }

    /// The label of one document's content.
    pub fn document(id: DocumentId, origins: BTreeSet<Origin>) -> Self {
        Self { sources: BTreeSet::from([Source::Document(id)]), origins }
    }

    /// Whether a plugin may see a value with this label.
    pub fn is_public(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds everything `other` depends on.
    pub fn join(&mut self, other: &Self) {
        self.sources.extend(other.sources.iter().cloned());
        self.origins.extend(other.origins.iter().cloned());
    }

    /// The union of several labels.
    pub fn joined<'a>(labels: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::public();
        for label in labels {
            all.join(label);
        }
        all
    }

    /// The documents among the sources.
    pub fn documents(&self) -> impl Iterator<Item = DocumentId> + '_ {
        self.sources.iter().filter_map(|source| match source {
            Source::Document(id) => Some(*id),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels() -> impl Strategy<Value = Label> {
        let source = prop_oneof![
            (0i64..6).prop_map(|n| Source::Document(DocumentId(n))),
            Just(Source::UserInput),
            "[ab]".prop_map(Source::PrivateModel),
        ];
        let origin = prop_oneof![
            Just(Origin::User),
            Just(Origin::External),
            "[ab]".prop_map(|p| Origin::Plugin(PluginId::new(format!("x.{p}")).unwrap())),
        ];
        (
            proptest::collection::btree_set(source, 0..5),
            proptest::collection::btree_set(origin, 0..3),
        )
            .prop_map(|(sources, origins)| Label { sources, origins })
    }

    proptest! {
        #[test]
        fn join_is_a_semilattice(a in labels(), b in labels(), c in labels()) {
            let join = |x: &Label, y: &Label| Label::joined([x, y]);
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a.clone());
            prop_assert_eq!(join(&a, &Label::public()), a);
        }

        #[test]
        fn a_join_is_public_only_if_both_are(a in labels(), b in labels()) {
            prop_assert_eq!(Label::joined([&a, &b]).is_public(), a.is_public() && b.is_public());
        }
    }
}
