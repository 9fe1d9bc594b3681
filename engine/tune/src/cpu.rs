//! Training on the processor: forwards and backwards through a decoder by hand, on weights that stay where they lie in the
//! model's file.
//!
//! Frozen weights have no gradient, so the way back ends at the lowest layer with an adapter, and in each layer at what
//! still says something about one. Of each layer on that way this is kept: its input, the stream between its halves, queries,
//! keys and values as projected, what attention gave with the logarithms of its sums, gate and up, and what adapters' `A`
//! made of their inputs. Norms, turned queries and gated activations are cheap and are made again. With `recompute`, inputs
//! alone are kept, and each layer runs again on the way back.
//!
//! Logits exist for a few learnt positions at a time, so a large vocabulary costs no more memory than a small one.

use std::ops::Range;

use hearth_engine_api::{AdapterError, Precision, Target, TuneError};
use hearth_engine_candle::{
    Checkpoint,
    cpu::{Rotary, Weights},
    lora::{Adapter, Pair, target_shape},
    models::DecoderConfig,
};
use hearth_engine_kernels::{ShapeError, Team, train::Frozen};

use crate::learner::{Batch, Breathe, Dropout, Learner};

mod backward;
mod forward;
mod head;
mod low_rank;
mod memory;
mod pass;

use backward::WayBack;
use memory::{Memory, sized};
use pass::Pass;

/// A base model on the processor with the adapter that is being trained beside it.
///
/// Losses and gradients are bitwise the same however many threads the team has, and whether activations are kept or
/// computed again.
pub struct CpuLearner {
    config: DecoderConfig,
    weights: Weights,
    adapter: Adapter,
    team: Team,
    rotary: Rotary,
    frozen: Frozen,
    recompute: bool,
    memory: Memory,
}

impl CpuLearner {
    /// Maps the weights of `checkpoint`, to be computed with by `team`. The file must not be changed while they are in use.
    ///
    /// # Errors
    /// [`TuneError::Base`] where the weights cannot be used, [`TuneError::Adapter`] where the adapter is for another model.
    pub fn load(
        checkpoint: &Checkpoint,
        adapter: Adapter,
        precision: Precision,
        recompute: bool,
        team: Team,
    ) -> Result<Self, TuneError> {
        let config = checkpoint.config().clone();
        check_adapter(&config, &adapter)?;
        Ok(Self {
            weights: Weights::of(checkpoint)?,
            rotary: Rotary::new(&config),
            frozen: Frozen::new(in_kernels(precision)),
            config,
            adapter,
            team,
            recompute,
            memory: Memory::default(),
        })
    }

    /// The threads that compute.
    pub const fn team(&self) -> &Team {
        &self.team
    }

    /// From the ids to the stream behind the last layer. Layers from `lowest` on keep what the way back needs.
    fn forward<'a>(
        &'a mut self,
        batch: &'a Batch,
        (scale, dropout): (f32, Option<Dropout>),
        lowest: usize,
        breathe: Breathe<'_>,
    ) -> Result<(Pass<'a>, &'a mut Memory), TuneError> {
        self.check(batch)?;
        let Self { config, weights, adapter, team, rotary, frozen, recompute, memory } = self;
        memory.lay_out(&batch.samples, config.layers - lowest, *recompute);
        rotary.turn_to(&memory.positions);
        let samples = &*batch.samples;
        let mut pass =
            Pass { config, weights, rotary, team, adapter, scale, dropout, samples, frozen };
        let Memory { inputs, kept, scratch, stream, next, .. } = &mut *memory;
        let len = batch.ids.len() * config.hidden;
        let embedded = pass.embed(&batch.ids, sized(stream, len));
        embedded.map_err(|error| compute("the embedding", &error))?;
        for layer in 0..config.layers {
            breath(breathe)?;
            let place = if *recompute { 0 } else { layer.saturating_sub(lowest) };
            let out = Some(sized(next, len));
            let done = pass.layer(layer, &stream[..len], &mut kept[place], scratch, out);
            done.map_err(|error| compute("a layer", &error))?;
            std::mem::swap(stream, next);
            if layer >= lowest {
                std::mem::swap(next, &mut inputs[layer - lowest]);
            }
        }
        Ok((pass, memory))
    }

    fn check(&self, batch: &Batch) -> Result<(), TuneError> {
        let wrong = |reason: String| Err(TuneError::Compute { op: "reading a batch", reason });
        let Batch { ids, samples, targets, weights } = batch;
        if targets.len() != ids.len() || weights.len() != ids.len() {
            return wrong(format!(
                "{} tokens, {} targets, {} weights",
                ids.len(),
                targets.len(),
                weights.len()
            ));
        }
        let mut end = 0;
        for Range { start, end: next } in samples {
            if *start != end || next <= start {
                return wrong(format!("a sample from {start} to {next} behind one to {end}"));
            }
            end = *next;
        }
        if end != ids.len() {
            return wrong(format!("samples of {end} tokens among {}", ids.len()));
        }
        let learnt = targets.iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
        let mut all = ids.iter().chain(learnt.map(|(target, _)| target));
        match all.find(|id| **id as usize >= self.config.vocab) {
            Some(id) => {
                wrong(format!("id {id} is outside the vocabulary of {}", self.config.vocab))
            }
            None => Ok(()),
        }
    }

    /// The lowest layer with an adapter; as many as there are layers where none has.
    fn lowest(&self) -> usize {
        self.adapter.layers().iter().take_while(|pairs| pairs.is_empty()).count()
    }
}

