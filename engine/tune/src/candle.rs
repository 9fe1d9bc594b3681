//! Training by the tensor library's automatic differentiation, wherever it computes: on graphics cards, and as a second
//! opinion on what the processor's own passes reckon.
//!
//! Samples go through the model one after the other. Every block is a small graph of its own: on the way back it takes
//! the gradient of its output and gives that of its input, so no more than one block's activations need to exist at a time.

use std::{
    collections::BTreeMap,
    ops::{ControlFlow, Range},
    sync::Arc,
};

use candle_core::{DType, Device, Tensor, Var};
use hearth_engine_api::{AdapterError, Target, TuneError};
use hearth_engine_candle::{
    Checkpoint,
    lora::{Adapter, target_shape},
    models::{Decoder, DecoderConfig, Positions},
    weights::Matrix,
};

use crate::learner::{Batch, Breathe, Dropout, Learner};

mod beside;
mod frozen;

use beside::{Beside, Parts, Seat};
use frozen::Frozen;

/// Logits that exist at a time, in numbers.
const LOGITS: usize = 1 << 24;

/// A base model with the adapter that is being trained beside it, computed with by the tensor library in 32-bit floats.
pub struct CandleLearner {
    decoder: Decoder,
    head: Frozen,
    adapter: Adapter,
    device: Device,
    seat: Arc<Seat>,
    recompute: bool,
    weights_bytes: u64,
}

impl CandleLearner {
    /// Reads the weights of `checkpoint` to where `device` computes.
    ///
    /// # Errors
    /// [`TuneError::Base`] where the weights cannot be used, [`TuneError::Adapter`] where the adapter is for another model.
    pub fn load(
        checkpoint: &Checkpoint,
        adapter: Adapter,
        device: &Device,
    ) -> Result<Self, TuneError> {
        check_adapter(checkpoint.config(), &adapter)?;
        let seat = Arc::new(Seat::default());
        let mut head = None;
        let mut weights_bytes = 0;
        let parts = Parts::of(checkpoint.config());
        let mut fit = |name: &str, matrix: Matrix| {
            let Some(frozen) = Frozen::of(&matrix) else { return matrix };
            weights_bytes += frozen.bytes();
            // Where both are one matrix, the model asks for it once.
            if matches!(name, "lm_head.weight" | "model.embed_tokens.weight") {
                head = Some(frozen);
                return matrix;
            }
            match parts.place(name) {
                Some(place) => {
                    Matrix::Other(Arc::new(Beside { frozen, place, seat: Arc::clone(&seat) }))
                }
                None => matrix,
            }
        };
        let decoder =
            checkpoint.decoder_with(device, &mut fit, &mut |_| ControlFlow::Continue(()))?;
        let head = head.ok_or_else(|| compute("head", "the model has none".into()))?;
        let device = device.clone();
        Ok(Self { decoder, head, adapter, device, seat, recompute: false, weights_bytes })
    }

    /// The adapter's numbers where the device computes, as variables or as constants.
    fn sit(
        &self,
        scale: f32,
        dropout: Option<Dropout>,
        trained: bool,
    ) -> candle_core::Result<BTreeMap<(usize, Target), (Tensor, Tensor)>> {
        let mut pairs = BTreeMap::new();
        for (layer, target, pair) in self.adapter.pairs() {
            let tensor = |numbers: &[f32], shape: (usize, usize)| {
                let tensor = Tensor::from_slice(numbers, shape, &self.device)?;
                match trained {
                    true => Var::from_tensor(&tensor).map(|var| var.as_tensor().clone()),
                    false => Ok(tensor),
                }
            };
            let a = tensor(&pair.a, (pair.rank(), pair.inputs()))?;
            let b = tensor(&pair.b, (pair.outputs(), pair.rank()))?;
            pairs.insert((layer, target), (a, b));
        }
        self.seat.take(pairs.clone(), scale, dropout);
        Ok(pairs)
    }

    /// What each block of the model gets from the one before, and what the last one gives.
    fn forward(
        &self,
        ids: &[u32],
        breathe: Breathe<'_>,
        keep: &mut dyn FnMut(&Tensor, Tensor),
    ) -> Result<(Tensor, Positions), TuneError> {
        let ids = Tensor::new(ids, &self.device).and_then(|ids| ids.unsqueeze(0));
        let mut x = ids.and_then(|ids| self.decoder.embed(&ids)).map_err(failed("embedding"))?;
        let positions = self.decoder.positions(&x).map_err(failed("positions"))?;
        for layer in 0..self.decoder.config().layers {
            go_on(breathe)?;
            let input = Var::from_tensor(&x.detach()).map_err(failed("block"))?;
            let output = self.decoder.block(layer, input.as_tensor(), &positions);
            let output = output.map_err(failed("block"))?;
            x = output.detach();
            keep(input.as_tensor(), output);
        }
        Ok((x, positions))
    }

