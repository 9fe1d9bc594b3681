//! Any bytes as an adapter's description: an error or a value, in bounded time and memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hearth_fuzz::adapter_config(data));
