//! Settings of the wasm engine. Compiler and runner include this same file: code compiled under other settings does not
//! load.

use wasmtime::{Config, OperatorCost};

/// What plugins run under: fuel gives the meaning, epochs the watchdog; every feature a plugin does not need is off.
pub(crate) fn engine_config() -> Config {
    let mut cost = OperatorCost::default();
    // A page is cleared by the system as it is touched.
    cost.variable.memory_grow_per_page = 255;
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .operator_cost(cost)
        .epoch_interruption(true)
        // Bounds are checked in code, with Spectre masks, and 64 MiB of address space a memory is enough.
        .memory_reservation(64 << 20)
        .memory_guard_size(64 << 10)
        .memory_may_move(false)
        // A process runs a plugin once or twice: copying its first memory costs less than a file to map it from, and
        // the process may make none.
        .memory_init_cow(false)
        .max_wasm_stack(512 << 10)
        .wasm_backtrace_max_frames(None)
        .coredump_on_trap(true)
        .concurrency_support(false)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false);
    config
}
