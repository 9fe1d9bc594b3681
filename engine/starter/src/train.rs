//! Training: steps, workers, checkpoints.

mod adamw;
mod batch;
mod checkpoint;
mod first;
mod journal;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use candle_core::{Device, Tensor, Var};
use hearth_engine_candle::models::Decoder;

pub use checkpoint::Checkpoint;
pub use journal::{Entry, read_journal};

use crate::{
    data::{Example, Generator, Split},
    error::StarterError,
    loss::WeightedCrossEntropy,
    recipe::Recipe,
    vocabulary::Vocabulary,
};
use adamw::AdamW;
use batch::{Part, parts};
use first::first_weights;
use journal::Journal;

/// Names and variables in a fixed order.
pub(crate) type Vars = Vec<(String, Var)>;

/// A model being trained.
pub struct Trainer {
    recipe: Recipe,
    vocabulary: Vocabulary,
    vars: Vars,
    decoder: Decoder,
    optimiser: AdamW,
    step: u64,
    tokens: u64,
    threads: usize,
}

/// What one step did.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Mean loss of the answers' and prompts' tokens, weighted.
    pub loss: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Tokens read.
    pub tokens: u64,
}

impl Trainer {
    /// A new model, or the one in `folder` where a checkpoint lies.
    ///
    /// # Errors
    /// Where the checkpoint is damaged or of another recipe, or tensors fail.
    pub fn open(
        recipe: Recipe,
        vocabulary: Vocabulary,
        folder: &Path,
        threads: usize,
    ) -> Result<Self, StarterError> {
        let config = recipe.decoder();
        let path = checkpoint_path(folder);
        let (vars, optimiser, step, tokens) = if path.exists() {
            let checkpoint = Checkpoint::read(&path)?;
            if let Some(field) = recipe.difference(&checkpoint.recipe) {
                return Err(StarterError::OtherRecipe { field });
            }
            let optimiser = AdamW::resume(&config, &checkpoint)?;
            let vars = checkpoint.vars(&config)?;
            (vars, optimiser, checkpoint.step, checkpoint.tokens)
        } else {
            let vars = first_weights(&recipe)?;
            let optimiser = AdamW::new(&vars);
            (vars, optimiser, 0, 0)
        };
        let mut weights: HashMap<String, Tensor> =
            vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        let decoder = Decoder::new(config, &mut weights)?;
        Ok(Self {
            recipe,
            vocabulary,
            vars,
            decoder,
            optimiser,
            step,
            tokens,
            threads: threads.max(1),
        })
    }

    /// Trains to the recipe's last step, with checkpoints and a journal in `folder`.
    ///
    /// # Errors
    /// Whatever a step fails with, and where the folder cannot be written.
    pub fn run(
        &mut self,
        folder: &Path,
        on_entry: &mut dyn FnMut(&Entry),
    ) -> Result<(), StarterError> {
        let mut journal = Journal::open(folder, self.step)?;
        let train = self.recipe.train.clone();
        let (mut began, mut loss, mut steps, mut tokens) = (Instant::now(), 0.0, 0u32, 0u64);
        while self.step < train.steps {
            let report = self.step()?;
            loss += report.loss;
            steps += 1;
            tokens += report.tokens;
            let last = self.step == train.steps;
            if self.step.is_multiple_of(train.evaluate_every) || last {
                let speed = tokens as f64 / began.elapsed().as_secs_f64();
                let entry = Entry {
                    step: self.step,
                    tokens: self.tokens,
                    learning_rate: train.rate(self.step - 1),
                    train_loss: loss / f64::from(steps),
                    held_out_loss: self.held_out_loss(train.held_out_examples)?,
                    gradient_norm: report.gradient_norm,
                    tokens_per_sec: speed,
                };
                journal.append(&entry)?;
                on_entry(&entry);
                (began, loss, steps, tokens) = (Instant::now(), 0.0, 0, 0);
            }
            if self.step.is_multiple_of(train.checkpoint_every.max(1)) || last {
                self.checkpoint().write(&checkpoint_path(folder))?;
            }
        }
        Ok(())
    }

