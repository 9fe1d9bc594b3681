//! Texts as vectors, near each other where the texts are alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::EngineError;

/// What is known of a sentence encoder from its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedderInfo {
    /// The folder's name.
    pub name: String,
    /// Architecture: `bert`, `nomic_bert`.
    pub architecture: String,
    /// Numbers in a vector.
    pub dimensions: u32,
    /// Longest stretch of text read at once, with the tokens around it. Longer texts are read in several.
    pub window_tokens: u32,
    /// Number of weights that are used.
    pub parameters: u64,
    /// Size on disk.
    pub file_bytes: u64,
    /// How the vectors of a text's tokens become one.
    pub pooling: Pooling,
    /// Whether every vector has length 1.
    pub normalised: bool,
    /// What the model wants in front of a text, by the use the text is put to.
    pub prompts: BTreeMap<String, String>,
}

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first, which stands for the whole.
    Cls,
}

/// What a text is for. Some models are trained with a few words in front that say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextRole {
    /// Nothing said: the model's own default, which for most is the bare text.
    #[default]
    Plain,
    /// What is looked for.
    Query,
    /// What is looked through.
    Document,
}

impl TextRole {
    /// The names models give this use, likeliest first.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Query => &["query", "search_query"],
            Self::Document => &["document", "passage", "search_document", "corpus"],
        }
    }
}

/// A text as a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Its numbers; [`EmbedderInfo::dimensions`] of them, all finite.
    pub vector: Vec<f32>,
    /// Tokens of the text itself. All of them count.
    pub tokens: u32,
    /// In how many stretches it was read. Where more than one, the vector is their mean, weighted by tokens.
    pub windows: u32,
}

/// A loaded sentence encoder.
pub trait Embedder {
    /// What it is.
    fn info(&self) -> &EmbedderInfo;

    /// The vectors of `texts`, in their order. Nothing of a text is left out, however long it is.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] where the vocabulary cannot spell a text; `Compute` where the numerics fail.
    fn embed(&mut self, texts: &[String], role: TextRole) -> Result<Vec<Embedding>, EngineError>;
}
