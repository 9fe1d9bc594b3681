//! A job, opened: the base model with a learner, and the examples as pieces.

use std::path::Path;

use blake3::Hasher;
use hearth_engine_api::{
    Directive, Fingerprint, LoadError, LoadOptions, TuneError, TuneJob, TuneOutcome, TuneSettings,
};
use hearth_engine_candle::{Checkpoint, free_memory_bytes, lora::Adapter, models::DecoderConfig};

use crate::{
    data::{Piece, Reader, shuffled},
    fingerprint::fingerprint,
    learner::{Learner, mix},
    settings,
};

/// Numbers of an adapter that a run holds for each one that is trained: it, its gradient, two moments, its best so far, and
/// all but the gradient once more in a checkpoint.
const COPIES: u64 = 9;
/// Share of the free memory that activations may take where they need not.
const ROOMY: f64 = 0.7;
/// So that the adapter's first numbers and the shuffles do not follow from the same draws.
const FIRST_NUMBERS: u64 = 0x5EED;

/// A base model.
pub(super) struct Base {
    pub(super) checkpoint: Checkpoint,
    pub(super) reader: Reader,
}

impl Base {
    pub(super) fn open(path: &Path) -> Result<Self, TuneError> {
        let checkpoint = Checkpoint::open(path)?;
        // As it will be served.
        let context = checkpoint.context_tokens(&LoadOptions::default())?;
        let checkpoint = checkpoint.with_context(context);
        let reader = Reader::open(&checkpoint)?;
        Ok(Self { checkpoint, reader })
    }

    pub(super) const fn config(&self) -> &DecoderConfig {
        self.checkpoint.config()
    }

    pub(super) fn fingerprint(&self) -> Result<Fingerprint, LoadError> {
        fingerprint(self.checkpoint.path(), self.reader.template())
    }

    /// Weights as they lie in the file.
    pub(super) fn weights_bytes(&self) -> u64 {
        self.checkpoint.estimate(1, hearth_engine_api::KvFormat::default()).weights_bytes
    }

    /// Settings that have been checked, with no sample longer than the context.
    pub(super) fn fitted(&self, wishes: &TuneSettings) -> Result<TuneSettings, TuneError> {
        settings::check(wishes)?;
        let context = u32::try_from(self.config().context_tokens).unwrap_or(u32::MAX);
        let sequence_tokens = wishes.sequence_tokens.min(context);
        Ok(TuneSettings { sequence_tokens, ..wishes.clone() })
    }

    /// The graphics card's where the engine is built for one, else the processor's.
    #[cfg(any(feature = "cuda", feature = "metal"))]
    pub(super) fn learner(
        &self,
        adapter: Adapter,
        _settings: &TuneSettings,
    ) -> Result<Box<dyn Learner>, TuneError> {
        #[cfg(feature = "cuda")]
        let device = candle_core::Device::new_cuda(0);
        #[cfg(not(feature = "cuda"))]
        let device = candle_core::Device::new_metal(0);
        let device = device.map_err(|error| TuneError::Compute {
            op: "starting the graphics card this engine is built for",
            reason: error.to_string(),
        })?;
        Ok(Box::new(crate::candle::CandleLearner::load(&self.checkpoint, adapter, &device)?))
    }

    /// The graphics card's where the engine is built for one, else the processor's.
    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    pub(super) fn learner(
        &self,
        adapter: Adapter,
        settings: &TuneSettings,
    ) -> Result<Box<dyn Learner>, TuneError> {
        let threads = settings.threads.unwrap_or_else(|| {
            let allowed = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            candle_core::utils::get_num_threads().min(allowed)
        });
        let team = hearth_engine_kernels::Team::new(threads);
        let team = team.map_err(|error| TuneError::Compute {
            op: "starting threads",
            reason: error.to_string(),
        })?;
        // Settled once it is known what either way takes.
        let recompute = false;
        let precision = settings.precision;
        let learner =
            crate::cpu::CpuLearner::load(&self.checkpoint, adapter, precision, recompute, team)?;
        Ok(Box::new(learner))
    }
}

/// What a model calls itself.
pub(super) fn name(checkpoint: &Checkpoint) -> Result<String, LoadError> {
    Ok(checkpoint.info(&LoadOptions::default())?.name)
}

/// How a run ended that never began.
pub(super) const fn broken_off(directive: Directive) -> TuneOutcome {
    match directive {
        Directive::Pause => TuneOutcome::Paused,
        Directive::Cancel | Directive::GoOn => TuneOutcome::Cancelled,
    }
}

/// A job with its examples as pieces.
pub(super) struct Opened {
    pub(super) base: Base,
    pub(super) train: Vec<Piece>,
    pub(super) held_out: Vec<Piece>,
    /// Those that are gone by: checked, and of the shape of the adapter that the run begins with.
    pub(super) settings: TuneSettings,
    adapter: Adapter,
}

