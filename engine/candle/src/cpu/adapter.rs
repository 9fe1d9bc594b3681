//! Adapters beside the weights.
//!
//! What an adapter adds to a row depends on that row and the adapters it runs with alone: the sums of the kernels are
//! canonical, and a row's adapters are added in the order of their slots.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hearth_engine_api::{AdapterError, AdapterSlot, Target};
use hearth_engine_kernels::{
    Format, LowRank, LowRankFormat, LowRankPart, LowRankProduct, LowRankRow, Matrix, ShapeError,
    Team, add_low_rank,
};

use super::{Step, scratch::Piece, weights::Weights};
use crate::lora::Adapter;

/// An adapter made ready for one model.
pub struct CpuAdapter {
    slot: AdapterSlot,
    /// Tells adapters apart for as long as the program runs, whatever slots they had.
    serial: u64,
    scale: f32,
    layers: Vec<BTreeMap<Target, LowRank>>,
}

/// An adapter that a step runs with.
#[derive(Debug)]
pub struct Applied<A = CpuAdapter> {
    /// Which. A step has each at most once.
    pub adapter: Arc<A>,
    /// What its part is multiplied by.
    pub strength: f32,
}

impl<A> Clone for Applied<A> {
    fn clone(&self) -> Self {
        Self { adapter: Arc::clone(&self.adapter), strength: self.strength }
    }
}

impl CpuAdapter {
    /// Lays out what stands beside `weights`, as exact as these are at least.
    pub(super) fn new(
        slot: AdapterSlot,
        adapter: &Adapter,
        weights: &Weights,
    ) -> Result<Self, AdapterError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let other_model = |reason| AdapterError::OtherModel { reason };
        if adapter.layers().len() != weights.layers.len() {
            return Err(other_model(format!(
                "it has {} layers, the model {}",
                adapter.layers().len(),
                weights.layers.len()
            )));
        }
        let mut layers: Vec<BTreeMap<Target, LowRank>> =
            weights.layers.iter().map(|_layer| BTreeMap::new()).collect();
        for (index, target, pair) in adapter.pairs() {
            let Some(matrix) = weights.layers.get(index).map(|layer| layer.matrix(target)) else {
                continue;
            };
            let shape = (pair.outputs(), pair.inputs());
            if shape != (matrix.rows(), matrix.columns()) {
                return Err(other_model(format!(
                    "{} of layer {index} is {} x {}, the model's {} x {}",
                    target.name(),
                    shape.0,
                    shape.1,
                    matrix.rows(),
                    matrix.columns()
                )));
            }
            let pair = LowRank::new((&pair.a, &pair.b), pair.rank(), shape, format_beside(matrix))
                .map_err(|error| AdapterError::Malformed { reason: error.to_string() })?;
            if let Some(layer) = layers.get_mut(index) {
                layer.insert(target, pair);
            }
        }
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { slot, serial, scale: adapter.scale(), layers })
    }

    /// Whether it stands beside such weights.
    pub(super) fn fits(&self, weights: &Weights) -> bool {
        let layers = self.layers.iter().zip(&weights.layers);
        self.layers.len() == weights.layers.len()
            && layers.into_iter().all(|(pairs, layer)| {
                pairs.iter().all(|(&target, pair)| pair.fits(layer.matrix(target)))
            })
    }

    /// Memory it takes.
    pub fn bytes_len(&self) -> usize {
        self.layers.iter().flat_map(BTreeMap::values).map(LowRank::bytes_len).sum()
    }
}

/// What an adapter learnt is nobody's to read.
impl std::fmt::Debug for CpuAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuAdapter").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// Beside weights that were rounded themselves 16 bits are plenty.
fn format_beside(matrix: &Matrix) -> LowRankFormat {
    match matrix.format() {
        Format::F32 => LowRankFormat::F32,
        _ => LowRankFormat::F16,
    }
}

/// The adapters of a pass, each with the rows it is applied to.
#[derive(Default)]
pub(super) struct Adapted<'a> {
    adapters: Vec<(&'a CpuAdapter, Vec<LowRankRow>)>,
}

impl<'a> Adapted<'a> {
    /// Those of the rows of `pieces`, of each piece its last `rows_of` rows.
    pub(super) fn of(
        steps: &[Step<'a>],
        pieces: &[Piece],
        rows_of: impl Fn(&Piece) -> usize,
    ) -> Self {
        let mut adapters: Vec<(&CpuAdapter, Vec<LowRankRow>)> = Vec::new();
        let mut first = 0;
        for piece in pieces {
            let rows = first..first + rows_of(piece);
            first = rows.end;
            let applied = steps.get(piece.step).map_or(&[][..], |step| step.adapters);
            for Applied { adapter, strength } in applied {
                let factor = strength * adapter.scale;
                let rows = rows.clone().map(|row| LowRankRow { row, factor });
                match adapters.iter_mut().find(|(known, _)| known.serial == adapter.serial) {
                    Some((_, known)) => known.extend(rows),
                    None => adapters.push((adapter, rows.collect())),
                }
            }
        }
        adapters.sort_by_key(|(adapter, _)| (adapter.slot, adapter.serial));
        Self { adapters }
    }

    /// Adds what the adapters have beside some targets of a layer, of which the same rows `x` `(rows, columns)` were
    /// multiplied, to their results.
    pub(super) fn add(
        &self,
        team: &Team,
        layer: usize,
        (x, columns): (&[f32], usize),
        results: &mut [(Target, &mut [f32])],
        sums: &mut Vec<f32>,
    ) -> Result<(), ShapeError> {
        if self.adapters.is_empty() {
            return Ok(());
        }
        let beside = |target: Target| -> Vec<LowRankPart<'_>> {
            let parts = self.adapters.iter().filter_map(|(adapter, rows)| {
                let pair = adapter.layers.get(layer)?.get(&target)?;
                Some(LowRankPart { pair, rows })
            });
            parts.collect()
        };
        let parts: Vec<_> = results.iter().map(|(target, _)| beside(*target)).collect();
        let mut products: Vec<_> = parts
            .iter()
            .zip(results)
            .map(|(parts, (_, out))| LowRankProduct { parts, out })
            .collect();
        add_low_rank(team, x, columns, &mut products, sums)
    }
}
