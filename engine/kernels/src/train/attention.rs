//! Causal attention over packed samples, forwards and backwards.
//!
//! A unit of work is one query head of one sample. It is cut into blocks of queries and of keys that lie in a cache, counted
//! from the sample's first token, and no matrix of tokens by tokens is kept: the backward makes each block of weights anew
//! from the logarithms of their sums. What a unit computes depends on nothing outside of it, so a sample's bits are the same
//! alone and packed with others. Where heads share keys, each has its own share of the gradient, and shares are added up in
//! the order of the heads.
use crate::ops::VALUES_PER_THREAD;
use crate::scatter::Scatter;
use crate::simd::dispatch;
use crate::{AttentionConfig, Isa, Team};
use std::cell::Cell;
use std::cmp::Reverse;
use std::ops::Range;

mod backward;
mod forward;
mod head;
mod product;
use backward::Backward;
use forward::Forward;
use head::Head;

/// Rows of a block of queries, and columns of a block of keys: a whole number of register tiles on every instruction set, and
/// few enough for the L2 cache.
const BLOCK: usize = 96;

/// Queries, keys and values of one layer, after their rotation: a row of `heads * head_dim`, `kv_heads * head_dim` and
/// `kv_heads * head_dim` for each token.
#[derive(Clone, Copy, Debug)]
pub struct Qkv<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
}

/// What [`attention`] gave, and the gradient of it.
#[derive(Clone, Copy, Debug)]
pub struct Attended<'a> {
    /// Its output.
    pub out: &'a [f32],
    /// The logarithms it left.
    pub logsumexp: &'a [f32],
    /// The gradient of the output.
    pub dout: &'a [f32],
}

/// Where gradients of queries, keys and values go; shaped as those.
#[derive(Debug)]
pub struct QkvGradients<'a> {
    /// Of queries.
    pub dq: &'a mut [f32],
    /// Of keys.
    pub dk: &'a mut [f32],
    /// Of values.
    pub dv: &'a mut [f32],
}

/// Attention of one layer over samples packed one after the other. Each range of tokens is a sample, which sees itself alone,
/// causally, its first token being position 0. `out` has a row of `heads * head_dim` for each token. `logsumexp`, `heads`
/// numbers for each token, is what [`attention_back`] needs: the logarithm to base 2 of a row's sum of powers. Tokens of no
/// sample get zeros.
///
/// # Panics
/// If shapes do not fit together, or samples are out of order, overlap or lie outside.
pub fn attention(
    team: &Team,
    config: &AttentionConfig,
    samples: &[Range<usize>],
    inputs: Qkv<'_>,
    out: &mut [f32],
    logsumexp: &mut [f32],
) {
    attention_on(team, Isa::detect(), config, samples, inputs, [out, logsumexp]);
}

/// Backward of [`attention`]; the gradients are overwritten.
///
/// # Panics
/// As [`attention`].
pub fn attention_back(
    team: &Team,
    config: &AttentionConfig,
    samples: &[Range<usize>],
    inputs: Qkv<'_>,
    attended: Attended<'_>,
    gradients: QkvGradients<'_>,
) {
    attention_back_on(team, Isa::detect(), config, samples, (inputs, attended), gradients);
}

fn attention_on(
    team: &Team,
    isa: Isa,
    config: &AttentionConfig,
    samples: &[Range<usize>],
    inputs: Qkv<'_>,
    [out, logsumexp]: [&mut [f32]; 2],
) {
    let tokens = check(config, samples, inputs);
    assert_eq!(out.len(), inputs.q.len(), "an output of another shape");
    assert_eq!(logsumexp.len(), tokens * config.heads, "logarithms of another shape");
    clear_gaps(samples, tokens, out);
    clear_gaps(samples, tokens, logsumexp);
    let (out, logsumexp) = (&Scatter::new(out), &Scatter::new(logsumexp));
    each_head(team, config, samples, &|head| {
        dispatch(isa, Forward { head, inputs, out, logsumexp });
    });
}

