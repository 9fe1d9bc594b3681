//! The optimiser.

use hearth_engine_api::TuneSettings;
use hearth_engine_candle::lora::Adapter;

/// `AdamW` (Loshchilov and Hutter 2019): mean and mean square of the gradients steer the step, and the decay is apart from
/// them. All in 32-bit floats, in PyTorch's order of operations.
#[derive(Clone)]
pub(crate) struct AdamW {
    pub(crate) mean: Adapter,
    pub(crate) square: Adapter,
}

impl AdamW {
    pub(crate) fn new(adapter: &Adapter) -> Self {
        Self { mean: adapter.zeros_like(), square: adapter.zeros_like() }
    }

    /// Takes step `step`, counted from 1, of size `rate` against `gradients`, whose numbers count `shorten`.
    pub(crate) fn step(
        &mut self,
        adapter: &mut Adapter,
        gradients: &Adapter,
        shorten: f32,
        (step, rate): (u32, f64),
        settings: &TuneSettings,
    ) {
        let (beta1, beta2) = (settings.beta1, settings.beta2);
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(power);
        let size = (rate / correction(beta1)) as f32;
        let root = correction(beta2).sqrt() as f32;
        let decay = (1.0 - rate * f64::from(settings.weight_decay)) as f32;
        let moments = self.mean.parameters_mut().zip(self.square.parameters_mut());
        for ((values, gradients), (means, squares)) in
            adapter.parameters_mut().zip(gradients.parameters()).zip(moments)
        {
            for (((value, gradient), mean), square) in
                values.iter_mut().zip(gradients).zip(means).zip(squares)
            {
                let gradient = gradient * shorten;
                *value *= decay;
                *mean += (gradient - *mean) * (1.0 - beta1);
                *square = *square * beta2 + gradient * gradient * (1.0 - beta2);
                *value -= size * *mean / (square.sqrt() / root + settings.epsilon);
            }
        }
    }
}

/// The length of a gradient, and what its numbers are multiplied by to be no longer than the settings allow.
pub(crate) fn clip(gradients: &Adapter, settings: &TuneSettings) -> (f32, f32) {
    let squares: f64 =
        gradients.parameters().flatten().map(|g| f64::from(*g) * f64::from(*g)).sum();
    let norm = squares.sqrt() as f32;
    let limit = settings.clip_norm;
    let shorten = if limit > 0.0 && norm > limit { limit / (norm + 1e-6) } else { 1.0 };
    (norm, shorten)
}

#[cfg(test)]
mod tests;
