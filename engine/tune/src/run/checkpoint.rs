//! A run's state as bytes: a safetensors file with adapter and moments, and a description of where the run stands.

use std::{borrow::Cow, collections::HashMap};

use hearth_engine_api::{Checkpoint, StepReport, TuneError};
use hearth_engine_candle::lora::Adapter;
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::optimizer::AdamW;

/// Changes whenever an older checkpoint could not be gone on from to the same end.
const VERSION: u32 = 2;
const ABOUT: &str = "run";
const BEST: &str = "best";

/// Where a run stands, besides its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    version: u32,
    /// Hash of everything that the run follows from.
    job: String,
    pub(crate) plan: Plan,
    /// Steps done.
    pub(crate) step: u32,
    /// Tokens read by them.
    pub(crate) tokens: u64,
    /// Seconds of work.
    pub(crate) secs: f64,
    /// Loss of the held-out examples without the adapter, where it is known already.
    pub(crate) held_out_before: Option<f32>,
    /// When it was lowest with the adapter.
    pub(crate) best: Option<Best>,
    /// The last step, where it still has to be told of.
    pub(crate) untold: Option<StepReport>,
}

/// The look at the held-out examples that was best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// After which step.
    pub(crate) step: u32,
    /// Mean loss.
    pub(crate) loss: f32,
}

impl Standing {
    /// Before the first step.
    pub(crate) fn new(job: &str, plan: Plan) -> Self {
        Self {
            version: VERSION,
            job: job.into(),
            plan,
            step: 0,
            tokens: 0,
            secs: 0.0,
            held_out_before: None,
            best: None,
            untold: None,
        }
    }

    /// That of a checkpoint of the job `job`.
    ///
    /// # Errors
    /// [`TuneError::Checkpoint`] where it is damaged, or of another job or version.
    pub(crate) fn read(checkpoint: &Checkpoint, job: &str) -> Result<Self, TuneError> {
        let (_, header) = SafeTensors::read_metadata(&checkpoint.bytes).map_err(damaged)?;
        let about = header.metadata().as_ref().and_then(|about| about.get(ABOUT));
        let about = about.ok_or_else(|| refused("it says nothing of a run"))?;
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(about).map_err(damaged)?;
        if version != VERSION {
            return Err(refused(&format!("it has version {version}, this program {VERSION}")));
        }
        let standing: Self = serde_json::from_str(about).map_err(damaged)?;
        if standing.job != job {
            return Err(refused("base model, examples or settings are not those it was made with"));
        }
        if standing.step > standing.plan.steps {
            return Err(refused("it has more steps than its run"));
        }
        Ok(standing)
    }

    /// Whether the adapter is kept as it was when it was best: the last one is there anyway.
    pub(crate) fn has_best(&self) -> bool {
        self.best.is_some_and(|best| best.step < self.plan.steps)
    }

    /// The run's state.
    pub(crate) fn write(
        &self,
        adapter: &Adapter,
        optimizer: &AdamW,
        best: Option<&Adapter>,
    ) -> Result<Checkpoint, TuneError> {
        let about = serde_json::to_string(self).map_err(damaged)?;
        let AdamW { mean, square } = optimizer;
        let parts = [("value", adapter), ("mean", mean), ("square", square)];
        let best = best.map(|best| (BEST, best));
        let numbers = parts.into_iter().chain(best).flat_map(|(part, numbers)| {
            let numbers = numbers.parameters().enumerate();
            numbers.map(move |(place, numbers)| (name(part, place), Numbers::new(numbers)))
        });
        let about = HashMap::from([(ABOUT.to_owned(), about)]);
        let bytes = safetensors::serialize(numbers, Some(about)).map_err(damaged)?;
        Ok(Checkpoint { step: self.step, bytes })
    }
}

/// Reads the numbers of a checkpoint into an adapter and an optimiser of its job.
///
/// # Errors
/// [`TuneError::Checkpoint`] where they are of another shape.
pub(crate) fn restore(
    checkpoint: &Checkpoint,
    adapter: &mut Adapter,
    optimizer: &mut AdamW,
) -> Result<(), TuneError> {
    let tensors = SafeTensors::deserialize(&checkpoint.bytes).map_err(damaged)?;
    let AdamW { mean, square } = optimizer;
    read(&tensors, "value", adapter)?;
    read(&tensors, "mean", mean)?;
    read(&tensors, "square", square)
}

/// Length of a checkpoint that has all there can be in it.
///
/// # Errors
/// As [`Standing::write`].
pub(crate) fn checkpoint_bytes(adapter: &Adapter, optimizer: &AdamW) -> Result<usize, TuneError> {
    let plan = Plan { steps: 1, evaluations: 0, held_out: 0 };
    let checkpoint = Standing::new("", plan).write(adapter, optimizer, Some(adapter))?;
    Ok(checkpoint.bytes.len())
}

/// The best adapter of a checkpoint, of the shape of `like`.
///
/// # Errors
/// As [`restore`].
pub(crate) fn restore_best(checkpoint: &Checkpoint, like: &Adapter) -> Result<Adapter, TuneError> {
    let tensors = SafeTensors::deserialize(&checkpoint.bytes).map_err(damaged)?;
    let mut best = like.zeros_like();
    read(&tensors, BEST, &mut best)?;
    Ok(best)
}

fn read(tensors: &SafeTensors<'_>, part: &str, numbers: &mut Adapter) -> Result<(), TuneError> {
    for (place, numbers) in numbers.parameters_mut().enumerate() {
        let name = name(part, place);
        let tensor = tensors.tensor(&name).map_err(damaged)?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != [numbers.len()] {
            return Err(refused(&format!("{name} has another shape")));
        }
        for (number, bytes) in numbers.iter_mut().zip(tensor.data().as_chunks().0) {
            *number = f32::from_le_bytes(*bytes);
        }
    }
    Ok(())
}

/// Numbers that become bytes when they are written, so that there is no second copy of all of them.
struct Numbers<'a> {
    numbers: &'a [f32],
    shape: [usize; 1],
}

impl<'a> Numbers<'a> {
    const fn new(numbers: &'a [f32]) -> Self {
        Self { numbers, shape: [numbers.len()] }
    }
}

impl View for Numbers<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.numbers)
    }
}

fn name(part: &str, place: usize) -> String {
    format!("{part}.{place}")
}

fn refused(reason: &str) -> TuneError {
    TuneError::Checkpoint { reason: reason.into() }
}

/// The words of both libraries name positions and keys, and quote nothing.
fn damaged(error: impl std::fmt::Display) -> TuneError {
    TuneError::Checkpoint { reason: format!("it is damaged ({error})") }
}
