//! The readers of model files, for the fuzzer's programs.

#[allow(dead_code, reason = "each program uses one of them")]
mod entries;

/// A GGUF's header.
pub fn gguf_header(data: &[u8]) {
    entries::gguf_header(data);
}

/// A safetensors file's header.
pub fn safetensors_header(data: &[u8]) {
    entries::safetensors_header(data);
}

/// A `tokenizer.json`.
pub fn tokenizer_json(data: &[u8]) {
    entries::tokenizer_json(data);
}

/// A chat template.
pub fn chat_template(data: &[u8]) {
    entries::chat_template(data);
}

/// A whole GGUF, by way of a file.
pub fn gguf_model(data: &[u8]) {
    let name = format!("hearth-fuzz-{}.gguf", std::process::id());
    entries::gguf_model(data, &std::env::temp_dir().join(name));
}

/// An adapter's `adapter_config.json`.
pub fn adapter_config(data: &[u8]) {
    entries::adapter_config(data);
}

/// An adapter's tensors.
pub fn adapter_weights(data: &[u8]) {
    entries::adapter_weights(data);
}

/// An adapter as a GGUF.
pub fn adapter_gguf(data: &[u8]) {
    entries::adapter_gguf(data);
}
