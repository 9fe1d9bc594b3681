//! The engine's backend.

use std::{ops::ControlFlow, path::Path};

use hearth_engine_api::{
    Backend, LanguageModel, LoadError, LoadOptions, MemoryEstimate, ModelInfo,
};

use candle_core::Device;

use crate::{
    checkpoint::{Checkpoint, check_fits},
    tokenizer::Tokenizer,
};

mod answer;
mod choice;
mod draft;
mod forward;
pub(crate) mod guide;
mod loaded;
mod plan;
mod pool;
mod server;
mod split;
mod stop;

use forward::{CandleForward, CpuForward, Forward};
pub(crate) use loaded::Served;
use loaded::{CONTEXTS, LoadedModel};

/// Loads models from GGUF files, `.safetensors` files and folders of these, and runs them on the processor,
/// or on a graphics card where it is built with the feature `cuda` or `metal`.
///
/// Requests run side by side, and what comes out is bitwise independent of what else runs. Keys and values of the
/// tokens of requests with the same cache key are kept within bounds, and reused where a prompt of that key begins
/// with the same tokens; requests without a key neither see what is kept nor leave anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct CandleBackend;

impl Backend for CandleBackend {
    fn inspect(
        &self,
        path: &Path,
        options: &LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError> {
        let checkpoint = Checkpoint::open(path)?;
        let info = checkpoint.info(options)?;
        let estimate = estimate(&checkpoint, &info, options);
        Ok((info, estimate))
    }

    fn load(
        &self,
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError> {
        Ok(load(path, options, on_progress)?)
    }
}

/// [`Backend::load`], with what measuring needs besides.
pub(crate) fn load(
    path: &Path,
    options: &LoadOptions,
    on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Box<dyn Served>, LoadError> {
    let checkpoint = Checkpoint::open(path)?;
    let info = checkpoint.info(options)?;
    let checkpoint = checkpoint.with_context(info.context_tokens);
    let estimate = estimate(&checkpoint, &info, options);
    check_fits(&estimate)?;
    // The vocabulary first: it is quick to read, and what is wrong with it shows before the long part.
    let tokenizer = checkpoint.tokenizer()?;
    match device()? {
        Device::Cpu => {
            let forward = CpuForward::load(&checkpoint, options, on_progress)?;
            let kv_bytes = Some(estimate.kv_cache_bytes);
            let options = LoadOptions { kv_bytes, ..options.clone() };
            serve(tokenizer, forward, info, &options, on_progress)
        }
        device => {
            let forward = CandleForward::load(&checkpoint, &device, on_progress)?;
            serve(tokenizer, forward, info, options, on_progress)
        }
    }
}

/// What the model will take, its keys and values as much as they may: as asked for, else some full contexts where these
/// fit the memory that is free now, and one where they do not.
fn estimate(checkpoint: &Checkpoint, info: &ModelInfo, options: &LoadOptions) -> MemoryEstimate {
    let one = checkpoint.estimate(info.context_tokens, options.kv_format);
    let with = |kv_cache_bytes| MemoryEstimate { kv_cache_bytes, ..one };
    match options.kv_bytes {
        Some(bytes) => with(bytes),
        None => Some(with(one.kv_cache_bytes.saturating_mul(CONTEXTS as u64)))
            .filter(|several| check_fits(several).is_ok())
            .unwrap_or(one),
    }
}

fn serve<F: Forward + 'static>(
    tokenizer: Tokenizer,
    forward: F,
    info: ModelInfo,
    options: &LoadOptions,
    on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<Box<dyn Served>, LoadError> {
    if on_progress(1.0).is_break() {
        return Err(LoadError::Cancelled);
    }
    Ok(Box::new(LoadedModel::new(tokenizer, forward, info, options)?))
}

/// What models run on: the first graphics card where the engine is built for one, else the processor.
fn device() -> Result<Device, LoadError> {
    #[cfg(feature = "cuda")]
    let device = Device::new_cuda(0);
    #[cfg(all(feature = "metal", not(feature = "cuda")))]
    let device = Device::new_metal(0);
    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    let device: candle_core::Result<Device> = Ok(Device::Cpu);
    device.map_err(|error| LoadError::Unsupported {
        what: format!("the graphics card this engine is built for ({error})"),
    })
}
