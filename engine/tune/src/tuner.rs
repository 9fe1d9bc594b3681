//! The tuner that the rest of the program talks to.

mod job;

use std::{ops::ControlFlow, path::Path};

use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterFormat, Budget, Checkpoint as RunCheckpoint, Example,
    ExampleLoss, ExampleTokens, Fingerprint, LoadError, MergeFormat, Merged, TuneError,
    TuneEstimate, TuneJob, TuneObserver, TuneOutcome, TuneSettings, Tuned, Tuner,
};
use hearth_engine_candle::{
    Checkpoint,
    lora::{Adapter, HearthMeta, hearth_meta, merge, read_peft, write_peft},
};

use crate::{
    data::Reader,
    estimate::{self, Speed, settle},
    export,
    fingerprint::fingerprint,
    run::{self, End, Material, Watch, each_loss},
    settings,
};
use job::{Base, Job, Opened};

/// Trains adapters on this machine: on the processor, or with the features for them on a graphics card where there is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdapterTuner;

impl Tuner for AdapterTuner {
    fn fingerprint(&self, base: &Path) -> Result<Fingerprint, LoadError> {
        fingerprint(base, Checkpoint::open(base)?.chat_template()?.as_deref())
    }

    fn recommend(
        &self,
        base: &Path,
        learnt_tokens: u64,
        wishes: &TuneSettings,
    ) -> Result<TuneSettings, TuneError> {
        let base = Base::open(base)?;
        Ok(settings::recommend(base.config(), learnt_tokens, wishes))
    }

    fn tokens(
        &self,
        base: &Path,
        examples: &[Example],
        settings: &TuneSettings,
    ) -> Result<Vec<ExampleTokens>, TuneError> {
        Reader::open(&Checkpoint::open(base)?)?.preview(examples, settings)
    }

    fn estimate(
        &self,
        job: &TuneJob,
        observer: &mut dyn TuneObserver,
    ) -> Result<TuneEstimate, TuneError> {
        let mut watch = Watch::new(observer);
        let mut job = Job::open(job)?;
        let learner = &mut *job.learner;
        let (train, held_out) = (&*job.train, &*job.held_out);
        let opened = watch.worked_secs();
        let speed = Speed::measure(learner, (train, held_out), &job.settings, &mut watch)?;
        // A run that goes by the clock measures its speed once more.
        let spent = match job.settings.budget {
            Budget::Minutes(_) => watch.worked_secs(),
            Budget::Epochs(_) | Budget::Steps(_) => opened,
        };
        let (plan, course) = settle((train, held_out), &job.settings, Some(&speed), spent);
        let work = estimate::secs(&plan, &course, (train, held_out), &job.settings, &speed);
        Ok(TuneEstimate {
            steps: plan.steps,
            epochs: estimate::epochs(&plan, train, &job.settings),
            tokens: estimate::tokens(train),
            learnt_tokens: train.iter().map(|piece| piece.learnt_tokens() as u64).sum(),
            held_out_tokens: estimate::tokens(held_out),
            tokens_per_sec: speed.train as f32,
            look_tokens_per_sec: speed.look as f32,
            secs: (spent + work) as f32,
            report_secs: 0.0,
            memory_bytes: job.memory_bytes,
            weights_bytes: job.base.weights_bytes(),
            parameters: learner.adapter().parameter_count(),
        })
    }

