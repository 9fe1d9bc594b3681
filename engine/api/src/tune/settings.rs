//! How a run is to go.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A matrix of each layer that an adapter may stand beside, by Hugging Face's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// Queries.
    #[serde(rename = "q_proj")]
    Q,
    /// Keys.
    #[serde(rename = "k_proj")]
    K,
    /// Values.
    #[serde(rename = "v_proj")]
    V,
    /// Attention's output.
    #[serde(rename = "o_proj")]
    O,
    /// Feed-forward gate.
    #[serde(rename = "gate_proj")]
    Gate,
    /// Feed-forward up.
    #[serde(rename = "up_proj")]
    Up,
    /// Feed-forward down.
    #[serde(rename = "down_proj")]
    Down,
}

impl Target {
    /// All of them, in the order in which a layer uses them.
    pub const ALL: [Self; 7] =
        [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Hugging Face's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }
}

/// The adapter's shape (Hu et al. 2021): beside `W x` stands `scale * B A x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraSettings {
    /// Rows of A and columns of B.
    pub rank: u32,
    /// `scale` is `alpha / rank`, or `alpha / sqrt(rank)` with `rslora`.
    pub alpha: f32,
    /// Rank-stabilised scale (Kalajdzievski 2023).
    pub rslora: bool,
    /// Share of A's inputs that are left out in training, the others scaled up.
    pub dropout: f32,
    /// Where.
    pub targets: BTreeSet<Target>,
}

impl LoraSettings {
    /// What `B A x` is multiplied by.
    pub fn scale(&self) -> f32 {
        let rank = self.rank.max(1) as f32;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// So long, by the speed measured when it begins; the number of steps is settled then and kept. It is over earlier
    /// where more would be learning by heart: no example is read more than 4 times.
    Minutes(f32),
    /// Each example is read so often.
    Epochs(f32),
    /// So many steps of the optimiser.
    Steps(u32),
}

/// Which tokens of an example are learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossOn {
    /// The answers.
    #[default]
    Answers,
    /// All but the first.
    All,
}

/// How products with the frozen weights are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// In 32-bit floats.
    F32,
    /// Of numbers rounded to bfloat16, summed in 32-bit floats: as good for training, and several times faster on
    /// processors that know it.
    #[default]
    Bf16,
}

/// Everything but the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TuneSettings {
    /// The adapter's shape.
    pub lora: LoraSettings,
    /// When it is over.
    pub budget: Budget,
    /// Most tokens of a sample; a longer example is cut into several. Never more than the model's context.
    pub sequence_tokens: u32,
    /// Tokens that are read at once; several sequences.
    pub batch_tokens: u32,
    /// Batches that make up a step of the optimiser.
    pub accumulation: u32,
    /// Highest step size of AdamW (Loshchilov and Hutter 2019).
    pub learning_rate: f32,
    /// Share of the steps over which the step size rises to that.
    pub warmup_share: f32,
    /// Share of the highest step size that the cosine falls to at the end.
    pub final_share: f32,
    /// AdamW's decay of first moments.
    pub beta1: f32,
    /// AdamW's decay of second moments.
    pub beta2: f32,
    /// AdamW's guard against division by zero.
    pub epsilon: f32,
    /// AdamW's pull towards zero.
    pub weight_decay: f32,
    /// Longest gradient; longer ones are scaled down. 0 is off.
    pub clip_norm: f32,
    /// Which tokens are learnt.
    pub loss_on: LossOn,
    /// Whether short examples go where they fill a batch best; off, batches take them strictly in order. In either case no
    /// example sees another.
    pub pack: bool,
    /// Whether examples are shuffled, anew for each epoch.
    pub shuffle: bool,
    /// How products are computed.
    pub precision: Precision,
    /// Whether activations are computed again on the way back instead of being kept; by the memory there is if `None`.
    pub recompute: Option<bool>,
    /// Times the held-out examples are looked at on the way; they are at the start and at the end anyhow.
    pub evaluations: u32,
    /// Seconds of work between checkpoints.
    pub checkpoint_secs: f32,
    /// Threads; the number of physical cores if `None`.
    pub threads: Option<usize>,
    /// For shuffles, dropout and A's first values.
    pub seed: u64,
}

impl Default for TuneSettings {
    fn default() -> Self {
        Self {
            lora: LoraSettings {
                rank: 16,
                alpha: 32.0,
                rslora: false,
                dropout: 0.0,
                targets: BTreeSet::from(Target::ALL),
            },
            budget: Budget::Minutes(20.0),
            sequence_tokens: 512,
            batch_tokens: 1024,
            accumulation: 1,
            learning_rate: 2e-4,
            warmup_share: 0.03,
            final_share: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            loss_on: LossOn::Answers,
            pack: true,
            shuffle: true,
            precision: Precision::Bf16,
            recompute: None,
            evaluations: 10,
            checkpoint_secs: 60.0,
            threads: None,
            seed: 0,
        }
    }
}
