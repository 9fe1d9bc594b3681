//! What all parts of a pass share: the model, the batch, and linear maps with adapters beside them.

use std::ops::Range;

use hearth_engine_api::Target;
use hearth_engine_candle::{
    cpu::{Layer, Rotary, Weights},
    lora::Adapter,
    models::{Activation, DecoderConfig},
};
use hearth_engine_kernels::{
    AttentionConfig, Matrix, Product, ShapeError, Team, geglu_tanh, rms_norm_heads, swiglu,
    train::Frozen,
};

use super::{
    low_rank::LowRank,
    memory::{Dropped, Kept, Reduced, sized},
    place_of,
};
use crate::learner::Dropout;

/// A pass under way.
pub(super) struct Pass<'a> {
    pub(super) config: &'a DecoderConfig,
    pub(super) weights: &'a Weights,
    pub(super) rotary: &'a Rotary,
    pub(super) team: &'a Team,
    pub(super) adapter: &'a Adapter,
    /// What `B A x` is multiplied by; 0 leaves the adapter out.
    pub(super) scale: f32,
    pub(super) dropout: Option<Dropout>,
    pub(super) samples: &'a [Range<usize>],
    pub(super) frozen: &'a mut Frozen,
}

/// A linear map of a layer, and where its outputs go.
pub(super) struct Map<'a> {
    pub(super) target: Target,
    pub(super) matrix: &'a Matrix,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) out: &'a mut [f32],
    /// Whether outputs are added to what is there.
    pub(super) add: bool,
}

impl<'a> Pass<'a> {
    /// Several maps of `x`, adapters and biases included.
    pub(super) fn map<const N: usize>(
        &mut self,
        layer: usize,
        x: &[f32],
        mut maps: [Map<'_>; N],
        (reduced, dropped): (&mut Reduced, &mut Dropped),
    ) -> Result<(), ShapeError> {
        let mut products = maps.each_mut().map(|map| Product {
            matrix: map.matrix,
            out: &mut *map.out,
            add: map.add,
        });
        self.frozen.forward(self.team, x, &mut products)?;
        for Map { target, bias, out, .. } in maps {
            if let Some(bias) = bias {
                add_bias(self.team, bias, out);
            }
            if let Some(low_rank) = self.beside(layer, target) {
                let reduced = &mut reduced[place_of(target)];
                low_rank.reduce(x, reduced, dropped)?;
                low_rank.expand(reduced, out)?;
            }
        }
        Ok(())
    }

    /// The adapter beside a matrix, where there is one and it counts.
    pub(super) fn beside(&self, layer: usize, target: Target) -> Option<LowRank<'a>> {
        if self.scale == 0.0 {
            return None;
        }
        let pair = self.adapter.pair(layer, target)?;
        let &Self { team, scale, dropout, .. } = self;
        Some(LowRank { pair, team, scale, place: (layer, target), dropout })
    }

    /// Queries and keys as attention takes them: normed, in families that do so, and turned.
    pub(super) fn turn(&self, layer: &Layer, kept: &Kept, q: &mut [f32], k: &mut [f32]) {
        let &Self { config, team, rotary, .. } = self;
        q.copy_from_slice(&kept.q[..q.len()]);
        k.copy_from_slice(&kept.k[..k.len()]);
        if let Some((q_norm, k_norm)) = &layer.head_norms {
            rms_norm_heads(team, q, q_norm, config.rms_eps as f32);
            rms_norm_heads(team, k, k_norm, config.rms_eps as f32);
        }
        let is_local = layer.window.is_some();
        rotary.apply(team, q, config.heads, is_local);
        rotary.apply(team, k, config.kv_heads, is_local);
    }

    /// What goes into the map back to the stream's width.
    pub(super) fn gated<'b>(&self, kept: &Kept, rows: usize, out: &'b mut Vec<f32>) -> &'b [f32] {
        let len = rows * self.config.ffn;
        let out = sized(out, len);
        out.copy_from_slice(&kept.gate[..len]);
        match self.config.activation {
            Activation::Silu => swiglu(self.team, &kept.up[..len], out),
            Activation::GeluTanh => geglu_tanh(self.team, &kept.up[..len], out),
        }
        out
    }

    pub(super) fn attention_config(&self, layer: &Layer) -> AttentionConfig {
        let config = self.config;
        AttentionConfig {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            scale: config.attention_scale() as f32,
            softcap: config.attention_softcap.map(|cap| cap as f32),
            window: layer.window,
        }
    }

    pub(super) const fn eps(&self) -> f32 {
        self.config.rms_eps as f32
    }

    /// Numbers in a row of queries, and in one of keys.
    pub(super) const fn widths(&self) -> (usize, usize) {
        let &DecoderConfig { heads, kv_heads, head_dim, .. } = self.config;
        (heads * head_dim, kv_heads * head_dim)
    }
}

fn add_bias(team: &Team, bias: &[f32], out: &mut [f32]) {
    const ROWS_AT_ONCE: usize = 16;
    team.rows_mut(out, bias.len(), ROWS_AT_ONCE, &|_first, rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(number, bias)| *number += bias);
        }
    });
}
