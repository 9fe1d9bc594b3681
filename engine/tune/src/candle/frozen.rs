//! Products with a matrix that is never trained. The library's own would also reckon the matrix's gradient; and its product
//! with a quantised matrix lets none through at all.

use std::{fmt, sync::Arc};

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Device, Layout, MetalStorage, Result, Shape, Storage,
    Tensor,
    backend::BackendStorage,
    bail,
    quantized::{QMatMul, QTensor},
};
use hearth_engine_candle::weights::Matrix;

/// A matrix `(out, in)` that stays as it is.
#[derive(Clone)]
pub(super) enum Frozen {
    Dense(Tensor),
    /// Blocks, unpacked to 32-bit floats for the time of a product: what the blocks stand for is multiplied, not what is
    /// near it, so forwards and backwards are of the same function.
    Quantised(Arc<QTensor>),
}

impl Frozen {
    pub(super) fn of(matrix: &Matrix) -> Option<Self> {
        match matrix {
            Matrix::Dense(tensor) => Some(Self::Dense(tensor.clone())),
            Matrix::Quantized(QMatMul::QTensor(tensor)) => {
                Some(Self::Quantised(Arc::clone(tensor)))
            }
            _ => None,
        }
    }

    /// Bytes it takes.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Dense(tensor) => (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64,
            Self::Quantised(tensor) => tensor.storage_size_in_bytes() as u64,
        }
    }

    /// The same as plain numbers, for those who need them more than once.
    pub(super) fn unpacked(&self, device: &Device) -> Result<Self> {
        self.numbers(device).map(Self::Dense)
    }

    fn numbers(&self, device: &Device) -> Result<Tensor> {
        match self {
            Self::Dense(tensor) => Ok(tensor.clone()),
            Self::Quantised(tensor) => tensor.dequantize(device),
        }
    }

    /// `x W^T`: `(rows, in)` to `(rows, out)`, differentiable by `x`.
    pub(super) fn product(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(FrozenProduct(self.clone()))
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dense(_) => "Dense",
            Self::Quantised(_) => "Quantised",
        })
    }
}

struct FrozenProduct(Frozen);

impl FrozenProduct {
    /// `product` gets the matrix's storage, the sizes `(batch, rows, out, in)` and the layout of the matrix turned.
    fn forward<S>(
        &self,
        layout: &Layout,
        device: &Device,
        product: impl FnOnce(&Storage, (usize, usize, usize, usize), &Layout) -> Result<S>,
    ) -> Result<(S, Shape)> {
        let weight = self.0.numbers(device)?;
        let ((rows, inputs), (outputs, columns)) = (layout.shape().dims2()?, weight.dims2()?);
        if inputs != columns {
            bail!("{inputs} numbers for a matrix of {columns} columns")
        }
        let (storage, weight_layout) = weight.storage_and_layout();
        let sizes = (1, rows, outputs, inputs);
        let out = product(&storage, sizes, &weight_layout.transpose(0, 1)?)?;
        Ok((out, Shape::from((rows, outputs))))
    }
}

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        "frozen-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(layout, &Device::Cpu, |weight, sizes, turned| match weight {
            Storage::Cpu(weight) => x.matmul(weight, sizes, layout, turned),
            _ => bail!("a matrix elsewhere"),
        })
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let device = Device::Cuda(x.device().clone());
        self.forward(layout, &device, |weight, sizes, turned| match weight {
            Storage::Cuda(weight) => x.matmul(weight, sizes, layout, turned),
            _ => bail!("a matrix elsewhere"),
        })
    }

    fn metal_fwd(&self, x: &MetalStorage, layout: &Layout) -> Result<(MetalStorage, Shape)> {
        let device = Device::Metal(x.device().clone());
        self.forward(layout, &device, |weight, sizes, turned| match weight {
            Storage::Metal(weight) => x.matmul(weight, sizes, layout, turned),
            _ => bail!("a matrix elsewhere"),
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        let weight = self.0.numbers(x.device())?;
        upstream.contiguous()?.matmul(&weight).map(Some)
    }
}
