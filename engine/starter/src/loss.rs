//! The loss: weighted cross-entropy with a backward of its own.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// The sum over rows of `weight * -ln softmax(logits)[target]`.
///
/// One pass over the logits instead of the six that the composed operations take.
pub(crate) struct WeightedCrossEntropy {
    pub(crate) targets: Vec<u32>,
    pub(crate) weights: Vec<f32>,
}

impl WeightedCrossEntropy {
    /// `(rows, vocab)` contiguous F32 to a scalar.
    pub(crate) fn apply(self, logits: &Tensor) -> Result<Tensor> {
        logits.contiguous()?.apply_op1(self)
    }

    fn check(&self, rows: usize, vocab: usize) -> Result<()> {
        if self.targets.len() != rows || self.weights.len() != rows {
            bail!("{rows} rows of logits for {} targets", self.targets.len())
        }
        match self.targets.iter().find(|target| **target as usize >= vocab) {
            Some(target) => bail!("target {target} lies outside a vocabulary of {vocab}"),
            None => Ok(()),
        }
    }
}

impl CustomOp1 for WeightedCrossEntropy {
    fn name(&self) -> &'static str {
        "weighted-cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, vocab) = layout.shape().dims2()?;
        self.check(rows, vocab)?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("logits are not contiguous")
        };
        let logits = &storage.as_slice::<f32>()?[start..end];
        let mut sum = 0f64;
        for ((row, target), weight) in
            logits.chunks_exact(vocab).zip(&self.targets).zip(&self.weights)
        {
            if *weight != 0.0 {
                let (top, total) = normaliser(row);
                let nll = top + total.ln() - row[*target as usize];
                sum += f64::from(*weight) * f64::from(nll);
            }
        }
        Ok((CpuStorage::F32(vec![sum as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        let (rows, vocab) = logits.dims2()?;
        let scale = upstream.to_scalar::<f32>()?;
        let mut gradient = logits.flatten_all()?.to_vec1::<f32>()?;
        for ((row, target), weight) in
            gradient.chunks_exact_mut(vocab).zip(&self.targets).zip(&self.weights)
        {
            let weight = weight * scale;
            if weight == 0.0 {
                row.fill(0.0);
                continue;
            }
            let (top, total) = normaliser(row);
            for value in row.iter_mut() {
                *value = (*value - top).exp() / total * weight;
            }
            row[*target as usize] -= weight;
        }
        Tensor::from_vec(gradient, (rows, vocab), logits.device()).map(Some)
    }
}

/// The largest logit, and the sum of exponentials once it is taken off.
fn normaliser(row: &[f32]) -> (f32, f32) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (top, row.iter().map(|logit| (logit - top).exp()).sum())
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn value_and_gradient_match_the_composed_operations() {
        let var = Var::randn(0f32, 2.0, (6, 11), &Device::Cpu).unwrap();
        let targets = vec![3u32, 0, 10, 5, 5, 1];
        let weights = vec![1.0f32, 0.5, 0.0, 2.0, 1.0, 0.1];
        let ours = WeightedCrossEntropy { targets: targets.clone(), weights: weights.clone() };
        let loss = ours.apply(var.as_tensor()).unwrap();

        let logp = candle_nn::ops::log_softmax(var.as_tensor(), 1).unwrap();
        let index = Tensor::from_vec(targets, (6, 1), &Device::Cpu).unwrap();
        let picked = logp.gather(&index, 1).unwrap().flatten_all().unwrap();
        let weights = Tensor::from_vec(weights, 6, &Device::Cpu).unwrap();
        let composed = (picked * weights).unwrap().sum_all().unwrap().neg().unwrap();

        let difference = |a: &Tensor, b: &Tensor| {
            let gap = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
            gap.max(0).unwrap().to_scalar::<f32>().unwrap()
        };
        assert!(difference(&loss.unsqueeze(0).unwrap(), &composed.unsqueeze(0).unwrap()) < 1e-5);
        let ours = loss.backward().unwrap().remove(&var).unwrap();
        let theirs = composed.backward().unwrap().remove(&var).unwrap();
        assert!(difference(&ours, &theirs) < 1e-6);
    }
}
