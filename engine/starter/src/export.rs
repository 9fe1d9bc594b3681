//! The finished model as one GGUF file.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    str::FromStr,
};

use candle_core::{
    Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Value},
    },
};
use hearth_engine_candle::models::DecoderConfig;

use crate::{
    error::{StarterError, io},
    recipe::Recipe,
    train::Checkpoint,
    vocabulary::{CHAT_TEMPLATE, END_OF_TEXT, SPECIAL, SPLITTER, TURN_END, TURN_START, Vocabulary},
};

/// How matrices are stored; norms are always F32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As trained.
    F32,
    /// Eight bits a weight.
    Q8_0,
    /// Six bits a weight, in blocks of 256.
    Q6K,
    /// Five bits a weight, in blocks of 256, and six for the embedding.
    Q5K,
    /// Four bits a weight, in blocks of 256, and six for the embedding.
    Q4K,
}

impl Format {
    fn of(self, name: &str, rank: usize) -> GgmlDType {
        match self {
            _ if rank < 2 => GgmlDType::F32,
            Self::F32 => GgmlDType::F32,
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q6K => GgmlDType::Q6K,
            // The embedding is the head as well, where an error tells most.
            Self::Q5K | Self::Q4K if name == "token_embd.weight" => GgmlDType::Q6K,
            Self::Q5K => GgmlDType::Q5K,
            Self::Q4K => GgmlDType::Q4K,
        }
    }

    /// The number of the format in `general.file_type`.
    const fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::Q8_0 => 7,
            Self::Q4K => 15,
            Self::Q5K => 17,
            Self::Q6K => 18,
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "f32" => Ok(Self::F32),
            "q8_0" => Ok(Self::Q8_0),
            "q6k" => Ok(Self::Q6K),
            "q5k" => Ok(Self::Q5K),
            "q4k" => Ok(Self::Q4K),
            _ => Err(format!("{name:?} is not one of f32, q8_0, q6k, q5k, q4k")),
        }
    }
}

/// Writes the model of a checkpoint with its tokenizer and chat template to `path`; returns the file's size.
///
/// # Errors
/// Where a weight is missing or does not fit the format, or the file cannot be written.
pub fn export(
    checkpoint: &Checkpoint,
    vocabulary: &Vocabulary,
    format: Format,
    path: &Path,
) -> Result<u64, StarterError> {
    let config = checkpoint.recipe.decoder();
    let tensors = checkpoint
        .weights(&config)?
        .iter()
        .map(|(name, tensor)| quantized(name, tensor, format))
        .collect::<Result<Vec<_>, _>>()?;
    let metadata = metadata(&checkpoint.recipe, &config, vocabulary, format)?;
    let beside = path.with_extension("part");
    let mut file = BufWriter::new(File::create(&beside).map_err(io(&beside))?);
    gguf_file::write(
        &mut file,
        &metadata.iter().map(|(key, value)| (key.as_str(), value)).collect::<Vec<_>>(),
        &tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect::<Vec<_>>(),
    )?;
    file.flush().map_err(io(&beside))?;
    drop(file);
    fs::rename(&beside, path).map_err(io(path))?;
    fs::metadata(path).map(|metadata| metadata.len()).map_err(io(path))
}

fn quantized(
    name: &str,
    tensor: &Tensor,
    format: Format,
) -> Result<(String, QTensor), StarterError> {
    let name = gguf_name(name);
    let kind = format.of(&name, tensor.rank());
    Ok((name, QTensor::quantize(tensor, kind)?))
}

/// The name GGUF files give a parameter. The decoder is trained with the pairs of its rotary embedding side by
/// side, as Llama GGUFs have them, so that no rows need be moved.
fn gguf_name(name: &str) -> String {
    const NAMES: [(&str, &str); 11] = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    // "post_attention_layernorm" does not end in "input_layernorm", so the order is free.
    let renamed =
        NAMES.iter().fold(name.to_owned(), |name, (theirs, gguf)| name.replacen(theirs, gguf, 1));
    renamed.replacen("model.layers.", "blk.", 1)
}

fn metadata(
    recipe: &Recipe,
    config: &DecoderConfig,
    vocabulary: &Vocabulary,
    format: Format,
) -> Result<Vec<(String, Value)>, StarterError> {
    let text = |value: &str| Value::String(value.to_owned());
    let number =
        |value: usize| u32::try_from(value).map(Value::U32).unwrap_or(Value::U64(value as u64));
    let (tokens, merges) = vocabulary.parts()?;
    let kinds = (0..tokens.len()).map(|id| Value::I32(if id < SPECIAL.len() { 3 } else { 1 }));
    let list = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    let entries = [
        ("general.architecture", text("llama")),
        ("general.name", text(&recipe.name)),
        ("general.description", text("A small demonstration model trained on generated text.")),
        ("general.license", text("MIT OR Apache-2.0")),
        ("general.file_type", Value::U32(format.file_type())),
        ("general.quantization_version", Value::U32(2)),
        ("llama.block_count", number(config.layers)),
        ("llama.context_length", number(config.context_tokens)),
        ("llama.embedding_length", number(config.hidden)),
        ("llama.feed_forward_length", number(config.ffn)),
        ("llama.attention.head_count", number(config.heads)),
        ("llama.attention.head_count_kv", number(config.kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(config.rms_eps as f32)),
        ("llama.rope.dimension_count", number(config.head_dim)),
        ("llama.rope.freq_base", Value::F32(config.rope_theta as f32)),
        ("llama.vocab_size", number(config.vocab)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text(SPLITTER)),
        ("tokenizer.ggml.token_type", Value::Array(kinds.collect())),
        ("tokenizer.ggml.tokens", list(tokens)),
        ("tokenizer.ggml.merges", list(merges)),
        ("tokenizer.ggml.bos_token_id", Value::U32(TURN_START)),
        ("tokenizer.ggml.eos_token_id", Value::U32(TURN_END)),
        ("tokenizer.ggml.padding_token_id", Value::U32(END_OF_TEXT)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
        ("tokenizer.chat_template", text(CHAT_TEMPLATE)),
    ];
    Ok(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_llama_files() {
        let pairs = [
            ("model.embed_tokens.weight", "token_embd.weight"),
            ("model.layers.3.self_attn.o_proj.weight", "blk.3.attn_output.weight"),
            ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"),
            ("model.layers.11.input_layernorm.weight", "blk.11.attn_norm.weight"),
            ("model.layers.2.mlp.gate_proj.weight", "blk.2.ffn_gate.weight"),
            ("model.norm.weight", "output_norm.weight"),
        ];
        for (theirs, gguf) in pairs {
            assert_eq!(gguf_name(theirs), gguf);
        }
    }
}
