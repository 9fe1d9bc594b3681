//! One pass over all weights for the rows of several sequences.
//!
//! What is computed for a row depends on nothing but the tokens before it in its sequence: every kernel combines the
//! numbers of a row in one order, whatever other rows there are.

use std::{ops::Range, sync::OnceLock};

use hearth_engine_api::{EngineError, Target};
use hearth_engine_kernels::{
    AttentionConfig, Forms, Product, Segment, ShapeError, Team, add, attention, geglu_tanh, matmul,
    rms_norm, rms_norm_heads, softcap, swiglu,
};

use super::{
    Step,
    adapter::Adapted,
    rotary::Rotary,
    scratch::{Scratch, sized},
    weights::{Layer, Linear, Weights},
};
use crate::models::{Activation, DecoderConfig};

/// A pass under way.
pub(super) struct Pass<'p, 's> {
    config: &'p DecoderConfig,
    weights: &'p Weights,
    team: &'p Team,
    rotary: &'p mut Rotary,
    scratch: &'p mut Scratch,
    /// With their rows in the scratch memory.
    adapted: Adapted<'s>,
}

impl<'p, 's> Pass<'p, 's> {
    /// One over the pieces laid out in the scratch memory.
    pub(super) fn new(
        (config, weights, team): (&'p DecoderConfig, &'p Weights, &'p Team),
        (rotary, scratch): (&'p mut Rotary, &'p mut Scratch),
        steps: &[Step<'s>],
    ) -> Self {
        let adapted = Adapted::of(steps, &scratch.pieces, |piece| piece.tokens);
        Self { config, weights, team, rotary, scratch, adapted }
    }

    /// Runs the pieces laid out in the scratch memory, and puts the logits of the wanted rows into `logits`.
    pub(super) fn run(
        &mut self,
        steps: &mut [Step<'s>],
        logits: &mut [f32],
    ) -> Result<(), EngineError> {
        let rows = self.gather(steps);
        self.rotary.turn_to(&self.scratch.positions);
        self.embed(rows).map_err(|error| compute("the embedding", &error))?;
        let weights = self.weights;
        let Some((last, others)) = weights.layers.split_last() else { return Ok(()) };
        for (index, layer) in others.iter().enumerate() {
            self.layer(index, layer, steps, rows).map_err(|error| compute("a layer", &error))?;
        }
        let wanted = self
            .last_layer(others.len(), last, steps, rows)
            .map_err(|error| compute("the last layer", &error))?;
        for piece in &self.scratch.pieces {
            if let Some(step) = steps.get_mut(piece.step) {
                step.sequence.advance(piece.tokens);
            }
        }
        if wanted == 0 {
            return Ok(());
        }
        self.head(wanted, logits).map_err(|error| compute("the head", &error))
    }

    /// Lays out ids and positions, and returns the number of rows.
    fn gather(&mut self, steps: &[Step<'_>]) -> usize {
        let Scratch { ids, positions, pieces, .. } = &mut *self.scratch;
        ids.clear();
        positions.clear();
        for piece in &*pieces {
            let Some(step) = steps.get(piece.step) else { continue };
            ids.extend_from_slice(&step.ids[piece.first_id..piece.first_id + piece.tokens]);
            positions.extend((piece.first_position..).take(piece.tokens).map(|at| at as u32));
        }
        ids.len()
    }

    fn embed(&mut self, rows: usize) -> Result<(), ShapeError> {
        const ROWS_AT_ONCE: usize = 8;
        let Self { config, weights, team, scratch, .. } = self;
        let Scratch { ids, x, .. } = &mut **scratch;
        let (ids, width, scale) = (&*ids, config.hidden, config.embedding_scale as f32);
        let failure = OnceLock::new();
        team.rows_mut(sized(x, rows * width), width, ROWS_AT_ONCE, &|first, rows| {
            for (row, &id) in rows.chunks_exact_mut(width).zip(&ids[first..]) {
                if let Err(error) = weights.embedding.dequantize_row(id as usize, row) {
                    failure.get_or_init(|| error);
                }
                if scale != 1.0 {
                    row.iter_mut().for_each(|number| *number *= scale);
                }
            }
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    fn layer(
        &mut self,
        index: usize,
        layer: &Layer,
        steps: &mut [Step<'s>],
        rows: usize,
    ) -> Result<(), ShapeError> {
        self.norm_into(rows, &layer.attention_norm, layer.qkv_forms)?;
        self.project(rows, (index, layer), 0..3)?;
        self.turn_queries(layer, rows);
        self.turn_keys(layer, rows);
        self.write(index, steps);
        self.attend(index, layer, steps, rows, false);
        self.mix((index, layer), rows)?;
        self.feed_forward((index, layer), rows)
    }

    /// The last layer, of which only the wanted rows are computed beyond their keys and values. Those rows lie
    /// together at the start afterwards; returns how many they are.
    fn last_layer(
        &mut self,
        index: usize,
        layer: &Layer,
        steps: &mut [Step<'s>],
        rows: usize,
    ) -> Result<usize, ShapeError> {
        let wanted = self.scratch.pieces.iter().map(|piece| piece.wanted).sum();
        if wanted == rows {
            self.layer(index, layer, steps, rows)?;
            return Ok(wanted);
        }
        self.norm_into(rows, &layer.attention_norm, layer.qkv_forms)?;
        self.project(rows, (index, layer), 1..3)?;
        self.turn_keys(layer, rows);
        self.write(index, steps);
        if wanted == 0 {
            return Ok(0);
        }
        self.keep_wanted(steps);
        self.load_normed(wanted, layer.qkv_forms)?;
        self.project(wanted, (index, layer), 0..1)?;
        self.turn_queries(layer, wanted);
        self.attend(index, layer, steps, wanted, true);
        self.mix((index, layer), wanted)?;
        self.feed_forward((index, layer), wanted)?;
        Ok(wanted)
    }

    /// Moves the wanted rows of the stream and of the normed stream to the start, and turns to their positions.
    fn keep_wanted(&mut self, steps: &[Step<'s>]) {
        let Self { config, rotary, scratch, adapted, .. } = self;
        let Scratch { pieces, positions, x, normed, .. } = &mut **scratch;
        let width = config.hidden;
        let (mut from, mut to) = (0, 0);
        for piece in &*pieces {
            from += piece.tokens - piece.wanted;
            for rows in [&mut *x, &mut *normed] {
                rows.copy_within(from * width..(from + piece.wanted) * width, to * width);
            }
            positions.copy_within(from..from + piece.wanted, to);
            from += piece.wanted;
            to += piece.wanted;
        }
        positions.truncate(to);
        rotary.turn_to(positions);
        *adapted = Adapted::of(steps, pieces, |piece| piece.wanted);
    }

    fn norm_into(&mut self, rows: usize, weight: &[f32], forms: Forms) -> Result<(), ShapeError> {
        let Self { config, team, scratch, .. } = self;
        let Scratch { x, normed, .. } = &mut **scratch;
        let len = rows * config.hidden;
        rms_norm(team, &x[..len], weight, config.rms_eps as f32, sized(normed, len));
        self.load_normed(rows, forms)
    }

    fn load_normed(&mut self, rows: usize, forms: Forms) -> Result<(), ShapeError> {
        let Self { config, team, scratch, .. } = self;
        let Scratch { normed, activations, .. } = &mut **scratch;
        activations.load(team, &normed[..rows * config.hidden], config.hidden, forms)
    }

    /// Queries, keys and values, or some of them, of the rows loaded.
    fn project(
        &mut self,
        rows: usize,
        (index, layer): (usize, &Layer),
        which: Range<usize>,
    ) -> Result<(), ShapeError> {
        let Self { config, team, scratch, adapted, .. } = self;
        let Scratch { normed, q, k, v, activations, low_rank, .. } = &mut **scratch;
        let (wide, narrow) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let linears = [&layer.q, &layer.k, &layer.v];
        let mut products_of = [
            Product { matrix: &layer.q.weight, out: sized(q, rows * wide), add: false },
            Product { matrix: &layer.k.weight, out: sized(k, rows * narrow), add: false },
            Product { matrix: &layer.v.weight, out: sized(v, rows * narrow), add: false },
        ];
        let products = &mut products_of[which.clone()];
        matmul(team, activations, products)?;
        for (linear, product) in linears[which.clone()].iter().zip(products) {
            add_bias(team, linear, product.out);
        }
        let [q, k, v] = products_of.map(|product| product.out);
        let mut results = [(Target::Q, q), (Target::K, k), (Target::V, v)];
        let x = (&normed[..rows * config.hidden], config.hidden);
        adapted.add(team, index, x, &mut results[which], low_rank)
    }

    fn turn_queries(&mut self, layer: &Layer, rows: usize) {
        let Self { config, team, rotary, scratch, .. } = self;
        let q = &mut scratch.q[..rows * config.heads * config.head_dim];
        if let Some((norm, _)) = &layer.head_norms {
            rms_norm_heads(team, q, norm, config.rms_eps as f32);
        }
        rotary.apply(team, q, config.heads, layer.window.is_some());
    }

    fn turn_keys(&mut self, layer: &Layer, rows: usize) {
        let Self { config, team, rotary, scratch, .. } = self;
        let k = &mut scratch.k[..rows * config.kv_heads * config.head_dim];
        if let Some((_, norm)) = &layer.head_norms {
            rms_norm_heads(team, k, norm, config.rms_eps as f32);
        }
        rotary.apply(team, k, config.kv_heads, layer.window.is_some());
    }

    /// Puts the rows' keys and values into their sequences.
    fn write(&mut self, index: usize, steps: &mut [Step<'_>]) {
        let width = self.config.kv_heads * self.config.head_dim;
        let Scratch { pieces, k, v, .. } = &*self.scratch;
        let mut row = 0;
        for piece in pieces {
            let rows = row * width..(row + piece.tokens) * width;
            if let Some(step) = steps.get_mut(piece.step) {
                step.sequence.write(index, piece.first_position, &k[rows.clone()], &v[rows]);
            }
            row += piece.tokens;
        }
    }

    /// Attention of all rows, or of those wanted alone.
    fn attend(
        &mut self,
        index: usize,
        layer: &Layer,
        steps: &[Step<'_>],
        rows: usize,
        wanted_alone: bool,
    ) {
        let Self { config, team, scratch, .. } = self;
        let attention_config = AttentionConfig {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            scale: config.attention_scale() as f32,
            softcap: config.attention_softcap.map(|cap| cap as f32),
            window: layer.window,
        };
        let mut segments = scratch.segments();
        segments.extend(scratch.pieces.iter().filter_map(|piece| {
            let tokens = if wanted_alone { piece.wanted } else { piece.tokens };
            let first_position = piece.first_position + piece.tokens - tokens;
            let sequence = &*steps.get(piece.step)?.sequence;
            (tokens > 0).then_some(Segment { sequence, first_position, tokens })
        }));
        let Scratch { q, attended, .. } = &mut **scratch;
        let len = rows * config.heads * config.head_dim;
        attention(team, &attention_config, index, &segments, &q[..len], sized(attended, len));
        scratch.keep(segments);
    }

    /// What attention found, by way of the output projection, into the stream.
    fn mix(&mut self, (index, layer): (usize, &Layer), rows: usize) -> Result<(), ShapeError> {
        let Self { config, team, scratch, .. } = self;
        let Scratch { attended, activations, .. } = &mut **scratch;
        let wide = config.heads * config.head_dim;
        activations.load(team, &attended[..rows * wide], wide, layer.output_forms)?;
        let norm = layer.attention_post_norm.as_deref();
        self.add_to_stream(rows, (index, Target::O), &layer.output, norm)
    }

    fn feed_forward(
        &mut self,
        (index, layer): (usize, &Layer),
        rows: usize,
    ) -> Result<(), ShapeError> {
        self.norm_into(rows, &layer.ffn_norm, layer.gate_up_forms)?;
        let Self { config, team, scratch, adapted, .. } = self;
        let Scratch { normed, gate, up, activations, low_rank, .. } = &mut **scratch;
        let len = rows * config.ffn;
        let (gate, up) = (sized(gate, len), sized(up, len));
        matmul(
            team,
            activations,
            &mut [
                Product { matrix: &layer.gate, out: gate, add: false },
                Product { matrix: &layer.up, out: up, add: false },
            ],
        )?;
        let x = (&normed[..rows * config.hidden], config.hidden);
        let mut results = [(Target::Gate, &mut *gate), (Target::Up, &mut *up)];
        adapted.add(team, index, x, &mut results, low_rank)?;
        match config.activation {
            Activation::Silu => swiglu(team, up, gate),
            Activation::GeluTanh => geglu_tanh(team, up, gate),
        }
        activations.load(team, gate, config.ffn, layer.down_forms)?;
        let norm = layer.ffn_post_norm.as_deref();
        self.add_to_stream(rows, (index, Target::Down), &layer.down, norm)
    }

    /// Adds the product of what is loaded, attention's or the feed-forward layer's, to the stream, by way of a norm in
    /// families that have one there.
    fn add_to_stream(
        &mut self,
        rows: usize,
        (index, target): (usize, Target),
        linear: &Linear,
        norm: Option<&[f32]>,
    ) -> Result<(), ShapeError> {
        let Self { config, team, scratch, adapted, .. } = self;
        let Scratch { x, normed, before_norm, activations, attended, gate, low_rank, .. } =
            &mut **scratch;
        let loaded = if target == Target::O { &*attended } else { &*gate };
        let loaded = (&loaded[..rows * linear.weight.columns()], linear.weight.columns());
        let len = rows * config.hidden;
        let x = &mut x[..len];
        let out = if norm.is_some() { sized(before_norm, len) } else { &mut *x };
        let mut products = [Product { matrix: &linear.weight, out, add: norm.is_none() }];
        matmul(team, activations, &mut products)?;
        let [Product { out, .. }] = products;
        add_bias(team, linear, out);
        adapted.add(team, index, loaded, &mut [(target, &mut *out)], low_rank)?;
        if let Some(norm) = norm {
            let normed = &mut normed[..len];
            rms_norm(team, out, norm, config.rms_eps as f32, normed);
            add(team, normed, x);
        }
        Ok(())
    }

    /// Logits of the first `rows` of the stream.
    fn head(&mut self, rows: usize, logits: &mut [f32]) -> Result<(), ShapeError> {
        let weights = self.weights;
        self.norm_into(rows, &weights.norm, weights.head_forms)?;
        let Self { config, team, scratch, .. } = self;
        let mut products = [Product { matrix: &weights.head, out: logits, add: false }];
        matmul(team, &scratch.activations, &mut products)?;
        if let Some(cap) = config.final_softcap {
            let [Product { out, .. }] = products;
            softcap(team, out, cap as f32);
        }
        Ok(())
    }
}

fn add_bias(team: &Team, linear: &Linear, out: &mut [f32]) {
    const ROWS_AT_ONCE: usize = 16;
    let Some(bias) = &linear.bias else { return };
    team.rows_mut(out, bias.len(), ROWS_AT_ONCE, &|_first, rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(number, bias)| *number += bias);
        }
    });
}

fn compute(op: &'static str, error: &ShapeError) -> EngineError {
    EngineError::Compute { op, reason: error.to_string() }
}
