//! Memory a model will take, reckoned from its header.

use candle_core::quantized::GgmlDType;
use hearth_engine_api::{LoadError, MemoryEstimate};

use crate::{models::DecoderConfig, weights::TensorEntry};

/// Longest stretch of a prompt read at once.
const MAX_BLOCK_TOKENS: usize = 256;
const MIN_BLOCK_TOKENS: usize = 16;
/// What the attention scores of one block may take.
const SCORES_BYTES: usize = 128 << 20;
/// Copies of the scores alive at once: before the mask, after it, after the softmax.
const SCORE_COPIES: u64 = 3;
/// Copies of the residual stream and of the feed-forward layer alive at once.
const STREAM_COPIES: u64 = 8;
const FFN_COPIES: u64 = 4;
const NUMBER_BYTES: u64 = size_of::<f32>() as u64;

/// How much of a prompt to read at once when `tokens` are in the context with it: less the longer it gets,
/// so that the scores stay within bounds.
pub(crate) fn prefill_block_tokens(config: &DecoderConfig, tokens: usize) -> usize {
    let row_bytes = config.heads * tokens.max(1) * NUMBER_BYTES as usize;
    (SCORES_BYTES / row_bytes).clamp(MIN_BLOCK_TOKENS, MAX_BLOCK_TOKENS)
}

pub(super) fn estimate(
    config: &DecoderConfig,
    weights_bytes: u64,
    context_tokens: u32,
) -> MemoryEstimate {
    let context = u64::from(context_tokens);
    let block = prefill_block_tokens(config, context_tokens as usize) as u64;
    let scores = SCORE_COPIES * config.heads as u64 * block * context;
    let widths = STREAM_COPIES * config.hidden as u64 + FFN_COPIES * config.ffn as u64;
    let logits = 2 * config.vocab as u64;
    MemoryEstimate {
        weights_bytes,
        kv_cache_bytes: config.kv_bytes_per_token().saturating_mul(context),
        work_bytes: (scores + block * widths + logits).saturating_mul(NUMBER_BYTES),
    }
}

/// Bytes of a GGUF's tensor once loaded. Plain numbers are widened to F32; of some quantised formats the
/// tensor library makes a second, rearranged copy on first use, up to 1.4 times the first.
pub(super) fn held_bytes(entry: &TensorEntry) -> u64 {
    const REARRANGED_TENTHS: u64 = 14;
    const ROWS: usize = 8;
    match entry.kind.supported() {
        None => entry.bytes,
        Some(GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16) => {
            entry.elements().saturating_mul(NUMBER_BYTES)
        }
        Some(dtype) => {
            let rearranged = matches!(dtype, GgmlDType::Q4K | GgmlDType::Q6K | GgmlDType::Q8_0)
                && matches!(entry.shape.as_slice(), [rows, columns]
                    if rows.is_multiple_of(ROWS) && columns.is_multiple_of(256));
            let copy = if rearranged { entry.bytes / 10 * REARRANGED_TENTHS } else { 0 };
            entry.bytes.saturating_add(copy)
        }
    }
}

/// Refuses what would not fit into the memory that is free now. Where the system does not tell, nothing is refused.
pub(crate) fn check_fits(estimate: &MemoryEstimate) -> Result<(), LoadError> {
    match available_bytes() {
        Some(available_bytes) if estimate.total_bytes() > available_bytes => {
            Err(LoadError::OutOfMemory { needed_bytes: estimate.total_bytes(), available_bytes })
        }
        _ => Ok(()),
    }
}

/// `MemAvailable` of Linux; nothing elsewhere.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    available_from(&text)
}

fn available_from(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes() {
        let text = "MemTotal:       16000000 kB\nMemAvailable:   12345678 kB\n";
        assert_eq!(available_from(text), Some(12_345_678 * 1024));
        assert_eq!(available_from("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn what_cannot_fit_is_refused() {
        let estimate = MemoryEstimate { weights_bytes: 1 << 60, kv_cache_bytes: 0, work_bytes: 0 };
        if available_bytes().is_some() {
            assert!(matches!(check_fits(&estimate), Err(LoadError::OutOfMemory { .. })));
        }
    }

    #[test]
    fn blocks_shrink_as_the_context_grows() {
        let config = DecoderConfig { heads: 32, ..DecoderConfig::llama(8, 64, 2, 8, 8) };
        assert_eq!(prefill_block_tokens(&config, 100), MAX_BLOCK_TOKENS);
        assert_eq!(prefill_block_tokens(&config, 8192), 128);
        assert_eq!(prefill_block_tokens(&config, 1 << 24), MIN_BLOCK_TOKENS);
    }
}
