//! Rotary position embedding.

use candle_core::{Device, Result, Tensor};
use candle_nn::rotary_emb;

use super::{
    config::{DecoderConfig, RopeLayout, RopeScaling},
    differentiable,
    layers::Route,
};

/// Turns queries and keys by their position.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    /// Radians a position, one for each pair that is turned.
    frequencies: Vec<f64>,
    magnitude: f64,
    layout: RopeLayout,
}

/// Cosines and sines of consecutive positions times the magnitude, each `(seq, rotary_dim / 2)`.
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
        let half = config.rotary_dim() / 2;
        let plain = |i: usize| theta.powf(-(i as f64) / half as f64);
        let (scaling, magnitude) = match scaling {
            RopeScaling::Long { short, long, original_context_tokens, magnitude } => {
                let is_long = config.context_tokens > *original_context_tokens;
                let divisors = if is_long { long } else { short };
                (&RopeScaling::Factors(divisors.clone()), *magnitude)
            }
            other => (other, 1.0),
        };
        let frequencies = (0..half).map(|i| stretched(plain(i), i, scaling)).collect();
        Self { frequencies, magnitude, layout: config.rope_layout }
    }

    /// Radians a position, one for each pair that is turned.
    pub(crate) fn frequencies(&self) -> &[f64] {
        &self.frequencies
    }

    /// What is turned is also multiplied by this.
    pub(crate) const fn magnitude(&self) -> f64 {
        self.magnitude
    }

    /// Angles of the positions from `start` on, with numbers as in `like` and where it lies.
    pub(crate) fn angles(&self, start: usize, count: usize, like: &Tensor) -> Result<Angles> {
        let shape = (count, self.frequencies.len());
        let each = |f: fn(f64) -> f64| {
            let values: Vec<f64> = (start..start + count)
                .flat_map(|position| {
                    let turned = move |w: &f64| self.magnitude() * f(position as f64 * w);
                    self.frequencies.iter().map(turned)
                })
                .collect();
            Tensor::from_vec(values, shape, &Device::Cpu)?
                .to_dtype(like.dtype())?
                .to_device(like.device())
        };
        Ok(Angles { cos: each(f64::cos)?, sin: each(f64::sin)? })
    }

    /// Turns `x` of shape `(batch, heads, seq, head_dim)`, contiguous.
    pub(crate) fn apply(&self, x: &Tensor, angles: &Angles, route: Route) -> Result<Tensor> {
        let (size, turned) = (x.dim(3)?, 2 * self.frequencies.len());
        if turned == size {
            return self.apply_whole(x, angles, route);
        }
        let rest = x.narrow(3, turned, size - turned)?;
        let turned = self.apply_whole(&x.narrow(3, 0, turned)?.contiguous()?, angles, route)?;
        Tensor::cat(&[turned, rest], 3)
    }

    fn apply_whole(&self, x: &Tensor, angles: &Angles, route: Route) -> Result<Tensor> {
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
        // The parts of LongRoPE are taken apart before.
        RopeScaling::None | RopeScaling::Long { .. } => frequency,
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
    fn long_contexts_have_divisors_of_their_own() {
        // 131072 tokens after 4096, as Phi-3.5 mini; reference: `_compute_longrope_parameters` of transformers.
        let scaling =
            RopeScaling::long((vec![1.0; 4], vec![2.0, 4.0, 8.0, 16.0]), (4096, 131_072), None);
        let of = |context_tokens| {
            let base = DecoderConfig::llama(8, 16, 2, 8, context_tokens);
            Rope::new(&DecoderConfig { rope_scaling: scaling.clone(), ..base })
        };
        let (short, long) = (of(4096), of(4097));
        assert_eq!(long.frequencies[0], short.frequencies[0] / 2.0);
        assert_eq!(long.frequencies[3], short.frequencies[3] / 16.0);
        assert_eq!(short.magnitude(), long.magnitude());
        assert!((long.magnitude() - 1.190_238).abs() < 1e-6);
    }

    #[test]
    fn both_routes_turn_alike() {
        for layout in [RopeLayout::HalfSplit, RopeLayout::Interleaved] {
            let config =
                DecoderConfig { rope_layout: layout, ..DecoderConfig::llama(8, 16, 2, 8, 32) };
            let rope = Rope::new(&config);
            let x = Tensor::randn(0f32, 1.0, (2, 2, 5, 8), &Device::Cpu).unwrap();
            let angles = rope.angles(3, 5, &x).unwrap();
            let fused = rope.apply(&x, &angles, Route::Fused).unwrap();
            let slow = rope.apply(&x, &angles, Route::Differentiable).unwrap();
            let gap = (fused - slow).unwrap().abs().unwrap().max_all().unwrap();
            assert!(gap.to_scalar::<f32>().unwrap() < 1e-6);
        }
    }
}
