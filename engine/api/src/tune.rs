//! Fine-tuning: what it is given, what it tells on the way, and what comes of it.
//!
//! A [`Tuner`] reads the base model's file by itself, so it runs beside the [`crate::Engine`] on a thread of its caller's
//! and shares nothing with it but the file's pages in memory. It writes no file but where it is told to: whoever
//! calls it keeps checkpoints and adapters, encrypted.

mod settings;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{AdapterError, AdapterFile, ChatMessage, LoadError};

pub use settings::{Budget, LoraSettings, LossOn, Precision, Target, TuneSettings};

/// One text to learn from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Example {
    /// A conversation, laid out by the model's own chat template; the assistant's turns are what is learnt.
    Chat(Vec<ChatMessage>),
    /// A conversation of which some of the assistant's turns are learnt.
    Answers {
        /// All of it.
        messages: Vec<ChatMessage>,
        /// Which of them are learnt, counted from 0, in order.
        learnt: Vec<usize>,
    },
    /// A text and how it goes on; the second part is what is learnt.
    Completion {
        /// What is given.
        prompt: String,
        /// What is learnt.
        completion: String,
    },
    /// A text that is learnt as a whole.
    Text(String),
}

/// Examples are the user's own words.
impl fmt::Debug for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat(_) => "Chat(..)",
            Self::Answers { .. } => "Answers { .. }",
            Self::Completion { .. } => "Completion { .. }",
            Self::Text(_) => "Text(..)",
        })
    }
}

/// Everything a run follows from. The same job gives the same adapter, bit for bit on the same machine, however often
/// it was interrupted.
#[derive(Clone, Debug)]
pub struct TuneJob {
    /// The model that stays as it is.
    pub base: PathBuf,
    /// What is learnt, in this order after a shuffle by the seed.
    pub train: Arc<[Example]>,
    /// What is only looked at, to see how well it goes.
    pub held_out: Arc<[Example]>,
    /// How.
    pub settings: TuneSettings,
    /// What to begin with instead of a fresh adapter; its shape overrides [`TuneSettings::lora`].
    pub initial: Option<AdapterFile>,
}

/// How an example comes to tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleTokens {
    /// All of them; an example with more than the settings' sequence holds is cut into several.
    pub tokens: u32,
    /// Those that are learnt.
    pub learnt: u32,
    /// The text in pieces, and whether each is learnt.
    pub pieces: Vec<(String, bool)>,
}

/// What a job will take, measured on this machine by a few steps of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneEstimate {
    /// Steps of the optimiser.
    pub steps: u32,
    /// Times that each example is read.
    pub epochs: f32,
    /// Tokens of the training examples, each counted once.
    pub tokens: u64,
    /// Of these, those that are learnt.
    pub learnt_tokens: u64,
    /// Tokens of the held-out examples.
    pub held_out_tokens: u64,
    /// Tokens read a second.
    pub tokens_per_sec: f32,
    /// Tokens read a second where nothing is learnt of them.
    pub look_tokens_per_sec: f32,
    /// The whole run, with looks at the held-out examples and with keeping its state.
    pub secs: f32,
    /// What is found out about the adapter then takes so much more; 0 where that is left out.
    pub report_secs: f32,
    /// Most memory the run takes beside the mapped weights.
    pub memory_bytes: u64,
    /// The mapped weights, of which the system may drop what is not in use.
    pub weights_bytes: u64,
    /// Numbers that are trained.
    pub parameters: u64,
}

/// A step done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Which, from 1 on. Step 0, which is told of where examples are held out, says how all was before the first.
    pub step: u32,
    /// Of how many.
    pub steps: u32,
    /// Mean loss of the step's learnt tokens before it, in nats.
    pub loss: f32,
    /// Mean loss of the held-out examples after it, where it was looked at.
    pub held_out_loss: Option<f32>,
    /// Step size.
    pub learning_rate: f32,
    /// Length of the gradient before it was clipped.
    pub gradient_norm: f32,
    /// Tokens read by all steps so far.
    pub tokens: u64,
    /// Tokens read a second, lately, pauses not counted.
    pub tokens_per_sec: f32,
    /// What is left, evaluation included.
    pub secs_left: f32,
}

