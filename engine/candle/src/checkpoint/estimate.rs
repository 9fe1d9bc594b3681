//! Memory a model will take, reckoned from its header.

use hearth_engine_api::{KvFormat, LoadError, MemoryEstimate};
use hearth_engine_kernels::PAGE_TOKENS;

use crate::{
    cpu::{kernel_format, kv_layout, work_bytes},
    models::DecoderConfig,
};

/// Longest stretch of a prompt that the tensor library's decoder reads at once.
const MAX_BLOCK_TOKENS: usize = 256;
const MIN_BLOCK_TOKENS: usize = 16;
/// What the attention scores of one block may take.
const SCORES_BYTES: usize = 128 << 20;
const NUMBER_BYTES: usize = size_of::<f32>();

/// How much of a prompt to read at once when `tokens` are in the context with it: less the longer it gets,
/// so that the scores stay within bounds.
pub(crate) fn prefill_block_tokens(config: &DecoderConfig, tokens: usize) -> usize {
    let row_bytes = config.heads * tokens.max(1) * NUMBER_BYTES;
    (SCORES_BYTES / row_bytes).clamp(MIN_BLOCK_TOKENS, MAX_BLOCK_TOKENS)
}

/// The decoder on the processor's: weights stay where they are mapped, keys and values come in pages.
pub(super) fn estimate(
    config: &DecoderConfig,
    weights_bytes: u64,
    context_tokens: u32,
    kv: KvFormat,
) -> MemoryEstimate {
    let pages = u64::from(context_tokens).div_ceil(PAGE_TOKENS as u64);
    let page_bytes = kv_layout(config, kernel_format(kv)).page_bytes() as u64;
    let logits = (config.vocab * NUMBER_BYTES) as u64;
    MemoryEstimate {
        weights_bytes,
        kv_cache_bytes: page_bytes.saturating_mul(pages),
        work_bytes: work_bytes(config).saturating_add(logits),
    }
}

/// Refuses what would not fit into the memory that is free now. Where the system does not tell, nothing is refused.
pub(crate) fn check_fits(estimate: &MemoryEstimate) -> Result<(), LoadError> {
    match free_memory_bytes() {
        Some(available_bytes) if estimate.total_bytes() > available_bytes => {
            Err(LoadError::OutOfMemory { needed_bytes: estimate.total_bytes(), available_bytes })
        }
        _ => Ok(()),
    }
}

/// Memory that is free for programs: `MemAvailable` of Linux; nothing elsewhere.
pub fn free_memory_bytes() -> Option<u64> {
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
        if free_memory_bytes().is_some() {
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