fn attention_back_on(
    team: &Team,
    isa: Isa,
    config: &AttentionConfig,
    samples: &[Range<usize>],
    (inputs, attended): (Qkv<'_>, Attended<'_>),
    gradients: QkvGradients<'_>,
) {
    let tokens = check(config, samples, inputs);
    let QkvGradients { dq, dk, dv } = gradients;
    let Attended { out, logsumexp, dout } = attended;
    let len = inputs.q.len();
    assert!(out.len() == len && dout.len() == len, "an output of another shape");
    assert_eq!(logsumexp.len(), tokens * config.heads, "logarithms of another shape");
    assert_eq!(dq.len(), len, "gradients of queries of another shape");
    assert!(
        dk.len() == inputs.k.len() && dv.len() == inputs.k.len(),
        "gradients of keys of another shape"
    );
    clear_gaps(samples, tokens, dq);
    let shared = config.heads > config.kv_heads;
    let mut shares = if shared { SHARES.take() } else { [Vec::new(), Vec::new()] };
    {
        let [dk, dv] = if shared {
            shares.each_mut().map(|share| {
                share.resize(len, 0.0);
                &mut share[..]
            })
        } else {
            [&mut *dk, &mut *dv]
        };
        clear_gaps(samples, tokens, dk);
        clear_gaps(samples, tokens, dv);
        let [dq, dk, dv] = &[Scatter::new(dq), Scatter::new(dk), Scatter::new(dv)];
        each_head(team, config, samples, &|head| {
            dispatch(isa, Backward { head, inputs, attended, dq, dk, dv });
        });
    }
    if shared {
        add_shares(team, config, &shares[0], dk);
        add_shares(team, config, &shares[1], dv);
        SHARES.set(shares);
    }
}

thread_local! {
    /// Each query head's share of the gradients of keys and values, kept from call to call.
    static SHARES: Cell<[Vec<f32>; 2]> = Cell::default();
}

/// The number of tokens.
fn check(config: &AttentionConfig, samples: &[Range<usize>], inputs: Qkv<'_>) -> usize {
    let AttentionConfig { heads, kv_heads, head_dim, window, .. } = *config;
    assert!(
        head_dim > 0 && kv_heads > 0 && heads > 0 && heads.is_multiple_of(kv_heads),
        "heads do not divide"
    );
    assert!(window != Some(0), "a window of nothing");
    let tokens = inputs.q.len() / (heads * head_dim);
    assert_eq!(inputs.q.len(), tokens * heads * head_dim, "queries of another shape");
    let keys = tokens * kv_heads * head_dim;
    assert!(inputs.k.len() == keys && inputs.v.len() == keys, "keys of another shape");
    let mut end = 0;
    for sample in samples {
        assert!(
            end <= sample.start && sample.start <= sample.end && sample.end <= tokens,
            "samples overlap or lie outside"
        );
        end = sample.end;
    }
    tokens
}

/// Zeros for tokens of no sample.
fn clear_gaps(samples: &[Range<usize>], tokens: usize, rows: &mut [f32]) {
    let width = rows.len() / tokens.max(1);
    let ends = std::iter::once(0).chain(samples.iter().map(|sample| sample.end));
    let starts = samples.iter().map(|sample| sample.start).chain([tokens]);
    for (end, start) in ends.zip(starts) {
        rows[end * width..start * width].fill(0.0);
    }
}

/// Hands out every query head of every sample, those of long samples first, so that the team ends together.
fn each_head(
    team: &Team,
    config: &AttentionConfig,
    samples: &[Range<usize>],
    work: &(dyn Fn(Head<'_>) + Sync),
) {
    let mut order: Vec<_> = samples.iter().filter(|sample| !sample.is_empty()).collect();
    order.sort_by_key(|sample| Reverse(sample.len()));
    team.chunks(order.len() * config.heads, 1, &|range| {
        for unit in range {
            let sample = order[unit / config.heads];
            work(Head { config, sample, head: unit % config.heads });
        }
    });
}

/// Adds up what the query heads of each key and value head have.
fn add_shares(team: &Team, config: &AttentionConfig, shares: &[f32], out: &mut [f32]) {
    let AttentionConfig { heads, kv_heads, head_dim, .. } = *config;
    let group = heads / kv_heads * head_dim;
    team.rows_mut(out, head_dim, VALUES_PER_THREAD.div_ceil(group), &|first, out| {
        let shares = shares[first * group..].chunks_exact(group);
        for (out, shares) in out.chunks_exact_mut(head_dim).zip(shares) {
            let (first, others) = shares.split_at(head_dim);
            out.copy_from_slice(first);
            for share in others.chunks_exact(head_dim) {
                out.iter_mut().zip(share).for_each(|(out, share)| *out += share);
            }
        }
    });
}

#[cfg(test)]
mod tests;