/// What the run's owner wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    GoOn,
    /// End after a checkpoint, to go on another day.
    Pause,
    /// End at once.
    Cancel,
}

/// A run's state between two steps: enough to go on to the same end. Opaque, and as private as what was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Steps done.
    pub step: u32,
    /// Everything.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("step", &self.step).finish_non_exhaustive()
    }
}

/// Watches a run and steers it.
pub trait TuneObserver {
    /// Asked many times a second, between two layers at most. It may block while others need the processor more.
    /// `Pause` is heeded at the end of the step under way, or at once by falling back to its beginning.
    fn breathe(&mut self) -> Directive;

    /// A step is done.
    fn on_step(&mut self, step: &StepReport);

    /// Keeps a checkpoint; the one before is of no more use once this returns.
    ///
    /// # Errors
    /// What stands in the way, in words for the user; the run ends with [`TuneError::Keeping`].
    fn on_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), String>;
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum TuneOutcome {
    /// All steps are done.
    Finished(Tuned),
    /// It was paused; the last checkpoint has everything.
    Paused,
    /// It was cancelled.
    Cancelled,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The adapter.
    pub adapter: AdapterFile,
    /// Mean loss of the held-out examples without it, in nats; `None` where there are none.
    pub held_out_before: Option<f32>,
    /// And with it.
    pub held_out_after: Option<f32>,
    /// The step after which it was as it is given: the last one, unless the held-out examples cost less before that.
    pub best_step: u32,
    /// Steps done.
    pub steps: u32,
    /// Tokens read.
    pub tokens: u64,
    /// Seconds of work, pauses not counted.
    pub secs: f32,
}

/// What an example costs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExampleLoss {
    /// Sum over its learnt tokens, in nats.
    pub loss: f64,
    /// Learnt tokens.
    pub tokens: u64,
}

/// What an adapter goes with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Hash of the base model's weights, hex.
    pub base: String,
    /// Hash of its chat template, hex; `None` where it has none.
    pub template: Option<String>,
}

/// Files that adapters travel as, beside peft's own two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterFormat {
    /// A folder with `adapter_config.json` and `adapter_model.safetensors`.
    Peft,
    /// One GGUF file as llama.cpp reads it (`--lora`).
    Gguf,
}

/// In which format a merged model has the matrices that an adapter stood beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeFormat {
    /// 8 bits a number where the base has fewer, else as the base has them: rounding to few bits takes as much as most
    /// adapters give.
    #[default]
    Fine,
    /// As the base has them.
    Same,
    /// 8 bits a number (`Q8_0`).
    Q8,
    /// 16 bits a number.
    F16,
}

/// What came of a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// Length of what rounding took from the changed matrices, by the length of what the adapter gave them: 0 where nothing
    /// is lost, around 1 where as much is lost as was given.
    pub lost: f32,
    /// Bytes of the merged model's weights.
    pub bytes: u64,
}

