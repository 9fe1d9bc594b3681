//! From what files hold to pairs as they are applied, and back: joined projections, order of rows, ranks that differ.

use std::collections::{BTreeMap, BTreeSet};

use hearth_engine_api::{AdapterError, LoraSettings, Target};

use super::{Adapter, Layout, MAX_RANK, Pair, target_shape};
use crate::models::DecoderConfig;

/// Where ranks differ, all become the highest by rows and columns of zeros; not past so many times the numbers there are.
const MOST_PADDING: u64 = 8;

/// A matrix as files name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Module {
    One(Target),
    Qkv,
    GateUp,
}

impl Module {
    /// Those of a layer.
    pub(super) const fn of(layout: &Layout) -> &'static [Self] {
        const APART: [Module; 7] = [
            Module::One(Target::Q),
            Module::One(Target::K),
            Module::One(Target::V),
            Module::One(Target::O),
            Module::One(Target::Gate),
            Module::One(Target::Up),
            Module::One(Target::Down),
        ];
        const JOINED: [Module; 4] =
            [Module::Qkv, Module::One(Target::O), Module::GateUp, Module::One(Target::Down)];
        if layout.joined { &JOINED } else { &APART }
    }

    /// What lies in it, one below the other.
    pub(super) fn targets(self) -> Vec<Target> {
        match self {
            Self::One(target) => vec![target],
            Self::Qkv => vec![Target::Q, Target::K, Target::V],
            Self::GateUp => vec![Target::Gate, Target::Up],
        }
    }

    /// Hugging Face's name for it within a layer.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::One(Target::Q) => "self_attn.q_proj",
            Self::One(Target::K) => "self_attn.k_proj",
            Self::One(Target::V) => "self_attn.v_proj",
            Self::One(Target::O) => "self_attn.o_proj",
            Self::One(Target::Gate) => "mlp.gate_proj",
            Self::One(Target::Up) => "mlp.up_proj",
            Self::One(Target::Down) => "mlp.down_proj",
            Self::Qkv => "self_attn.qkv_proj",
            Self::GateUp => "mlp.gate_up_proj",
        }
    }

    /// A GGUF's name for it within a layer.
    pub(super) const fn gguf_name(self) -> &'static str {
        match self {
            Self::One(Target::Q) => "attn_q",
            Self::One(Target::K) => "attn_k",
            Self::One(Target::V) => "attn_v",
            Self::One(Target::O) => "attn_output",
            Self::One(Target::Gate) => "ffn_gate",
            // Gate and up together go by the name of the latter.
            Self::One(Target::Up) | Self::GateUp => "ffn_up",
            Self::One(Target::Down) => "ffn_down",
            Self::Qkv => "attn_qkv",
        }
    }

    fn shape(self, config: &DecoderConfig) -> (usize, usize) {
        let shapes = self.targets().into_iter().map(|target| target_shape(config, target));
        shapes.fold((0, 0), |(rows, _), (outputs, inputs)| (rows + outputs, inputs))
    }
}

/// How the rows of queries and keys lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowOrder {
    /// First all first numbers of a head's pairs, then all second ones.
    Halves,
    /// The two numbers of each pair side by side.
    Pairs,
}

/// A pair as a file holds it.
#[derive(Clone)]
pub(super) struct Loose {
    pub(super) layer: usize,
    pub(super) module: Module,
    pub(super) pair: Pair,
    /// What its `B A x` is multiplied by.
    pub(super) scale: f32,
}

/// Checks the shape of what a file says stands beside a matrix.
pub(super) fn loose(
    config: &DecoderConfig,
    (layer, module): (usize, Module),
    (a, a_shape): (Vec<f32>, &[usize]),
    (b, b_shape): (Vec<f32>, &[usize]),
) -> Result<Pair, AdapterError> {
    let name = || format!("layer {layer}, {}", module.path());
    if layer >= config.layers {
        return Err(AdapterError::OtherModel {
            reason: format!("{}: the model has {} layers", name(), config.layers),
        });
    }
    let (outputs, inputs) = module.shape(config);
    let rank = match (a_shape, b_shape) {
        (&[rank, of_a], &[of_b, same]) if rank == same && (of_a, of_b) == (inputs, outputs) => rank,
        (&[rank, _], &[_, same]) if rank != same => {
            let reason = format!("{}: A has {rank} rows and B {same} columns", name());
            return Err(AdapterError::Malformed { reason });
        }
        _ => {
            let reason = format!(
                "{} has shapes {a_shape:?} and {b_shape:?}; the model's matrix is {:?}",
                name(),
                [outputs, inputs]
            );
            return Err(AdapterError::OtherModel { reason });
        }
    };
    if rank == 0 || rank > MAX_RANK as usize {
        let what = format!("{}: a rank of {rank}; it can be 1 to {MAX_RANK}", name());
        return Err(AdapterError::Unsupported { what });
    }
    if !a.iter().chain(&b).all(|number| number.is_finite()) {
        let reason = format!("{} holds what is no number", name());
        return Err(AdapterError::Malformed { reason });
    }
    Ok(Pair { a, b, rank, inputs, outputs })
}

