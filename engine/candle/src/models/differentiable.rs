//! Norm, softmax, feed-forward gate and rotary embedding in one pass each, with backwards of their own.
//!
//! candle-nn's fused kernels have no backward, and the composed operations pass over their data five to ten
//! times; these do the same sums at once. They work on F32 and F64, on the CPU; elsewhere the composed operations run.

use std::ops::Neg;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Storage, Tensor, WithDType,
    backend::BackendStorage, bail,
};

use super::config::{Activation, RopeLayout};

mod composed;

/// `x / sqrt(mean(x^2) + eps) * weight` over the last dimension.
pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return composed::rms_norm(x, weight, eps);
    }
    x.contiguous()?.apply_op2(&weight.contiguous()?, RmsNorm { eps })
}

/// `activation(gate) * up`.
pub(super) fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    if !gate.device().is_cpu() {
        return composed::gated(gate, up, activation);
    }
    gate.contiguous()?.apply_op2(&up.contiguous()?, Gated { activation })
}

/// Softmax of scores `(.., rows, tokens)` whose rows are positions, `seq` of them, one after the other and over
/// again: each sees the tokens before it and itself, the last position seeing all; or `window` of them at most.
pub(super) fn causal_softmax(scores: &Tensor, seq: usize, window: Option<usize>) -> Result<Tensor> {
    if !scores.device().is_cpu() {
        return composed::causal_softmax(scores, seq, window);
    }
    scores.contiguous()?.apply_op1(CausalSoftmax { seq, window })
}

/// Turns `(batch, heads, seq, head_dim)` by angles `(seq, head_dim / 2)`.
pub(super) fn turn(x: &Tensor, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return composed::turn(x, cos, sin, layout);
    }
    x.contiguous()?.apply_op1(Turn { cos: cos.clone(), sin: sin.clone(), layout })
}

/// F32 or F64.
trait Real: WithDType + Neg<Output = Self> {
    fn exp(self) -> Self;
    fn sqrt(self) -> Self;
}

impl Real for f32 {
    /// Within two units in the last place, and without a call, so that loops over it become vector code.
    #[inline]
    fn exp(self) -> Self {
        let x = self.clamp(-87.0, 88.0);
        let power = (x * std::f32::consts::LOG2_E).round_ties_even();
        let rest = x - power * 0.693_359_4 + power * 2.121_944_4e-4;
        let series = 1.0 / 720.0;
        let series = series * rest + 1.0 / 120.0;
        let series = series * rest + 1.0 / 24.0;
        let series = series * rest + 1.0 / 6.0;
        let series = series * rest + 0.5;
        let series = series * rest + 1.0;
        let series = series * rest + 1.0;
        series * Self::from_bits((((power as i32) + 127) << 23) as u32)
    }

    #[inline]
    fn sqrt(self) -> Self {
        Self::sqrt(self)
    }
}

impl Real for f64 {
    fn exp(self) -> Self {
        Self::exp(self)
    }

    fn sqrt(self) -> Self {
        Self::sqrt(self)
    }
}

/// Runs a generic function on F32 or F64 data.
macro_rules! by_dtype {
    ($storage:expr, $function:ident($($argument:expr),*)) => {
        match $storage {
            DType::F32 => $function::<f32>($($argument),*),
            DType::F64 => $function::<f64>($($argument),*),
            other => bail!("differentiable operations work on F32 and F64, not {other:?}"),
        }
    };
}

