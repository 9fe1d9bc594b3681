//! The files of a sentence encoder, as sentence-transformers writes them.
//!
//! `modules.json` lists the steps (encoder, pooling, normalisation) and the folder of each; without it the folder
//! is a bare encoder, whose tokens' mean is taken.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use hearth_engine_api::{EmbedderInfo, LoadError, LoadOptions, MemoryEstimate, Pooling};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    batch::{SCORES_BYTES, most_tokens},
    config::EncoderConfig,
};
use crate::{
    models::malformed,
    tokenizer::Tokenizer,
    weights::{Folder, io_error, read_small_file, unsupported},
};

const MAX_SETTINGS_BYTES: u64 = 1 << 20;
const MAX_SIDE_FILE_BYTES: u64 = 16 << 20;
const MAX_MODULES: usize = 16;
/// Room for the tokens around a text and one of its own.
const LEAST_WINDOW_TOKENS: usize = 3;
/// Copies of the scores, of the residual stream and of the feed-forward layer alive at once.
const SCORE_COPIES: u64 = 3;
const STREAM_COPIES: u64 = 8;
const FFN_COPIES: u64 = 4;
const NUMBER_BYTES: u64 = size_of::<f32>() as u64;

/// An encoder's files with their headers read and checked.
#[derive(Debug)]
pub(super) struct EncoderFiles {
    pub(super) config: EncoderConfig,
    pub(super) folder: Folder,
    pub(super) lower_case: bool,
    pub(super) first_token: String,
    pub(super) last_token: String,
    pub(super) default_prompt: Option<String>,
    prompts: BTreeMap<String, String>,
    pooling: Pooling,
    normalised: bool,
    window_tokens: usize,
    name: String,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

/// `1_Pooling/config.json`.
#[derive(Default, Deserialize)]
struct PoolingFile {
    word_embedding_dimension: Option<usize>,
    pooling_mode: Option<String>,
    include_prompt: Option<bool>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
struct TransformerFile {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
}

/// `config_sentence_transformers.json`.
#[derive(Default, Deserialize)]
struct PromptsFile {
    prompts: Option<BTreeMap<String, Option<String>>>,
    default_prompt_name: Option<String>,
}

/// `tokenizer_config.json`.
#[derive(Default, Deserialize)]
struct TokenizerFile {
    model_max_length: Option<f64>,
    cls_token: Option<Value>,
    sep_token: Option<Value>,
}

/// The steps of `modules.json`.
struct Steps {
    encoder: PathBuf,
    pooling: PoolingFile,
    normalised: bool,
}

impl EncoderFiles {
    /// Reads all but the weights of the encoder at `path`: a folder, or the `.safetensors` file in it.
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        let is_folder = path.metadata().map_err(|source| io_error(path, source))?.is_dir();
        let root = if is_folder { path } else { path.parent().unwrap_or(Path::new("")) };
        let steps = Steps::read(root)?;
        let inside = steps.encoder;
        let json = read_small_file(&inside.join("config.json"), MAX_SETTINGS_BYTES)?;
        let config = EncoderConfig::parse(&json)?;
        let folder = Folder::open(if is_folder { &inside } else { path })?;
        let pooling = steps.pooling.pooling(config.hidden)?;
        let transformer: TransformerFile =
            settings(&inside.join("sentence_bert_config.json"))?.unwrap_or_default();
        let tokenizer: TokenizerFile =
            settings(&inside.join("tokenizer_config.json"))?.unwrap_or_default();
        let (prompts, default_prompt) = prompts(root)?;
        Ok(Self {
            window_tokens: window_tokens(&config, &transformer, &tokenizer)?,
            lower_case: transformer.do_lower_case.unwrap_or(false),
            first_token: token_text(tokenizer.cls_token).unwrap_or_else(|| "[CLS]".into()),
            last_token: token_text(tokenizer.sep_token).unwrap_or_else(|| "[SEP]".into()),
            name: name(root),
            normalised: steps.normalised,
            prompts,
            default_prompt,
            pooling,
            config,
            folder,
        })
    }

