//! Adapters as llama.cpp has them (`--lora`): a GGUF with a pair of tensors for each matrix of the base.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
    path::Path,
};

use candle_core::{
    Device, Tensor,
    quantized::{
        GgmlDType, QStorage, QTensor,
        gguf_file::{self, Value},
    },
};
use hearth_engine_api::{AdapterError, LoadError, LoraSettings};

use super::{
    Adapter, HearthMeta, Layout,
    merge::write_whole,
    parts::{Loose, Module, assemble, disassemble, loose},
    peft::read_limited,
};
use crate::{
    models::{Architecture, DecoderConfig},
    weights::{GgufHeader, TensorEntry},
};

const MAX_BYTES: u64 = 16 << 30;
const META: &str = "hearth.adapter";

impl Adapter {
    /// Reads an adapter for a base model from the GGUF file at `path`.
    ///
    /// # Errors
    /// As [`Adapter::from_gguf`], and [`AdapterError::Io`].
    pub fn read_gguf(
        path: &Path,
        config: &DecoderConfig,
    ) -> Result<(Self, Option<HearthMeta>), AdapterError> {
        Self::from_gguf(&read_limited(path, MAX_BYTES)?, config)
    }

    /// Reads an adapter for a base model, and what Hearth wrote beside it.
    ///
    /// # Errors
    /// [`AdapterError`]: damaged, of a kind with parts that could not be applied, or for another model.
    pub fn from_gguf(
        bytes: &[u8],
        config: &DecoderConfig,
    ) -> Result<(Self, Option<HearthMeta>), AdapterError> {
        let header = GgufHeader::read(bytes, bytes.len() as u64, Path::new("")).map_err(refused)?;
        check(&header, config)?;
        let layout = Layout::of(config);
        let mut found: BTreeMap<(usize, Module), [Option<&TensorEntry>; 2]> = BTreeMap::new();
        for (name, entry) in header.tensors() {
            let (layer, module, side) = place(name, &layout)?;
            found.entry((layer, module)).or_default()[side] = Some(entry);
        }
        let alpha = header.float("adapter.lora.alpha").unwrap_or(0.0) as f32;
        let mut pairs = Vec::with_capacity(found.len());
        for ((layer, module), sides) in found {
            let [Some(a), Some(b)] = sides else {
                let reason = format!("layer {layer}, {} has only one of A and B", module.path());
                return Err(AdapterError::Malformed { reason });
            };
            let a_numbers = numbers(bytes, header.data_start(), a)?;
            let b_numbers = numbers(bytes, header.data_start(), b)?;
            let (a, b) = ((a_numbers, &*a.shape), (b_numbers, &*b.shape));
            let pair = loose(config, (layer, module), a, b)?;
            // Without an alpha, B A is taken as it is.
            let scale = if alpha == 0.0 { 1.0 } else { alpha / pair.rank as f32 };
            pairs.push(Loose { layer, module, pair, scale });
        }
        let rank = pairs.iter().map(|loose| loose.pair.rank as u32).max().unwrap_or(0);
        let settings = LoraSettings {
            rank,
            alpha: if alpha == 0.0 { rank as f32 } else { alpha },
            rslora: false,
            dropout: 0.0,
            targets: BTreeSet::new(),
        };
        let adapter = assemble(config, settings, layout.gguf_order(), pairs)?;
        let meta = header.text(META).and_then(|text| serde_json::from_str(text).ok());
        Ok((adapter, meta))
    }

    /// Writes the adapter to `path` as llama.cpp has it; on Unix the file is its owner's alone to read.
    ///
    /// # Errors
    /// As [`Adapter::to_gguf`], and [`AdapterError::Io`].
    pub fn write_gguf(&self, path: &Path, meta: Option<&HearthMeta>) -> Result<(), AdapterError> {
        write_whole(path, &self.to_gguf(meta)?)
    }

