//! Where weights come from.

use std::{collections::HashMap, fmt, path::Path, sync::Arc};

use candle_core::{
    DType, Device, Module, Tensor,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};
use hearth_engine_api::LoadError;

mod gguf;
mod mapped;
mod reading;
mod safetensors;

pub use gguf::{GgufHeader, TensorEntry, TensorType};
pub use safetensors::SafetensorsHeader;

pub(crate) use gguf::{GgufSource, gguf_config, unsupported};
pub(crate) use mapped::{MappedFolder, MappedGguf, MappedSource};
pub(crate) use reading::{Progress, read_small_file};
pub(crate) use safetensors::{Folder, Located, SafetensorsSource, json_config};

/// A matrix `(out, in)` as a model holds it.
#[derive(Clone, Debug)]
pub enum Matrix {
    /// Plain numbers: F32 when loaded from a file; F32 or F64, differentiable, when a trainer owns it.
    Dense(Tensor),
    /// Blocks of quantised numbers, multiplied as they are.
    Quantized(QMatMul),
    /// Whatever somebody else multiplies by.
    Other(Arc<dyn Product>),
}

/// A matrix that is multiplied by in a way of its own, such as a trainer's that lets gradients through.
pub trait Product: fmt::Debug + Send + Sync {
    /// `x W^T`: `(batch, seq, in)` to `(batch, seq, out)`.
    ///
    /// # Errors
    /// Where the computation fails.
    fn project(&self, x: &Tensor) -> candle_core::Result<Tensor>;
}

impl Matrix {
    /// A matrix of a GGUF's tensor. F16 and BF16 are widened to F32.
    ///
    /// # Errors
    /// Where the memory cannot be had.
    pub fn from_quantized(tensor: QTensor) -> candle_core::Result<Self> {
        match tensor.dtype() {
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => {
                Ok(Self::Dense(tensor.dequantize(&tensor.device())?))
            }
            // Not `from_arc`, which an environment variable can turn to dequantising all.
            _ => Ok(Self::Quantized(QMatMul::QTensor(Arc::new(tensor)))),
        }
    }

    /// The same matrix where `device` computes.
    pub(crate) fn to_device(&self, device: &Device) -> candle_core::Result<Self> {
        match self {
            Self::Quantized(QMatMul::QTensor(tensor)) => {
                let storage = QStorage::from_data(tensor.data()?, device, tensor.dtype())?;
                Self::from_quantized(QTensor::new(storage, tensor.shape())?)
            }
            Self::Quantized(QMatMul::Tensor(tensor) | QMatMul::TensorF16(tensor))
            | Self::Dense(tensor) => tensor.to_device(device).map(Self::Dense),
            Self::Other(_) => Ok(self.clone()),
        }
    }

    /// `x W^T`: `(batch, seq, in)` to `(batch, seq, out)`.
    pub(crate) fn project(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Quantized(weight) => weight.forward(&x.contiguous()?),
            Self::Other(product) => product.project(x),
            Self::Dense(weight) => {
                let (batch, seq, inputs) = x.dims3()?;
                let flat = x.reshape((batch * seq, inputs))?;
                flat.matmul(&weight.t()?)?.reshape((batch, seq, weight.dim(0)?))
            }
        }
    }

    /// The rows named by `ids`: `(batch, seq)` to `(batch, seq, in)`.
    pub(crate) fn rows(&self, ids: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Quantized(weight) => weight.embedding(ids),
            Self::Other(_) => candle_core::bail!("this matrix only multiplies"),
            Self::Dense(weight) => {
                let (batch, seq) = ids.dims2()?;
                let picked = weight.index_select(&ids.flatten_all()?, 0)?;
                picked.reshape((batch, seq, weight.dim(1)?))
            }
        }
    }
}

/// Something tensors can be taken from, by Hugging Face's names (`model.layers.0.self_attn.q_proj.weight`).
pub trait WeightSource {
    /// Whether there is a tensor of this name.
    fn contains(&self, name: &str) -> bool;

    /// A vector (norm or bias) of exactly `len` numbers, dense.
    ///
    /// # Errors
    /// [`LoadError::Shape`] where it is absent or of another shape; whatever reading it fails with.
    fn vector(&mut self, name: &str, len: usize) -> Result<Tensor, LoadError>;

    /// A matrix of exactly `(outputs, inputs)`.
    ///
    /// # Errors
    /// As [`WeightSource::vector`].
    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError>;
}

/// Tensors of another source, brought to where they are computed with.
pub(crate) struct Brought<'a> {
    pub(crate) source: &'a mut (dyn WeightSource + 'a),
    pub(crate) device: &'a Device,
}

impl WeightSource for Brought<'_> {
    fn contains(&self, name: &str) -> bool {
        self.source.contains(name)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Tensor, LoadError> {
        let vector = self.source.vector(name, len)?;
        vector.to_device(self.device).map_err(|error| tensor_error(name, &error))
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError> {
        let matrix = self.source.matrix(name, outputs, inputs)?;
        matrix.to_device(self.device).map_err(|error| tensor_error(name, &error))
    }
}

/// Matrices of another source, each of which somebody else looks at and may put another in place of.
pub(crate) struct Fitted<'a> {
    pub(crate) source: &'a mut (dyn WeightSource + 'a),
    pub(crate) fit: &'a mut dyn FnMut(&str, Matrix) -> Matrix,
}

impl WeightSource for Fitted<'_> {
    fn contains(&self, name: &str) -> bool {
        self.source.contains(name)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Tensor, LoadError> {
        self.source.vector(name, len)
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError> {
        let matrix = self.source.matrix(name, outputs, inputs)?;
        Ok((self.fit)(name, matrix))
    }
}

/// Tensors already in memory, F32 or F64, such as a trainer's variables.
impl WeightSource for HashMap<String, Tensor> {
    fn contains(&self, name: &str) -> bool {
        self.contains_key(name)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Tensor, LoadError> {
        in_memory(self, name, &[len])
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, LoadError> {
        in_memory(self, name, &[outputs, inputs]).map(Matrix::Dense)
    }
}

fn in_memory(
    tensors: &HashMap<String, Tensor>,
    name: &str,
    shape: &[usize],
) -> Result<Tensor, LoadError> {
    let tensor = tensors.get(name).ok_or_else(|| wrong_shape(name, shape, &[]))?;
    if tensor.dims() != shape {
        return Err(wrong_shape(name, shape, tensor.dims()));
    }
    if !matches!(tensor.dtype(), DType::F32 | DType::F64) {
        return Err(unsupported(format!("tensor {name} in memory as {:?}", tensor.dtype())));
    }
    Ok(tensor.clone())
}

pub(crate) fn wrong_shape(name: &str, expected: &[usize], got: &[usize]) -> LoadError {
    LoadError::Shape { name: name.into(), expected: expected.into(), got: got.into() }
}

pub(crate) fn io_error(path: &Path, source: std::io::Error) -> LoadError {
    LoadError::Io { path: path.into(), source }
}

/// The tensor library's refusal while loading.
pub(crate) fn tensor_error(name: &str, error: &candle_core::Error) -> LoadError {
    LoadError::Malformed { reason: format!("tensor {name}: {error}") }
}