    pub(super) fn info(&self, options: &LoadOptions) -> Result<EmbedderInfo, LoadError> {
        let own = self.window_tokens;
        let window_tokens = match options.context_tokens {
            None => own,
            Some(asked) if (LEAST_WINDOW_TOKENS..=own).contains(&(asked as usize)) => {
                asked as usize
            }
            Some(asked) => {
                return Err(unsupported(format!(
                    "a context of {asked} tokens; this encoder takes {LEAST_WINDOW_TOKENS} to {own}"
                )));
            }
        };
        Ok(EmbedderInfo {
            name: self.name.clone(),
            architecture: self.config.architecture().into(),
            dimensions: narrow(self.config.hidden),
            window_tokens: narrow(window_tokens),
            parameters: self.parameters(),
            file_bytes: self.folder.file_bytes,
            pooling: self.pooling,
            normalised: self.normalised,
            prompts: self.prompts.clone(),
        })
    }

    /// Memory the encoder will take with windows of `window_tokens`. Weights are held as F32.
    pub(super) fn estimate(&self, window_tokens: u32) -> MemoryEstimate {
        let tokens = most_tokens(window_tokens as usize) as u64;
        let widths =
            STREAM_COPIES * self.config.hidden as u64 + FFN_COPIES * self.config.ffn as u64;
        let scores_bytes = SCORE_COPIES * SCORES_BYTES as u64;
        MemoryEstimate {
            weights_bytes: self.parameters().saturating_mul(NUMBER_BYTES),
            kv_cache_bytes: 0,
            work_bytes: scores_bytes.saturating_add(tokens.saturating_mul(widths * NUMBER_BYTES)),
        }
    }

    pub(super) fn tokenizer(&self) -> Result<Tokenizer, LoadError> {
        let directory = &self.folder.directory;
        let json = directory.join("tokenizer.json");
        let list = directory.join("vocab.txt");
        if json.is_file() || !list.is_file() {
            Tokenizer::from_json_file(&json)
        } else {
            Tokenizer::from_vocab_txt(&list)
        }
    }