    /// The losses of some rows of the last block's output `(rows, hidden)`, differentiable: `(rows)`.
    fn nll(&self, rows: &Tensor, head: &Frozen, targets: &[u32]) -> candle_core::Result<Tensor> {
        let logits = head.product(&self.decoder.last_norm(rows)?)?;
        let logits = match self.decoder.config().final_softcap {
            Some(cap) => ((logits / cap)?.tanh()? * cap)?,
            None => logits,
        };
        // The highest cancels out; it only keeps exponentials within bounds.
        let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(1)?)?;
        let sums = shifted.exp()?.sum(1)?.log()?;
        let targets = Tensor::new(targets, &self.device)?.unsqueeze(1)?;
        sums - shifted.gather(&targets, 1)?.squeeze(1)?
    }

    /// The learnt rows of a sample, as many at a time as there is room for their logits.
    fn learnt_chunks(&self, batch: &Batch, sample: &Range<usize>) -> Vec<Vec<usize>> {
        let rows: Vec<usize> = sample.clone().filter(|&row| batch.weights[row] > 0.0).collect();
        let most = (LOGITS / self.decoder.config().vocab.max(1)).max(1);
        rows.chunks(most).map(<[usize]>::to_vec).collect()
    }

    /// Rows of the last block's output as a leaf of a graph, and the losses of what follows them.
    fn head_of(
        &self,
        (x, head): (&Tensor, &Frozen),
        (batch, sample): (&Batch, &Range<usize>),
        rows: &[usize],
    ) -> candle_core::Result<(Tensor, Tensor, Tensor)> {
        let places: Vec<u32> = rows.iter().map(|row| (row - sample.start) as u32).collect();
        let places = Tensor::new(places, &self.device)?;
        let picked = Var::from_tensor(&x.squeeze(0)?.index_select(&places, 0)?.detach())?;
        let targets: Vec<u32> = rows.iter().map(|&row| batch.targets[row]).collect();
        let nll = self.nll(picked.as_tensor(), head, &targets)?;
        Ok((places, picked.as_tensor().clone(), nll))
    }

    /// The sum of a sample's weighted losses, and its gradient by the last block's output.
    fn head_back(
        &self,
        x: &Tensor,
        head: &Frozen,
        batch: &Batch,
        sample: &Range<usize>,
    ) -> candle_core::Result<(f64, Tensor)> {
        let mut sum = 0.0;
        let mut gradient = x.squeeze(0)?.zeros_like()?;
        for rows in self.learnt_chunks(batch, sample) {
            let (places, picked, nll) = self.head_of((x, head), (batch, sample), &rows)?;
            let weights: Vec<f32> = rows.iter().map(|&row| batch.weights[row]).collect();
            let values = nll.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            let weighted = values.iter().zip(&weights);
            sum += weighted.map(|(nll, weight)| f64::from(*nll) * f64::from(*weight)).sum::<f64>();
            let loss = (nll * Tensor::new(weights, &self.device)?)?.sum_all()?;
            if let Some(rows) = loss.backward()?.get(&picked) {
                gradient = gradient.index_add(&places, rows, 0)?;
            }
        }
        Ok((sum, gradient.unsqueeze(0)?))
    }

    /// One sample there and back.
    fn sample_back(
        &self,
        (batch, sample, head): (&Batch, &Range<usize>, &Frozen),
        pairs: &BTreeMap<(usize, Target), (Tensor, Tensor)>,
        gradients: &mut Adapter,
        breathe: Breathe<'_>,
    ) -> Result<f64, TuneError> {
        self.seat.start_at(sample.start);
        let mut kept = Vec::new();
        let recompute = self.recompute;
        let (x, positions) =
            self.forward(&batch.ids[sample.clone()], breathe, &mut |input, output| {
                kept.push((input.clone(), (!recompute).then_some(output)));
            })?;
        let back = self.head_back(&x, head, batch, sample);
        let (sum, mut gradient) = back.map_err(failed("head"))?;
        for (layer, (input, output)) in kept.into_iter().enumerate().rev() {
            go_on(breathe)?;
            let layer_back = || {
                let output = match output {
                    Some(output) => output,
                    None => self.decoder.block(layer, &input, &positions)?,
                };
                let store = (output * &gradient)?.sum_all()?.backward()?;
                for target in Target::ALL {
                    let Some((a, b)) = pairs.get(&(layer, target)) else { continue };
                    let Some(pair) = gradients.pair_mut(layer, target) else { continue };
                    for (numbers, tensor) in [(&mut pair.a, a), (&mut pair.b, b)] {
                        let Some(found) = store.get(tensor) else { continue };
                        let found = found.flatten_all()?.to_vec1::<f32>()?;
                        numbers.iter_mut().zip(found).for_each(|(sum, part)| *sum += part);
                    }
                }
                match store.get(&input) {
                    Some(gradient) => Ok(gradient.detach()),
                    None => candle_core::bail!("a block without a gradient"),
                }
            };
            gradient = layer_back().map_err(failed("block"))?;
        }
        Ok(sum)
    }
}

