//! The weights before the first step.
//!
//! Most are small random numbers. Copying, which takes a small model most of its training to discover, is wired
//! in from the start: one head of the first block looks at the token before and notes it down, and one head of
//! the second looks for a note of the current token and copies what stands there (the previous-token and
//! induction heads of Olsson et al. 2022). Training may bend or undo all of it.

use candle_core::{DType, Device, Tensor, Var};
use hearth_engine_candle::models::DecoderConfig;

use super::Vars;
use crate::{data::Rng, error::StarterError, recipe::Recipe};

/// Spread of embeddings.
const EMBEDDING: f64 = 0.04;
/// The first number of every embedding, from which a head can make a query that does not depend on the token.
/// Added to all alike, it leaves the softmax over the vocabulary as it is.
const COMMON: f64 = 0.2;
/// Spread of all other matrices.
const SPREAD: f64 = 0.03;
/// Share of it in matrices that write to the stream, so that at first they do not drown what is wired.
const SPREAD_OF_ATTENTION: f64 = 0.15;
/// As above.
const SPREAD_OF_FEED_FORWARD: f64 = 0.3;
/// Score of the token before, in each of [`SHARP_PAIRS`] pairs.
const BEFORE: f64 = 6.0;
/// Pairs of the rotary embedding that turn fast enough to tell neighbours apart.
const SHARP_PAIRS: usize = 3;
/// How strongly notes are matched.
const MATCH: f64 = 1.6;
/// How strongly a note is written, beside the embedding it is added to.
const NOTE: f64 = 0.08;
/// How strongly a found token is copied.
const COPY: f64 = 0.3;

/// The first weights of a recipe, the same every time.
pub(super) fn first_weights(recipe: &Recipe) -> Result<Vars, StarterError> {
    let config = recipe.decoder();
    let residual = 1.0 / (2.0 * config.layers as f64).sqrt();
    let directions = Directions::new(recipe, &config);
    let mut vars = Vec::new();
    for (index, (name, shape)) in config.parameters().into_iter().enumerate() {
        let tensor = if name.ends_with("norm.weight") {
            Tensor::ones(shape, DType::F32, &Device::Cpu)?
        } else {
            let spread = if name.contains("embed") {
                EMBEDDING
            } else if name.ends_with("o_proj.weight") {
                SPREAD * SPREAD_OF_ATTENTION * residual
            } else if name.ends_with("down_proj.weight") {
                SPREAD * SPREAD_OF_FEED_FORWARD * residual
            } else {
                SPREAD
            };
            let mut rng = Rng::new(recipe.seed, 100, index as u64);
            let mut matrix = Matrix::normal(&mut rng, &shape, spread);
            directions.wire(&name, &mut matrix, &config);
            Tensor::from_vec(matrix.values, shape, &Device::Cpu)?
        };
        vars.push((name, Var::from_tensor(&tensor)?));
    }
    Ok(vars)
}

/// `(rows, columns)` in row order.
struct Matrix {
    values: Vec<f32>,
    columns: usize,
}

impl Matrix {
    fn normal(rng: &mut Rng, shape: &[usize], spread: f64) -> Self {
        let count = shape.iter().product();
        let values = (0..count).map(|_| (normal(rng) * spread) as f32).collect();
        Self { values, columns: shape.last().copied().unwrap_or(1) }
    }

    fn row(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }
}

/// Random maps of the stream onto a head, shared by the heads that work together.
struct Directions {
    /// Tokens as they are looked for.
    token: Matrix,
    /// Where notes are written.
    note: Matrix,
    /// What is copied.
    copy: Matrix,
}

impl Directions {
    fn new(recipe: &Recipe, config: &DecoderConfig) -> Self {
        let unit = 1.0 / (config.hidden as f64).sqrt();
        let map = |lane| {
            let mut rng = Rng::new(recipe.seed, lane, 0);
            Matrix::normal(&mut rng, &[config.head_dim, config.hidden], unit)
        };
        Self { token: map(101), note: map(102), copy: map(103) }
    }

