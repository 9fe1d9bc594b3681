//! Any bytes as a safetensors header: an error or a value, in bounded time and memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hearth_fuzz::safetensors_header(data));
