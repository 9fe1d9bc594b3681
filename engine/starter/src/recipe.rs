//! What the model is and how it is trained, as a file.

use std::{fs, path::Path};

use hearth_engine_candle::models::{DecoderConfig, RopeLayout};
use serde::{Deserialize, Serialize};

use crate::{
    data::{Generator, Mix, Split},
    error::{StarterError, io},
};

/// Everything that decides the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the model.
    pub name: String,
    /// Decides data and first weights.
    pub seed: u64,
    /// Shape of the decoder.
    pub model: Shape,
    /// What the examples are about.
    pub mix: Mix,
    /// How it learns.
    pub train: Schedule,
}

/// Shape of the decoder. Widths are multiples of 256, so that K-quants apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Size of the vocabulary, special tokens included.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of the feed-forward layer.
    pub ffn: usize,
    /// Longest conversation, in tokens.
    pub context_tokens: usize,
}

/// How it learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Optimiser steps in all.
    pub steps: u64,
    /// The learning rate rises over the first so many steps.
    pub warmup_steps: u64,
    /// It falls along a cosine over the last so many.
    pub decay_steps: u64,
    /// Between the two it is this.
    pub learning_rate: f64,
    /// At the end it is this share of it.
    pub final_share: f64,
    /// `AdamW`'s decay of matrices.
    pub weight_decay: f64,
    /// `AdamW`'s memory of gradients.
    pub beta1: f64,
    /// `AdamW`'s memory of their squares.
    pub beta2: f64,
    /// Longest gradient, as a Euclidean norm; longer ones are shortened.
    pub clip: f64,
    /// Weight of a prompt's token in the loss, where an answer's counts 1.
    pub prompt_weight: f32,
    /// Examples in a step.
    pub batch_examples: usize,
    /// Parts a step is computed in; examples of like length share one.
    pub parts: usize,
    /// Examples the held-out loss is taken over.
    pub held_out_examples: u64,
    /// Steps between held-out losses.
    pub evaluate_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// Where the file is absent, is no recipe or asks for nothing.
    pub fn read(path: &Path) -> Result<Self, StarterError> {
        let text = fs::read_to_string(path).map_err(io(path))?;
        let recipe: Self = toml::from_str(&text)?;
        let train = &recipe.train;
        if train.batch_examples == 0 || train.parts == 0 || train.evaluate_every == 0 {
            return Err(StarterError::Malformed {
                what: "recipe",
                reason: "batch_examples, parts and evaluate_every must be at least 1".into(),
            });
        }
        Ok(recipe)
    }

    /// The decoder this recipe makes.
    pub fn decoder(&self) -> DecoderConfig {
        let Shape { vocab, hidden, layers, heads, kv_heads, ffn, context_tokens } = self.model;
        DecoderConfig {
            layers,
            kv_heads,
            rope_layout: RopeLayout::Interleaved,
            ..DecoderConfig::llama(vocab, hidden, heads, ffn, context_tokens)
        }
    }

    /// Examples of a split.
    pub fn generator(&self, split: Split) -> Generator {
        Generator::new(self.seed, split, self.mix.clone())
    }

    /// The part in which `self` and `other` would make different weights; schedules may be stretched.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let stretched = |train: &Schedule| Schedule {
            steps: 0,
            decay_steps: 0,
            evaluate_every: 0,
            checkpoint_every: 0,
            held_out_examples: 0,
            ..train.clone()
        };
        if self.seed != other.seed {
            Some("seed")
        } else if self.model != other.model {
            Some("model")
        } else if self.mix != other.mix {
            Some("mix")
        } else if stretched(&self.train) != stretched(&other.train) {
            Some("train")
        } else {
            None
        }
    }
}

impl Schedule {
    /// The learning rate of a step, the first being 0.
    pub fn rate(&self, step: u64) -> f64 {
        let risen = (step + 1) as f64 / self.warmup_steps.max(1) as f64;
        let left = self.steps.saturating_sub(step) as f64 / self.decay_steps.max(1) as f64;
        let cosine = 0.5 - 0.5 * (std::f64::consts::PI * left.min(1.0)).cos();
        let share = self.final_share + (1.0 - self.final_share) * cosine;
        self.learning_rate * risen.min(1.0) * share
    }
}
