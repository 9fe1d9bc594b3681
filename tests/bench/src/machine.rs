//! What the machine can do, measured in the same run.

use std::{hint::black_box, thread, time::Instant};

/// Far more than the processor's caches hold.
const BUFFER_BYTES: usize = 512 << 20;
const WORD_BYTES: usize = size_of::<u64>();
/// Independent sums, so that additions never wait for each other.
const LANES: usize = 32;
const READS: usize = 3;

/// The most bytes a second that `threads` can read from memory together, in three tries.
pub(crate) fn read_bandwidth(threads: usize) -> f64 {
    let words = vec![1u64; BUFFER_BYTES / WORD_BYTES];
    let share = words.len().div_ceil(threads.max(1));
    let mut best = 0.0f64;
    for _ in 0..READS {
        let start = Instant::now();
        thread::scope(|scope| {
            for part in words.chunks(share) {
                scope.spawn(move || black_box(fold(part)));
            }
        });
        best = best.max(BUFFER_BYTES as f64 / start.elapsed().as_secs_f64());
    }
    best
}

fn fold(words: &[u64]) -> u64 {
    let mut lanes = [0u64; LANES];
    for block in words.as_chunks::<LANES>().0 {
        for (lane, word) in lanes.iter_mut().zip(block) {
            *lane ^= word;
        }
    }
    lanes.into_iter().fold(0, |all, lane| all ^ lane)
}

/// The processor's name and features that matter here, as the system tells them.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().map(str::trim) == Some(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let Some(name) = field("model name") else { return std::env::consts::ARCH.into() };
    let flags = field("flags").unwrap_or_default();
    let known = ["avx2", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8"];
    let has: Vec<&str> =
        known.into_iter().filter(|flag| flags.split(' ').any(|own| own == *flag)).collect();
    format!("{name} ({})", has.join(", "))
}

/// How many tasks wanted a core in the last minute; nothing where the system does not tell.
pub(crate) fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{LANES, fold};

    #[test]
    fn every_whole_block_is_read() {
        let mut words = vec![0u64; LANES * 3];
        assert_eq!(fold(&words), 0);
        words[LANES + 5] = 9;
        words[LANES * 3 - 1] = 1;
        assert_eq!(fold(&words), 8);
    }
}
