//! Identifiers, each a type of its own so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta] $name:ident($inner:ty)),* $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

number_id! {
    /// A document in the vault. Never reused, and never told to a plugin.
    DocumentId(i64),
    /// A folder of documents: one imported mailbox or directory, or what a plugin saved.
    FolderId(i64),
    /// A conversation with the model.
    ConversationId(i64),
    /// A message of a conversation.
    MessageId(i64),
    /// A model the user added.
    ModelId(i64),
    /// A named recipe for training data.
    DatasetId(i64),
    /// A file of examples that the user brought along.
    ExampleTextId(i64),
    /// One training run.
    TuneRunId(i64),
    /// A fine-tuned adapter in the vault.
    AdapterId(i64),
    /// One run of a plugin, numbered per plugin from 1.
    RunId(u64),
    /// A value in one run's graph, as the runner names it. Means nothing outside that run.
    Handle(u32),
}

/// A plugin's name: reverse DNS, lower case, `[a-z0-9-]` between dots, 3 to 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PluginId(String);

/// Why a text is no plugin id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a plugin id: use lower-case letters, digits and `-` between dots, as in org.example.mail-digest"
)]
pub struct IdError {
    /// The text, escaped and cut to 80 characters for showing.
    pub text: String,
}

impl PluginId {
    /// Checks and wraps a plugin id.
    ///
    /// # Errors
    /// [`IdError`] where the text is not a reverse-DNS name in ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        let part_is_fine = |part: &str| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let parts = text.split('.').count();
        if (3..=64).contains(&text.len()) && parts >= 2 && text.split('.').all(part_is_fine) {
            Ok(Self(text))
        } else {
            Err(IdError { text: text.escape_debug().take(80).collect() })
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for PluginId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<PluginId> for String {
    fn from(id: PluginId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_ids_are_flat_ascii_names() {
        for good in ["org.example.mail-digest", "a.b", "io.x2.y"] {
            assert!(PluginId::new(good).is_ok(), "{good}");
        }
        for bad in [
            "", "mail", "a..b", ".a.b", "a.b.", "A.b", "a/b.c", "../a.b", "a.b\0", "a._b", "ä.b",
            "-a.b",
        ] {
            assert!(PluginId::new(bad).is_err(), "{bad}");
        }
        assert!(PluginId::new(format!("a.{}", "b".repeat(63))).is_err());
    }
}
