//! Tensors of a GGUF under Hugging Face's names.

use std::{borrow::Cow, fs::File, path::Path};

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QStorage, QTensor},
};
use hearth_engine_api::LoadError;

use super::{GgufHeader, TensorEntry, unsupported};
use crate::weights::{
    Matrix, Progress, WeightSource, io_error,
    reading::{Place, Plain},
    tensor_error, wrong_shape,
};

/// An open GGUF file.
pub(crate) struct GgufSource<'a> {
    header: &'a GgufHeader,
    names: Names,
    file: File,
    path: &'a Path,
    progress: Progress<'a>,
}

impl<'a> GgufSource<'a> {
    pub(crate) fn open(
        header: &'a GgufHeader,
        path: &'a Path,
        progress: Progress<'a>,
    ) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        Ok(Self { header, names: Names::of(header), file, path, progress })
    }

    fn entry(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<(&'a TensorEntry, GgmlDType), LoadError> {
        let own_name = self.names.gguf(name).ok_or_else(|| wrong_shape(name, shape, &[]))?;
        let entry = self.header.tensors().get(&own_name);
        let entry = entry.ok_or_else(|| wrong_shape(&own_name, shape, &[]))?;
        if entry.shape != shape {
            return Err(wrong_shape(&own_name, shape, &entry.shape));
        }
        match entry.kind.supported() {
            Some(dtype) => Ok((entry, dtype)),
            None => Err(unsupported(format!("tensor type {} ({own_name})", entry.kind))),
        }
    }

    fn read(&mut self, name: &str, shape: &[usize]) -> Result<Matrix, LoadError> {
        let (entry, dtype) = self.entry(name, shape)?;
        let start = self.header.data_start() + entry.offset;
        let place = Place { name, path: self.path, start, shape };
        let plain = match dtype {
            GgmlDType::F32 => Plain::F32,
            GgmlDType::F16 => Plain::F16,
            GgmlDType::BF16 => Plain::Bf16,
            _ => {
                // The allocator gives memory of this size the alignment the blocks need.
                let bytes = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
                let bytes = place.read_bytes(&mut self.file, bytes, &mut self.progress)?;
                let tensor = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype)
                    .and_then(|storage| QTensor::new(storage, shape));
                return tensor
                    .and_then(Matrix::from_quantized)
                    .map_err(|error| tensor_error(name, &error));
            }
        };
        place.read_plain(&mut self.file, plain, &mut self.progress).map(Matrix::Dense)
    }
}

impl WeightSource for GgufSource<'_> {
    fn contains(&self, name: &str) -> bool {
        self.names.gguf(name).is_some_and(|name| self.header.tensors().contains_key(&name))
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Tensor, LoadError> {
        match self.read(name, &[len])? {
            Matrix::Dense(tensor) => Ok(tensor),
            _ => Err(unsupported(format!("a quantised vector ({name})"))),
        }
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError> {
        self.read(name, &[outputs, inputs])
    }
}

/// What a GGUF calls the tensors, which differs where a norm also follows attention and feed-forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    post_norms: bool,
}

impl Names {
    pub(crate) fn of(header: &GgufHeader) -> Self {
        Self { post_norms: header.tensors().contains_key("blk.0.post_attention_norm.weight") }
    }

    /// `blk.0.attn_q.weight` for `model.layers.0.self_attn.q_proj.weight`, and so on.
    pub(crate) fn gguf(self, name: &str) -> Option<String> {
        let whole = match name {
            "model.embed_tokens.weight" => Some("token_embd.weight"),
            "model.norm.weight" => Some("output_norm.weight"),
            "lm_head.weight" => Some("output.weight"),
            _ => None,
        };
        if let Some(whole) = whole {
            return Some(whole.into());
        }
        let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
        let (part, suffix) = part.rsplit_once('.')?;
        let part = match part {
            "input_layernorm" => "attn_norm",
            "self_attn.q_proj" => "attn_q",
            "self_attn.k_proj" => "attn_k",
            "self_attn.v_proj" => "attn_v",
            "self_attn.qkv_proj" => "attn_qkv",
            "self_attn.o_proj" => "attn_output",
            "self_attn.q_norm" => "attn_q_norm",
            "self_attn.k_norm" => "attn_k_norm",
            "post_attention_layernorm" if self.post_norms => "post_attention_norm",
            "post_attention_layernorm" => "ffn_norm",
            "pre_feedforward_layernorm" => "ffn_norm",
            "post_feedforward_layernorm" => "post_ffw_norm",
            "mlp.gate_proj" => "ffn_gate",
            // Gate and up together go by the name of the latter.
            "mlp.up_proj" | "mlp.gate_up_proj" => "ffn_up",
            "mlp.down_proj" => "ffn_down",
            _ => return None,
        };
        Some(format!("blk.{layer}.{part}.{suffix}"))
    }
}