struct RmsNorm {
    eps: f64,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = by_dtype!(x.dtype(), normed((x, x_layout), (weight, weight_layout), self.eps))?;
        Ok((out, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_dtype!(x.dtype(), normed_back(x, weight, &upstream.contiguous()?, self.eps))
    }
}

fn normed<T: Real>(
    (x, x_layout): (&CpuStorage, &Layout),
    (weight, weight_layout): (&CpuStorage, &Layout),
    eps: f64,
) -> Result<CpuStorage> {
    let (x, weight) = (slice::<T>(x, x_layout)?, slice::<T>(weight, weight_layout)?);
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(weight.len()) {
        let scale = inverse_length(row, eps);
        out.extend(row.iter().zip(weight).map(|(x, weight)| *x * scale * *weight));
    }
    Ok(T::to_cpu_storage_owned(out))
}

fn normed_back<T: Real>(
    x: &Tensor,
    weight: &Tensor,
    upstream: &Tensor,
    eps: f64,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let size = weight.elem_count();
    let (dx, dweight) = read::<T, _>(x, |x| {
        read::<T, _>(weight, |weight| {
            read::<T, _>(upstream, |upstream| {
                let mut dx = Vec::with_capacity(x.len());
                let mut dweight = vec![T::from_f64(0.0); size];
                for (row, up) in x.chunks_exact(size).zip(upstream.chunks_exact(size)) {
                    let scale = inverse_length(row, eps);
                    let along = sum(row.len(), |i| up[i] * weight[i] * row[i]);
                    let pull = along * scale * scale / T::from_f64(size as f64);
                    for (((x, up), weight), dweight) in
                        row.iter().zip(up).zip(weight).zip(&mut dweight)
                    {
                        dx.push(scale * (*up * *weight - *x * pull));
                        *dweight += *up * *x * scale;
                    }
                }
                Ok((dx, dweight))
            })
        })
    })?;
    let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
    let dweight = Tensor::from_vec(dweight, weight.shape(), x.device())?;
    Ok((Some(dx), Some(dweight)))
}

#[inline]
fn inverse_length<T: Real>(row: &[T], eps: f64) -> T {
    let mean = sum(row.len(), |i| row[i] * row[i]) / T::from_f64(row.len() as f64);
    T::from_f64(1.0) / (mean + T::from_f64(eps)).sqrt()
}

struct Gated {
    activation: Activation,
}

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = by_dtype!(
            gate.dtype(),
            gate_forward((gate, gate_layout), (up, up_layout), self.activation)
        )?;
        Ok((out, gate_layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_dtype!(gate.dtype(), gate_back(gate, up, &upstream.contiguous()?, self.activation))
    }
}

fn gate_forward<T: Real>(
    (gate, gate_layout): (&CpuStorage, &Layout),
    (up, up_layout): (&CpuStorage, &Layout),
    activation: Activation,
) -> Result<CpuStorage> {
    let (gate, up) = (slice::<T>(gate, gate_layout)?, slice::<T>(up, up_layout)?);
    let pairs = gate.iter().zip(up);
    let out = match activation {
        Activation::Silu => pairs.map(|(gate, up)| *gate * open(*gate) * *up).collect(),
        Activation::GeluTanh => {
            pairs.map(|(gate, up)| *gate * open(gelu_slope(*gate).0) * *up).collect()
        }
    };
    Ok(T::to_cpu_storage_owned(out))
}

fn gate_back<T: Real>(
    gate: &Tensor,
    up: &Tensor,
    upstream: &Tensor,
    activation: Activation,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let one = T::from_f64(1.0);
    let (dgate, dup) = read::<T, _>(gate, |gates| {
        read::<T, _>(up, |ups| {
            read::<T, _>(upstream, |upstream| {
                let mut dgate = Vec::with_capacity(gates.len());
                let mut dup = Vec::with_capacity(gates.len());
                for ((gate, up), above) in gates.iter().zip(ups).zip(upstream) {
                    let (bent, slope) = match activation {
                        Activation::Silu => (*gate, one),
                        Activation::GeluTanh => gelu_slope(*gate),
                    };
                    let share = open(bent);
                    dgate.push(*above * *up * share * (one + *gate * slope * (one - share)));
                    dup.push(*above * *gate * share);
                }
                Ok((dgate, dup))
            })
        })
    })?;
    let dgate = Tensor::from_vec(dgate, gate.shape(), gate.device())?;
    let dup = Tensor::from_vec(dup, up.shape(), up.device())?;
    Ok((Some(dgate), Some(dup)))
}

/// What the logistic function is taken of in GELU's tanh form, and its derivative:
/// `0.5 x (1 + tanh u)` is `x` times the logistic function of `2u`, with `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
#[inline]
fn gelu_slope<T: Real>(x: T) -> (T, T) {
    const CUBIC: f64 = 0.044_715;
    let twice = T::from_f64(2.0 * (2.0 / std::f64::consts::PI).sqrt());
    let square = x * x;
    let bent = twice * x * (T::from_f64(1.0) + T::from_f64(CUBIC) * square);
    (bent, twice * (T::from_f64(1.0) + T::from_f64(3.0 * CUBIC) * square))
}

/// The logistic function.
#[inline]
fn open<T: Real>(gate: T) -> T {
    T::from_f64(1.0) / (T::from_f64(1.0) + (-gate).exp())
}

struct CausalSoftmax {
    seq: usize,
    window: Option<usize>,
}

impl CustomOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal-softmax"
    }

    fn cpu_fwd(&self, scores: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = by_dtype!(scores.dtype(), shares(scores, layout, self.seq, self.window))?;
        Ok((out, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, shares: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!(shares.dtype(), shares_back(shares, &upstream.contiguous()?))
    }
}

fn shares<T: Real>(
    scores: &CpuStorage,
    layout: &Layout,
    seq: usize,
    window: Option<usize>,
) -> Result<CpuStorage> {
    let scores = slice::<T>(scores, layout)?;
    let tokens = layout.dims().last().copied().unwrap_or(0);
    if seq == 0 || tokens < seq {
        bail!("{seq} positions cannot be the last of {tokens} tokens")
    }
    let mut out = vec![T::from_f64(0.0); scores.len()];
    let rows = scores.chunks_exact(tokens).zip(out.chunks_exact_mut(tokens));
    for (index, (row, out)) in rows.enumerate() {
        let end = tokens - seq + index % seq + 1;
        let seen = window.map_or(end, |window| end.min(window));
        let (row, out) = (&row[end - seen..end], &mut out[end - seen..end]);
        let top = row.iter().copied().fold(row[0], |top, x| if x > top { x } else { top });
        out.iter_mut().zip(row).for_each(|(out, score)| *out = (*score - top).exp());
        let scale = T::from_f64(1.0) / sum(seen, |i| out[i]);
        out.iter_mut().for_each(|out| *out *= scale);
    }
    Ok(T::to_cpu_storage_owned(out))
}

fn shares_back<T: Real>(shares: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
    let tokens = shares.dims().last().copied().unwrap_or(1);
    let gradient = read::<T, _>(shares, |values| {
        read::<T, _>(upstream, |upstream| {
            let mut gradient = Vec::with_capacity(values.len());
            for (row, up) in values.chunks_exact(tokens).zip(upstream.chunks_exact(tokens)) {
                let mean = sum(tokens, |i| row[i] * up[i]);
                gradient.extend(row.iter().zip(up).map(|(share, up)| *share * (*up - mean)));
            }
            Ok(gradient)
        })
    })?;
    Tensor::from_vec(gradient, shares.shape(), shares.device()).map(Some)
}

struct Turn {
    cos: Tensor,
    sin: Tensor,
    layout: RopeLayout,
}

impl CustomOp1 for Turn {
    fn name(&self) -> &'static str {
        "rotary-embedding"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = by_dtype!(x.dtype(), turned(x, layout, self))?;
        Ok((out, layout.shape().clone()))
    }

    /// A turn is undone by the opposite turn.
    fn bwd(&self, _: &Tensor, _: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        let back = Self { cos: self.cos.clone(), sin: self.sin.neg()?, layout: self.layout };
        upstream.contiguous()?.apply_op1_no_bwd(&back).map(Some)
    }
}

