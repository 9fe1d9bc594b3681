//! Drawing the next token from logits.

use hearth_engine_api::{EngineError, Logprob, Sampling, TokenLogprobs};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// A token and its probability among those still in the running.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The token.
    pub id: u32,
    /// Its share; the shares of the tokens before top-p and min-p add up to 1.
    pub probability: f64,
}

/// Draws tokens as a [`Sampling`] says. The same seed on the same logits draws the same tokens.
pub struct Sampler {
    sampling: Sampling,
    rng: StdRng,
}

impl Sampler {
    /// Checks the settings and seeds the generator.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] with the setting that makes no sense.
    pub fn new(sampling: &Sampling) -> Result<Self, EngineError> {
        check(sampling)?;
        Ok(Self { sampling: sampling.clone(), rng: StdRng::seed_from_u64(sampling.seed) })
    }

    /// Draws one of `logits`, whose places are token ids; minus infinity and NaN are never drawn.
    /// `history` is every token so far, of which the penalty looks at the last few.
    ///
    /// # Errors
    /// [`EngineError::Compute`] where no token can be drawn.
    pub fn draw(&mut self, logits: &mut [f32], history: &[u32]) -> Result<u32, EngineError> {
        penalise(logits, history, &self.sampling);
        if self.sampling.temperature == 0.0 {
            return largest(logits).ok_or_else(nothing_to_draw);
        }
        let candidates = candidates(logits, &self.sampling);
        let total: f64 = candidates.iter().map(|candidate| candidate.probability).sum();
        let mut left = self.rng.random::<f64>() * total;
        for candidate in &candidates {
            left -= candidate.probability;
            if left < 0.0 {
                return Ok(candidate.id);
            }
        }
        // Rounding may leave a grain over.
        candidates.last().map(|candidate| candidate.id).ok_or_else(nothing_to_draw)
    }
}

/// The largest logit's token, the lowest id on a tie; nothing where all are minus infinity or NaN.
pub fn largest(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (id, &logit) in (0u32..).zip(logits) {
        // Also false for NaN.
        if logit > best.map_or(f32::NEG_INFINITY, |(_, logit)| logit) {
            best = Some((id, logit));
        }
    }
    best.map(|(id, _)| id)
}

/// The logarithms of the probabilities of `drawn` and of the `top` likeliest tokens, by `logits` as they are; of
/// equally likely ones those with the lowest ids.
pub(crate) fn token_logprobs(logits: &[f32], drawn: u32, top: usize) -> TokenLogprobs {
    let largest = logits.iter().copied().filter(|logit| !logit.is_nan()).fold(f32::MIN, f32::max);
    let gaps = logits.iter().filter(|logit| !logit.is_nan());
    let sum: f64 = gaps.map(|&logit| f64::from(logit - largest).exp()).sum();
    let of = |id: u32| {
        let logit = logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
        #[expect(clippy::cast_possible_truncation, reason = "the logits are no finer")]
        let logprob = (f64::from(logit - largest) - sum.ln()) as f32;
        Logprob { id, logprob }
    };
    let mut list: Vec<Logprob> = if top == 0 {
        Vec::new()
    } else {
        let ids = (0u32..).zip(logits).filter(|(_, logit)| !logit.is_nan());
        ids.map(|(id, &logprob)| Logprob { id, logprob }).collect()
    };
    let likelier = |a: &Logprob, b: &Logprob| b.logprob.total_cmp(&a.logprob).then(a.id.cmp(&b.id));
    if top < list.len() {
        list.select_nth_unstable_by(top, likelier);
        list.truncate(top);
    }
    list.sort_unstable_by(likelier);
    TokenLogprobs { drawn: of(drawn), top: list.iter().map(|logprob| of(logprob.id)).collect() }
}

/// What is left of `logits` after temperature, top-k, top-p and min-p, in that order: likeliest first,
/// lowest id first among equals. Empty where nothing can be drawn.
pub fn candidates(logits: &[f32], sampling: &Sampling) -> Vec<Candidate> {
    let temperature = f64::from(sampling.temperature);
    let Some(top) = largest(logits) else { return Vec::new() };
    let top = f64::from(logits.get(top as usize).copied().unwrap_or_default());
    let mut list: Vec<Candidate> = (0u32..)
        .zip(logits)
        .filter(|(_, logit)| **logit > f32::NEG_INFINITY)
        .map(|(id, &logit)| {
            // Of two infinite logits the difference is not a number; both are certain.
            let gap = f64::from(logit) - top;
            let gap = if gap.is_nan() { 0.0 } else { gap };
            Candidate { id, probability: (gap / temperature).exp() }
        })
        .collect();
    keep_top_k(&mut list, sampling.top_k);
    let total: f64 = list.iter().map(|candidate| candidate.probability).sum();
    // What min-p drops is a tail of the sorted list, as is what top-p drops. So it may go first, which leaves
    // less to sort, as long as top-p counts in the whole.
    let least = f64::from(sampling.min_p);
    list.retain(|candidate| candidate.probability >= least);
    list.sort_unstable_by(likelier);
    for candidate in &mut list {
        candidate.probability /= total;
    }
    let mut sum = 0.0;
    let reached = list.iter().position(|candidate| {
        sum += candidate.probability;
        sum >= f64::from(sampling.top_p)
    });
    if sampling.top_p < 1.0
        && let Some(last) = reached
    {
        list.truncate(last + 1);
    }
    list
}

fn keep_top_k(list: &mut Vec<Candidate>, top_k: Option<u32>) {
    let Some(k) = top_k.map(|k| k as usize).filter(|&k| k < list.len()) else { return };
    list.select_nth_unstable_by(k, likelier);
    list.truncate(k);
}

fn likelier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.probability.total_cmp(&a.probability).then(a.id.cmp(&b.id))
}

/// Keskar et al. 2019: what was said of late becomes less likely, once however often it was said.
fn penalise(logits: &mut [f32], history: &[u32], sampling: &Sampling) {
    let penalty = sampling.repetition_penalty;
    if penalty == 1.0 {
        return;
    }
    let window = sampling.repetition_window_tokens as usize;
    let mut recent = history[history.len().saturating_sub(window)..].to_vec();
    recent.sort_unstable();
    recent.dedup();
    for id in recent {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

fn check(sampling: &Sampling) -> Result<(), EngineError> {
    let wrong = |what: &str, value: f32, expected: &str| {
        Err(EngineError::Invalid { reason: format!("{what} is {value}, expected {expected}") })
    };
    if !(sampling.temperature.is_finite() && sampling.temperature >= 0.0) {
        return wrong("temperature", sampling.temperature, "0 or more");
    }
    if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
        return wrong("top-p", sampling.top_p, "more than 0, at most 1");
    }
    if !(0.0..=1.0).contains(&sampling.min_p) {
        return wrong("min-p", sampling.min_p, "0 to 1");
    }
    if !(sampling.repetition_penalty.is_finite() && sampling.repetition_penalty > 0.0) {
        return wrong("the repetition penalty", sampling.repetition_penalty, "more than 0");
    }
    if sampling.top_k == Some(0) {
        return wrong("top-k", 0.0, "1 or more, or none");
    }
    Ok(())
}

fn nothing_to_draw() -> EngineError {
    EngineError::Compute { op: "sampling", reason: "no logit is a finite number".into() }
}

#[cfg(test)]
mod tests;
