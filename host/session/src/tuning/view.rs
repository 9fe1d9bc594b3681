//! What there is to show of fine-tuning.

use std::sync::Arc;

use hearth_base::{AdapterId, DatasetId, ModelId, TuneRunId};
use hearth_dataset::{Recipe, Report};
use hearth_engine_api::{TuneEstimate, TuneSettings};
use hearth_vault::{AdapterChoice, TuneStep};
use serde::{Deserialize, Serialize};

use crate::{Ticket, UserError};

/// Datasets, runs and adapters.
#[derive(Clone, Debug, Default)]
pub struct TuningView {
    /// Datasets, by name.
    pub datasets: Arc<Vec<DatasetView>>,
    /// The dataset being looked at.
    pub preview: Option<Arc<PreviewView>>,
    /// What the plan last asked about would take.
    pub estimate: Option<Arc<EstimateView>>,
    /// Runs, the last first.
    pub runs: Arc<Vec<RunView>>,
    /// Adapters, by name.
    pub adapters: Arc<Vec<AdapterView>>,
    /// The adapters that new conversations begin with.
    pub new_conversations: Vec<AdapterChoice>,
    /// Answers side by side.
    pub comparison: Option<Arc<ComparisonView>>,
    /// What holds for all runs and adapters.
    pub rules: TuneRules,
    /// Who wrote most mails, with their number, once it was asked for.
    pub authors: Arc<Vec<(String, u64)>>,
}

/// A dataset.
#[derive(Clone, Debug)]
pub struct DatasetView {
    /// Which.
    pub id: DatasetId,
    /// Its name.
    pub name: String,
    /// What is in it.
    pub recipe: Arc<Recipe>,
}

/// A dataset being looked at.
#[derive(Clone, Debug)]
pub struct PreviewView {
    /// What is in it.
    pub recipe: Arc<Recipe>,
    /// What became of its documents.
    pub report: Report,
    /// Examples to learn.
    pub train: usize,
    /// Examples held out.
    pub held_out: usize,
    /// Tokens of the examples to learn.
    pub tokens: u64,
    /// Of these, those that are learnt.
    pub learnt_tokens: u64,
    /// Number of examples by length: the longest of each group in tokens, and how many there are.
    pub lengths: Vec<(u32, usize)>,
    /// Some of them.
    pub samples: Vec<SampleView>,
}

/// An example as the model reads it.
#[derive(Clone, Debug)]
pub struct SampleView {
    /// Titles of the documents it was made of.
    pub titles: Vec<String>,
    /// Held out.
    pub held_out: bool,
    /// Tokens of all of it.
    pub tokens: u32,
    /// Its text in pieces, and whether each is learnt.
    pub pieces: Vec<(String, bool)>,
}

/// What a plan would take.
#[derive(Clone, Debug)]
pub struct EstimateView {
    /// The plan.
    pub plan: super::RunPlan,
    /// The settings that follow from it.
    pub settings: TuneSettings,
    /// What it would take.
    pub estimate: TuneEstimate,
    /// Tells whether the plan still comes to the same examples.
    pub(super) print: u64,
}

/// A run.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Which.
    pub id: TuneRunId,
    /// What its adapter is or will be called.
    pub name: String,
    /// Its dataset's name as it was.
    pub dataset: String,
    /// Its base model's name as it was.
    pub base: String,
    /// How it goes.
    pub state: RunState,
    /// For pausing it, while it goes on.
    pub ticket: Option<Ticket>,
    /// How it was set.
    pub settings: TuneSettings,
    /// Every step so far.
    pub steps: Arc<Vec<TuneStep>>,
    /// Steps there will be, once that is settled.
    pub total_steps: Option<u32>,
    /// Seconds of work that are left, while it goes on.
    pub secs_left: Option<f32>,
    /// Documents and conversations it learns from that were deleted since: it cannot be resumed then.
    pub sources_gone: u64,
    /// When it began, in seconds since 1970.
    pub started_secs: i64,
}