/// An adapter out of a file's pairs. `settings` are what the file says of all of them; where a pair has another rank or
/// scale, all become the highest rank and one scale, without a change to what they do.
pub(super) fn assemble(
    config: &DecoderConfig,
    mut settings: LoraSettings,
    order: RowOrder,
    pairs: Vec<Loose>,
) -> Result<Adapter, AdapterError> {
    let layout = Layout::of(config);
    let mut layers = vec![BTreeMap::new(); config.layers];
    let mut scales = Vec::with_capacity(pairs.len());
    for Loose { layer, module, pair, scale } in pairs {
        for (target, mut part) in split(config, module, pair) {
            part.reorder(layout.head_rows(target), order, layout.order());
            scales.push(scale);
            if let Some(layer) = layers.get_mut(layer) {
                layer.insert(target, (part, scale));
            }
        }
    }
    let ranks = || layers.iter().flat_map(BTreeMap::values).map(|(pair, _)| pair.rank);
    let Some(rank) = ranks().max() else {
        return Err(AdapterError::Malformed { reason: "it has no pair of matrices".into() });
    };
    check_padding(&layers, rank)?;
    settings.targets = layers.iter().flat_map(|layer| layer.keys().copied()).collect();
    if ranks().any(|other| other != settings.rank as usize)
        || scales.iter().any(|scale| !same(*scale, settings.scale()))
    {
        settings.rank = u32::try_from(rank).unwrap_or(MAX_RANK);
        settings.rslora = false;
        settings.alpha = scales.first().copied().unwrap_or(1.0) * settings.rank as f32;
    }
    super::check(&settings)?;
    let whole = settings.scale();
    let uniform = |layer: BTreeMap<Target, (Pair, f32)>| {
        let uniform = |(target, (pair, scale)): (Target, (Pair, f32))| {
            (target, pair.times(if same(scale, whole) { 1.0 } else { scale / whole }).padded(rank))
        };
        layer.into_iter().map(uniform).collect()
    };
    Ok(Adapter { settings, layout, layers: layers.into_iter().map(uniform).collect() })
}

/// Whether two scales differ by no more than how they were reckoned.
fn same(scale: f32, other: f32) -> bool {
    (scale - other).abs() <= 1e-6 * scale.abs()
}

fn check_padding(
    layers: &[BTreeMap<Target, (Pair, f32)>],
    rank: usize,
) -> Result<(), AdapterError> {
    let pairs = || layers.iter().flat_map(BTreeMap::values).map(|(pair, _)| pair);
    let numbers: u64 = pairs().map(|pair| (pair.a.len() + pair.b.len()) as u64).sum();
    let padded: u64 = pairs().map(|pair| (rank * (pair.inputs + pair.outputs)) as u64).sum();
    if padded > numbers.saturating_mul(MOST_PADDING) {
        return Err(AdapterError::Unsupported { what: format!("ranks from 1 up to {rank}") });
    }
    Ok(())
}

/// The parts of a joined projection: each has the whole's A and its own rows of B. Where B is made of blocks on its
/// diagonal, as [`join`] makes it, each has its own block and the rows of A that go with it.
fn split(config: &DecoderConfig, module: Module, pair: Pair) -> Vec<(Target, Pair)> {
    let targets = module.targets();
    if let [target] = targets[..] {
        return vec![(target, pair)];
    }
    let rows: Vec<usize> = targets.iter().map(|&target| target_shape(config, target).0).collect();
    let own_rank = block_rank(&pair, &rows);
    let rank = own_rank.unwrap_or(pair.rank);
    let mut start = 0;
    let mut parts = Vec::with_capacity(targets.len());
    for (index, (target, outputs)) in targets.into_iter().zip(rows).enumerate() {
        let first = if own_rank.is_some() { index * rank } else { 0 };
        let a = pair.a[first * pair.inputs..(first + rank) * pair.inputs].to_vec();
        let own = pair.b[start * pair.rank..(start + outputs) * pair.rank].chunks(pair.rank);
        let b = own.flat_map(|row| row[first..first + rank].iter().copied()).collect();
        parts.push((target, Pair { a, b, rank, inputs: pair.inputs, outputs }));
        start += outputs;
    }
    parts
}

