//! A tuner without weights.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    AdapterError, AdapterFile, AdapterFormat, Budget, Checkpoint, Directive, Example, ExampleLoss,
    ExampleTokens, Fingerprint, LoadError, MergeFormat, Merged, StepReport, TuneError,
    TuneEstimate, TuneJob, TuneObserver, TuneOutcome, TuneSettings, Tuned, Tuner,
};

/// Steps of a run whose budget does not say how many.
const STEPS: u32 = 12;
/// Steps between checkpoints.
const KEEP_EVERY: u32 = 3;

/// Trains nothing: the loss falls by a fixed curve, a token is a word, and the adapter tells how many steps made it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeTuner {
    step_delay: Duration,
    short_of_memory: Option<&'static AtomicBool>,
}

impl FakeTuner {
    /// The same, sleeping in each step: for tests of pausing and of progress.
    #[must_use]
    pub const fn with_step_delay(self, step_delay: Duration) -> Self {
        Self { step_delay, ..self }
    }

    /// The same, whose runs lack memory as long as `short` is set: for tests of what another day mends.
    #[must_use]
    pub const fn with_memory_short_while(self, short: &'static AtomicBool) -> Self {
        Self { short_of_memory: Some(short), ..self }
    }

    fn adapter(steps: u32) -> AdapterFile {
        let config = format!(r#"{{"peft_type":"LORA","fake_steps":{steps}}}"#);
        AdapterFile { config, weights: Arc::from(steps.to_le_bytes()) }
    }
}

fn steps(settings: &TuneSettings) -> u32 {
    match settings.budget {
        Budget::Steps(steps) => steps.max(1),
        Budget::Minutes(_) | Budget::Epochs(_) => STEPS,
    }
}

/// What is left of a loss of 4 nats after so many steps.
fn loss(step: u32) -> f32 {
    1.0 + 3.0 / (1.0 + step as f32)
}

fn words(text: &str) -> u32 {
    u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX)
}

fn pieces(example: &Example) -> Vec<(String, bool)> {
    match example {
        Example::Chat(messages) => messages
            .iter()
            .map(|message| (message.content.clone(), message.role == crate::Role::Assistant))
            .collect(),
        Example::Answers { messages, learnt } => {
            let piece = |(turn, message): (usize, &crate::ChatMessage)| {
                (message.content.clone(), learnt.contains(&turn))
            };
            messages.iter().enumerate().map(piece).collect()
        }
        Example::Completion { prompt, completion } => {
            vec![(prompt.clone(), false), (completion.clone(), true)]
        }
        Example::Text(text) => vec![(text.clone(), true)],
    }
}

fn tokens(example: &Example) -> ExampleTokens {
    let pieces = pieces(example);
    let count = |learnt: bool| {
        pieces.iter().filter(|piece| piece.1 || !learnt).map(|piece| words(&piece.0)).sum()
    };
    ExampleTokens { tokens: count(false), learnt: count(true), pieces }
}

impl Tuner for FakeTuner {
    fn fingerprint(&self, base: &Path) -> Result<Fingerprint, LoadError> {
        Ok(Fingerprint { base: format!("fake {}", base.display()), template: None })
    }

    fn recommend(
        &self,
        _base: &Path,
        _learnt_tokens: u64,
        wishes: &TuneSettings,
    ) -> Result<TuneSettings, TuneError> {
        Ok(wishes.clone())
    }

    fn tokens(
        &self,
        _base: &Path,
        examples: &[Example],
        _settings: &TuneSettings,
    ) -> Result<Vec<ExampleTokens>, TuneError> {
        Ok(examples.iter().map(tokens).collect())
    }

    fn estimate(
        &self,
        job: &TuneJob,
        observer: &mut dyn TuneObserver,
    ) -> Result<TuneEstimate, TuneError> {
        if observer.breathe() != Directive::GoOn {
            return Err(TuneError::Cancelled);
        }
        let all = job.train.iter().map(tokens);
        let (tokens_once, learnt) = all.fold((0, 0), |(all, learnt), example| {
            (all + u64::from(example.tokens), learnt + u64::from(example.learnt))
        });
        if learnt == 0 {
            return Err(TuneError::NothingToLearn);
        }
        Ok(TuneEstimate {
            steps: steps(&job.settings),
            epochs: 1.0,
            tokens: tokens_once,
            learnt_tokens: learnt,
            held_out_tokens: job.held_out.iter().map(|e| u64::from(tokens(e).tokens)).sum(),
            tokens_per_sec: 100.0,
            look_tokens_per_sec: 300.0,
            secs: steps(&job.settings) as f32,
            report_secs: 0.0,
            memory_bytes: 64 << 20,
            weights_bytes: 0,
            parameters: 1000,
        })
    }

