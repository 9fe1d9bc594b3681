//! A frozen matrix with pairs of an adapter beside it.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

use candle_core::{Result, Tensor};
use hearth_engine_api::Target;
use hearth_engine_candle::{lora::target_shape, models::DecoderConfig, weights::Product};

use super::frozen::Frozen;
use crate::learner::Dropout;

/// The adapter's numbers, and what is to be done with them just now; shared by all of a model's matrices.
#[derive(Default)]
pub(super) struct Seat(RwLock<Seated>);

#[derive(Clone, Default)]
struct Seated {
    pairs: BTreeMap<(usize, Target), (Tensor, Tensor)>,
    scale: f32,
    dropout: Option<Dropout>,
    first_row: usize,
}

impl Seat {
    /// Puts other numbers in place.
    pub(super) fn take(
        &self,
        pairs: BTreeMap<(usize, Target), (Tensor, Tensor)>,
        scale: f32,
        dropout: Option<Dropout>,
    ) {
        let mut seated = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *seated = Seated { pairs, scale, dropout, first_row: 0 };
    }

    /// What is computed next lies in its batch from `row` on.
    pub(super) fn start_at(&self, row: usize) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).first_row = row;
    }

    /// What `scale * B A` makes of `x`, if anything stands there.
    fn low_rank(&self, x: &Tensor, layer: usize, target: Target) -> Result<Option<Tensor>> {
        let seated = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some((a, b)) = seated.pairs.get(&(layer, target)).filter(|_| seated.scale != 0.0)
        else {
            return Ok(None);
        };
        let dropped;
        let x = match seated.dropout {
            Some(dropout) => {
                dropped = (x * factors(dropout, (layer, target), seated.first_row, x)?)?;
                &dropped
            }
            None => x,
        };
        let low = x.matmul(&a.t()?)?.matmul(&b.t()?)?;
        (low * f64::from(seated.scale)).map(Some)
    }
}

fn factors(
    dropout: Dropout,
    (layer, target): (usize, Target),
    first_row: usize,
    x: &Tensor,
) -> Result<Tensor> {
    let (rows, inputs) = x.dims2()?;
    let mut factors = vec![0.0; rows * inputs];
    for (row, factors) in factors.chunks_mut(inputs.max(1)).enumerate() {
        dropout.factors(layer, target, first_row + row, factors);
    }
    Tensor::from_vec(factors, (rows, inputs), x.device())
}

/// Rows of a matrix, and what they are.
type Rows = Vec<(Target, Range<usize>)>;

/// Which matrices have a place for adapters.
pub(super) struct Parts(BTreeMap<&'static str, Rows>);

/// A matrix's place in the model.
pub(super) struct Place {
    layer: usize,
    rows: Rows,
}

impl Parts {
    pub(super) fn of(config: &DecoderConfig) -> Self {
        let matrices: &[(&str, &[Target])] = &[
            ("self_attn.q_proj", &[Target::Q]),
            ("self_attn.k_proj", &[Target::K]),
            ("self_attn.v_proj", &[Target::V]),
            ("self_attn.qkv_proj", &[Target::Q, Target::K, Target::V]),
            ("self_attn.o_proj", &[Target::O]),
            ("mlp.gate_proj", &[Target::Gate]),
            ("mlp.up_proj", &[Target::Up]),
            ("mlp.gate_up_proj", &[Target::Gate, Target::Up]),
            ("mlp.down_proj", &[Target::Down]),
        ];
        let rows = |targets: &[Target]| {
            let mut start = 0;
            let row = |&target: &Target| {
                let end = start + target_shape(config, target).0;
                let rows = start..end;
                start = end;
                (target, rows)
            };
            targets.iter().map(row).collect()
        };
        Self(matrices.iter().map(|(name, targets)| (*name, rows(targets))).collect())
    }

    /// That of a matrix by Hugging Face's name.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
        let rows = self.0.get(part.strip_suffix(".weight")?)?.clone();
        Some(Place { layer: layer.parse().ok()?, rows })
    }
}

/// `W x + scale * B A x`.
pub(super) struct Beside {
    pub(super) frozen: Frozen,
    pub(super) place: Place,
    pub(super) seat: Arc<Seat>,
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").field("frozen", &self.frozen).finish_non_exhaustive()
    }
}

impl Product for Beside {
    fn project(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, seq, inputs) = x.dims3()?;
        let flat = x.reshape((batch * seq, inputs))?;
        let whole = self.frozen.product(&flat)?;
        let Place { layer, rows } = &self.place;
        let mut parts = Vec::with_capacity(rows.len());
        for (target, rows) in rows {
            let part = whole.narrow(1, rows.start, rows.len())?;
            parts.push(match self.seat.low_rank(&flat, *layer, *target)? {
                Some(low) => (part + low)?,
                None => part,
            });
        }
        let whole = Tensor::cat(&parts, 1)?;
        whole.reshape((batch, seq, whole.dim(1)?))
    }
}
