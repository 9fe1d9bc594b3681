//! Any bytes as a GGUF file: an error or a value, in bounded time and memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hearth_fuzz::gguf_model(data));
