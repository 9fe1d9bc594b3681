//! Which settings make sense, and which do well.

use hearth_engine_api::{Budget, LoraSettings, TuneError, TuneSettings};
use hearth_engine_candle::models::DecoderConfig;

/// Most tokens of a batch; far beyond what memory allows.
const MAX_BATCH_TOKENS: u32 = 1 << 20;

/// Refuses settings that no run could follow.
pub(crate) fn check(settings: &TuneSettings) -> Result<(), TuneError> {
    let TuneSettings { lora, batch_tokens, sequence_tokens, accumulation, .. } = settings;
    let between = |what, value: f32, low: f32, high: f32, inside: bool, expected: &str| {
        let fits = value.is_finite() && value >= low && (value < high || inside && value == high);
        if fits { Ok(()) } else { Err(refused(what, value, expected)) }
    };
    let share = |what, value| between(what, value, 0.0, 1.0, true, "a share from 0 to 1");
    let below = |what, value| between(what, value, 0.0, 1.0, false, "from 0 to below 1");
    let size = |what, value| between(what, value, 0.0, f32::MAX, true, "0 or more");
    below("dropout", lora.dropout)?;
    below("beta1", settings.beta1)?;
    below("beta2", settings.beta2)?;
    share("the share of warm-up", settings.warmup_share)?;
    share("the final share of the step size", settings.final_share)?;
    size("the learning rate", settings.learning_rate)?;
    size("epsilon", settings.epsilon)?;
    size("the weight decay", settings.weight_decay)?;
    size("the longest gradient", settings.clip_norm)?;
    size("the time between checkpoints", settings.checkpoint_secs)?;
    if !(2..=MAX_BATCH_TOKENS).contains(sequence_tokens) {
        return Err(refused("the length of a sample", sequence_tokens, "2 tokens to 1048576"));
    }
    if *batch_tokens > MAX_BATCH_TOKENS {
        return Err(refused("the length of a batch", batch_tokens, "1048576 tokens at most"));
    }
    if *accumulation == 0 {
        return Err(refused("the number of batches of a step", accumulation, "1 or more"));
    }
    match settings.budget {
        Budget::Minutes(amount) | Budget::Epochs(amount) => {
            if !amount.is_finite() || amount <= 0.0 || amount > 1e6 {
                return Err(refused("the budget", amount, "more than 0, and at most a million"));
            }
        }
        Budget::Steps(0) => return Err(refused("the budget", 0, "1 step or more")),
        Budget::Steps(_) => {}
    }
    Ok(())
}

/// Settings that do well with a model of this shape and so much to learn.
///
/// Small models want large steps. With little to learn, short steps make enough of them, and a thin adapter has no room for
/// learning by heart.
pub(crate) fn recommend(
    config: &DecoderConfig,
    learnt_tokens: u64,
    wishes: &TuneSettings,
) -> TuneSettings {
    let parameters = weights(config);
    let learning_rate = match parameters {
        0..5_000_000 => 1e-2,
        5_000_000..50_000_000 => 3e-3,
        50_000_000..500_000_000 => 1e-3,
        500_000_000..2_000_000_000 => 4e-4,
        _ => 2e-4,
    };
    let rank = match learnt_tokens {
        0..20_000 => 8,
        20_000..2_000_000 => 16,
        _ => 32,
    };
    let batch_tokens = match learnt_tokens {
        0..50_000 => 512,
        50_000..500_000 => 1024,
        _ => 2048,
    };
    let context = u32::try_from(config.context_tokens).unwrap_or(u32::MAX);
    TuneSettings {
        lora: LoraSettings { rank, alpha: 2.0 * rank as f32, ..TuneSettings::default().lora },
        sequence_tokens: wishes.sequence_tokens.min(context),
        batch_tokens: batch_tokens.max(wishes.sequence_tokens.min(context)),
        learning_rate,
        ..wishes.clone()
    }
}

/// Numbers of the matrices, about.
const fn weights(config: &DecoderConfig) -> u64 {
    let &DecoderConfig { hidden, ffn, heads, kv_heads, head_dim, layers, vocab, .. } = config;
    let layer = hidden * head_dim * 2 * (heads + kv_heads) + 3 * hidden * ffn;
    (layers * layer + vocab * hidden) as u64
}

fn refused(what: &'static str, got: impl ToString, expected: &str) -> TuneError {
    TuneError::Setting { what, got: got.to_string(), expected: expected.into() }
}
