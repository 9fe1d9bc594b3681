//! Checkpoints: weights, moments, step and recipe in one safetensors file.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write,
    path::Path,
};

use candle_core::{Device, Tensor, Var};
use hearth_engine_candle::models::DecoderConfig;
use safetensors::{SafeTensors, tensor::TensorView};

use super::{Vars, adamw::AdamW};
use crate::{
    error::{StarterError, io},
    recipe::Recipe,
};

/// A state of training that can be gone on from. The data are a function of the step, so no state of a
/// random generator is needed.
pub struct Checkpoint {
    /// The recipe it follows.
    pub recipe: Recipe,
    /// Steps done.
    pub step: u64,
    /// Tokens read.
    pub tokens: u64,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Checkpoint {
    pub(super) fn new(
        recipe: &Recipe,
        vars: &Vars,
        optimiser: &AdamW,
        step: u64,
        tokens: u64,
    ) -> Self {
        let mut tensors = HashMap::new();
        for ((name, var), (mean, square)) in vars.iter().zip(&optimiser.moments) {
            let values = var.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
            let shape = var.dims().to_vec();
            tensors.insert(format!("mean.{name}"), (shape.clone(), mean.clone()));
            tensors.insert(format!("square.{name}"), (shape.clone(), square.clone()));
            tensors.insert(name.clone(), (shape, values.unwrap_or_default()));
        }
        Self { recipe: recipe.clone(), step, tokens, tensors }
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// Where the file is absent or damaged.
    pub fn read(path: &Path) -> Result<Self, StarterError> {
        let bytes = fs::read(path).map_err(io(path))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(malformed)?;
        let notes = header.metadata().clone().unwrap_or_default();
        let note = |key: &str| {
            notes.get(key).ok_or_else(|| malformed(format!("the note {key} is missing")))
        };
        let recipe = serde_json::from_str(note("recipe")?).map_err(malformed)?;
        let step = note("step")?.parse().map_err(malformed)?;
        let tokens = note("tokens")?.parse().map_err(malformed)?;
        let mut tensors = HashMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes).map_err(malformed)?.iter() {
            let values = view
                .data()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            tensors.insert(name.to_owned(), (view.shape().to_vec(), values.collect()));
        }
        Ok(Self { recipe, step, tokens, tensors })
    }

    /// Writes it beside `path` first, so that a file of this name is always whole.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), StarterError> {
        let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, values))| {
                (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
            })
            .collect();
        let mut views = Vec::with_capacity(bytes.len());
        for (name, shape, bytes) in &bytes {
            let view = TensorView::new(safetensors::Dtype::F32, (*shape).clone(), bytes);
            views.push((name.as_str(), view.map_err(malformed)?));
        }
        let notes = HashMap::from([
            ("step".to_owned(), self.step.to_string()),
            ("tokens".to_owned(), self.tokens.to_string()),
            ("recipe".to_owned(), serde_json::to_string(&self.recipe).map_err(malformed)?),
        ]);
        let data = safetensors::serialize(views, Some(notes)).map_err(malformed)?;
        let beside = path.with_extension("part");
        let mut file = File::create(&beside).map_err(io(&beside))?;
        file.write_all(&data).map_err(io(&beside))?;
        file.sync_all().map_err(io(&beside))?;
        fs::rename(&beside, path).map_err(io(path))
    }

    /// The weights, in the order of the decoder's parameters.
    ///
    /// # Errors
    /// Where one is missing or misshapen.
    pub fn weights(&self, config: &DecoderConfig) -> Result<Vec<(String, Tensor)>, StarterError> {
        config
            .parameters()
            .into_iter()
            .map(|(name, shape)| {
                let values = self.values(&name, &shape)?.to_vec();
                Ok((name, Tensor::from_vec(values, shape, &Device::Cpu)?))
            })
            .collect()
    }

    pub(super) fn vars(&self, config: &DecoderConfig) -> Result<Vars, StarterError> {
        self.weights(config)?
            .into_iter()
            .map(|(name, tensor)| Ok((name, Var::from_tensor(&tensor)?)))
            .collect()
    }

    #[expect(clippy::type_complexity, reason = "pairs of moments, as the optimiser holds them")]
    pub(super) fn moments(
        &self,
        config: &DecoderConfig,
    ) -> Result<Vec<(Vec<f32>, Vec<f32>)>, StarterError> {
        let moment = |prefix: &str, name: &str, shape: &[usize]| {
            self.values(&format!("{prefix}.{name}"), shape).map(<[f32]>::to_vec)
        };
        config
            .parameters()
            .iter()
            .map(|(name, shape)| Ok((moment("mean", name, shape)?, moment("square", name, shape)?)))
            .collect()
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<&[f32], StarterError> {
        match self.tensors.get(name) {
            Some((found, values)) if found == shape => Ok(values),
            Some((found, _)) => Err(malformed(format!("{name} is {found:?}, expected {shape:?}"))),
            None => Err(malformed(format!("{name} is missing"))),
        }
    }
}

fn malformed(reason: impl std::fmt::Display) -> StarterError {
    StarterError::Malformed { what: "checkpoint", reason: reason.to_string() }
}