impl Learner for CpuLearner {
    fn config(&self) -> &DecoderConfig {
        &self.config
    }

    fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    fn adapter_mut(&mut self) -> &mut Adapter {
        &mut self.adapter
    }

    fn backward(
        &mut self,
        batch: &Batch,
        dropout: Option<Dropout>,
        gradients: &mut Adapter,
        breathe: Breathe<'_>,
    ) -> Result<f64, TuneError> {
        check_gradients(&self.adapter, gradients)?;
        let (lowest, layers, recompute) = (self.lowest(), self.config.layers, self.recompute);
        let dropout = dropout.filter(|dropout| dropout.share > 0.0);
        let how = (self.adapter.scale(), dropout);
        let (mut pass, memory) = self.forward(batch, how, lowest, breathe)?;
        let Memory { inputs, kept, scratch, stream, head, .. } = memory;
        let len = batch.ids.len() * pass.config.hidden;
        let stream = &stream[..len];
        let loss = head.backward(&mut pass, batch, stream, sized(&mut scratch.dx, len), breathe)?;
        for layer in (lowest..layers).rev() {
            breath(breathe)?;
            let x = &inputs[layer - lowest][..len];
            let place = if recompute { 0 } else { layer - lowest };
            let kept = &mut kept[place];
            if recompute && layer + 1 < layers {
                let again = pass.layer(layer, x, kept, scratch, None);
                again.map_err(|error| compute("a layer", &error))?;
            }
            let mut back = WayBack::new(&mut pass, gradients, layer, lowest);
            back.layer(x, kept, scratch).map_err(|error| compute("a layer, backwards", &error))?;
        }
        Ok(loss)
    }

    fn losses(
        &mut self,
        batch: &Batch,
        strength: f32,
        breathe: Breathe<'_>,
    ) -> Result<Vec<f32>, TuneError> {
        let how = (self.adapter.scale() * strength, None);
        // No layer keeps anything: the way back would end before it begins.
        let (mut pass, memory) = self.forward(batch, how, self.config.layers, breathe)?;
        let Memory { head, stream, .. } = memory;
        let len = batch.ids.len() * pass.config.hidden;
        head.losses(&mut pass, batch, &stream[..len], breathe)
    }

    fn memory_bytes(&self, batch_tokens: usize, recompute: bool) -> u64 {
        memory::estimate(&self.config, &self.adapter, batch_tokens, recompute, self.team.threads())
    }

    fn set_recompute(&mut self, recompute: bool) {
        self.recompute = recompute;
    }
}

const fn in_kernels(precision: Precision) -> hearth_engine_kernels::train::Precision {
    match precision {
        Precision::F32 => hearth_engine_kernels::train::Precision::F32,
        Precision::Bf16 => hearth_engine_kernels::train::Precision::Bf16,
    }
}

/// Whether every pair of an adapter stands beside a matrix of its shape.
fn check_adapter(config: &DecoderConfig, adapter: &Adapter) -> Result<(), AdapterError> {
    let other = |reason| Err(AdapterError::OtherModel { reason });
    if adapter.layers().len() != config.layers {
        return other(format!("{} layers, not {}", adapter.layers().len(), config.layers));
    }
    for (layer, target, pair) in adapter.pairs() {
        let (outputs, inputs) = target_shape(config, target);
        if (pair.outputs(), pair.inputs()) != (outputs, inputs) {
            let name = target.name();
            return other(format!("{name} of layer {layer} is not {outputs} x {inputs}"));
        }
    }
    Ok(())
}

/// Whether `gradients` has a place for each of the adapter's, and no others.
fn check_gradients(adapter: &Adapter, gradients: &Adapter) -> Result<(), AdapterError> {
    let shape = |(layer, target, pair): (usize, Target, &Pair)| (layer, target, pair.rank());
    if adapter.pairs().map(shape).eq(gradients.pairs().map(shape)) {
        return Ok(());
    }
    Err(AdapterError::OtherModel { reason: "gradients of another shape".into() })
}

fn breath(breathe: Breathe<'_>) -> Result<(), TuneError> {
    if breathe().is_break() { Err(TuneError::Cancelled) } else { Ok(()) }
}

fn compute(op: &'static str, error: &ShapeError) -> TuneError {
    TuneError::Compute { op, reason: error.to_string() }
}

/// Where what belongs to a target lies in a list.
const fn place_of(target: Target) -> usize {
    target as usize
}

#[cfg(test)]
mod tests;