impl Learner for CandleLearner {
    fn config(&self) -> &DecoderConfig {
        self.decoder.config()
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
        let pairs = self.sit(self.adapter.scale(), dropout, true).map_err(failed("adapter"))?;
        let head = self.head.unpacked(&self.device).map_err(failed("head"))?;
        let mut sum = 0.0;
        for sample in &batch.samples {
            sum += self.sample_back((batch, sample, &head), &pairs, gradients, breathe)?;
        }
        Ok(sum)
    }

    fn losses(
        &mut self,
        batch: &Batch,
        strength: f32,
        breathe: Breathe<'_>,
    ) -> Result<Vec<f32>, TuneError> {
        let scale = strength * self.adapter.scale();
        self.sit(scale, None, false).map_err(failed("adapter"))?;
        let head = self.head.unpacked(&self.device).map_err(failed("head"))?;
        let mut losses = Vec::with_capacity(batch.learnt());
        for sample in &batch.samples {
            let ids = &batch.ids[sample.clone()];
            let (x, _) = self.forward(ids, breathe, &mut |_input, _output| {})?;
            for rows in self.learnt_chunks(batch, sample) {
                let nll = self.head_of((&x, &head), (batch, sample), &rows);
                let nll = nll.and_then(|(_, _, nll)| nll.to_vec1::<f32>());
                losses.extend(nll.map_err(failed("head"))?);
            }
        }
        Ok(losses)
    }

    fn memory_bytes(&self, batch_tokens: usize, recompute: bool) -> u64 {
        let &DecoderConfig { hidden, layers, heads, head_dim, ffn, vocab, .. } = self.config();
        // Every operation's output is kept until its block is done, and as much again stands for gradients.
        let block = batch_tokens * (12 * hidden + 8 * heads * head_dim + 8 * ffn)
            + 4 * heads * batch_tokens * batch_tokens;
        let kept = if recompute { layers * batch_tokens * hidden } else { layers * block };
        let logits = 6 * (batch_tokens * vocab).min(LOGITS.max(vocab));
        let unpacked = 2 * hidden * ffn.max(heads * head_dim) + vocab * hidden;
        let adapter = 3 * self.adapter.parameter_count();
        self.weights_bytes
            + size_of::<f32>() as u64 * ((kept + block + logits + unpacked) as u64 + adapter)
    }

    fn set_recompute(&mut self, recompute: bool) {
        self.recompute = recompute;
    }
}

fn check_adapter(config: &DecoderConfig, adapter: &Adapter) -> Result<(), AdapterError> {
    let other = |reason| AdapterError::OtherModel { reason };
    if adapter.layers().len() != config.layers {
        let reason = format!("{} layers, the model has {}", adapter.layers().len(), config.layers);
        return Err(other(reason));
    }
    for (layer, target, pair) in adapter.pairs() {
        if (pair.outputs(), pair.inputs()) != target_shape(config, target) {
            return Err(other(format!("{} of layer {layer}", target.name())));
        }
    }
    Ok(())
}

fn go_on(breathe: Breathe<'_>) -> Result<(), TuneError> {
    match breathe() {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TuneError::Cancelled),
    }
}

/// The tensor library's words name shapes and dtypes, never text.
fn failed(op: &'static str) -> impl Fn(candle_core::Error) -> TuneError {
    move |error| compute(op, error.to_string())
}

fn compute(op: &'static str, reason: String) -> TuneError {
    TuneError::Compute { op, reason }
}

#[cfg(test)]
mod tests;