    /// One step of the optimiser.
    ///
    /// # Errors
    /// [`StarterError::NoGradient`] where the backward pass dropped a weight, `Diverged` where the loss is no number.
    pub fn step(&mut self) -> Result<StepReport, StarterError> {
        let train = &self.recipe.train;
        let generator = self.recipe.generator(Split::Train);
        let first = self.step * train.batch_examples as u64;
        let examples: Vec<Example> =
            (first..first + train.batch_examples as u64).map(|i| generator.example(i)).collect();
        let tokens = self.encode(&examples, train.prompt_weight)?;
        let (parts, weight) = parts(tokens, train.parts);
        let read = parts.iter().map(|part| part.real_tokens as u64).sum();
        let results = self.spread(&parts, |part| self.gradients(part, weight))?;
        let mut loss = 0.0;
        let mut sum: Vec<Vec<f32>> = Vec::new();
        for (part_loss, gradients) in results {
            loss += part_loss;
            if sum.is_empty() {
                sum = gradients;
            } else {
                for (into, from) in sum.iter_mut().zip(gradients) {
                    into.iter_mut().zip(from).for_each(|(into, from)| *into += from);
                }
            }
        }
        if !loss.is_finite() {
            return Err(StarterError::Diverged { step: self.step, loss });
        }
        let rate = train.rate(self.step);
        let gradient_norm = self.optimiser.step(&self.vars, &mut sum, rate, train)?;
        self.step += 1;
        self.tokens += read;
        Ok(StepReport { loss, gradient_norm, tokens: read })
    }

    /// Mean loss of the answers' tokens over the first examples that are never learnt from.
    ///
    /// # Errors
    /// Where tensors fail.
    pub fn held_out_loss(&self, examples: u64) -> Result<f64, StarterError> {
        let generator: Generator = self.recipe.generator(Split::HeldOut);
        let examples: Vec<Example> = (0..examples).map(|i| generator.example(i)).collect();
        let groups =
            examples.len().div_ceil(self.recipe.train.batch_examples) * self.recipe.train.parts;
        let (parts, weight) = parts(self.encode(&examples, 0.0)?, groups);
        let losses = self.spread(&parts, |part| {
            Ok(self.loss(part, weight)?.detach().to_scalar::<f32>().map(f64::from)?)
        })?;
        Ok(losses.iter().sum())
    }

    /// Where training stands.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(&self.recipe, &self.vars, &self.optimiser, self.step, self.tokens)
    }

    /// Steps done.
    pub const fn steps_done(&self) -> u64 {
        self.step
    }

    fn encode(
        &self,
        examples: &[Example],
        prompt_weight: f32,
    ) -> Result<Vec<crate::vocabulary::Tokens>, StarterError> {
        let limit = self.recipe.model.context_tokens;
        let mut list = Vec::with_capacity(examples.len());
        for example in examples {
            let mut tokens = self.vocabulary.example(example, prompt_weight)?;
            // The grammar hardly ever makes one this long; what lies beyond the context cannot be learnt.
            tokens.ids.truncate(limit);
            tokens.weights.truncate(limit);
            list.push(tokens);
        }
        Ok(list)
    }

    /// The weighted loss of one part, as a share of the step's.
    fn loss(&self, part: &Part, step_weight: f32) -> Result<Tensor, StarterError> {
        let ids = Tensor::from_slice(&part.inputs, (part.rows, part.columns), &Device::Cpu)?;
        let logits = self.decoder.forward(&ids)?.flatten_to(1)?;
        let weights = part.weights.iter().map(|weight| weight / step_weight).collect();
        let loss = WeightedCrossEntropy { targets: part.targets.clone(), weights };
        Ok(loss.apply(&logits)?)
    }

    fn gradients(
        &self,
        part: &Part,
        step_weight: f32,
    ) -> Result<(f64, Vec<Vec<f32>>), StarterError> {
        let loss = self.loss(part, step_weight)?;
        let mut store = loss.backward()?;
        let mut gradients = Vec::with_capacity(self.vars.len());
        for (name, var) in &self.vars {
            let gradient =
                store.remove(var).ok_or_else(|| StarterError::NoGradient { name: name.clone() })?;
            gradients.push(gradient.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok((f64::from(loss.to_scalar::<f32>()?), gradients))
    }

    /// Computes `work` for all parts on the trainer's threads; the results come in the order of the parts,
    /// so that sums do not depend on which thread was faster.
    fn spread<T: Send>(
        &self,
        parts: &[Part],
        work: impl Fn(&Part) -> Result<T, StarterError> + Sync,
    ) -> Result<Vec<T>, StarterError> {
        let next = AtomicUsize::new(0);
        let worker = || -> Result<Vec<(usize, T)>, StarterError> {
            let mut done = Vec::new();
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((part.index, work(part)?));
            }
            Ok(done)
        };
        let mut results = std::thread::scope(|scope| -> Result<Vec<(usize, T)>, StarterError> {
            let others: Vec<_> = (1..self.threads).map(|_| scope.spawn(worker)).collect();
            let mut results = worker()?;
            for other in others {
                match other.join() {
                    Ok(more) => results.extend(more?),
                    Err(_panic) => return Err(StarterError::Worker),
                }
            }
            Ok(results)
        })?;
        results.sort_by_key(|(index, _)| *index);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}

/// Where the checkpoint lies in a folder.
pub fn checkpoint_path(folder: &Path) -> PathBuf {
    folder.join("checkpoint.safetensors")
}

#[cfg(test)]
mod tests;