    /// Sets the rows or columns of head 0 in `matrix`, if it has a part in copying.
    fn wire(&self, name: &str, matrix: &mut Matrix, config: &DecoderConfig) {
        if name.contains("embed") {
            let columns = matrix.columns;
            matrix.values.chunks_exact_mut(columns).for_each(|row| row[0] = COMMON as f32);
            return;
        }
        let projection = name.rsplit('.').nth(1).unwrap_or_default();
        match (name.contains(".layers.0."), name.contains(".layers.1."), projection) {
            (true, _, "q_proj" | "k_proj") => {
                look_before(projection == "k_proj", matrix, config);
            }
            (true, _, "v_proj") => read(&self.token, 1.0, 0, matrix, config),
            (true, _, "o_proj") => write(&self.note, NOTE, matrix, config),
            // Only pairs that turn slowly keep what they hold over a distance.
            (_, true, "q_proj") => read(&self.token, MATCH, slow_from(config), matrix, config),
            (_, true, "k_proj") => read(&self.note, MATCH, slow_from(config), matrix, config),
            (_, true, "v_proj") => read(&self.copy, 1.0, 0, matrix, config),
            (_, true, "o_proj") => write(&self.copy, COPY, matrix, config),
            _ => {}
        }
    }
}

/// The first dimension of a head whose pair turns slowly.
const fn slow_from(config: &DecoderConfig) -> usize {
    config.head_dim * 7 / 16 / 2 * 2
}

/// Query and key that meet where the key stands one position before the query.
fn look_before(is_key: bool, matrix: &mut Matrix, config: &DecoderConfig) {
    let length = (BEFORE * (config.head_dim as f64).sqrt()).sqrt();
    // What the norm makes of the common number.
    let common = COMMON / (EMBEDDING.powi(2) + COMMON.powi(2) / config.hidden as f64).sqrt();
    let half = config.head_dim / 2;
    for pair in 0..half {
        let turn = config.rope_theta.powf(-(pair as f64) / half as f64);
        let angle = if is_key { turn } else { 0.0 };
        let length = if pair < SHARP_PAIRS { length / common } else { 0.0 };
        for (row, part) in [(2 * pair, angle.cos()), (2 * pair + 1, angle.sin())] {
            matrix.row(row).iter_mut().for_each(|value| *value *= 0.1);
            matrix.row(row)[0] = (length * part) as f32;
        }
    }
}

/// Head 0 reads the stream along `map`, from its dimension `from` on.
fn read(map: &Matrix, scale: f64, from: usize, matrix: &mut Matrix, config: &DecoderConfig) {
    for row in 0..config.head_dim {
        let scale = if row < from { 0.0 } else { scale as f32 };
        let source = &map.values[row * map.columns..(row + 1) * map.columns];
        for (value, source) in matrix.row(row).iter_mut().zip(source) {
            *value = *value * 0.1 + source * scale;
        }
        matrix.row(row)[0] = 0.0;
    }
}

/// Head 0 writes into the stream along `map`.
fn write(map: &Matrix, scale: f64, matrix: &mut Matrix, config: &DecoderConfig) {
    for column in 0..config.hidden {
        let row = matrix.row(column);
        for (dimension, value) in row.iter_mut().take(config.head_dim).enumerate() {
            *value += map.values[dimension * map.columns + column] * scale as f32;
        }
    }
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.unit()).cos()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use hearth_engine_candle::models::Decoder;

    use super::*;

    /// Of a sequence that repeats itself, the untrained model already foretells the second half better.
    #[test]
    fn copying_is_there_from_the_start() {
        let text = include_str!("../../recipe.toml");
        let recipe: Recipe = toml::from_str(text).unwrap();
        let vars = first_weights(&recipe).unwrap();
        let mut weights: HashMap<String, Tensor> =
            vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        let decoder = Decoder::new(recipe.decoder(), &mut weights).unwrap();
        let mut rng = Rng::new(1, 0, 0);
        let mut ids: Vec<u32> =
            (0..24).map(|_| rng.between(300, recipe.model.vocab - 1) as u32).collect();
        ids.extend_from_within(..);
        let logits = decoder.forward(&Tensor::from_slice(&ids, (1, 48), &Device::Cpu).unwrap());
        let logits = logits.unwrap().squeeze(0).unwrap().to_vec2::<f32>().unwrap();
        let right = (26..47)
            .filter(|at| {
                let row = &logits[*at];
                // The token itself, which tied embeddings favour, is left aside.
                let best = (0..row.len()).filter(|id| *id != ids[*at] as usize);
                let best = best.max_by(|a, b| row[*a].total_cmp(&row[*b]));
                best == Some(ids[at + 1] as usize)
            })
            .count();
        assert!(right > 10, "{right} of 21");
    }
}
