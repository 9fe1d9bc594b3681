//! A backend whose answers are short, so that a real model's do not take long.

use std::{ops::ControlFlow, path::Path};

use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterSlot, Backend, EngineError, GenerateRequest, LanguageModel,
    LoadError, LoadOptions, MemoryEstimate, ModelInfo, Prompt, Report, RequestId,
};

pub(crate) struct Short<B> {
    pub(crate) inner: B,
    pub(crate) most_tokens: u32,
}

impl<B: Backend> Backend for Short<B> {
    fn inspect(
        &self,
        path: &Path,
        options: &LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError> {
        self.inner.inspect(path, options)
    }

    fn load(
        &self,
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError> {
        let inner = self.inner.load(path, options, on_progress)?;
        Ok(Box::new(ShortModel { inner, most_tokens: self.most_tokens }))
    }
}

struct ShortModel {
    inner: Box<dyn LanguageModel>,
    most_tokens: u32,
}

impl LanguageModel for ShortModel {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }

    fn count_tokens(&self, prompt: &Prompt) -> Result<u32, EngineError> {
        self.inner.count_tokens(prompt)
    }

    fn split(&self, text: &str, max_tokens: u32) -> Result<Vec<String>, EngineError> {
        self.inner.split(text, max_tokens)
    }

    fn most_running(&self) -> usize {
        self.inner.most_running()
    }

    fn add_adapter(&mut self, slot: AdapterSlot, file: &AdapterFile) -> Result<(), AdapterError> {
        self.inner.add_adapter(slot, file)
    }

    fn remove_adapter(&mut self, slot: AdapterSlot) {
        self.inner.remove_adapter(slot);
    }

    fn begin(&mut self, id: RequestId, request: GenerateRequest) -> Result<(), EngineError> {
        // A decision is as long as it must be.
        let most = if request.constraint.is_some() { u32::MAX } else { self.most_tokens };
        let max_tokens = request.max_tokens.min(most);
        self.inner.begin(id, GenerateRequest { max_tokens, ..request })
    }

    fn step(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>) {
        self.inner.step(sink);
    }

    fn cancel(&mut self, id: RequestId) {
        self.inner.cancel(id);
    }
}
