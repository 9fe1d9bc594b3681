//! Asks a finished model, the way the program does.

use std::{ops::ControlFlow, path::Path};

use hearth_engine_api::{
    Backend, ChatMessage, GenerateRequest, LanguageModel, LoadOptions, Prompt,
};
use hearth_engine_candle::CandleBackend;

use crate::error::StarterError;

/// A loaded model file.
pub struct Speaker {
    model: Box<dyn LanguageModel>,
}

impl Speaker {
    /// Loads a model file by the engine's backend.
    ///
    /// # Errors
    /// Where the file is absent, damaged or of another kind.
    pub fn open(path: &Path) -> Result<Self, StarterError> {
        let options = LoadOptions::default();
        let model = CandleBackend.load(path, &options, &mut |_| ControlFlow::Continue(()))?;
        Ok(Self { model })
    }

    /// The likeliest answer to a conversation.
    ///
    /// # Errors
    /// Where the conversation does not fit the model's context, or the computation fails.
    pub fn answer(
        &mut self,
        messages: &[ChatMessage],
        max_tokens: u32,
    ) -> Result<String, StarterError> {
        let mut request = GenerateRequest::new(Prompt::Chat(messages.to_vec()));
        request.max_tokens = max_tokens;
        let answer = self.model.generate(&request, &mut |_| ControlFlow::Continue(()))?;
        Ok(answer.text)
    }
}
