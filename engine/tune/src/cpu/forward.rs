//! The way there.

use std::sync::OnceLock;

use hearth_engine_api::Target;
use hearth_engine_candle::cpu::Linear;
use hearth_engine_kernels::{
    ShapeError, add, rms_norm,
    train::{Qkv, attention},
};

use super::{
    memory::{Dropped, Kept, Reduced, Scratch, sized},
    pass::{Map, Pass},
    place_of,
};

/// The end of one half of a layer: a map back to the stream.
struct Join<'a> {
    target: Target,
    linear: &'a Linear,
    /// Norm of what is added to the stream, in families that have one there.
    norm: Option<&'a [f32]>,
    input: &'a [f32],
    stream: &'a [f32],
}

impl Pass<'_> {
    pub(super) fn embed(&self, ids: &[u32], out: &mut [f32]) -> Result<(), ShapeError> {
        const ROWS_AT_ONCE: usize = 8;
        let (width, scale) = (self.config.hidden, self.config.embedding_scale as f32);
        let embedding = &self.weights.embedding;
        let failure = OnceLock::new();
        self.team.rows_mut(out, width, ROWS_AT_ONCE, &|first, rows| {
            for (row, &id) in rows.chunks_exact_mut(width).zip(&ids[first..]) {
                if let Err(error) = embedding.dequantize_row(id as usize, row) {
                    failure.get_or_init(|| error);
                }
                if scale != 1.0 {
                    row.iter_mut().for_each(|number| *number *= scale);
                }
            }
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    /// One layer, from the stream `x` to the stream `out`. Without `out` the layer runs only for the sake of what it keeps.
    pub(super) fn layer(
        &mut self,
        index: usize,
        x: &[f32],
        kept: &mut Kept,
        scratch: &mut Scratch,
        out: Option<&mut [f32]>,
    ) -> Result<(), ShapeError> {
        self.attend(index, x, kept, scratch)?;
        self.feed_forward(index, kept, scratch, x.len(), out)
    }

    fn attend(
        &mut self,
        index: usize,
        x: &[f32],
        kept: &mut Kept,
        scratch: &mut Scratch,
    ) -> Result<(), ShapeError> {
        let layer = &self.weights.layers[index];
        let rows = x.len() / self.config.hidden;
        let (wide, narrow) = self.widths();
        let Scratch { normed, q, k, dropped, .. } = scratch;
        let normed = sized(normed, x.len());
        rms_norm(self.team, x, &layer.attention_norm, self.eps(), normed);
        let Kept { q: kept_q, k: kept_k, v, reduced, .. } = &mut *kept;
        let maps = [
            (Target::Q, &layer.q, sized(kept_q, rows * wide)),
            (Target::K, &layer.k, sized(kept_k, rows * narrow)),
            (Target::V, &layer.v, sized(v, rows * narrow)),
        ];
        let maps = maps.map(|(target, linear, out)| Map {
            target,
            matrix: &linear.weight,
            bias: linear.bias.as_deref(),
            out,
            add: false,
        });
        self.map(index, normed, maps, (reduced, dropped))?;
        let (q, k) = (sized(q, rows * wide), sized(k, rows * narrow));
        self.turn(layer, kept, q, k);
        let Kept { v, attended, logsumexp, middle, attention_out, reduced, .. } = kept;
        let attended = sized(attended, rows * wide);
        attention(
            self.team,
            &self.attention_config(layer),
            self.samples,
            Qkv { q, k, v: &v[..rows * narrow] },
            attended,
            sized(logsumexp, rows * self.config.heads),
        );
        let join = Join {
            target: Target::O,
            linear: &layer.output,
            norm: layer.attention_post_norm.as_deref(),
            input: attended,
            stream: x,
        };
        let out = sized(middle, x.len());
        self.join(index, &join, (attention_out, normed), (reduced, dropped), out)
    }

    fn feed_forward(
        &mut self,
        index: usize,
        kept: &mut Kept,
        scratch: &mut Scratch,
        len: usize,
        out: Option<&mut [f32]>,
    ) -> Result<(), ShapeError> {
        let layer = &self.weights.layers[index];
        let rows = len / self.config.hidden;
        let Scratch { normed, ffn: [gated, ..], dropped, .. } = scratch;
        let normed = sized(normed, len);
        let Kept { middle, gate, up, reduced, .. } = &mut *kept;
        rms_norm(self.team, &middle[..len], &layer.ffn_norm, self.eps(), normed);
        let maps = [
            (Target::Gate, &layer.gate, sized(gate, rows * self.config.ffn)),
            (Target::Up, &layer.up, sized(up, rows * self.config.ffn)),
        ];
        let maps =
            maps.map(|(target, matrix, out)| Map { target, matrix, bias: None, out, add: false });
        self.map(index, normed, maps, (reduced, dropped))?;
        let norm = layer.ffn_post_norm.as_deref();
        let low_rank = self.beside(index, Target::Down);
        if out.is_none() && norm.is_none() && low_rank.is_none() {
            return Ok(());
        }
        let gated = self.gated(kept, rows, gated);
        let Kept { middle, ffn_out, reduced, .. } = kept;
        let (stream, linear) = (&middle[..len], &layer.down);
        let join = Join { target: Target::Down, linear, norm, input: gated, stream };
        match (out, low_rank) {
            (Some(out), _) => self.join(index, &join, (ffn_out, normed), (reduced, dropped), out),
            (None, _) if norm.is_some() => {
                let out = sized(ffn_out, len);
                self.map(index, gated, [join.map(out, false)], (reduced, dropped))
            }
            (None, Some(low_rank)) => {
                low_rank.reduce(gated, &mut reduced[place_of(Target::Down)], dropped)
            }
            (None, None) => Ok(()),
        }
    }

    /// The stream with the product added, by way of a norm in families that have one there.
    fn join(
        &mut self,
        index: usize,
        join: &Join<'_>,
        (before_norm, normed): (&mut Vec<f32>, &mut [f32]),
        memory: (&mut Reduced, &mut Dropped),
        out: &mut [f32],
    ) -> Result<(), ShapeError> {
        out.copy_from_slice(join.stream);
        let Some(norm) = join.norm else {
            return self.map(index, join.input, [join.map(out, true)], memory);
        };
        let before_norm = sized(before_norm, out.len());
        self.map(index, join.input, [join.map(before_norm, false)], memory)?;
        rms_norm(self.team, before_norm, norm, self.eps(), normed);
        add(self.team, normed, out);
        Ok(())
    }
}

impl<'a> Join<'a> {
    fn map<'b>(&self, out: &'b mut [f32], add: bool) -> Map<'b>
    where
        'a: 'b,
    {
        Map {
            target: self.target,
            matrix: &self.linear.weight,
            bias: self.linear.bias.as_deref(),
            out,
            add,
        }
    }
}
