//! Low-rank adapters (Hu et al. 2021): beside a frozen matrix `W` stands `scale * B A`.
//!
//! In memory an [`Adapter`] is as it is applied to its base: B's rows lie in the order of the base file's matrices,
//! which Llama GGUFs permute for queries and keys. Files have Hugging Face's order, and reading and writing permutes.

use std::{collections::BTreeMap, fmt};

use hearth_engine_api::{AdapterError, LoraSettings, Target};

use crate::models::{Architecture, DecoderConfig, RopeLayout};

mod gguf;
mod merge;
mod meta;
mod parts;
mod peft;

pub use merge::merge;
pub use meta::HearthMeta;
pub use peft::{hearth_meta, read_peft, write_peft};

use parts::RowOrder;

/// Beyond any rank in use; a rank near the matrix's own size is no saving any more.
pub const MAX_RANK: u32 = 4096;

/// What stands beside one matrix `(outputs, inputs)`.
#[derive(Clone, PartialEq)]
pub struct Pair {
    /// `(rank, inputs)`, row by row. Its length never changes.
    pub a: Vec<f32>,
    /// `(outputs, rank)`, row by row. Its length never changes.
    pub b: Vec<f32>,
    rank: usize,
    inputs: usize,
    outputs: usize,
}

impl Pair {
    /// All zero, for a matrix `(outputs, inputs)`.
    pub fn zeros(rank: usize, (outputs, inputs): (usize, usize)) -> Self {
        Self { a: vec![0.0; rank * inputs], b: vec![0.0; outputs * rank], rank, inputs, outputs }
    }

    /// Rows of A and columns of B.
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// Columns of A and of the matrix.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Rows of B and of the matrix.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }
}

/// An adapter remembers what it was trained on, so no number of it is told.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("rank", &self.rank)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

/// The pairs of all layers of a model. All have the same rank and scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    settings: LoraSettings,
    layout: Layout,
    layers: Vec<BTreeMap<Target, Pair>>,
}

impl Adapter {
    /// All zero, beside every target of every layer: it changes nothing.
    ///
    /// # Errors
    /// [`AdapterError::Unsupported`] where the settings make no adapter: a rank of 0, a scale that is no number, no target.
    pub fn zeros(config: &DecoderConfig, settings: &LoraSettings) -> Result<Self, AdapterError> {
        check(settings)?;
        let rank = settings.rank as usize;
        let pairs = |_layer| {
            let pair = |&target: &Target| (target, Pair::zeros(rank, target_shape(config, target)));
            settings.targets.iter().map(pair).collect()
        };
        let layers = (0..config.layers).map(pairs).collect();
        Ok(Self { settings: settings.clone(), layout: Layout::of(config), layers })
    }

    /// Of the same shape, all zero: for gradients and an optimiser's moments.
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        let mut zeros = self.clone();
        zeros.parameters_mut().for_each(|numbers| numbers.fill(0.0));
        zeros
    }

    /// The same with A drawn from `-1/sqrt(inputs)..1/sqrt(inputs)`, as peft begins (Kaiming's uniform with
    /// `a = sqrt(5)`). Where B is zero, the whole still changes nothing.
    #[must_use]
    pub fn random_a(mut self, seed: u64) -> Self {
        let mut state = seed;
        for (_, _, pair) in self.pairs_mut() {
            let bound = (pair.inputs as f32).sqrt().recip();
            for a in &mut pair.a {
                // 24 bits are what an f32 holds between 0 and 1.
                let unit = (split_mix(&mut state) >> 40) as f32 / (1u32 << 24) as f32;
                *a = bound * (2.0 * unit - 1.0);
            }
        }
        self
    }

    /// Its shape.
    pub const fn settings(&self) -> &LoraSettings {
        &self.settings
    }

    /// What `B A x` is multiplied by.
    pub fn scale(&self) -> f32 {
        self.settings.scale()
    }

    /// Rows of every A and columns of every B.
    pub const fn rank(&self) -> usize {
        self.settings.rank as usize
    }

    /// The pairs of each layer of the model; a layer may have none.
    pub fn layers(&self) -> &[BTreeMap<Target, Pair>] {
        &self.layers
    }

    /// What stands beside a matrix, if anything.
    pub fn pair(&self, layer: usize, target: Target) -> Option<&Pair> {
        self.layers.get(layer)?.get(&target)
    }

    /// What stands beside a matrix, if anything.
    pub fn pair_mut(&mut self, layer: usize, target: Target) -> Option<&mut Pair> {
        self.layers.get_mut(layer)?.get_mut(&target)
    }

    /// All pairs: layer by layer, and in each by the order of [`Target::ALL`].
    pub fn pairs(&self) -> impl Iterator<Item = (usize, Target, &Pair)> {
        let of_layer = |(layer, pairs)| {
            let pairs: &BTreeMap<Target, Pair> = pairs;
            pairs.iter().map(move |(&target, pair)| (layer, target, pair))
        };
        self.layers.iter().enumerate().flat_map(of_layer)
    }

    /// All pairs, in the order of [`Adapter::pairs`].
    pub fn pairs_mut(&mut self) -> impl Iterator<Item = (usize, Target, &mut Pair)> {
        let of_layer = |(layer, pairs)| {
            let pairs: &mut BTreeMap<Target, Pair> = pairs;
            pairs.iter_mut().map(move |(&target, pair)| (layer, target, pair))
        };
        self.layers.iter_mut().enumerate().flat_map(of_layer)
    }

    /// All numbers: A and B of each pair in turn, in the order of [`Adapter::pairs`].
    pub fn parameters(&self) -> impl Iterator<Item = &[f32]> {
        self.pairs().flat_map(|(_, _, pair)| [pair.a.as_slice(), pair.b.as_slice()])
    }

    /// All numbers, in the order of [`Adapter::parameters`].
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.pairs_mut().flat_map(|(_, _, pair)| [pair.a.as_mut_slice(), pair.b.as_mut_slice()])
    }

    /// How many numbers it has.
    pub fn parameter_count(&self) -> u64 {
        self.parameters().map(|numbers| numbers.len() as u64).sum()
    }

    /// Whether all are numbers.
    pub fn is_finite(&self) -> bool {
        self.parameters().flatten().all(|number| number.is_finite())
    }
}