    /// The adapter as llama.cpp has it, all in 32-bit floats.
    ///
    /// # Errors
    /// [`AdapterError::Malformed`] where it cannot be written down, which does not happen.
    pub fn to_gguf(&self, meta: Option<&HearthMeta>) -> Result<Vec<u8>, AdapterError> {
        let failed = |error: candle_core::Error| malformed(error.to_string());
        let rank = self.rank() as f32;
        // An alpha of 0 would be read as none at all, so B stands for it.
        let (alpha, factor) = match self.scale() {
            0.0 => (rank, 0.0),
            scale => (scale * rank, 1.0),
        };
        let mut tensors = Vec::new();
        for Loose { layer, module, mut pair, .. } in disassemble(self, self.layout.gguf_order()) {
            // llama.cpp divides alpha by each pair's own rank.
            let factor = factor * (pair.rank as f32 / rank);
            if factor != 1.0 {
                pair.b.iter_mut().for_each(|b| *b *= factor);
            }
            let name = format!("blk.{layer}.{}.weight", module.gguf_name());
            for (side, numbers, shape) in [
                ("lora_a", pair.a, (pair.rank, pair.inputs)),
                ("lora_b", pair.b, (pair.outputs, pair.rank)),
            ] {
                let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).map_err(failed)?;
                let tensor = QTensor::quantize(&tensor, GgmlDType::F32).map_err(failed)?;
                tensors.push((format!("{name}.{side}"), tensor));
            }
        }
        let text = |text: &str| Value::String(text.to_owned());
        let mut metadata = vec![
            ("general.architecture", text(gguf_architecture(self.layout.architecture))),
            ("general.type", text("adapter")),
            ("adapter.type", text("lora")),
            ("adapter.lora.alpha", Value::F32(alpha)),
        ];
        if let Some(meta) = meta.and_then(|meta| serde_json::to_string(meta).ok()) {
            metadata.push((META, Value::String(meta)));
        }
        let metadata: Vec<(&str, &Value)> =
            metadata.iter().map(|(key, value)| (*key, value)).collect();
        let tensors: Vec<(&str, &QTensor)> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut out = Cursor::new(Vec::new());
        gguf_file::write(&mut out, &metadata, &tensors).map_err(failed)?;
        Ok(out.into_inner())
    }
}

fn check(header: &GgufHeader, config: &DecoderConfig) -> Result<(), AdapterError> {
    for (key, expected) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        if header.text(key) != Some(expected) {
            let what = format!("a GGUF whose {key} is not {expected:?}");
            return Err(AdapterError::Unsupported { what });
        }
    }
    if header.metadata.contains_key("adapter.alora.invocation_tokens") {
        let what = "an activated adapter (adapter.alora.invocation_tokens)".into();
        return Err(AdapterError::Unsupported { what });
    }
    let (own, expected) =
        (header.text("general.architecture"), gguf_architecture(config.architecture));
    if own != Some(expected) {
        let own: String = own.unwrap_or("none").chars().take(64).collect();
        let reason = format!("its architecture is {own:?}, the model's {expected:?}");
        return Err(AdapterError::OtherModel { reason });
    }
    Ok(())
}

/// `blk.3.attn_q.weight.lora_a` is A of `q_proj` in layer 3.
fn place(name: &str, layout: &Layout) -> Result<(usize, Module, usize), AdapterError> {
    let parsed = || {
        let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
        let (own, side) = match rest.strip_suffix(".weight.lora_a") {
            Some(own) => (own, 0),
            None => (rest.strip_suffix(".weight.lora_b")?, 1),
        };
        let module = Module::of(layout).iter().copied().find(|module| module.gguf_name() == own)?;
        Some((layer.parse().ok()?, module, side))
    };
    parsed().ok_or_else(|| {
        let name: String = name.chars().take(160).collect();
        AdapterError::Unsupported { what: format!("the tensor {name:?}") }
    })
}

/// A tensor's numbers. The header's reader has checked that it lies within.
fn numbers(bytes: &[u8], data_start: u64, entry: &TensorEntry) -> Result<Vec<f32>, AdapterError> {
    let unsupported =
        || AdapterError::Unsupported { what: format!("tensors of type {}", entry.kind) };
    let dtype = entry.kind.supported().ok_or_else(unsupported)?;
    let start = (data_start + entry.offset) as usize;
    let data = bytes.get(start..start + entry.bytes as usize);
    let data = data.ok_or_else(|| malformed("the file ends in a tensor".into()))?;
    // A copy of its own has the alignment that blocks need.
    let storage = QStorage::from_data(Cow::Owned(data.to_vec()), &Device::Cpu, dtype);
    storage
        .and_then(|storage| QTensor::new(storage, entry.shape.as_slice()))
        .and_then(|tensor| tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1())
        .map_err(|error| malformed(error.to_string()))
}

fn gguf_architecture(architecture: Architecture) -> &'static str {
    match architecture {
        // Mistral's GGUFs call themselves Llamas.
        Architecture::Llama | Architecture::Mistral => "llama",
        Architecture::Qwen2 => "qwen2",
        Architecture::Qwen3 => "qwen3",
        Architecture::Phi3 => "phi3",
        Architecture::Gemma2 => "gemma2",
        Architecture::Gemma3 => "gemma3",
    }
}

fn refused(error: LoadError) -> AdapterError {
    match error {
        LoadError::Unsupported { what } => AdapterError::Unsupported { what },
        other => malformed(other.to_string()),
    }
}

fn malformed(reason: String) -> AdapterError {
    AdapterError::Malformed { reason }
}