/// How a run goes.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// Examples are being made and the model read.
    Preparing,
    /// It goes on.
    Running,
    /// It waits.
    Waiting(Wait),
    /// It was paused, or interrupted by the program's end.
    Paused,
    /// The adapter is there and is being examined.
    Examining,
    /// It is over; the adapter may have been removed since.
    Finished(Option<AdapterId>),
    /// It failed, and why.
    Failed(String),
}

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The model answers the user.
    Chat,
    /// The machine runs on its battery.
    Battery,
    /// The machine is too hot.
    Heat,
}

/// An adapter.
#[derive(Clone, Debug)]
pub struct AdapterView {
    /// Which.
    pub id: AdapterId,
    /// Its name.
    pub name: String,
    /// Its base model's name as it was.
    pub base: String,
    /// The base, if it is still among the models: `Some(None)` is the bundled one.
    pub base_model: Option<Option<ModelId>>,
    /// Whether the model that is loaded has it at hand.
    pub loaded: bool,
    /// Whether conversations and plugins may use it.
    pub accepted: bool,
    /// Documents, conversations and files it learnt from; 0 where that is unknown, for it was made elsewhere.
    pub sources: u64,
    /// Of these, those that read otherwise now.
    pub sources_changed: u64,
    /// And those that were deleted since: what it learnt of them cannot be taken out, only trained anew without.
    pub sources_gone: u64,
    /// The dataset it was made of, to make it anew.
    pub dataset: Option<DatasetId>,
    /// The run it came of, if that is still there.
    pub run: Option<TuneRunId>,
    /// Its size.
    pub bytes: u64,
    /// When it was made, in seconds since 1970.
    pub created_secs: i64,
    /// What was found out about it.
    pub report: Option<Arc<AdapterReport>>,
}

/// What was found out about an adapter before anybody relies on it. Losses are means a token, in nats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdapterReport {
    /// Of the held-out examples, without it and with it.
    pub held_out: Option<(f32, f32)>,
    /// The step that it is the adapter of, and how many there were: where the held-out examples cost more after that.
    pub best_step: Option<(u32, u32)>,
    /// Of general text that has nothing to do with the user, without it and with it: how much it forgot.
    pub general: Option<(f32, f32)>,
    /// How firmly it remembers things it saw.
    pub memory: Option<MemoryReport>,
    /// Answers to fixed questions.
    pub answers: Vec<AnswerPair>,
}

/// How firmly an adapter remembers made-up secrets that were hidden among its examples (Carlini et al. 2019).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Exposure of each secret, in bits: 0 as if it had never been seen, each bit halving what would have to be guessed.
    pub exposure_bits: Vec<f32>,
    /// The most that can be found by the number of alternatives tried.
    pub most_bits: f32,
}

impl MemoryReport {
    /// The secret remembered best.
    pub fn highest_bits(&self) -> f32 {
        self.exposure_bits.iter().copied().fold(0.0, f32::max)
    }
}

/// The same question with and without an adapter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerPair {
    /// The question.
    pub question: String,
    /// The model as it is.
    pub without: String,
    /// With the adapter.
    pub with: String,
}

/// Answers side by side.
#[derive(Clone, Debug)]
pub struct ComparisonView {
    /// The question.
    pub text: String,
    /// For stopping them.
    pub ticket: Ticket,
    /// The answers.
    pub sides: Vec<ComparisonSide>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct ComparisonSide {
    /// The adapters it is made with.
    pub adapters: Vec<AdapterChoice>,
    /// So far.
    pub text: String,
    /// Whether it is whole.
    pub done: bool,
    /// Why there is no more of it, if it failed.
    pub error: Option<UserError>,
}

/// What holds for all runs and adapters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TuneRules {
    /// Whether runs go on while the machine runs on its battery.
    pub on_battery: bool,
    /// Whether runs wait while the processor is hotter than this, in degrees Celsius.
    pub hottest_celsius: Option<f32>,
    /// Secrets hidden among the examples of each run, to find out how firmly it remembers.
    pub canaries: u32,
    /// Exposure beyond which an adapter is not accepted.
    pub exposure_limit_bits: f32,
}

impl Default for TuneRules {
    fn default() -> Self {
        Self { on_battery: false, hottest_celsius: None, canaries: 4, exposure_limit_bits: 20.0 }
    }
}
