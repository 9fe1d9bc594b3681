//! What the machine can do, measured in the same run.

use hearth_engine_kernels::{Team, dot_product_rate, read_bandwidth};

use crate::BenchError;

/// What no arithmetic gets past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes read from memory a second.
    pub(crate) read_bandwidth: f64,
    /// Products of 8-bit integers added up a second, where the processor has an instruction for it.
    pub(crate) products: Option<f64>,
}

impl Limits {
    /// Measured with a team of its own, which ends with it.
    pub(crate) fn measure(threads: usize) -> Result<Self, BenchError> {
        let team = Team::new(threads)
            .map_err(|source| BenchError::Start { program: "a thread".into(), source })?;
        Ok(Self { read_bandwidth: read_bandwidth(&team), products: dot_product_rate(&team) })
    }
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
