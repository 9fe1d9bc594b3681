//! What a stranger's bytes are fed to: the same for the fuzzer's programs and for the engine's own tests.
//!
//! Each says whether the bytes were taken for sound. None may panic, nor take time or memory out of proportion.

use std::{fs, ops::ControlFlow, path::Path};

use hearth_engine_api::{AdapterError, AdapterFile, KvFormat, LoraSettings, Target};
use hearth_engine_candle::{
    Checkpoint,
    lora::Adapter,
    models::DecoderConfig,
    template::ChatTemplate,
    tokenizer::{Special, Tokenizer},
    weights::{GgufHeader, SafetensorsHeader},
};
use jiff::civil::date;
use serde_json::json;

/// Models of a fuzzer's making are not worth loading past this size.
const LARGEST_MODEL_BYTES: u64 = 64 << 20;
/// No token may be written as more than this many times the text it stands for; see [`text`].
const MOST_TOKENS_A_BYTE: usize = 64;

/// A GGUF's header.
pub(crate) fn gguf_header(data: &[u8]) -> bool {
    GgufHeader::read(data, data.len() as u64, Path::new("fuzzed.gguf")).is_ok()
}

/// A safetensors file's header.
pub(crate) fn safetensors_header(data: &[u8]) -> bool {
    SafetensorsHeader::read(data, data.len() as u64, Path::new("fuzzed.safetensors")).is_ok()
}

/// A `tokenizer.json`, and text that is run through it.
pub(crate) fn tokenizer_json(data: &[u8]) -> bool {
    let tokenizer = Tokenizer::from_json_slice(data);
    tokenizer.inspect(spell).is_ok()
}

/// A chat template, and a conversation it lays out.
pub(crate) fn chat_template(data: &[u8]) -> bool {
    let Ok(source) = std::str::from_utf8(data) else { return false };
    let Ok(template) = ChatTemplate::new(source) else { return false };
    let context = json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 2 + 2?"},
            {"role": "assistant", "content": "<think>Easy.</think>4"},
            {"role": "user", "content": "And tomorrow's date?"},
        ],
        "tools": [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}],
        "bos_token": "<s>",
        "eos_token": "</s>",
        "add_generation_prompt": true,
    });
    template.render_here(context, date(2024, 7, 26).at(12, 0, 0, 0)).is_ok()
}

/// A whole GGUF: header, description, vocabulary and weights. The bytes are put into the file `scratch`.
pub(crate) fn gguf_model(data: &[u8], scratch: &Path) -> bool {
    if fs::write(scratch, data).is_err() {
        return false;
    }
    let Ok(checkpoint) = Checkpoint::open(scratch) else { return false };
    let tokenizer = checkpoint.tokenizer();
    let words = tokenizer.inspect(spell).is_ok();
    if checkpoint.estimate(64, KvFormat::F16).total_bytes() > LARGEST_MODEL_BYTES {
        return false;
    }
    words && checkpoint.decoder(&mut |_| ControlFlow::Continue(())).is_ok()
}

/// A small model for adapters to stand beside.
pub(crate) fn small_model() -> DecoderConfig {
    DecoderConfig { layers: 2, kv_heads: 1, ..DecoderConfig::llama(16, 8, 2, 16, 32) }
}

/// An adapter that fits [`small_model`].
pub(crate) fn small_adapter() -> Result<Adapter, AdapterError> {
    let settings = LoraSettings {
        rank: 2,
        alpha: 4.0,
        rslora: false,
        dropout: 0.0,
        targets: [Target::Q, Target::Down].into(),
    };
    Ok(Adapter::zeros(&small_model(), &settings)?.random_a(1))
}

/// An adapter's `adapter_config.json`, with tensors that are sound.
pub(crate) fn adapter_config(data: &[u8]) -> bool {
    let Ok(config) = String::from_utf8(data.to_vec()) else { return false };
    let Ok(sound) = small_adapter().and_then(|adapter| adapter.to_peft("base", None)) else {
        return false;
    };
    Adapter::from_peft(&AdapterFile { config, weights: sound.weights }, &small_model()).is_ok()
}

/// An adapter's tensors, with a description that is sound.
pub(crate) fn adapter_weights(data: &[u8]) -> bool {
    let Ok(sound) = small_adapter().and_then(|adapter| adapter.to_peft("base", None)) else {
        return false;
    };
    let file = AdapterFile { config: sound.config, weights: data.into() };
    Adapter::from_peft(&file, &small_model()).is_ok()
}

/// An adapter as a GGUF.
pub(crate) fn adapter_gguf(data: &[u8]) -> bool {
    Adapter::from_gguf(data, &small_model()).is_ok()
}

/// Text through a vocabulary and back.
fn spell(tokenizer: &Tokenizer) {
    let text = text();
    for special in [Special::Parse, Special::Literal] {
        if let Ok(ids) = tokenizer.encode(&text, special) {
            assert!(ids.len() <= text.len() * MOST_TOKENS_A_BYTE, "{} tokens", ids.len());
            let _text = tokenizer.decode(&ids);
        }
    }
}

/// Words, runs of one character, marks, several scripts.
fn text() -> String {
    let mut text =
        String::from("The quick brown fox, n°1: “naïve” 你好 <|im_end|> fn main() {}\r\n\t");
    for c in ["a", " ", "\n", "1", "!", "é", "ab"] {
        text.push_str(&c.repeat(300));
    }
    text
}
