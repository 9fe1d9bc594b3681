//! From the vectors of tokens to that of a text.

use candle_core::Tensor;
use hearth_engine_api::{EngineError, Pooling};

use crate::compute_error;

/// How it is done.
pub(super) struct Pooler {
    pub(super) pooling: Pooling,
    pub(super) normalised: bool,
    pub(super) dimensions: usize,
}

impl Pooler {
    /// One vector for each row of `states` `(rows, longest, dimensions)`, of whose tokens the first `lengths` count.
    pub(super) fn pool(
        &self,
        states: &Tensor,
        lengths: impl Iterator<Item = usize>,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let row_len = states.dim(1).map_err(|e| compute_error("pooling", &e))? * self.dimensions;
        let numbers: Vec<f32> = states
            .flatten_all()
            .and_then(|flat| flat.to_vec1())
            .map_err(|error| compute_error("pooling", &error))?;
        let rows = numbers.chunks_exact(row_len.max(1)).zip(lengths);
        rows.map(|(row, tokens)| {
            let taken = match self.pooling {
                Pooling::Cls => 1,
                _ => tokens,
            };
            let parts = row.chunks_exact(self.dimensions).take(taken).map(|token| (1, token));
            self.finished(weighted_mean(parts, self.dimensions))
        })
        .collect()
    }

    /// The vector of a text, from those of its windows and their sizes.
    pub(super) fn join(&self, mut parts: Vec<(usize, Vec<f32>)>) -> Result<Vec<f32>, EngineError> {
        if parts.len() == 1 {
            return Ok(parts.swap_remove(0).1);
        }
        let windows = parts.iter().map(|(tokens, vector)| (*tokens, vector.as_slice()));
        self.finished(weighted_mean(windows, self.dimensions))
    }

    fn finished(&self, vector: Vec<f64>) -> Result<Vec<f32>, EngineError> {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        let scale = if self.normalised { 1.0 / length } else { 1.0 };
        let vector: Vec<f32> = vector.into_iter().map(|x| (x * scale) as f32).collect();
        if vector.iter().all(|x| x.is_finite()) {
            return Ok(vector);
        }
        let reason = format!("a vector of length {length}; the weights may be damaged");
        Err(EngineError::Compute { op: "pooling", reason })
    }
}

fn weighted_mean<'a>(
    parts: impl Iterator<Item = (usize, &'a [f32])>,
    dimensions: usize,
) -> Vec<f64> {
    let mut sum = vec![0f64; dimensions];
    let mut weights = 0.0;
    for (weight, part) in parts {
        let weight = weight as f64;
        weights += weight;
        for (sum, x) in sum.iter_mut().zip(part) {
            *sum += weight * f64::from(*x);
        }
    }
    sum.iter_mut().for_each(|x| *x /= weights);
    sum
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn pooler(pooling: Pooling, normalised: bool) -> Pooler {
        Pooler { pooling, normalised, dimensions: 2 }
    }

    #[test]
    fn padding_does_not_count() {
        let states = [[[3f32, 0.0], [1.0, 8.0], [9.0, 9.0]], [[0.0, 2.0]; 3]];
        let states = Tensor::new(&states, &Device::Cpu).unwrap();
        let pool = |pooling, normalised| {
            pooler(pooling, normalised).pool(&states, [2, 3].into_iter()).unwrap()
        };
        assert_eq!(pool(Pooling::Mean, false), [[2.0, 4.0], [0.0, 2.0]]);
        assert_eq!(pool(Pooling::Cls, false), [[3.0, 0.0], [0.0, 2.0]]);
        assert_eq!(pool(Pooling::Cls, true), [[1.0, 0.0], [0.0, 1.0]]);
    }

    #[test]
    fn windows_weigh_by_their_tokens() {
        let parts = vec![(3, vec![1.0, 0.0]), (1, vec![0.0, 1.0])];
        assert_eq!(pooler(Pooling::Mean, false).join(parts).unwrap(), [0.75, 0.25]);
    }

    #[test]
    fn a_vector_without_a_direction_is_an_error() {
        for x in [0.0, f32::NAN, f32::INFINITY] {
            let states = Tensor::new(&[[[x, 0.0]]], &Device::Cpu).unwrap();
            let refused = pooler(Pooling::Mean, true).pool(&states, [1].into_iter());
            assert!(matches!(refused, Err(EngineError::Compute { .. })), "{x}: {refused:?}");
        }
    }
}
