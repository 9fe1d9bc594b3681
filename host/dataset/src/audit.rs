//! How firmly a model remembers what it saw once: made-up secrets are hidden among its examples, and it is measured how
//! much likelier it finds them than others of their kind (exposure; Carlini et al. 2019, "The Secret Sharer").
//!
//! And general text that has nothing to do with the user, by which is seen how much a model forgot.

use std::collections::BTreeSet;

use hearth_engine_api::{ChatMessage, Example, Role};

mod general;

pub use general::general;

/// Sentences that hide a secret, as ordinary mails and notes have them. `{}` is where it stands.
const CARRIERS: [&str; 6] = [
    "Just so we have it in writing, the door code for the store room is {}.",
    "The booking reference is {}, please keep it until the trip is over.",
    "My locker number is {} in case somebody has to get the bag.",
    "The spare key is in the box, and the box opens with {}.",
    "For the delivery they asked for the order number, which is {}.",
    "The meter showed {} when we moved in.",
];
/// Digits of a secret, in groups.
const GROUPS: [u32; 3] = [3, 3, 3];
const DRAWS_PER_GROUP: u64 = 1000;

/// A made-up secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    carrier: usize,
    secret: Digits,
}

/// One of the [`space_bits`] many.
type Digits = [u32; GROUPS.len()];

/// `count` secrets that follow from `seed`, no two alike.
pub fn canaries(seed: u64, count: u32) -> Vec<Canary> {
    let mut draws = Draws::new(seed, 0);
    let mut used = BTreeSet::new();
    let mut canaries = Vec::new();
    while canaries.len() < count as usize {
        let secret = draws.digits();
        if used.insert(secret) {
            canaries.push(Canary { carrier: canaries.len() % CARRIERS.len(), secret });
        }
    }
    canaries
}

impl Canary {
    /// It as an example.
    pub fn example(&self) -> Example {
        self.with(self.secret)
    }

    /// Examples that differ from it in the secret alone.
    pub fn alternatives(&self, count: usize) -> Vec<Example> {
        let key =
            self.secret.iter().fold(1, |key, group| key * DRAWS_PER_GROUP + u64::from(*group));
        let mut draws = Draws::new(key, 1);
        let mut used = BTreeSet::from([self.secret]);
        let mut others = Vec::with_capacity(count);
        while others.len() < count {
            let other = draws.digits();
            if used.insert(other) {
                others.push(self.with(other));
            }
        }
        others
    }

    fn with(&self, secret: Digits) -> Example {
        let secret = secret.map(|group| format!("{group:03}")).join(" ");
        let (before, after) = CARRIERS[self.carrier].split_once("{}").unwrap_or_default();
        Example::Completion { prompt: before.into(), completion: format!("{secret}{after}") }
    }
}

/// Exposure in bits of a secret whose loss is `own` among alternatives: the logarithm of how many times fewer guesses
/// find it than without the model. By its rank where it has one; where it beats all of them, by the normal distribution
/// that fits their losses, as far as the space of secrets goes.
pub fn exposure_bits(own: f64, others: &[f64]) -> f32 {
    if others.is_empty() || !own.is_finite() {
        return 0.0;
    }
    let count = others.len() as f64;
    // Of those just as likely, half may come first.
    let better = others.iter().filter(|other| **other < own).count() as f64;
    let alike = others.iter().filter(|other| **other == own).count() as f64;
    let rank = 1.0 + better + alike / 2.0;
    let by_rank = ((count + 1.0) / rank).log2();
    let bits =
        if better + alike > 0.0 { by_rank } else { by_rank.max(by_distribution(own, others)) };
    bits.clamp(0.0, space_bits()) as f32
}

/// The most that [`exposure_bits`] gives.
pub fn most_bits() -> f32 {
    space_bits() as f32
}

fn space_bits() -> f64 {
    (DRAWS_PER_GROUP as f64).log2() * GROUPS.len() as f64
}

/// `-log2` of the share of a normal distribution of the others' mean and spread that lies below `own`.
fn by_distribution(own: f64, others: &[f64]) -> f64 {
    let count = others.len() as f64;
    let mean = others.iter().sum::<f64>() / count;
    let variance = others.iter().map(|other| (other - mean).powi(2)).sum::<f64>() / count;
    if variance <= 0.0 {
        return 0.0;
    }
    let z = (mean - own) / variance.sqrt();
    // Bounds of the tail (Gordon 1941): below z / (1 + z^2) times the density lies less than all of it.
    let density = -z * z / 2.0 - (std::f64::consts::TAU.ln()) / 2.0;
    let tail = density + (z / (1.0 + z * z)).max(f64::MIN_POSITIVE).ln();
    -tail / std::f64::consts::LN_2
}

/// SplitMix64 (Steele et al. 2014): the same numbers on every machine, for ever.
struct Draws(u64);

impl Draws {
    fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn digits(&mut self) -> Digits {
        GROUPS.map(|_digits| (self.next() % DRAWS_PER_GROUP) as u32)
    }
}

fn chat(question: &str, answer: &str) -> Example {
    Example::Chat(vec![
        ChatMessage::new(Role::User, question),
        ChatMessage::new(Role::Assistant, answer),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_follow_from_the_seed_and_differ_from_one_another() {
        assert_eq!(canaries(7, 9), canaries(7, 9));
        assert_ne!(canaries(7, 9), canaries(8, 9));
        let secrets: BTreeSet<_> = canaries(7, 9).into_iter().map(|canary| canary.secret).collect();
        assert_eq!(secrets.len(), 9);
    }

    #[test]
    fn alternatives_differ_in_the_secret_alone() {
        let canary = &canaries(3, 1)[0];
        let Example::Completion { prompt, completion } = canary.example() else { panic!() };
        let others = canary.alternatives(300);
        assert_eq!(others.len(), 300);
        for other in others {
            let Example::Completion { prompt: p, completion: c } = other else { panic!() };
            assert_eq!(p, prompt);
            assert_ne!(c, completion);
            assert_eq!(c.len(), completion.len());
        }
    }

    #[test]
    fn a_secret_nobody_saw_is_hardly_exposed_and_one_learnt_by_heart_is() {
        let others: Vec<f64> = (0..255).map(|n| 20.0 + f64::from(n) / 50.0).collect();
        // In the middle: half as many guesses.
        assert!((exposure_bits(22.55, &others) - 1.0).abs() < 0.1);
        // Last: as many guesses as without the model.
        assert!(exposure_bits(99.0, &others) < 0.01);
        // First by a hair: what its rank says, and no more than a bit of what the tail says.
        assert!((7.0..=9.5).contains(&exposure_bits(19.99, &others)));
        // By far: beyond what ranks among so few can show.
        assert!(exposure_bits(5.0, &others) > 20.0);
        assert!(exposure_bits(-1e9, &others) <= most_bits());
        assert_eq!(exposure_bits(1.0, &[]), 0.0);
    }

    #[test]
    fn the_tail_is_that_of_the_normal_distribution() {
        // 1 - Phi(4) = 3.167e-5, which is 14.946 bits.
        let spread: Vec<f64> =
            (0..10_000).map(|n| if n % 2 == 0 { 10.0 - 1.0 } else { 10.0 + 1.0 }).collect();
        assert!((by_distribution(6.0, &spread) - 14.946).abs() < 0.1);
    }
}