/// Trains adapters, and does what else there is to do with them. Every call may take long and computes on its caller's
/// thread.
pub trait Tuner: Send + Sync + 'static {
    /// Tells models apart.
    ///
    /// # Errors
    /// [`LoadError`].
    fn fingerprint(&self, base: &Path) -> Result<Fingerprint, LoadError>;

    /// Settings that do well with a base model and so much to learn; the rest of `wishes` (budget, precision, threads,
    /// seed) stays as it is.
    ///
    /// # Errors
    /// [`TuneError`].
    fn recommend(
        &self,
        base: &Path,
        learnt_tokens: u64,
        wishes: &TuneSettings,
    ) -> Result<TuneSettings, TuneError>;

    /// How examples come to tokens with a base model: the very tokens that training reads.
    ///
    /// # Errors
    /// [`TuneError`].
    fn tokens(
        &self,
        base: &Path,
        examples: &[Example],
        settings: &TuneSettings,
    ) -> Result<Vec<ExampleTokens>, TuneError>;

    /// What a job will take. Runs a few steps of it, and settles what its budget leaves open.
    ///
    /// # Errors
    /// [`TuneError`].
    fn estimate(
        &self,
        job: &TuneJob,
        observer: &mut dyn TuneObserver,
    ) -> Result<TuneEstimate, TuneError>;

    /// Trains, from `resume` on if given. A checkpoint of another job is refused.
    ///
    /// # Errors
    /// [`TuneError`].
    fn tune(
        &self,
        job: &TuneJob,
        resume: Option<&Checkpoint>,
        observer: &mut dyn TuneObserver,
    ) -> Result<TuneOutcome, TuneError>;

    /// What examples cost a base model, with an adapter at a strength or without.
    ///
    /// # Errors
    /// [`TuneError`]; `Cancelled` where the observer wants an end.
    fn evaluate(
        &self,
        base: &Path,
        adapter: Option<(&AdapterFile, f32)>,
        examples: &[Example],
        settings: &TuneSettings,
        observer: &mut dyn TuneObserver,
    ) -> Result<Vec<ExampleLoss>, TuneError>;

    /// Reads an adapter from a peft folder or a GGUF file, and checks that all of it applies to `base`.
    ///
    /// # Errors
    /// [`AdapterError`].
    fn read_adapter(&self, base: &Path, path: &Path) -> Result<AdapterFile, AdapterError>;

    /// Writes an adapter to `path`, in plain text: whoever asks for that has been told so.
    ///
    /// # Errors
    /// [`AdapterError`].
    fn write_adapter(
        &self,
        base: &Path,
        adapter: &AdapterFile,
        format: AdapterFormat,
        path: &Path,
    ) -> Result<(), AdapterError>;

    /// Writes a job to the folder `path`, in plain text, so that Hugging Face's peft can run it elsewhere; the adapter made
    /// there can be read by [`Tuner::read_adapter`].
    ///
    /// # Errors
    /// [`TuneError`].
    fn export_job(&self, job: &TuneJob, path: &Path) -> Result<(), TuneError>;

    /// Writes base and adapter, multiplied by the strength that is given, as one GGUF to `path`, in plain text. `on_progress` gets the share
    /// done and may break off.
    ///
    /// # Errors
    /// [`AdapterError`].
    fn merge(
        &self,
        base: &Path,
        adapter: &AdapterFile,
        how: (f32, MergeFormat),
        path: &Path,
        on_progress: &mut dyn FnMut(f32) -> std::ops::ControlFlow<()>,
    ) -> Result<Merged, AdapterError>;
}

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// The base model cannot be read.
    #[error(transparent)]
    Base(#[from] LoadError),
    /// The adapter to begin with cannot be used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// A setting that cannot be met.
    #[error("{what} is {got}, expected {expected}")]
    Setting {
        /// Which setting, in words.
        what: &'static str,
        /// Its value.
        got: String,
        /// What it may be.
        expected: String,
    },
    /// The base model's file became another while the run went on.
    #[error("the base model's file was changed while an adapter was being trained for it")]
    BaseChanged,
    /// There is nothing to learn.
    #[error("no example has anything to learn in it")]
    NothingToLearn,
    /// The model's template refuses an example.
    #[error("example {example} cannot be laid out for this model: {reason}")]
    Example {
        /// Which, counted from 0.
        example: usize,
        /// The template's or tokenizer's words, which do not repeat the example.
        reason: String,
    },
    /// The run would not fit into memory.
    #[error("the run needs about {needed_bytes} bytes of memory; {available_bytes} are available")]
    OutOfMemory {
        /// What it needs.
        needed_bytes: u64,
        /// What there is.
        available_bytes: u64,
    },
    /// The checkpoint is damaged, or of another job.
    #[error("the checkpoint does not belong to this run: {reason}")]
    Checkpoint {
        /// What differs.
        reason: String,
    },
    /// A checkpoint could not be kept.
    #[error("the run's state could not be saved: {reason}")]
    Keeping {
        /// What stood in the way.
        reason: String,
    },
    /// Loss or gradient are no longer numbers.
    #[error("training became unstable at step {step}; try a smaller learning rate")]
    Diverged {
        /// Where.
        step: u32,
    },
    /// The numerics failed.
    #[error("training failed in {op}: {reason}")]
    Compute {
        /// Operation.
        op: &'static str,
        /// The library's words.
        reason: String,
    },
    /// Somebody asked for it to stop.
    #[error("the work was cancelled")]
    Cancelled,
}