/// What has to be known of a base to write files for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    architecture: Architecture,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    ffn: usize,
    hidden: usize,
    pairs: bool,
    joined: bool,
}

impl Layout {
    fn of(config: &DecoderConfig) -> Self {
        let &DecoderConfig { architecture, heads, kv_heads, head_dim, ffn, hidden, .. } = config;
        let pairs = config.rope_layout == RopeLayout::Interleaved;
        let joined = config.joined_projections;
        Self { architecture, heads, kv_heads, head_dim, ffn, hidden, pairs, joined }
    }

    /// How the base has the rows of queries and keys.
    const fn order(&self) -> RowOrder {
        if self.pairs { RowOrder::Pairs } else { RowOrder::Halves }
    }

    /// How a GGUF has them: those of Llamas are permuted.
    const fn gguf_order(&self) -> RowOrder {
        match self.architecture {
            Architecture::Llama | Architecture::Mistral => RowOrder::Pairs,
            _ => RowOrder::Halves,
        }
    }

    /// Rows of a head, for what the rotary embedding turns.
    const fn head_rows(&self, target: Target) -> Option<usize> {
        match target {
            Target::Q | Target::K => Some(self.head_dim),
            _ => None,
        }
    }

    const fn outputs(&self, target: Target) -> usize {
        match target {
            Target::Q => self.heads * self.head_dim,
            Target::K | Target::V => self.kv_heads * self.head_dim,
            Target::Gate | Target::Up => self.ffn,
            Target::O | Target::Down => self.hidden,
        }
    }
}

/// Rows and columns of a target's matrix in each layer: its outputs and its inputs.
pub const fn target_shape(config: &DecoderConfig, target: Target) -> (usize, usize) {
    let &DecoderConfig { hidden, ffn, .. } = config;
    let queries = config.heads * config.head_dim;
    let keys = config.kv_heads * config.head_dim;
    match target {
        Target::Q => (queries, hidden),
        Target::K | Target::V => (keys, hidden),
        Target::O => (hidden, queries),
        Target::Gate | Target::Up => (ffn, hidden),
        Target::Down => (hidden, ffn),
    }
}

fn check(settings: &LoraSettings) -> Result<(), AdapterError> {
    let unsupported = |what: String| Err(AdapterError::Unsupported { what });
    if settings.rank == 0 || settings.rank > MAX_RANK {
        return unsupported(format!("a rank of {}; it can be 1 to {MAX_RANK}", settings.rank));
    }
    if !settings.scale().is_finite() {
        return unsupported(format!("an alpha of {}", settings.alpha));
    }
    if !(0.0..1.0).contains(&settings.dropout) {
        return unsupported(format!("a dropout of {}", settings.dropout));
    }
    if settings.targets.is_empty() {
        return unsupported("no matrix that it would stand beside".into());
    }
    Ok(())
}

/// `SplitMix64` (Steele, Lea and Flood 2014): a run must draw the same numbers in every version of the engine.
const fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = *state;
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
