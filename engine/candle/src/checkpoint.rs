//! A model's files: recognised, described, and turned into a decoder.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use candle_core::Device;
use hearth_engine_api::{KvFormat, LoadError, LoadOptions, MemoryEstimate, ModelInfo};

use crate::{
    models::{Decoder, DecoderConfig, malformed},
    tokenizer::Tokenizer,
    weights::{
        Brought, Fitted, Folder, GgufHeader, GgufSource, Located, MappedFolder, MappedGguf,
        MappedSource, Matrix, Progress, SafetensorsSource, WeightSource, gguf_config, io_error,
        json_config, read_small_file,
    },
};

mod estimate;

pub use estimate::free_memory_bytes;
pub(crate) use estimate::{check_fits, prefill_block_tokens};

const MAX_CONFIG_BYTES: u64 = 1 << 20;
const MAX_SIDE_FILE_BYTES: u64 = 16 << 20;
/// Context given to models that offer more, where the caller asks for none in particular:
/// the keys and values of a full 128k context would take many times the weights.
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;

/// A model's files with their headers read and checked.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    config: DecoderConfig,
    contents: Contents,
}

/// What a model's files are, with their headers.
pub(crate) enum Files<'a> {
    Gguf(&'a GgufHeader),
    Safetensors(&'a Folder),
}

#[derive(Debug)]
enum Contents {
    Gguf(GgufHeader),
    Safetensors(Folder),
}

impl Checkpoint {
    /// Reads the headers of the model at `path`: a GGUF file, a `.safetensors` file with `config.json` beside it,
    /// or a folder with both.
    ///
    /// # Errors
    /// [`LoadError`] where a file is absent, damaged or of a kind the engine does not run.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let is_folder = path.metadata().map_err(|source| io_error(path, source))?.is_dir();
        if !is_folder && starts_like_gguf(path)? {
            let header = GgufHeader::open(path)?;
            let config = gguf_config(&header, path)?;
            return Ok(Self { path: path.into(), config, contents: Contents::Gguf(header) });
        }
        if !is_folder && path.extension().is_none_or(|extension| extension != "safetensors") {
            return Err(malformed("it is neither GGUF nor named .safetensors"));
        }
        let folder = Folder::open(path)?;
        let json = read_small_file(&folder.directory.join("config.json"), MAX_CONFIG_BYTES)?;
        let config = json_config(&json, folder.tensors.contains_key("lm_head.weight"))?;
        Ok(Self { path: path.into(), config, contents: Contents::Safetensors(folder) })
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files.
    pub(crate) const fn files(&self) -> Files<'_> {
        match &self.contents {
            Contents::Gguf(header) => Files::Gguf(header),
            Contents::Safetensors(folder) => Files::Safetensors(folder),
        }
    }

    /// What the model is.
    pub const fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The context the model gets: as asked for, else its own up to 8192 tokens.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] where more is asked for than the model was made for, or none at all.
    pub fn context_tokens(&self, options: &LoadOptions) -> Result<u32, LoadError> {
        let own = u32::try_from(self.config.context_tokens).unwrap_or(u32::MAX);
        match options.context_tokens {
            None => Ok(own.min(DEFAULT_CONTEXT_TOKENS)),
            Some(0) => Err(LoadError::Unsupported {
                what: format!("a context of no tokens; this model takes 1 to {own}"),
            }),
            Some(asked) => Ok(own.min(asked)),
        }
    }

    /// The same model for contexts of `context_tokens` at most, by which some models choose their rotary embedding.
    #[must_use]
    pub fn with_context(mut self, context_tokens: u32) -> Self {
        self.config.context_tokens = self.config.context_tokens.min(context_tokens as usize).max(1);
        self
    }

    /// What to tell of the model.
    ///
    /// # Errors
    /// As [`Checkpoint::context_tokens`].
    pub fn info(&self, options: &LoadOptions) -> Result<ModelInfo, LoadError> {
        let (parameters, weight_format) = self.weights();
        Ok(ModelInfo {
            name: self.name(),
            architecture: self.config.architecture.to_string(),
            weight_format,
            parameters,
            file_bytes: self.file_bytes()?,
            context_tokens: self.context_tokens(options)?,
            vocabulary: u32::try_from(self.config.vocab).unwrap_or(u32::MAX),
            has_chat_template: self.has_chat_template(),
        })
    }

    /// Memory the model will take on the processor with one sequence of `context_tokens`.
    pub fn estimate(&self, context_tokens: u32, kv_format: KvFormat) -> MemoryEstimate {
        estimate::estimate(&self.config, self.tensor_bytes(), context_tokens, kv_format)
    }

    /// The source of the model's chat template, without a look at its vocabulary.
    ///
    /// # Errors
    /// [`LoadError`] where it is damaged.
    pub fn chat_template(&self) -> Result<Option<String>, LoadError> {
        match &self.contents {
            Contents::Gguf(header) => crate::tokenizer::gguf_chat_template(&header.metadata),
            Contents::Safetensors(folder) => {
                crate::tokenizer::json_chat_template(&folder.directory.join("tokenizer.json"))
            }
        }
    }

    /// The model's vocabulary.
    ///
    /// # Errors
    /// [`LoadError`] where there is none or it is damaged.
    pub fn tokenizer(&self) -> Result<Tokenizer, LoadError> {
        match &self.contents {
            Contents::Gguf(header) => Tokenizer::from_gguf(&header.metadata),
            Contents::Safetensors(folder) => {
                Tokenizer::from_json_file(&folder.directory.join("tokenizer.json"))
            }
        }
    }

    /// Reads the weights. `on_progress` gets the share done in 0..=1 and may break off.
    ///
    /// # Errors
    /// [`LoadError`], `Cancelled` where `on_progress` broke off.
    pub fn decoder(
        &self,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Decoder, LoadError> {
        self.decoder_on(&Device::Cpu, on_progress)
    }

    /// [`Checkpoint::decoder`], with its weights where `device` computes.
    ///
    /// # Errors
    /// As there.
    pub fn decoder_on(
        &self,
        device: &Device,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Decoder, LoadError> {
        self.decoder_with(device, &mut |_name, matrix| matrix, on_progress)
    }

    /// [`Checkpoint::decoder_on`] with matrices of the caller's making: `fit` gets each by Hugging Face's name, already
    /// where `device` computes, and gives back what is to stand in its place.
    ///
    /// # Errors
    /// As there.
    pub fn decoder_with(
        &self,
        device: &Device,
        fit: &mut dyn FnMut(&str, Matrix) -> Matrix,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Decoder, LoadError> {
        let progress = Progress::new(self.file_bytes()?, on_progress);
        let mut source: Box<dyn WeightSource + '_> = match &self.contents {
            Contents::Gguf(header) => Box::new(GgufSource::open(header, &self.path, progress)?),
            Contents::Safetensors(folder) => Box::new(SafetensorsSource::new(folder, progress)),
        };
        let mut brought = Brought { source: &mut *source, device };
        Decoder::new(self.config.clone(), &mut Fitted { source: &mut brought, fit })
    }

    /// Maps the files.
    pub(crate) fn mapped(&self) -> Result<Box<dyn MappedSource + '_>, LoadError> {
        Ok(match &self.contents {
            Contents::Gguf(header) => Box::new(MappedGguf::open(header, &self.path)?),
            Contents::Safetensors(folder) => Box::new(MappedFolder::open(folder)?),
        })
    }

    fn file_bytes(&self) -> Result<u64, LoadError> {
        match &self.contents {
            Contents::Gguf(_) => {
                let data = self.path.metadata().map_err(|source| io_error(&self.path, source))?;
                Ok(data.len())
            }
            Contents::Safetensors(folder) => Ok(folder.file_bytes),
        }
    }

    fn name(&self) -> String {
        let from_metadata = match &self.contents {
            Contents::Gguf(header) => header.text("general.name").filter(|name| !name.is_empty()),
            Contents::Safetensors(_) => None,
        };
        from_metadata.map_or_else(
            || {
                // A file called `model` says less than its folder.
                let absolute = self.path.canonicalize().unwrap_or_else(|_gone| self.path.clone());
                let stem = absolute.file_stem().filter(|stem| *stem != "model");
                let parent = absolute.parent().and_then(Path::file_name);
                stem.or(parent).unwrap_or_default().to_string_lossy().into_owned()
            },
            str::to_owned,
        )
    }

    /// Number of weights, and the formats of the matrices in words, commonest first.
    fn weights(&self) -> (u64, String) {
        let mut parameters = 0;
        let mut by_format: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = |elements: u64, dims: usize, format: String| {
            parameters += elements;
            if dims > 1 {
                *by_format.entry(format).or_default() += elements;
            }
        };
        match &self.contents {
            Contents::Gguf(header) => {
                for entry in header.tensors().values() {
                    count(entry.elements(), entry.shape.len(), entry.kind.to_string());
                }
            }
            Contents::Safetensors(folder) => {
                for tensor in folder.tensors.values() {
                    count(tensor.elements(), tensor.shape.len(), format!("{:?}", tensor.dtype));
                }
            }
        }
        let mut formats: Vec<(String, u64)> = by_format.into_iter().collect();
        formats.sort_by_key(|&(_, elements)| std::cmp::Reverse(elements));
        let names: Vec<String> = formats.into_iter().map(|(name, _)| name).collect();
        (parameters, names.join(" + "))
    }

    /// Bytes of the weights as they lie in the files.
    fn tensor_bytes(&self) -> u64 {
        match &self.contents {
            Contents::Gguf(header) => header.tensors().values().map(|entry| entry.bytes).sum(),
            Contents::Safetensors(folder) => folder.tensors.values().map(Located::bytes).sum(),
        }
    }

    fn has_chat_template(&self) -> bool {
        match &self.contents {
            Contents::Gguf(header) => header.text("tokenizer.chat_template").is_some(),
            Contents::Safetensors(folder) => {
                let directory = &folder.directory;
                directory.join("chat_template.jinja").is_file()
                    || names_a_template(&directory.join("tokenizer_config.json"))
            }
        }
    }
}

fn starts_like_gguf(path: &Path) -> Result<bool, LoadError> {
    let mut start = Vec::with_capacity(4);
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    file.take(4).read_to_end(&mut start).map_err(|source| io_error(path, source))?;
    Ok(start == b"GGUF")
}

/// Whether a `tokenizer_config.json` holds a template. What is wrong with it is told by those who need it.
fn names_a_template(path: &Path) -> bool {
    #[derive(serde::Deserialize)]
    struct Config {
        chat_template: Option<serde_json::Value>,
    }
    read_small_file(path, MAX_SIDE_FILE_BYTES)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .is_some_and(|config: Config| config.chat_template.is_some())
}