/// The rank of each block, where B is zero but for blocks on its diagonal, none of which is all zero.
fn block_rank(pair: &Pair, rows: &[usize]) -> Option<usize> {
    let parts = rows.len();
    let rank = pair.rank / parts;
    if rank == 0 || !pair.rank.is_multiple_of(parts) {
        return None;
    }
    let mut b = pair.b.chunks(pair.rank);
    for (part, &outputs) in rows.iter().enumerate() {
        let mut any = false;
        for row in b.by_ref().take(outputs) {
            for (column, number) in row.iter().enumerate().filter(|(_, number)| **number != 0.0) {
                if column / rank != part {
                    return None;
                }
                any |= *number != 0.0;
            }
        }
        if !any {
            return None;
        }
    }
    Some(rank)
}

/// What files hold of an adapter, in an order of rows.
pub(super) fn disassemble(adapter: &Adapter, order: RowOrder) -> Vec<Loose> {
    let layout = adapter.layout;
    let scale = adapter.scale();
    let mut pairs = Vec::new();
    for (layer, of_layer) in adapter.layers.iter().enumerate() {
        for &module in Module::of(&layout) {
            let ordered = |target: Target| {
                let mut pair = of_layer.get(&target)?.clone();
                pair.reorder(layout.head_rows(target), layout.order(), order);
                Some(pair)
            };
            let parts: Vec<Option<Pair>> = module.targets().into_iter().map(ordered).collect();
            let shapes: Vec<usize> =
                module.targets().iter().map(|target| layout.outputs(*target)).collect();
            if let Some(pair) = join(&parts, &shapes) {
                pairs.push(Loose { layer, module, pair, scale });
            }
        }
    }
    pairs
}

/// One pair for matrices that lie one below the other. Those with the same A share it, else A's are stacked and B's
/// blocks lie on the diagonal; a part without a pair gets zeros.
fn join(parts: &[Option<Pair>], rows: &[usize]) -> Option<Pair> {
    let there: Vec<&Pair> = parts.iter().flatten().collect();
    let first = *there.first()?;
    if let ([_], [Some(only)]) = (rows, parts) {
        return Some(only.clone());
    }
    let shared = there.len() == 1 || there.iter().all(|pair| pair.a == first.a);
    let rank = if shared { first.rank } else { there.iter().map(|pair| pair.rank).sum() };
    let mut whole = Pair::zeros(rank, (rows.iter().sum(), first.inputs));
    let (mut at, mut start) = (0, 0);
    for (part, outputs) in parts.iter().zip(rows) {
        if let Some(pair) = part {
            let own = &mut whole.a[at * first.inputs..(at + pair.rank) * first.inputs];
            own.copy_from_slice(&pair.a);
            let below = whole.b.chunks_mut(rank).skip(start);
            for (row, from) in below.zip(pair.b.chunks(pair.rank)) {
                row[at..at + pair.rank].copy_from_slice(from);
            }
            at += if shared { 0 } else { pair.rank };
        }
        start += outputs;
    }
    Some(whole)
}

impl Pair {
    /// Puts B's rows into another order; `head_rows` are a head's where they have one.
    fn reorder(&mut self, head_rows: Option<usize>, from: RowOrder, to: RowOrder) {
        let Some(head_rows) = head_rows.filter(|_rows| from != to) else { return };
        let (half, rank) = (head_rows / 2, self.rank);
        let mut made = vec![0.0; self.b.len()];
        let heads = self.b.chunks(head_rows * rank).zip(made.chunks_mut(head_rows * rank));
        for (old, new) in heads {
            for row in 0..head_rows {
                let (side, pair) = (row / half, row % half);
                let (halves, pairs) = (row * rank, (2 * pair + side) * rank);
                let (source, target) = match to {
                    RowOrder::Pairs => (halves, pairs),
                    RowOrder::Halves => (pairs, halves),
                };
                new[target..target + rank].copy_from_slice(&old[source..source + rank]);
            }
        }
        self.b = made;
    }

    /// The same with B multiplied.
    fn times(mut self, factor: f32) -> Self {
        if factor != 1.0 {
            self.b.iter_mut().for_each(|b| *b *= factor);
        }
        self
    }

    /// The same at a higher rank, by zeros.
    fn padded(self, rank: usize) -> Self {
        if rank == self.rank {
            return self;
        }
        let mut wider = Self::zeros(rank, (self.outputs, self.inputs));
        wider.a[..self.a.len()].copy_from_slice(&self.a);
        for (row, from) in wider.b.chunks_mut(rank).zip(self.b.chunks(self.rank)) {
            row[..self.rank].copy_from_slice(from);
        }
        wider
    }
}

/// Layers that have pairs, and whether each of them has the same.
pub(super) fn regular(pairs: &[Loose]) -> (BTreeSet<usize>, bool) {
    let layers: BTreeSet<usize> = pairs.iter().map(|pair| pair.layer).collect();
    let modules: BTreeSet<Module> = pairs.iter().map(|pair| pair.module).collect();
    let all = layers.len() * modules.len() == pairs.len();
    (layers, all)
}
