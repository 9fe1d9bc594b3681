//! Rotary position embedding.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::rotary_emb;

use super::{
    config::{DecoderConfig, RopeLayout, RopeScaling},
    differentiable,
    layers::Route,
};

/// Turns queries and keys by their position.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    /// Radians a position, `head_dim / 2` of them.
    frequencies: Vec<f64>,
    layout: RopeLayout,
}

/// Cosines and sines of consecutive positions, each `(seq, head_dim / 2)`.
pub(crate) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    pub(crate) fn new(config: &DecoderConfig) -> Self {
        Self::of(config, config.rope_theta, &config.rope_scaling)
    }

    /// That of local layers: the same, unless they have a base of their own, which is not stretched.
    pub(crate) fn local(config: &DecoderConfig) -> Self {
        match config.local_rope_theta {
            Some(theta) => Self::of(config, theta, &RopeScaling::None),
            None => Self::new(config),
        }
    }

    fn of(config: &DecoderConfig, theta: f64, scaling: &RopeScaling) -> Self {
        let half = config.head_dim / 2;
        let frequencies = (0..half)
            .map(|i| stretched(theta.powf(-(i as f64) / half as f64), i, scaling))
            .collect();
        Self { frequencies, layout: config.rope_layout }
    }

    /// Radians a position, `head_dim / 2` of them.
    pub(crate) fn frequencies(&self) -> &[f64] {
        &self.frequencies
    }

    /// Angles of the positions from `start` on.
    pub(crate) fn angles(&self, start: usize, count: usize, dtype: DType) -> Result<Angles> {
        let shape = (count, self.frequencies.len());
        let each = |f: fn(f64) -> f64| {
            let values: Vec<f64> = (start..start + count)
                .flat_map(|position| self.frequencies.iter().map(move |w| f(position as f64 * w)))
                .collect();
            Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
        };
        Ok(Angles { cos: each(f64::cos)?, sin: each(f64::sin)? })
    }

    /// Turns `x` of shape `(batch, heads, seq, head_dim)`, contiguous.
    pub(crate) fn apply(&self, x: &Tensor, angles: &Angles, route: Route) -> Result<Tensor> {
        let Angles { cos, sin } = angles;
        match (route, self.layout) {
            (Route::Fused, RopeLayout::HalfSplit) => rotary_emb::rope(x, cos, sin),
            (Route::Fused, RopeLayout::Interleaved) => rotary_emb::rope_i(x, cos, sin),
            (Route::Differentiable, layout) => differentiable::turn(x, cos, sin, layout),
        }
    }
}

fn stretched(frequency: f64, index: usize, scaling: &RopeScaling) -> f64 {
    match scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Factors(factors) => {
            frequency / factors.get(index).copied().map_or(1.0, f64::from)
        }
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_context_tokens,
        } => {
            let turns = *original_context_tokens as f64 * frequency / std::f64::consts::TAU;
            let kept =
                ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
            kept * frequency + (1.0 - kept) * frequency / factor
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_keeps_high_frequencies_and_divides_low_ones() {
        // Reference: `_compute_llama3_parameters` of transformers with the figures of Llama 3.2 1B.
        let scaling = RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context_tokens: 8192,
        };
        assert_eq!(stretched(1.0, 0, &scaling), 1.0);
        assert_eq!(stretched(1e-5, 0, &scaling), 1e-5 / 32.0);
        let middle = 2.0 * std::f64::consts::TAU / 8192.0; // two turns: a third of the way up
        let expected = middle / 3.0 + middle * 2.0 / 3.0 / 32.0;
        assert!((stretched(middle, 0, &scaling) - expected).abs() < 1e-12);
    }

    #[test]
    fn both_routes_turn_alike() {
        for layout in [RopeLayout::HalfSplit, RopeLayout::Interleaved] {
            let config =
                DecoderConfig { rope_layout: layout, ..DecoderConfig::llama(8, 16, 2, 8, 32) };
            let rope = Rope::new(&config);
            let x = Tensor::randn(0f32, 1.0, (2, 2, 5, 8), &Device::Cpu).unwrap();
            let angles = rope.angles(3, 5, DType::F32).unwrap();
            let fused = rope.apply(&x, &angles, Route::Fused).unwrap();
            let slow = rope.apply(&x, &angles, Route::Differentiable).unwrap();
            let gap = (fused - slow).unwrap().abs().unwrap().max_all().unwrap();
            assert!(gap.to_scalar::<f32>().unwrap() < 1e-6);
        }
    }
}
