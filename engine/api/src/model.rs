//! The two traits a backend implements.

use std::{ops::ControlFlow, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    AdapterError, AdapterFile, AdapterSlot, EngineError, GenerateEvent, GenerateRequest, Generated,
    LoadError, Prompt,
};

/// What is known of a model from its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name from the file's metadata, else the file's name.
    pub name: String,
    /// Architecture: `llama`, `qwen2`, `qwen3`.
    pub architecture: String,
    /// Weight format in words: `F32`, `Q4_K`, `Q4_K + Q6_K`.
    pub weight_format: String,
    /// Number of weights.
    pub parameters: u64,
    /// Size on disk.
    pub file_bytes: u64,
    /// Longest prompt and answer together.
    pub context_tokens: u32,
    /// Size of the vocabulary.
    pub vocabulary: u32,
    /// Whether the model brings a chat template.
    pub has_chat_template: bool,
}

/// Memory a model will take, before it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEstimate {
    /// The weights as they are held.
    pub weights_bytes: u64,
    /// Keys and values, as much as they may take.
    pub kv_cache_bytes: u64,
    /// Activations and logits.
    pub work_bytes: u64,
}

impl MemoryEstimate {
    /// All of it.
    pub const fn total_bytes(&self) -> u64 {
        self.weights_bytes.saturating_add(self.kv_cache_bytes).saturating_add(self.work_bytes)
    }
}

/// How to load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadOptions {
    /// The longest context wanted; a model made for less gets its own. By default its own, up to 8192 tokens.
    pub context_tokens: Option<u32>,
    /// Worker threads; the number of physical cores by default.
    pub threads: Option<usize>,
    /// Memory for keys and values, of all requests and of what is kept for later ones; by default two full contexts, or one
    /// where there is not as much.
    pub kv_bytes: Option<u64>,
    /// How keys and values are held.
    pub kv_format: KvFormat,
}

/// Numbers that keys and values are held as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KvFormat {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    #[default]
    F16,
    /// 8-bit integers with a scale for each head of each position.
    Q8,
}

/// Names a request among those that a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a step tells of a request.
#[derive(Debug)]
pub enum Report {
    /// It went on.
    Event(GenerateEvent),
    /// It is over; nothing more is told of it.
    Ended(Result<Generated, EngineError>),
}

/// Loads models of some family of formats.
pub trait Backend: Send + 'static {
    /// Reads headers only.
    ///
    /// # Errors
    /// [`LoadError`] where the file is absent, damaged or of an unsupported kind.
    fn inspect(
        &self,
        path: &Path,
        options: &LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError>;

    /// Loads a model. `on_progress` gets the share done in 0..=1 and may break off.
    ///
    /// # Errors
    /// [`LoadError`], `Cancelled` where `on_progress` broke off.
    fn load(
        &self,
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError>;
}

/// One loaded model, owned by the engine's thread.
pub trait LanguageModel {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Length of `prompt` as [`LanguageModel::generate`] would count it.
    ///
    /// # Errors
    /// [`EngineError::Template`] where the chat template refuses.
    fn count_tokens(&self, prompt: &Prompt) -> Result<u32, EngineError>;

    /// Splits `text` at token borders into pieces of at most `max_tokens`, preferring paragraph and line ends.
    /// The pieces in order make up `text` exactly.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] where `max_tokens` is 0.
    fn split(&self, text: &str, max_tokens: u32) -> Result<Vec<String>, EngineError>;

    /// Background requests that are worth beginning at once; more would wait for these.
    fn most_running(&self) -> usize;

    /// Makes an adapter ready for requests, in place of one that `slot` may hold.
    ///
    /// # Errors
    /// [`AdapterError`] where it is damaged, does not fit the model or cannot be applied whole; the slot is as it was then.
    fn add_adapter(&mut self, slot: AdapterSlot, file: &AdapterFile) -> Result<(), AdapterError>;

    /// Forgets an adapter. Requests taken on with it run on with it.
    fn remove_adapter(&mut self, slot: AdapterSlot);

    /// Takes a request on, to be run by the steps that follow. It may have to wait for the memory others hold.
    /// `id` names none that runs.
    ///
    /// # Errors
    /// [`EngineError`] where it can never be served, as where it names an adapter that is not there; `ContextOverflow` where the prompt leaves no room for a single token.
    fn begin(&mut self, id: RequestId, request: GenerateRequest) -> Result<(), EngineError>;

    /// Takes all requests that can go on a step further: at most one pass over the weights, in bounded time while
    /// interactive requests are about. Where `sink` breaks off at an event, that request ends as `Cancelled`.
    /// Every request goes on after finitely many steps, whatever the others do.
    fn step(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>);

    /// Ends a request. The next step reports it as `Cancelled`, before it computes anything.
    fn cancel(&mut self, id: RequestId);

    /// Runs one request while no other runs. `on_event` may break off at any event, which ends it as `Cancelled`.
    ///
    /// # Errors
    /// As [`LanguageModel::begin`], and what goes wrong later.
    fn generate(
        &mut self,
        request: &GenerateRequest,
        on_event: &mut dyn FnMut(GenerateEvent) -> ControlFlow<()>,
    ) -> Result<Generated, EngineError> {
        let id = RequestId(u64::MAX);
        self.begin(id, request.clone())?;
        let mut ended = None;
        loop {
            self.step(&mut |_, report| match report {
                Report::Event(event) => on_event(event),
                Report::Ended(result) => {
                    ended = Some(result);
                    ControlFlow::Continue(())
                }
            });
            if let Some(result) = ended.take() {
                return result;
            }
        }
    }
}