    fn tune(
        &self,
        job: &TuneJob,
        resume: Option<&Checkpoint>,
        observer: &mut dyn TuneObserver,
    ) -> Result<TuneOutcome, TuneError> {
        if job.train.is_empty() {
            return Err(TuneError::NothingToLearn);
        }
        if self.short_of_memory.is_some_and(|short| short.load(Ordering::Relaxed)) {
            return Err(TuneError::OutOfMemory { needed_bytes: 2 << 30, available_bytes: 1 << 30 });
        }
        let steps = steps(&job.settings);
        let first = match resume {
            Some(checkpoint) if checkpoint.bytes != checkpoint.step.to_le_bytes() => {
                return Err(TuneError::Checkpoint { reason: "its bytes are not its own".into() });
            }
            Some(checkpoint) => checkpoint.step,
            None => 0,
        };
        let keep = |observer: &mut dyn TuneObserver, step: u32| {
            let checkpoint = Checkpoint { step, bytes: step.to_le_bytes().into() };
            observer.on_checkpoint(&checkpoint).map_err(|reason| TuneError::Keeping { reason })
        };
        for step in first + 1..=steps {
            match observer.breathe() {
                Directive::GoOn => {}
                Directive::Pause => {
                    keep(observer, step - 1)?;
                    return Ok(TuneOutcome::Paused);
                }
                Directive::Cancel => return Ok(TuneOutcome::Cancelled),
            }
            std::thread::sleep(self.step_delay);
            observer.on_step(&StepReport {
                step,
                steps,
                loss: loss(step - 1),
                held_out_loss: step.is_multiple_of(4).then(|| loss(step)),
                learning_rate: job.settings.learning_rate,
                gradient_norm: 1.0,
                tokens: u64::from(step) * 100,
                tokens_per_sec: 100.0,
                secs_left: (steps - step) as f32,
            });
            if step.is_multiple_of(KEEP_EVERY) {
                keep(observer, step)?;
            }
        }
        let held_out = !job.held_out.is_empty();
        Ok(TuneOutcome::Finished(Tuned {
            adapter: Self::adapter(steps),
            held_out_before: held_out.then(|| loss(0)),
            held_out_after: held_out.then(|| loss(steps)),
            best_step: steps,
            steps,
            tokens: u64::from(steps) * 100,
            secs: steps as f32,
        }))
    }

    fn evaluate(
        &self,
        _base: &Path,
        adapter: Option<(&AdapterFile, f32)>,
        examples: &[Example],
        _settings: &TuneSettings,
        observer: &mut dyn TuneObserver,
    ) -> Result<Vec<ExampleLoss>, TuneError> {
        if observer.breathe() != Directive::GoOn {
            return Err(TuneError::Cancelled);
        }
        let a_token = if adapter.is_some() { 1.5 } else { 4.0 };
        let losses = examples.iter().map(|example| {
            let tokens = u64::from(tokens(example).learnt);
            ExampleLoss { loss: a_token * tokens as f64, tokens }
        });
        Ok(losses.collect())
    }

    fn read_adapter(&self, _base: &Path, path: &Path) -> Result<AdapterFile, AdapterError> {
        let bytes =
            std::fs::read(path).map_err(|source| AdapterError::Io { path: path.into(), source })?;
        let steps = <[u8; 4]>::try_from(bytes.as_slice())
            .map_err(|_not_four| AdapterError::Malformed { reason: "not four bytes".into() })?;
        Ok(Self::adapter(u32::from_le_bytes(steps)))
    }

    fn write_adapter(
        &self,
        _base: &Path,
        adapter: &AdapterFile,
        _format: AdapterFormat,
        path: &Path,
    ) -> Result<(), AdapterError> {
        std::fs::write(path, &adapter.weights)
            .map_err(|source| AdapterError::Io { path: path.into(), source })
    }

    fn export_job(&self, job: &TuneJob, path: &Path) -> Result<(), TuneError> {
        std::fs::write(path.join("examples"), job.train.len().to_string())
            .map_err(|source| TuneError::Adapter(AdapterError::Io { path: path.into(), source }))
    }

    fn merge(
        &self,
        _base: &Path,
        adapter: &AdapterFile,
        _how: (f32, MergeFormat),
        path: &Path,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Merged, AdapterError> {
        if on_progress(1.0).is_break() {
            return Err(AdapterError::Cancelled);
        }
        std::fs::write(path, &adapter.weights)
            .map_err(|source| AdapterError::Io { path: path.into(), source })?;
        Ok(Merged { lost: 0.01, bytes: adapter.weights.len() as u64 })
    }
}
