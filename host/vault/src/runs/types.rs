//! Plain data about training runs. `Debug` shows lengths of private text, not the text.

use std::fmt;
use std::path::{Path, PathBuf};

use hearth_base::{DatasetId, Label, TuneRunId};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::LearntFrom;
use crate::hidden::{Hidden, hidden_option};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It is under way.
    Running = 0,
    /// It can go on.
    Paused = 1,
    /// All steps are done.
    Finished = 2,
    /// The user broke it off.
    Cancelled = 3,
    /// It could not go on.
    Failed = 4,
}

impl RunState {
    /// Whether nothing more comes of it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Running | Self::Paused)
    }
}

impl ToSql for RunState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for RunState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Running),
            1 => Ok(Self::Paused),
            2 => Ok(Self::Finished),
            3 => Ok(Self::Cancelled),
            4 => Ok(Self::Failed),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A run to begin.
#[derive(Clone)]
pub struct NewTuneRun<'a> {
    /// What the user calls it.
    pub name: &'a str,
    /// The recipe it follows, if it has a name.
    pub dataset: Option<DatasetId>,
    /// Name of the model that stays as it is.
    pub base_name: &'a str,
    /// Where that lies.
    pub base_path: &'a Path,
    /// Settings and whatever else the run follows from, in JSON.
    pub job: &'a str,
    /// What it learns, in a form of the caller's.
    pub examples: &'a [u8],
    /// What that depends on. Its documents are learnt from, too, whether they are named again or not.
    pub label: Label,
    /// Whatever else it learns from.
    pub learnt_from: Vec<LearntFrom>,
}

impl fmt::Debug for NewTuneRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewTuneRun")
            .field("name", &Hidden(self.name))
            .field("dataset", &self.dataset)
            .field("examples", &self.examples.len())
            .field("learnt_from", &self.learnt_from.len())
            .finish_non_exhaustive()
    }
}

/// A run.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuneRunRecord {
    /// Its number; never used again.
    pub id: TuneRunId,
    /// What the user calls it.
    pub name: String,
    /// The recipe it followed, if that is still there.
    pub dataset: Option<DatasetId>,
    /// Name of the model that stays as it is.
    pub base_name: String,
    /// Where that lies.
    pub base_path: PathBuf,
    /// Where it stands.
    pub state: RunState,
    /// Settings and whatever else it follows from, in JSON.
    pub job: String,
    /// Why it could not go on.
    pub error: Option<String>,
    /// When it began, in seconds since 1970.
    pub started_secs: i64,
    /// When it ended.
    pub ended_secs: Option<i64>,
    /// Whether its examples are still there, without which it cannot go on.
    pub has_examples: bool,
    /// Steps done at the last checkpoint.
    pub checkpoint_step: Option<u32>,
    /// How many documents, conversations and files it learns from.
    pub sources: u64,
    /// How many of these read otherwise now.
    pub sources_changed: u64,
    /// How many were deleted since.
    pub sources_gone: u64,
}

impl fmt::Debug for TuneRunRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TuneRunRecord")
            .field("id", &self.id)
            .field("name", &Hidden(&self.name))
            .field("dataset", &self.dataset)
            .field("state", &self.state)
            .field("error", &hidden_option(&self.error))
            .field("started_secs", &self.started_secs)
            .field("ended_secs", &self.ended_secs)
            .field("has_examples", &self.has_examples)
            .field("checkpoint_step", &self.checkpoint_step)
            .field("sources", &self.sources)
            .field("sources_changed", &self.sources_changed)
            .field("sources_gone", &self.sources_gone)
            .finish_non_exhaustive()
    }
}

/// A step done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneStep {
    /// Which, from 1 on.
    pub step: u32,
    /// Mean loss of its learnt tokens, in nats.
    pub loss: f32,
    /// Mean loss of the held-out examples, where it was looked at.
    pub held_out_loss: Option<f32>,
    /// Step size.
    pub learning_rate: f32,
    /// Length of the gradient before it was clipped.
    pub gradient_norm: f32,
    /// Tokens read by all steps so far.
    pub tokens: u64,
    /// Tokens read a second.
    pub tokens_per_sec: f32,
    /// Seconds of work so far, pauses not counted.
    pub secs: f32,
}

/// A run's state as it was kept: as private as what it was made from.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// Steps done.
    pub step: u32,
    /// Everything.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for KeptCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptCheckpoint").field("step", &self.step).finish_non_exhaustive()
    }
}
