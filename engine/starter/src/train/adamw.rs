//! The optimiser.

use candle_core::{Device, Tensor};
use hearth_engine_candle::models::DecoderConfig;

use super::{Vars, checkpoint::Checkpoint};
use crate::{error::StarterError, recipe::Schedule};

/// `AdamW` (Loshchilov and Hutter 2019) whose moments can be saved, which candle-nn's cannot.
pub(super) struct AdamW {
    /// Mean gradients, then mean squares, in the order of the variables.
    pub(super) moments: Vec<(Vec<f32>, Vec<f32>)>,
    pub(super) steps: u64,
}

impl AdamW {
    pub(super) fn new(vars: &Vars) -> Self {
        let zeros = |var: &candle_core::Var| vec![0.0; var.elem_count()];
        Self { moments: vars.iter().map(|(_, var)| (zeros(var), zeros(var))).collect(), steps: 0 }
    }

    pub(super) fn resume(
        config: &DecoderConfig,
        checkpoint: &Checkpoint,
    ) -> Result<Self, StarterError> {
        Ok(Self { moments: checkpoint.moments(config)?, steps: checkpoint.step })
    }

    /// Moves the variables against `gradients`, which are shortened in place; returns their former length.
    pub(super) fn step(
        &mut self,
        vars: &Vars,
        gradients: &mut [Vec<f32>],
        rate: f64,
        train: &Schedule,
    ) -> Result<f64, StarterError> {
        let squares: f64 = gradients.iter().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum();
        let norm = squares.sqrt();
        let shorten = if norm > train.clip { (train.clip / norm) as f32 } else { 1.0 };
        self.steps += 1;
        let power = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction1 = (1.0 - train.beta1.powi(power)) as f32;
        let correction2 = (1.0 - train.beta2.powi(power)) as f32;
        let (beta1, beta2) = (train.beta1 as f32, train.beta2 as f32);
        for (((_, var), gradient), (mean, square)) in
            vars.iter().zip(gradients).zip(&mut self.moments)
        {
            // Norms are not drawn towards zero.
            let decay = if var.rank() > 1 { (1.0 - rate * train.weight_decay) as f32 } else { 1.0 };
            let mut values = var.flatten_all()?.to_vec1::<f32>()?;
            for (((value, g), mean), square) in
                values.iter_mut().zip(gradient.iter_mut()).zip(mean).zip(square)
            {
                *g *= shorten;
                *mean = beta1 * *mean + (1.0 - beta1) * *g;
                *square = beta2 * *square + (1.0 - beta2) * *g * *g;
                let step = *mean / correction1 / ((*square / correction2).sqrt() + 1e-8);
                *value = *value * decay - rate as f32 * step;
            }
            var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?;
        }
        Ok(norm)
    }
}