fn turned<T: Real>(x: &CpuStorage, layout: &Layout, op: &Turn) -> Result<CpuStorage> {
    let x = slice::<T>(x, layout)?;
    let cos = op.cos.flatten_all()?.to_vec1::<T>()?;
    let sin = op.sin.flatten_all()?.to_vec1::<T>()?;
    let (_, _, seq, size) = layout.shape().dims4()?;
    let half = size / 2;
    if cos.len() != seq * half || sin.len() != seq * half {
        bail!("{} angles for {seq} positions of {half} pairs", cos.len())
    }
    let mut out = vec![T::from_f64(0.0); x.len()];
    let rows = x.chunks_exact(size).zip(out.chunks_exact_mut(size));
    for (index, (row, out)) in rows.enumerate() {
        let at = index % seq * half;
        let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
        for pair in 0..half {
            let (first, second) = match op.layout {
                RopeLayout::HalfSplit => (pair, pair + half),
                RopeLayout::Interleaved => (2 * pair, 2 * pair + 1),
            };
            out[first] = row[first] * cos[pair] - row[second] * sin[pair];
            out[second] = row[first] * sin[pair] + row[second] * cos[pair];
        }
    }
    Ok(T::to_cpu_storage_owned(out))
}

/// Adds up in eight lanes, which become vector code; one lane would have to keep the order.
#[inline]
fn sum<T: Real>(count: usize, term: impl Fn(usize) -> T) -> T {
    const LANES: usize = 8;
    let mut lanes = [T::from_f64(0.0); LANES];
    let whole = count / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += term(start + lane);
        }
    }
    let mut total = T::from_f64(0.0);
    for lane in lanes {
        total += lane;
    }
    for index in whole..count {
        total += term(index);
    }
    total
}