impl Opened {
    pub(super) fn new(job: &TuneJob) -> Result<Self, TuneError> {
        let base = Base::open(&job.base)?;
        let mut settings = base.fitted(&job.settings)?;
        let adapter = first_adapter(&base, job, &mut settings)?;
        let train = base.reader.pieces(&job.train, &settings)?;
        if train.is_empty() {
            return Err(TuneError::NothingToLearn);
        }
        let held_out = base.reader.pieces(&job.held_out, &settings)?;
        // Where there is time for some of them only, those are as good as any.
        let order = shuffled(held_out.len(), settings.seed, 0);
        let held_out = order.into_iter().map(|place| held_out[place].clone()).collect();
        Ok(Self { base, train, held_out, settings, adapter })
    }
}

/// Everything a run needs.
pub(super) struct Job {
    pub(super) base: Base,
    pub(super) learner: Box<dyn Learner>,
    pub(super) train: Vec<Piece>,
    pub(super) held_out: Vec<Piece>,
    pub(super) settings: TuneSettings,
    /// The base's, as it was when the job was opened.
    pub(super) fingerprint: Fingerprint,
    /// Of everything that the run follows from.
    pub(super) hash: String,
    pub(super) memory_bytes: u64,
}

impl Job {
    pub(super) fn open(job: &TuneJob) -> Result<Self, TuneError> {
        let Opened { base, train, held_out, settings, adapter } = Opened::new(job)?;
        let fingerprint = base.fingerprint()?;
        let hash = hash(&fingerprint, job, &settings, [&train, &held_out])?;
        let mut learner = base.learner(adapter, &settings)?;
        let memory_bytes = fit(&mut *learner, &base, &settings, [&train, &held_out])?;
        Ok(Self { base, learner, train, held_out, settings, fingerprint, hash, memory_bytes })
    }
}

/// The adapter that the run begins with, by whose shape the settings then go.
fn first_adapter(
    base: &Base,
    job: &TuneJob,
    settings: &mut TuneSettings,
) -> Result<Adapter, TuneError> {
    let config = base.config();
    match &job.initial {
        Some(file) => {
            let adapter = Adapter::from_peft(file, config)?;
            let dropout = settings.lora.dropout;
            settings.lora = adapter.settings().clone();
            settings.lora.dropout = dropout;
            Ok(adapter)
        }
        None => {
            let zeros = Adapter::zeros(config, &settings.lora)?;
            Ok(zeros.random_a(mix(settings.seed ^ FIRST_NUMBERS)))
        }
    }
}

/// Tells jobs apart. Threads, memory and the time between checkpoints change nothing in what comes of it.
fn hash(
    base: &Fingerprint,
    job: &TuneJob,
    settings: &TuneSettings,
    pieces: [&[Piece]; 2],
) -> Result<String, TuneError> {
    let same =
        TuneSettings { threads: None, recompute: None, checkpoint_secs: 0.0, ..settings.clone() };
    let described = serde_json::to_vec(&(base, &same)).map_err(|error| TuneError::Compute {
        op: "describing the job",
        reason: error.to_string(),
    })?;
    let mut hasher = Hasher::new();
    hasher.update(&described);
    if let Some(file) = &job.initial {
        hasher.update(blake3::hash(&file.weights).as_bytes());
        hasher.update(blake3::hash(file.config.as_bytes()).as_bytes());
    }
    for pieces in pieces {
        hasher.update(&(pieces.len() as u64).to_le_bytes());
        for number in pieces.iter().flat_map(Piece::content) {
            hasher.update(&number.to_le_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Settles whether activations are kept, and gives the memory that the run takes then.
fn fit(
    learner: &mut dyn Learner,
    base: &Base,
    settings: &TuneSettings,
    pieces: [&[Piece]; 2],
) -> Result<u64, TuneError> {
    let longest = settings.batch_tokens.max(settings.sequence_tokens) as usize;
    let [train, held_out] = pieces.map(|pieces| pieces.iter().map(Piece::tokens).sum::<usize>());
    let tokens = longest.min(train.max(held_out));
    let own = learner.adapter().parameter_count() * COPIES * size_of::<f32>() as u64
        + (train + held_out) as u64 * (size_of::<u32>() + size_of::<bool>()) as u64;
    let [kept, again] =
        [false, true].map(|recompute| own + learner.memory_bytes(tokens, recompute));
    let free = free_memory_bytes();
    let roomy = free.is_none_or(|free| {
        (kept as f64) < free.saturating_sub(base.weights_bytes()) as f64 * ROOMY
    });
    let recompute = settings.recompute.unwrap_or(!roomy);
    let memory_bytes = if recompute { again } else { kept };
    match free {
        Some(available_bytes) if memory_bytes + base.weights_bytes() > available_bytes => {
            let needed_bytes = memory_bytes + base.weights_bytes();
            Err(TuneError::OutOfMemory { needed_bytes, available_bytes })
        }
        _ => {
            learner.set_recompute(recompute);
            Ok(memory_bytes)
        }
    }
}