    fn parameters(&self) -> u64 {
        let elements = |shape: &[usize]| {
            shape.iter().fold(1u64, |product, dim| product.saturating_mul(*dim as u64))
        };
        let parameters = self.config.parameters();
        parameters.iter().fold(0, |sum: u64, (_, shape)| sum.saturating_add(elements(shape)))
    }
}

impl Steps {
    fn read(root: &Path) -> Result<Self, LoadError> {
        const POOLING: &str = "1_Pooling";
        let Some(modules) = settings::<Vec<Module>>(&root.join("modules.json"))? else {
            let pooling = settings(&root.join(POOLING).join("config.json"))?;
            return Ok(Self {
                encoder: root.into(),
                pooling: pooling.unwrap_or_default(),
                normalised: false,
            });
        };
        if modules.len() > MAX_MODULES {
            return Err(malformed(format!("modules.json lists {} steps", modules.len())));
        }
        let mut encoder = None;
        let mut pooling = None;
        let mut normalised = false;
        for module in &modules {
            let folder = inside(root, &module.path)?;
            let class = module.r#type.rsplit('.').next().unwrap_or_default();
            match class {
                "Transformer" if encoder.is_none() => encoder = Some(folder),
                "Pooling" if encoder.is_some() && pooling.is_none() => {
                    let path = folder.join("config.json");
                    pooling = Some(parsed(&path, &read_small_file(&path, MAX_SETTINGS_BYTES)?)?);
                }
                "Normalize" if pooling.is_some() => normalised = true,
                _ => return Err(unsupported(format!("the step {class:?} of modules.json"))),
            }
        }
        match (encoder, pooling) {
            (Some(encoder), Some(pooling)) => Ok(Self { encoder, pooling, normalised }),
            _ => Err(unsupported("a sentence encoder whose modules.json names no pooling")),
        }
    }
}

impl PoolingFile {
    /// Several ways at once make a longer vector, which is not done here.
    fn pooling(&self, hidden: usize) -> Result<Pooling, LoadError> {
        if let Some(dimension) = self.word_embedding_dimension.filter(|size| *size != hidden) {
            return Err(malformed(format!(
                "a pooling of {dimension} numbers after an encoder of {hidden}"
            )));
        }
        if self.include_prompt == Some(false) {
            return Err(unsupported("a pooling that leaves the prompt out"));
        }
        let flagged = self.more.iter().filter(|(_, value)| **value == Value::Bool(true));
        let mut modes: Vec<&str> =
            flagged.filter_map(|(name, _)| name.strip_prefix("pooling_mode_")).collect();
        modes.extend(self.pooling_mode.as_deref());
        match modes.as_slice() {
            [] | ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
            ["cls_token" | "cls"] => Ok(Pooling::Cls),
            other => Err(unsupported(format!("a pooling by {}", other.join(" and ")))),
        }
    }
}

/// A module's folder, which must not lead out of the model's.
fn inside(root: &Path, path: &str) -> Result<PathBuf, LoadError> {
    let mut components = Path::new(path).components();
    match (components.next(), components.next()) {
        (None, _) => Ok(root.into()),
        (Some(Component::Normal(name)), None) => Ok(root.join(name)),
        _ => Err(malformed(format!("modules.json lists {path:?}, which is no plain folder name"))),
    }
}

/// The prompts by name, and the one for texts of no particular use.
type Prompts = (BTreeMap<String, String>, Option<String>);

fn prompts(root: &Path) -> Result<Prompts, LoadError> {
    const NAME: &str = "config_sentence_transformers.json";
    let file: PromptsFile = settings(&root.join(NAME))?.unwrap_or_default();
    let prompts: BTreeMap<String, String> = file
        .prompts
        .unwrap_or_default()
        .into_iter()
        .map(|(name, prompt)| (name, prompt.unwrap_or_default()))
        .collect();
    let default = match file.default_prompt_name {
        None => None,
        Some(name) => {
            let prompt = prompts.get(&name).cloned();
            Some(prompt.ok_or_else(|| malformed(format!("{NAME} has no prompt {name:?}")))?)
        }
    };
    Ok((prompts, default))
}

/// As long as all the files allow, and the scores of one window stay within bounds.
fn window_tokens(
    config: &EncoderConfig,
    transformer: &TransformerFile,
    tokenizer: &TokenizerFile,
) -> Result<usize, LoadError> {
    let affordable = (SCORES_BYTES / size_of::<f32>() / config.heads).isqrt();
    // Absent in many files, where a figure beyond all bounds stands instead.
    let spelled = tokenizer.model_max_length.filter(|length| (1.0..1e9).contains(length));
    let tokens = [
        config.positions,
        affordable,
        transformer.max_seq_length.unwrap_or(usize::MAX),
        spelled.map_or(usize::MAX, |length| length as usize),
    ];
    let tokens = tokens.into_iter().min().unwrap_or_default();
    if tokens < LEAST_WINDOW_TOKENS {
        return Err(malformed(format!("a context of {tokens} tokens")));
    }
    Ok(tokens)
}

/// A token, given as a string or as an object with its content.
fn token_text(value: Option<Value>) -> Option<String> {
    let value = value?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

fn name(root: &Path) -> String {
    let absolute = root.canonicalize().unwrap_or_else(|_gone| root.into());
    absolute.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file of settings, where there is one.
fn settings<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LoadError> {
    if !path.is_file() {
        return Ok(None);
    }
    parsed(path, &read_small_file(path, MAX_SIDE_FILE_BYTES)?).map(Some)
}

fn parsed<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, LoadError> {
    serde_json::from_str(text).map_err(|error| {
        malformed(format!("{}: {error}", path.file_name().unwrap_or_default().display()))
    })
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