    fn tune(
        &self,
        job: &TuneJob,
        resume: Option<&RunCheckpoint>,
        observer: &mut dyn TuneObserver,
    ) -> Result<TuneOutcome, TuneError> {
        let mut watch = Watch::new(observer);
        let mut job = Job::open(job)?;
        let kept = resume.map(|checkpoint| run::plan_of(checkpoint, &job.hash)).transpose()?;
        let needs_speed = matches!(job.settings.budget, Budget::Minutes(_)) && kept.is_none();
        let speed = if needs_speed {
            let pieces = (&*job.train, &*job.held_out);
            match Speed::measure(&mut *job.learner, pieces, &job.settings, &mut watch) {
                Err(TuneError::Cancelled) => return Ok(job::broken_off(watch.directive())),
                speed => Some(speed?),
            }
        } else {
            None
        };
        let spent = watch.worked_secs();
        let (plan, course) =
            settle((&job.train, &job.held_out), &job.settings, speed.as_ref(), spent);
        let material = Material {
            train: &job.train,
            held_out: &job.held_out,
            settings: &job.settings,
            job: &job.hash,
            course,
        };
        let plan = kept.unwrap_or(plan);
        let learner = &mut *job.learner;
        match run::train(learner, material, plan, resume, &mut watch)? {
            End::Paused => Ok(TuneOutcome::Paused),
            End::Cancelled => Ok(TuneOutcome::Cancelled),
            End::Finished(figures) => {
                // A file that was put in its place meanwhile is not what the adapter goes with.
                if job.base.fingerprint()? != job.fingerprint {
                    return Err(TuneError::BaseChanged);
                }
                let meta = HearthMeta {
                    fingerprint: Some(job.fingerprint),
                    settings: Some(job.settings.clone()),
                    steps: figures.steps,
                    tokens: figures.tokens,
                };
                let name = job::name(&job.base.checkpoint)?;
                let adapter = job.learner.adapter().to_peft(&name, Some(&meta))?;
                Ok(TuneOutcome::Finished(Tuned {
                    adapter,
                    held_out_before: figures.held_out_before,
                    held_out_after: figures.held_out_after,
                    best_step: figures.best_step,
                    steps: figures.steps,
                    tokens: figures.tokens,
                    secs: figures.secs as f32,
                }))
            }
        }
    }

    fn evaluate(
        &self,
        base: &Path,
        adapter: Option<(&AdapterFile, f32)>,
        examples: &[Example],
        settings: &TuneSettings,
        observer: &mut dyn TuneObserver,
    ) -> Result<Vec<ExampleLoss>, TuneError> {
        let mut watch = Watch::new(observer);
        let base = Base::open(base)?;
        let settings = base.fitted(settings)?;
        let pieces = base.reader.pieces(examples, &settings)?;
        let (adapter, strength) = match adapter {
            Some((file, strength)) => (Adapter::from_peft(file, base.config())?, strength),
            None => (Adapter::zeros(base.config(), &settings.lora)?, 0.0),
        };
        let mut learner = base.learner(adapter, &settings)?;
        let mut losses = vec![ExampleLoss::default(); examples.len()];
        let breathe = &mut || watch.breathe();
        each_loss(&mut *learner, &pieces, &settings, strength, breathe, &mut |piece, loss| {
            let example = &mut losses[piece.example];
            example.loss += f64::from(loss);
            example.tokens += 1;
        })?;
        Ok(losses)
    }

    fn read_adapter(&self, base: &Path, path: &Path) -> Result<AdapterFile, AdapterError> {
        let checkpoint = Checkpoint::open(base)?;
        let config = checkpoint.config();
        if path.is_dir() {
            let file = read_peft(path)?;
            Adapter::from_peft(&file, config)?;
            return Ok(file);
        }
        let (adapter, meta) = Adapter::read_gguf(path, config)?;
        adapter.to_peft(&job::name(&checkpoint)?, meta.as_ref())
    }

    fn write_adapter(
        &self,
        base: &Path,
        adapter: &AdapterFile,
        format: AdapterFormat,
        path: &Path,
    ) -> Result<(), AdapterError> {
        let checkpoint = Checkpoint::open(base)?;
        // What is written goes with this base, or is not written.
        let parsed = Adapter::from_peft(adapter, checkpoint.config())?;
        match format {
            AdapterFormat::Peft => write_peft(adapter, path),
            AdapterFormat::Gguf => parsed.write_gguf(path, hearth_meta(adapter).as_ref()),
        }
    }

    fn export_job(&self, job: &TuneJob, path: &Path) -> Result<(), TuneError> {
        let Opened { base, train, held_out, settings, .. } = Opened::new(job)?;
        export::write(job, &settings, (&train, &held_out), &job::name(&base.checkpoint)?, path)
    }

    fn merge(
        &self,
        base: &Path,
        adapter: &AdapterFile,
        how: (f32, MergeFormat),
        path: &Path,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Merged, AdapterError> {
        let checkpoint = Checkpoint::open(base)?;
        let adapter = Adapter::from_peft(adapter, checkpoint.config())?;
        merge(&checkpoint, &adapter, how, path, on_progress)
    }
}
