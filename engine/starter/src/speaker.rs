//! Asks a finished model, as the program would.

use std::{ops::ControlFlow, path::Path};

use hearth_engine_api::ChatMessage;
use hearth_engine_candle::{
    Checkpoint as ModelFile,
    models::{Decoder, KvCache},
};

use crate::{
    error::StarterError,
    vocabulary::{TURN_END, Vocabulary},
};

/// A loaded model.
pub struct Speaker {
    decoder: Decoder,
    vocabulary: Vocabulary,
}

impl Speaker {
    /// Loads a model file.
    pub fn open(path: &Path, vocabulary: Vocabulary) -> Result<Self, StarterError> {
        let decoder = ModelFile::open(path)?.decoder(&mut |_| ControlFlow::Continue(()))?;
        Ok(Self { decoder, vocabulary })
    }

    /// The likeliest answer.
    pub fn answer(&self, messages: &[ChatMessage], max_tokens: usize) -> Result<String, StarterError> {
        let prompt = self.vocabulary.prompt(messages)?;
        let mut cache = KvCache::new(self.decoder.config(), prompt.len() + max_tokens)?;
        let mut logits = self.decoder.forward_cached(&prompt, &mut cache)?;
        let mut ids = Vec::new();
        while ids.len() < max_tokens {
            let next = logits.argmax(0)?.to_scalar::<u32>()?;
            if next == TURN_END {
                break;
            }
            ids.push(next);
            logits = self.decoder.forward_cached(&[next], &mut cache)?;
        }
        self.vocabulary.decode(&ids)
    }
}
