//! The engine's backend.

use std::{ops::ControlFlow, path::Path};

use hearth_engine_api::{
    Backend, LanguageModel, LoadError, LoadOptions, MemoryEstimate, ModelInfo,
};

use crate::checkpoint::{Checkpoint, check_fits};

mod choice;
mod context;
mod generate;
pub(crate) mod guide;
mod loaded;
mod prompt;
mod split;
mod stop;

use loaded::LoadedModel;

/// Loads models from GGUF files, `.safetensors` files and folders of these, and runs them on the processor.
///
/// Keys and values of an interactive request's tokens are kept, and reused where the next interactive request
/// begins with the same tokens. Background requests neither see what was kept nor leave anything: how long
/// they take tells them nothing about what others asked.
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
        let estimate = checkpoint.estimate(info.context_tokens);
        Ok((info, estimate))
    }

    fn load(
        &self,
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError> {
        let checkpoint = Checkpoint::open(path)?;
        let info = checkpoint.info(options)?;
        check_fits(&checkpoint.estimate(info.context_tokens))?;
        Ok(Box::new(LoadedModel::load(&checkpoint, info, options, on_progress)?))
    }
}
