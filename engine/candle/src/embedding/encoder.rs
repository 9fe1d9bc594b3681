//! The network: token ids in, a vector for each token out.

use std::{collections::HashMap, ops::ControlFlow};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{bert::BertModel, nomic_bert::NomicBertModel};
use hearth_engine_api::{EngineError, LoadError};

use super::{config::Kind, files::EncoderFiles};
use crate::{
    compute_error,
    models::malformed,
    weights::{
        Folder, Matrix, Progress, SafetensorsSource, WeightSource, tensor_error, wrong_shape,
    },
};

/// What tells where in the file the encoder's tensors lie.
const LANDMARK: &str = "embeddings.word_embeddings.weight";

pub(super) struct Encoder {
    model: Model,
    heads: usize,
}

enum Model {
    Bert(BertModel),
    Nomic(NomicBertModel),
}

impl Encoder {
    /// Reads the weights, for rows of at most `window_tokens`.
    pub(super) fn load(
        files: &EncoderFiles,
        window_tokens: usize,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, LoadError> {
        let progress = Progress::new(files.folder.file_bytes, on_progress);
        let tensors = tensors(files, &mut SafetensorsSource::new(&files.folder, progress))?;
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let model = match &files.config.kind {
            Kind::Bert(config) => BertModel::load(weights, config).map(Model::Bert),
            Kind::Nomic(config) => {
                // The table of rotations is as long as the context it is told of.
                let config = config.for_context(window_tokens);
                NomicBertModel::load(weights, &config).map(Model::Nomic)
            }
        };
        let model = model.map_err(|error| tensor_error("of the encoder", &error))?;
        if on_progress(1.0).is_break() {
            return Err(LoadError::Cancelled);
        }
        Ok(Self { model, heads: files.config.heads })
    }

    pub(super) const fn heads(&self) -> usize {
        self.heads
    }

    /// The last layer's states `(rows, longest, dimensions)`; those past a row's end mean nothing.
    pub(super) fn states(&self, rows: &[Vec<u32>]) -> Result<Tensor, EngineError> {
        self.forward(rows).map_err(|error| compute_error("the encoder", &error))
    }

    fn forward(&self, rows: &[Vec<u32>]) -> candle_core::Result<Tensor> {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = vec![0u32; rows.len() * longest];
        let mut mask = vec![0u32; rows.len() * longest];
        for (row, (ids, mask)) in
            rows.iter().zip(ids.chunks_mut(longest.max(1)).zip(mask.chunks_mut(longest.max(1))))
        {
            ids[..row.len()].copy_from_slice(row);
            mask[..row.len()].fill(1);
        }
        let shape = (rows.len(), longest);
        let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        match &self.model {
            Model::Bert(model) => model.forward(&ids, &ids.zeros_like()?, Some(&mask)),
            Model::Nomic(model) => model.forward(&ids, None, Some(&mask)),
        }
    }
}

/// What the encoder needs of the file, without the prefix the file may have.
fn tensors(
    files: &EncoderFiles,
    source: &mut SafetensorsSource<'_>,
) -> Result<HashMap<String, Tensor>, LoadError> {
    let prefix = prefix(files)?;
    let mut tensors = HashMap::new();
    for (name, shape) in files.config.parameters() {
        let own_name = name_in_file(&files.folder, prefix, &name);
        let tensor = match *shape.as_slice() {
            [len] => source.vector(&own_name, len)?,
            [outputs, inputs] => match source.matrix(&own_name, outputs, inputs)? {
                Matrix::Dense(tensor) => tensor,
                _ => return Err(malformed(format!("{own_name} is quantised"))),
            },
            _ => return Err(wrong_shape(&own_name, &shape, &[])),
        };
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn prefix(files: &EncoderFiles) -> Result<&'static str, LoadError> {
    ["", "bert.", "nomic_bert.", "model."]
        .into_iter()
        .find(|prefix| files.folder.tensors.contains_key(&format!("{prefix}{LANDMARK}")))
        .ok_or_else(|| wrong_shape(LANDMARK, &[files.config.vocab, files.config.hidden], &[]))
}

/// The weights of norms were once called otherwise.
fn name_in_file(folder: &Folder, prefix: &str, name: &str) -> String {
    let own_name = format!("{prefix}{name}");
    if folder.tensors.contains_key(&own_name) {
        return own_name;
    }
    let old = match own_name.rsplit_once(".LayerNorm.") {
        Some((norm, "weight")) => format!("{norm}.LayerNorm.gamma"),
        Some((norm, _)) => format!("{norm}.LayerNorm.beta"),
        None => return own_name,
    };
    if folder.tensors.contains_key(&old) { old } else { own_name }
}
