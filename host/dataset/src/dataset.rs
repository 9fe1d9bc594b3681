//! Examples, and where each came from.

use std::fmt;

use hearth_base::{DocumentId, Label};
use hearth_engine_api::Example;
use hearth_vault::LearntFrom;
use serde::{Deserialize, Serialize};

use crate::{DatasetError, Report};

/// An example.
#[derive(Clone, PartialEq, Eq)]
pub struct Sample {
    /// What is learnt.
    pub example: Example,
    /// Every document whose words are in it, the one it was made of first.
    pub documents: Vec<DocumentId>,
    /// Whether it is only looked at.
    pub held_out: bool,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("example", &self.example)
            .field("documents", &self.documents)
            .field("held_out", &self.held_out)
            .finish()
    }
}

/// Examples and how they came about.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// All of them, in the order of what they were made of.
    pub samples: Vec<Sample>,
    /// What became of everything that the recipe named.
    pub report: Report,
    pub(crate) label: Label,
    pub(crate) learnt_from: Vec<LearntFrom>,
}

impl Dataset {
    /// What is learnt.
    pub fn train(&self) -> Vec<Example> {
        self.side(false)
    }

    /// What is only looked at.
    pub fn held_out(&self) -> Vec<Example> {
        self.side(true)
    }

    /// Both, in a form to be kept with a run.
    pub fn examples(&self) -> KeptExamples {
        KeptExamples { train: self.train(), held_out: self.held_out() }
    }

    /// What the examples depend on, and so whatever is trained on them.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Documents, conversations and files of examples that are in it, each once.
    pub fn learnt_from(&self) -> &[LearntFrom] {
        &self.learnt_from
    }

    /// Some samples from all over it, the same each time, in order.
    pub fn preview(&self, count: usize) -> Vec<&Sample> {
        let count = count.min(self.samples.len());
        (0..count).map(|n| &self.samples[n * self.samples.len() / count]).collect()
    }

    fn side(&self, held_out: bool) -> Vec<Example> {
        self.samples.iter().filter(|s| s.held_out == held_out).map(|s| s.example.clone()).collect()
    }
}

/// A run's examples, kept so that it can go on to the same end whatever becomes of the documents meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptExamples {
    /// What is learnt.
    pub train: Vec<Example>,
    /// What is only looked at.
    pub held_out: Vec<Example>,
}

impl KeptExamples {
    /// As bytes, to be kept encrypted.
    ///
    /// # Errors
    /// [`DatasetError::Damaged`] where they cannot be written: never, as far as is known.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DatasetError> {
        serde_json::to_vec(self).map_err(|_json| DatasetError::Damaged)
    }

    /// From those bytes.
    ///
    /// # Errors
    /// [`DatasetError::Damaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DatasetError> {
        serde_json::from_slice(bytes).map_err(|_json| DatasetError::Damaged)
    }
}

/// Length of an example's text.
pub(crate) fn text_bytes(example: &Example) -> u64 {
    let bytes = match example {
        Example::Chat(messages) | Example::Answers { messages, .. } => {
            messages.iter().map(|message| message.content.len()).sum()
        }
        Example::Completion { prompt, completion } => prompt.len() + completion.len(),
        Example::Text(text) => text.len(),
    };
    bytes as u64
}