fn slice<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("differentiable operations need contiguous tensors"),
    }
}

/// Lends out the numbers of a contiguous tensor.
fn read<T: Real, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(slice(storage, layout)?),
        _ => bail!("differentiable operations work on the CPU"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn random(shape: &[usize], dtype: DType) -> Var {
        let values = Tensor::randn(0f64, 1.5, shape, &Device::Cpu).unwrap();
        Var::from_tensor(&values.to_dtype(dtype).unwrap()).unwrap()
    }

    /// Value and gradients of `ours` are those of `composed`, under an uneven upstream gradient.
    fn same(vars: &[&Var], ours: &Tensor, composed: &Tensor) {
        let weights = random(ours.dims(), ours.dtype());
        let gradients = |out: &Tensor| {
            (out * weights.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap()
        };
        let (one, other) = (gradients(ours), gradients(composed));
        let gap = |a: &Tensor, b: &Tensor| {
            let gap = (a - b).unwrap().abs().unwrap().max_all().unwrap();
            gap.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap()
        };
        let limit = if ours.dtype() == DType::F64 { 1e-11 } else { 3e-5 };
        assert!(gap(ours, composed) < limit);
        for var in vars {
            assert!(gap(one.get(var).unwrap(), other.get(var).unwrap()) < limit);
        }
    }

    #[test]
    fn they_match_the_composed_operations() {
        for dtype in [DType::F32, DType::F64] {
            let (x, weight) = (random(&[2, 3, 21], dtype), random(&[21], dtype));
            let composed = composed::rms_norm(&x, &weight, 1e-5).unwrap();
            same(&[&x, &weight], &rms_norm(&x, &weight, 1e-5).unwrap(), &composed);

            let up = random(&[2, 3, 21], dtype);
            for activation in [Activation::Silu, Activation::GeluTanh] {
                let composed = composed::gated(&x, &up, activation).unwrap();
                same(&[&x, &up], &gated(&x, &up, activation).unwrap(), &composed);
            }

            // Two groups of three positions that follow two tokens.
            let scores = random(&[2, 6, 5], dtype);
            for window in [None, Some(2)] {
                let composed = composed::causal_softmax(&scores, 3, window).unwrap();
                same(&[&scores], &causal_softmax(&scores, 3, window).unwrap(), &composed);
            }

            let x = random(&[2, 2, 4, 6], dtype);
            let (cos, sin) = (random(&[4, 3], dtype), random(&[4, 3], dtype));
            for layout in [RopeLayout::HalfSplit, RopeLayout::Interleaved] {
                let composed = composed::turn(&x, &cos, &sin, layout).unwrap();
                same(&[&x], &turn(&x, &cos, &sin, layout).unwrap(), &composed);
            }
        }
    }

    #[test]
    fn the_exponential_is_close_over_its_whole_range() {
        for step in -8700i16..=8800 {
            let x = f32::from(step) / 100.0;
            let expected = f64::from(x).exp();
            let got = f64::from(Real::exp(x));
            assert!((got - expected).abs() < 3e-7 * expected, "exp({x}) = {got}");
        }
        assert!(Real::exp(f32::NEG_INFINITY) < 1e-37);
    }
}
